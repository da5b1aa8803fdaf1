//! What the tests share: the command, an app's process, a connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest that anything may take here; reaching it fails the test. Compiling on a busy machine is the slowest.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The `less` command, with nothing of the surrounding environment that would steer it.
pub(crate) fn less(folder: &Path) -> Command {
    less_at(Path::new(env!("CARGO_BIN_EXE_less")), folder)
}

/// Likewise, of the program at this path.
pub(crate) fn less_at(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("CARGO_TARGET_DIR", target()).env("NO_COLOR", "1").stdin(Stdio::null());
    for name in
        ["LISTEN", "DATA", "STAGE", "URL", "CA", "API_KEY", "LOG", "DRAIN", "RUNTIME_PATH", "NODE", "PYTHON"]
    {
        command.env_remove(format!("LESS_{name}"));
    }
    command.env_remove("LESS");
    command.env("XDG_RUNTIME_DIR", runtime_folder());
    command
}

/// Where the apps of the tests find each other, apart from those that run on this machine otherwise. A test whose apps look for others by name has
/// a folder of its own.
pub(crate) fn runtime_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("running");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// The target folder that all the apps of the tests share: the runtime is compiled once.
pub(crate) fn target() -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    workspace.parent().expect("the folder for temporary files lies in the target folder").join("e2e")
}

/// Runs `less` to its end and expects success.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    let output = less(folder).args(arguments).output().expect("less can be started");
    assert!(output.status.success(), "less {arguments:?}: {}\n{}", output.status, text(&output.stderr));
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn write(path: &Path, contents: &str) {
    std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
    std::fs::write(path, contents).expect("the file can be written");
}

/// Copies a folder, without what was generated or built in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name();
        if [".less", "target", "outbox", "node_modules", ".venv", "__pycache__"]
            .iter()
            .any(|skipped| name == *skipped)
        {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().expect("the kind is known").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address")
}

/// Waits until `check` gives something; fails with what `check` last said.
pub(crate) fn until<T>(what: &str, mut check: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match check() {
            Ok(value) => return value,
            Err(last) => assert!(began.elapsed() < PATIENCE, "waited in vain for {what}; last: {last}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that is killed when the test ends, and what it has printed.
pub(crate) struct Process {
    pub(crate) child: Child,
    printed: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the process can be started");
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("stdout is a pipe")),
            Box::new(child.stderr.take().expect("stderr is a pipe")),
        ];
        Self::reading(child, streams)
    }

    /// The same where both streams are a terminal.
    pub(crate) fn start_in_terminal(command: &mut Command) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("a terminal of ours");
        unlockpt(&ours).expect("an unlocked terminal");
        let name = ptsname(&ours, Vec::new()).expect("a terminal has a name");
        let open = || {
            let path = name.to_str().expect("a plain name");
            std::fs::File::options().read(true).write(true).open(path).expect("the terminal's other end")
        };
        let child = command.stdin(Stdio::null()).stdout(open()).stderr(open()).spawn();
        let stream: Box<dyn Read + Send> = Box::new(std::fs::File::from(ours));
        Self::reading(child.expect("the process can be started"), [stream])
    }

    fn reading(child: Child, streams: impl IntoIterator<Item = Box<dyn Read + Send>>) -> Self {
        let printed = Arc::new(Mutex::new(String::new()));
        let mut readers = Vec::new();
        for stream in streams {
            let printed = Arc::clone(&printed);
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut printed = printed.lock().expect("no holder panics");
                    printed.push_str(&line);
                    printed.push('\n');
                }
            }));
        }
        Self { child, printed, readers }
    }

    pub(crate) fn printed(&self) -> String {
        self.printed.lock().expect("no holder panics").clone()
    }

    /// Waits until something is printed, from `after` bytes on.
    pub(crate) fn wait_for(&mut self, needle: &str, after: usize) -> String {
        until(&format!("`{needle}` to be printed"), || {
            let printed = self.printed();
            if printed[after..].contains(needle) {
                return Ok(printed[after..].to_owned());
            }
            if let Some(status) = self.child.try_wait().expect("its state can be read") {
                panic!("it ended ({status}) without printing `{needle}`:\n{}", self.printed());
            }
            Err(printed)
        })
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill can be started").success());
    }

    /// Asks it to end, and expects that it does so well.
    pub(crate) fn terminate(mut self) -> String {
        self.signal("TERM");
        let (status, printed) = self.end();
        assert!(status.success(), "{status}\n{printed}");
        printed
    }

    /// Waits until it has ended, and for the last of what it printed.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("its end can be waited for");
        until("its output to end", || {
            if self.readers.iter().all(std::thread::JoinHandle::is_finished) {
                Ok(())
            } else {
                Err(self.printed())
            }
        });
        (status, self.printed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// An answer: status and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> std::io::Result<Answer> {
        self.request("POST", path, body)
    }

    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        self.request("GET", path, "")
    }

    fn request(&mut self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let broken = || std::io::Error::new(std::io::ErrorKind::InvalidData, "not HTTP");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| broken())?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body: text(&body) })
    }
}

/// `GET /_less/status` of a running app.
pub(crate) fn status(address: SocketAddr) -> Result<serde_json::Value, String> {
    let answer =
        Connection::open(address).and_then(|mut c| c.get("/_less/status")).map_err(|e| e.to_string())?;
    serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))
}

/// Fails unless every subscriber's books balance.
pub(crate) fn assert_balanced(status: &serde_json::Value) {
    for subscriber in status["subscribers"].as_array().expect("a list of subscribers") {
        let n = |field: &str| subscriber[field].as_u64().expect("a number");
        let discarded: u64 = subscriber["discarded"]
            .as_object()
            .expect("a table")
            .values()
            .filter_map(serde_json::Value::as_u64)
            .sum();
        let sum = n("pending") + n("scheduled") + n("in_flight") + n("done") + n("dead") + discarded;
        assert_eq!(n("published"), sum, "{subscriber}");
    }
}
