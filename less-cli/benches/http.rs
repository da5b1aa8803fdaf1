//! Durable publishes over HTTP, beside the same server storing nothing: `cargo bench -p less-cli --bench http`.
//!
//! Both are processes of their own. Ours is an app with one subscriber, made with `less new` and built with `less build --release`; the peer is this
//! program again, with an accept loop like ours around an axum handler that reads the body and answers 202. Runs alternate, and each
//! begins when the subscriber has handled what came before; medians are shown.

#![expect(clippy::print_stdout, reason = "its data is what it prints")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 5;
const RUN: Duration = Duration::from_secs(2);
const BODY: usize = 256;

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if std::env::args().any(|argument| argument == "--peer") {
        return runtime.block_on(peer());
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let app = make_app(folder.path())?;
    let (ours, ours_at) = start(
        Command::new(app.join(".less/bin/bench_app"))
            .current_dir(&app)
            .env("XDG_RUNTIME_DIR", folder.path())
            .args(["--listen", "127.0.0.1:0"]),
    )?;
    let (bare, bare_at) = start(Command::new(std::env::current_exe()?).arg("--peer"))?;
    println!("{BODY} B, requests/s, medians of {ROUNDS} alternating runs of {RUN:?}");
    println!("{:>11} {:>10} {:>10} {:>7}", "connections", "durable", "bare", "ratio");
    for connections in CONNECTIONS {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            a.push(runtime.block_on(load(ours_at, connections))?);
            runtime.block_on(handled(ours_at))?;
            b.push(runtime.block_on(load(bare_at, connections))?);
        }
        let (a, b) = (median(a), median(b));
        println!("{connections:>11} {a:>10.0} {b:>10.0} {:>7.2}", a / b);
    }
    drop((ours, bare));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn make_app(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let less = env!("CARGO_BIN_EXE_less");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e");
    let run = |folder: &Path, arguments: &[&str]| {
        let status = Command::new(less)
            .current_dir(folder)
            .args(arguments)
            .env("CARGO_TARGET_DIR", &target)
            .status()?;
        anyhow::ensure!(status.success(), "less {arguments:?} failed");
        anyhow::Ok(())
    };
    run(folder, &["new", "bench_app"])?;
    let app = folder.join("bench_app");
    std::fs::remove_dir_all(app.join("less/topics/user_created/send_to_analytics"))?;
    let handler = "pub async fn process(_: less::topics::user_created::UserCreated) -> less::Result<()> {\n    Ok(())\n}\n";
    std::fs::write(app.join("less/topics/user_created/send_welcome_email/mod.rs"), handler)?;
    run(&app, &["build", "--release"])?;
    Ok(app)
}

/// A process that ends with this one.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server, and reads from what it prints where it listens.
fn start(command: &mut Command) -> anyhow::Result<(Killed, SocketAddr)> {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take();
    let child = Killed(child);
    for line in BufReader::new(stderr.ok_or_else(|| anyhow::anyhow!("no stderr"))?).lines() {
        if let Some((_, address)) = line?.split_once("listens on http://") {
            return Ok((child, address.trim().parse()?));
        }
    }
    anyhow::bail!("the server ended before it listened")
}

#[expect(clippy::print_stderr, reason = "this is how the parent learns the address")]
async fn peer() -> anyhow::Result<()> {
    let answer = async |body: axum::body::Bytes| {
        let json = [("content-type", "application/json")];
        (http::StatusCode::ACCEPTED, json, format!("{{\"message_id\":\"{:036}\"}}", body.len()))
    };
    let service = TowerToHyperService::new(Router::new().route("/topics/{id}", post(answer)));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("peer listens on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection);
    }
}

/// Waits until the subscriber has handled everything: the peer's turn is to be its own.
async fn handled(address: SocketAddr) -> anyhow::Result<()> {
    loop {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /_less/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.contains("\"pending\":0,") && answer.contains("\"in_flight\":0,") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Requests per second over this many connections, each with one request in flight.
async fn load(address: SocketAddr, connections: usize) -> anyhow::Result<f64> {
    let head = "{\"user_id\":1,\"email\":\"ada@example.com\",\"name\":\"";
    let body = format!("{head}{}\"}}", "x".repeat(BODY - head.len() - 2));
    let request = format!(
        "POST /topics/user_created HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let request = request.clone();
        tasks.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut count, mut buffer) = (0_u32, vec![0; 4096]);
            while began.elapsed() < RUN {
                stream.write_all(request.as_bytes()).await?;
                let mut have = 0;
                // An answer is small, and ends with its JSON.
                while have == 0 || buffer[have - 1] != b'}' {
                    let read = stream.read(&mut buffer[have..]).await?;
                    anyhow::ensure!(read > 0, "the server closed a connection");
                    have += read;
                }
                anyhow::ensure!(
                    buffer.starts_with(b"HTTP/1.1 202"),
                    "{}",
                    String::from_utf8_lossy(&buffer[..have])
                );
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut total = 0;
    while let Some(count) = tasks.join_next().await {
        total += count??;
    }
    Ok(f64::from(total) / began.elapsed().as_secs_f64())
}
