//! `less tail` beside a running app.

use std::process::Command;

use serde_json::Value;

use crate::support::{Connection, Process, free_address, less, run, text, write};

/// An app without a handler: `less` itself is its program, and nothing is compiled.
fn app() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("less.toml"), "name = \"shop\"\n");
    write(&folder.path().join("less/topics/ping/topic.toml"), "");
    folder
}

fn tail(app: &tempfile::TempDir, arguments: &[&str]) -> Process {
    let mut process = Process::start(less(app.path()).arg("tail").args(arguments));
    process.wait_for("[less] watching `ping`", 0);
    process
}

#[test]
fn a_tail_shows_messages_until_it_has_enough_is_interrupted_or_the_app_stops() {
    let app = app();
    let address = free_address();
    let mut server = Process::start(less(app.path()).args(["start", "--listen", &address.to_string()]));
    server.wait_for("listens on", 0);
    let (mut forever, mut interrupted) = (tail(&app, &["ping"]), tail(&app, &["ping"]));
    let mut enough = tail(&app, &["ping", "--json", "--limit", "2"]);

    let id =
        text(&run(app.path(), &["publish", "ping", "{\"n\": 1}", "--key", "k"]).stdout).trim().to_owned();
    let mut connection = Connection::open(address).expect("the app answers");
    for body in ["2", "3"] {
        assert_eq!(connection.post("/topics/ping", body).expect("an answer").status, 202);
    }
    let (status, printed) = enough.end();
    assert!(status.success(), "{printed}");
    let lines: Vec<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert_eq!((&lines[0]["topic"], &lines[0]["message_id"]), (&"ping".into(), &id.as_str().into()));
    assert_eq!((&lines[0]["key"], &lines[0]["body"]), (&"k".into(), &serde_json::json!({"n": 1})));
    assert_eq!((&lines[1]["key"], &lines[1]["body"]), (&Value::Null, &2.into()));

    interrupted.wait_for("Z  ", 0);
    interrupted.signal("INT");
    assert!(interrupted.child.wait().expect("its end").success(), "{}", interrupted.printed());

    let shown = forever.wait_for("  3\n", 0);
    assert!(shown.contains(&format!("{id}  key=k  {{\"n\": 1}}")), "{shown}");
    server.terminate();
    let (status, printed) = forever.end();
    assert!(status.success() && printed.contains("the app is stopping"), "{printed}");
}

#[test]
fn a_tail_whose_app_is_killed_says_that_it_has_gone() {
    let app = app();
    let address = free_address();
    let mut server = Process::start(less(app.path()).args(["start", "--listen", &address.to_string()]));
    server.wait_for("listens on", 0);
    let mut tail = tail(&app, &["ping"]);
    let killed = Command::new("kill").args(["-9", &server.child.id().to_string()]).status();
    assert!(killed.expect("kill can be started").success());
    let (status, printed) = tail.end();
    assert_eq!(status.code(), Some(2), "{printed}");
    assert!(printed.contains(&format!("no running app answers at http://{address}")), "{printed}");
}
