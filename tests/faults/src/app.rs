//! The app under test: a user's project (`app/`), built by `less build`, started, asked, killed; and the history of what was seen.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::http::Connection;
use crate::process::PATIENCE;

/// The history that handlers and publishers append to.
pub(crate) struct History {
    pub(crate) path: PathBuf,
    file: File,
}

impl History {
    pub(crate) fn new(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// Appends an event, with one write.
    pub(crate) fn tell(&self, event: &str, details: &str) -> Result<()> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut file = &self.file;
        Ok(file.write_all(format!("{{\"at\":{at},\"event\":\"{event}\"{details}}}\n").as_bytes())?)
    }

    /// A publish, before and after.
    pub(crate) fn publish(&self, event: &str, topic: &str, n: u64) -> Result<()> {
        self.tell(event, &format!(",\"topic\":\"{topic}\",\"message\":\"{n}\""))
    }
}

/// Builds the app with this `less`. Returns its program.
pub(crate) fn build(less: &Path) -> Result<PathBuf> {
    build_app(less, "app", "faults_app")
}

/// The same for another app than the usual one.
pub(crate) fn build_app(less: &Path, folder: &str, name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let built =
        Command::new(less).arg("build").current_dir(&folder).output().context("can't start `less`")?;
    ensure!(built.status.success(), "`less build`: {}", String::from_utf8_lossy(&built.stderr));
    Ok(folder.join(".less/bin").join(name))
}

/// The running app. It is killed when this is dropped.
pub(crate) struct App {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl App {
    /// Starts it, and waits until it answers.
    pub(crate) fn start(program: &Path, data: &Path, history: &History) -> Result<Self> {
        Self::start_with(Command::new(program), data, history)
    }

    /// The same with a command that has arguments already.
    pub(crate) fn start_with(mut command: Command, data: &Path, history: &History) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = OpenOptions::new().create(true).append(true).open(history.path.with_extension("log"))?;
        let child = command
            .args(["--listen", &address.to_string()])
            .env("LESS_DATA", data)
            // What it leaves behind when it is killed goes with the test's folder.
            .env("XDG_RUNTIME_DIR", history.path.parent().unwrap_or(data))
            .env("HISTORY", &history.path)
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start {command:?}"))?;
        let mut app = Self { child, address };
        let began = Instant::now();
        while app.get("/readyz").is_err() {
            if let Some(status) = app.child.try_wait()? {
                bail!(
                    "the app ended by itself: {status}; see {}",
                    history.path.with_extension("log").display()
                );
            }
            ensure!(began.elapsed() < PATIENCE, "the app does not answer");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(app)
    }

    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let answer = Connection::open(self.address)?.ask("GET", path, "", "")?;
        ensure!(answer.status == 200, "{path}: {}", answer.body);
        Ok(answer.body)
    }

    /// Its books.
    pub(crate) fn status(&self) -> Result<Vec<Value>> {
        let status: Value = serde_json::from_str(&self.get("/_less/status")?)?;
        Ok(status["subscribers"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until nothing is left to do.
    pub(crate) fn settle(&self) -> Result<Vec<Value>> {
        let began = Instant::now();
        loop {
            let books = self.status()?;
            let done =
                |book: &Value| ["pending", "scheduled", "in_flight"].iter().all(|state| book[*state] == 0);
            if books.iter().all(done) {
                return Ok(books);
            }
            ensure!(began.elapsed() < PATIENCE * 4, "the app does not come to its end: {books:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// kill -9.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for its end, which must be a good one.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the app stopped with {status}");
        Ok(())
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `less verify` finds wrong in a data folder.
pub(crate) fn verify_store(less: &Path, data: &Path) -> Result<Vec<String>> {
    let output = Command::new(less).args(["verify", "--json", "--data"]).arg(data).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`less verify`: {}", String::from_utf8_lossy(&output.stderr)))?;
    let problems = report["store"]["problems"].as_array().into_iter().flatten();
    Ok(problems.map(ToString::to_string).collect())
}

/// Holds the books of the API, of the metrics and of the disk against each other, and the disk against the history, with the shipped `less verify`.
/// Returns its findings, and what is wrong.
pub(crate) fn verify(
    less: &Path,
    data: &Path,
    history: &History,
    books: &[Value],
    metrics: &str,
    max_attempts: u32,
) -> Result<(Value, Vec<String>)> {
    let output = Command::new(less)
        .args(["verify", "--json", "--identity", "/n", "--max-attempts", &max_attempts.to_string(), "--data"])
        .arg(data)
        .arg("--history")
        .arg(&history.path)
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("`less verify`: {}", String::from_utf8_lossy(&output.stderr)))?;
    let mut problems = Vec::new();
    for list in [&report["store"]["problems"], &report["history"]["problems"]] {
        problems.extend(list.as_array().into_iter().flatten().map(ToString::to_string));
    }
    ensure!(
        output.status.success() == problems.is_empty(),
        "`less verify` ended with {} and {problems:?}",
        output.status
    );
    for book in books {
        let (topic, subscriber) = (&book["topic"], &book["subscriber"]);
        let stored = report["store"]["subscriptions"].as_array().into_iter().flatten();
        let stored =
            stored.clone().find(|stored| stored["topic"] == *topic && stored["subscriber"] == *subscriber);
        for state in ["published", "pending", "scheduled", "in_flight", "done", "dead"] {
            let on_disk = stored.map(|stored| &stored["ledger"][state]);
            if on_disk != Some(&book[state]) {
                problems.push(format!(
                    "{topic}/{subscriber}: {state} is {} by the API and {on_disk:?} on the disk",
                    book[state]
                ));
            }
            let series = format!(
                "less_messages{{topic={topic},subscriber={subscriber},state=\"{state}\"}} {}",
                book[state]
            );
            if !metrics.lines().any(|line| line == series) {
                problems.push(format!("the metrics have no `{series}`"));
            }
        }
    }
    Ok((report["history"].clone(), problems))
}
