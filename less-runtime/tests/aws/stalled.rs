//! A server that stops answering, and goes on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use less_runtime::transport::TopicIndex;
use less_runtime::transport::conformance::layout;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::log::Log;
use crate::rig::{PATIENCE, Rig, Verdict, message, options};

/// A MiniStack of the test's own.
struct Server {
    process: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let program = std::env::var("LESS_TEST_MINISTACK_PROGRAM").expect(
            "LESS_TEST_MINISTACK_PROGRAM is not set; hint: `tests/aws/servers.sh cargo test …` sets it",
        );
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("STATE_DIR", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, url: format!("http://127.0.0.1:{port}"), folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert_eq!(server.process.try_wait().unwrap(), None, "MiniStack ended");
            assert!(
                began.elapsed() < PATIENCE,
                "MiniStack does not listen; its folder is {:?}",
                server.folder
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be stopped: only this ends it for certain.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_server_that_stops_answering_holds_no_worker_for_ever_and_nothing_is_lost() {
    let server = Server::start().await;
    let rig = Rig::on(&server.url, layout(&["a"]), options(), 1).await;
    let log = Log::plain(tracing::level_filters::LevelFilter::WARN);
    let worker = rig.work(0, |_, _| Verdict::Done).await;
    let ids = rig.publish(0..5).await;
    worker.handled(&ids).await;

    server.signal(Signal::STOP);
    let stopped = Instant::now();
    let news = (5..10).map(|body| message(&body.to_string(), None)).collect();
    let transport = rig.transport.clone();
    let publishing = tokio::spawn(async move { transport.publish(TopicIndex(0), news).await });
    // A receive is given up 10 s after the time it waits for messages, a second here.
    while !log.text().contains("can't receive messages") {
        assert!(stopped.elapsed() < Duration::from_secs(20), "no receive was given up: {}", log.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.signal(Signal::CONT);
    let results = publishing.await.unwrap();
    let later: Vec<_> =
        results.into_iter().map(|result| result.expect("it is accepted").message_id).collect();
    worker.handled(&later).await;
    rig.settled(0).await;
}
