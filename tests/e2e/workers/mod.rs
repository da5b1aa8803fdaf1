//! Subscribers in other languages, with the real Node.js and the real Python.

mod faults;
mod killed;
mod life;
mod loading;
mod outside;
mod publishing;
mod schema;
mod unread;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Connection, Process, assert_balanced, free_address, less, status, until, write};

/// An app in a folder of its own, and its process.
pub(crate) struct App {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
}

impl App {
    /// Runs `less dev` on an app of these files, below `less/`.
    pub(crate) fn dev(files: &[(&str, &str)]) -> Self {
        Self::start("dev", files, &[])
    }

    pub(crate) fn start(how: &str, files: &[(&str, &str)], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            write(&folder.path().join("less").join(path), text);
        }
        write(&folder.path().join("less.toml"), "name = \"workers\"\n");
        Self::at(folder, how, environment)
    }

    pub(crate) fn at(folder: tempfile::TempDir, how: &str, environment: &[(&str, &str)]) -> Self {
        let address = free_address();
        let mut command = less(folder.path());
        command.args([how, "--listen", &address.to_string()]).envs(environment.iter().copied());
        let mut process = Process::start(&mut command);
        process.wait_for("listens on http", 0);
        Self { folder, address, process }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Publishes these bodies in one batch; returns the ids.
    pub(crate) fn publish(&self, topic: &str, bodies: &[Value]) -> Vec<String> {
        let items: Vec<Value> = bodies.iter().map(|body| json!({ "body": body })).collect();
        let mut connection = Connection::open(self.address).expect("the app listens");
        let path = format!("/_less/topics/{topic}/batch");
        let answer = connection.post(&path, &Value::Array(items).to_string()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        let results = answer["results"].as_array().expect("results");
        results
            .iter()
            .map(|result| result["message_id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
            .collect()
    }

    /// Waits until the status of a subscriber is as wanted; its books must balance all the time.
    pub(crate) fn until(&self, subscriber: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            let all = status(self.address)?;
            assert_balanced(&all);
            let found = all["subscribers"].as_array().into_iter().flatten();
            let found = found.filter(|found| found["subscriber"] == subscriber).find(|found| wanted(found));
            found.cloned().ok_or_else(|| format!("{all}\n{}", last(&self.process.printed())))
        })
    }

    pub(crate) fn dead_letters(&self, topic: &str, subscriber: &str) -> Vec<Value> {
        let mut connection = Connection::open(self.address).expect("the app listens");
        let path = format!("/_less/dead-letters/{topic}/{subscriber}?limit=1000");
        let answer = connection.get(&path).expect("an answer");
        let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
        answer["dead_letters"].as_array().expect("a list").clone()
    }

    /// What handlers have written into the file `log`.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// The end of what was printed: a flood may be before it.
fn last(printed: &str) -> &str {
    let from = printed.len().saturating_sub(4000);
    let from = (from..=printed.len()).find(|at| printed.is_char_boundary(*at)).unwrap_or(0);
    &printed[from..]
}
