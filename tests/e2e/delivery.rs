//! What was acknowledged is delivered to every subscriber, kill -9 or not.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Connection, Process, assert_balanced, free_address, less, run, status, until, write};

const MESSAGES: usize = 10_000;
const CONNECTIONS: usize = 16;

/// Makes a subscriber that records each message's number, once it has it, as a line of a file.
fn recording(app: &Path, topic: &str, subscriber: &str, expect: &str) {
    let handler = format!(
        r#"use std::io::Write;

pub async fn process(message: less::topics::{topic}::{expect}) -> less::Result<()> {{
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open("{subscriber}.txt")?;
    file.write_all(format!("{{}}\n", message.user_id).as_bytes())?;
    Ok(())
}}
"#
    );
    write(&app.join(format!("less/topics/{topic}/{subscriber}/mod.rs")), &handler);
}

fn recorded(app: &Path, subscriber: &str) -> HashSet<u64> {
    let lines = std::fs::read_to_string(app.join(format!("{subscriber}.txt"))).unwrap_or_default();
    lines.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Publishes numbers from 16 connections until `stop` says so or all are out; returns those that were acknowledged.
fn publish(
    address: SocketAddr,
    numbers: std::ops::Range<usize>,
    acknowledged_at: impl Fn(usize) + Sync,
) -> HashSet<u64> {
    let next = AtomicUsize::new(numbers.start);
    let acknowledged = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let Ok(mut connection) = Connection::open(address) else { return };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return;
                    }
                    let body =
                        format!("{{\"user_id\":{number},\"email\":\"ada@example.com\",\"name\":\"Ada\"}}");
                    // A connection that breaks is what the kill does; what it had sent was not acknowledged.
                    let Ok(answer) = connection.post("/topics/user_created", &body) else { return };
                    assert_eq!(answer.status, 202, "{}", answer.body);
                    let mut acknowledged = acknowledged.lock().expect("no holder panics");
                    acknowledged.insert(number as u64);
                    acknowledged_at(acknowledged.len());
                }
            });
        }
    });
    acknowledged.into_inner().expect("no holder panics")
}

fn start(app: &Path, address: SocketAddr) -> Process {
    let mut process = Process::start(less(app).args(["start", "--listen", &address.to_string()]));
    process.wait_for("listens on", 0);
    process
}

#[test]
fn nothing_acknowledged_is_missing_after_ten_thousand_messages_and_a_kill_in_the_middle_of_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["new", "ledger_app"]);
    let app = folder.path().join("ledger_app");
    run(&app, &["add", "subscriber", "user_created/record_again"]);
    // `new` made two; the test's own two replace what they do.
    std::fs::remove_dir_all(app.join("less/topics/user_created/send_welcome_email")).expect("it was made");
    std::fs::remove_dir_all(app.join("less/topics/user_created/send_to_analytics")).expect("it was made");
    run(&app, &["add", "subscriber", "user_created/record"]);
    for subscriber in ["record", "record_again"] {
        recording(&app, "user_created", subscriber, "UserCreated");
    }
    write(
        &app.join("less/topics/user_created/message.rs"),
        "#[less::message]\npub struct UserCreated {\n    pub user_id: u64,\n    pub email: String,\n    pub name: String,\n}\n",
    );
    run(&app, &["build", "--release"]);

    let address = free_address();
    let mut process = start(&app, address);
    let mut acknowledged = publish(address, 0..MESSAGES, |_| {});
    assert_eq!(acknowledged.len(), MESSAGES);
    for subscriber in ["record", "record_again"] {
        until(&format!("`{subscriber}` to record all"), || {
            let have = recorded(&app, subscriber).len();
            if have == MESSAGES { Ok(()) } else { Err(format!("{have}")) }
        });
    }
    assert_balanced(&status(address).expect("the app answers"));

    let killed = AtomicUsize::new(0);
    let pid = process.child.id().to_string();
    acknowledged.extend(publish(address, MESSAGES..2 * MESSAGES, |count| {
        if count >= MESSAGES / 2 && killed.fetch_add(1, Ordering::SeqCst) == 0 {
            let status = std::process::Command::new("kill").args(["-9", &pid]).status();
            assert!(status.expect("kill can be started").success());
        }
    }));
    process.child.wait().expect("its end can be waited for");
    let total = acknowledged.len();
    assert!(
        (MESSAGES + MESSAGES / 2..2 * MESSAGES).contains(&total),
        "killed too early or too late: {total}"
    );

    let process = start(&app, address);
    for subscriber in ["record", "record_again"] {
        until(&format!("`{subscriber}` to record what was acknowledged"), || {
            let missing = acknowledged.difference(&recorded(&app, subscriber)).count();
            if missing == 0 { Ok(()) } else { Err(format!("{missing} missing")) }
        });
    }
    let last = until("the queues to be empty", || {
        let status = status(address)?;
        let rest = |field: &str| {
            status["subscribers"]
                .as_array()
                .map(|all| all.iter().filter_map(|s| s[field].as_u64()).sum::<u64>())
        };
        if rest("pending") == Some(0) && rest("in_flight") == Some(0) {
            Ok(status)
        } else {
            Err(status.to_string())
        }
    });
    assert_balanced(&last);
    for subscriber in last["subscribers"].as_array().expect("a list") {
        assert!(subscriber["published"].as_u64() >= Some(total as u64), "{subscriber}");
        assert_eq!(subscriber["dead"], 0, "{subscriber}");
    }
    process.terminate();
}
