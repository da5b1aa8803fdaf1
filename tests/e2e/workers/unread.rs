//! What an app prints, where nobody takes it; and its end by a terminal's.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use super::App;
use crate::support::{Connection, free_address, less, status, until, write};

const HANDLER: &str =
    "def process(message, context):\n    print('x' * 1000)\n    context.reject('no ' + 'y' * 1000)\n";

struct Unread {
    _folder: tempfile::TempDir,
    address: std::net::SocketAddr,
    child: Child,
}

/// Starts an app whose streams both go there.
fn start(streams: &File) -> Unread {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("less/topics/t/py/__init__.py"), HANDLER);
    let address = free_address();
    let mut command = less(folder.path());
    command.args(["start", "--listen", &address.to_string()]);
    let stream = || streams.try_clone().expect("a descriptor");
    let child = command.stdout(stream()).stderr(stream()).spawn().expect("it can be started");
    until("the app to answer", || status(address));
    Unread { _folder: folder, address, child }
}

impl Unread {
    /// Publishes messages, each of which becomes a dead letter, with lines in the log.
    fn fails(&self, count: u64) {
        let mut connection = Connection::open(self.address).expect("the app listens");
        for n in 1..=count {
            let answer = connection.post("/topics/t", &n.to_string()).expect("an answer");
            assert_eq!(answer.status, 202, "{}", answer.body);
        }
        until("all to be dead letters", || {
            let status = status(self.address)?;
            if status["subscribers"][0]["dead"] == count { Ok(()) } else { Err(status.to_string()) }
        });
    }

    fn end(mut self, signal: &str) {
        let kill = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(kill.expect("kill can be started").success());
        assert!(self.child.wait().expect("its end").success(), "{signal}");
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_app_goes_on_where_nobody_reads_what_it_prints() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let app = start(&File::from(std::os::fd::OwnedFd::from(writer)));
    drop(reader);
    app.fails(3);
    app.end("TERM");
}

#[test]
fn an_app_goes_on_where_its_reader_has_stopped_reading() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let app = start(&File::from(std::os::fd::OwnedFd::from(writer)));
    // More than a pipe holds.
    app.fails(100);
    let mut connection = Connection::open(app.address).expect("the app listens");
    assert_eq!(connection.get("/readyz").expect("an answer").status, 200);
    app.end("TERM");
    drop(reader);
}

#[test]
fn an_app_starts_and_goes_on_where_its_log_has_no_room() {
    let app = start(&File::options().write(true).open("/dev/full").expect("a full disk"));
    app.fails(3);
    app.end("TERM");
}

#[test]
fn a_terminal_that_closes_ends_an_app_in_order() {
    let app = App::start("start", &[("topics/t/py/__init__.py", "def process(message):\n    pass\n")], &[]);
    app.process.signal("HUP");
    let mut process = app.process;
    let (status, printed) = process.end();
    assert!(status.success() && printed.contains("stopped; nothing is lost"), "{status}\n{printed}");
}

#[test]
fn an_app_that_is_to_outlive_its_terminal_does() {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("less/topics/t/py/__init__.py"), HANDLER);
    let address = free_address();
    let program = less(folder.path());
    let mut command = Command::new("nohup");
    command
        .arg(program.get_program())
        .args(["start", "--listen", &address.to_string()])
        .current_dir(folder.path());
    let app = Unread {
        child: command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nohup"),
        address,
        _folder: folder,
    };
    until("the app to answer", || status(address));
    let hangup = Command::new("kill").args(["-HUP", &app.child.id().to_string()]).status();
    assert!(hangup.expect("kill can be started").success());
    app.fails(20);
    app.end("TERM");
}
