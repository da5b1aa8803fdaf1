//! Kills under load: of the app, and of its workers. Everything that was acknowledged is handled by every subscriber.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::App;
use crate::support::{Connection, until};

const JS: &str = "const fs = require('node:fs');\nfs.appendFileSync('pids', `${process.pid}\\n`);\nexports.process = async (n) => { await new Promise((ok) => setTimeout(ok, n % 7)); fs.appendFileSync('js', `${n}\\n`); };\n";
const PY: &str = "import os, time\n\nwith open('pids', 'a') as pids:\n    pids.write(f'{os.getpid()}\\n')\n\ndef process(n):\n    time.sleep(n % 7 / 1000)\n    with open('py', 'a') as log:\n        log.write(f'{n}\\n')\n";
const ASYNC: &str = "import asyncio, os\n\nwith open('pids', 'a') as pids:\n    pids.write(f'{os.getpid()}\\n')\n\nasync def process(n):\n    await asyncio.sleep(n % 7 / 1000)\n    with open('py_async', 'a') as log:\n        log.write(f'{n}\\n')\n";
const POLICY: &str = "min_backoff = \"10ms\"\nmax_backoff = \"50ms\"\nmax_attempts = 100\n";
const SUBSCRIBERS: [&str; 3] = ["js", "py", "py_async"];

fn app() -> App {
    App::start(
        "start",
        &[
            ("topics/n/js/index.js", JS),
            ("topics/n/js/subscriber.toml", POLICY),
            ("topics/n/py/__init__.py", PY),
            ("topics/n/py/subscriber.toml", POLICY),
            ("topics/n/py_async/__init__.py", ASYNC),
            ("topics/n/py_async/subscriber.toml", POLICY),
        ],
        &[],
    )
}

/// Publishes numbers, a batch at a time, until told to stop; gives those that were acknowledged, and how many were tried.
fn publisher(address: SocketAddr, first: u64, stop: &Arc<AtomicBool>) -> JoinHandle<(BTreeSet<u64>, u64)> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let (mut acknowledged, mut next) = (BTreeSet::new(), first);
        let mut connection = None;
        while !stop.load(Ordering::Relaxed) {
            let numbers: Vec<u64> = (next..next + 5).collect();
            next += 5;
            let items: Vec<Value> = numbers.iter().map(|n| json!({ "body": n })).collect();
            let publish = || {
                let connection = match &mut connection {
                    Some(connection) => connection,
                    none => none.insert(Connection::open(address)?),
                };
                connection.post("/_less/topics/n/batch", &Value::Array(items).to_string())
            };
            match publish() {
                Ok(answer) if answer.status == 200 => {
                    let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
                    let accepted = answer["results"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|one| one["message_id"].is_string());
                    acknowledged.extend(
                        numbers.iter().zip(accepted).filter(|(_, accepted)| *accepted).map(|(n, _)| *n),
                    );
                }
                // Gone, or not there yet: whether these were stored is unknown.
                Ok(_) | Err(_) => {
                    connection = None;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        (acknowledged, next)
    })
}

/// How often each number was handled by a subscriber.
fn handled(app: &App, subscriber: &str) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(app.path(subscriber)).unwrap_or_default().lines() {
        *counts.entry(line.parse().expect("a number")).or_default() += 1;
    }
    counts
}

/// Waits for the end of everything, and compares what was handled with what was acknowledged.
fn settle(app: &App, acknowledged: &BTreeSet<u64>, tried: u64) {
    for subscriber in SUBSCRIBERS {
        app.until(subscriber, "everything to be handled", |found| {
            found["published"].as_u64() >= Some(acknowledged.len() as u64)
                && found["done"] == found["published"]
                && found["dead"] == 0
        });
        let counts = handled(app, subscriber);
        let lost: Vec<&u64> = acknowledged.iter().filter(|n| !counts.contains_key(n)).collect();
        assert!(lost.is_empty(), "{subscriber} never got {lost:?}");
        let unknown: Vec<&u64> = counts.keys().filter(|n| **n >= tried).collect();
        assert!(unknown.is_empty(), "{subscriber} got what nobody published: {unknown:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_app_is_killed_under_load() {
    const KILLS: u64 = 8;
    let mut app = app();
    let (mut acknowledged, mut tried) = (BTreeSet::new(), 0);
    for kill in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let publisher = publisher(app.address, tried, &stop);
        // At another moment each time, and never before anything is handled.
        let before: u32 = handled(&app, "js").values().sum();
        until("work to be done", || {
            let now: u32 = handled(&app, "js").values().sum();
            if now > before + 50 {
                Ok(())
            } else {
                Err(format!("{before} to {now}\n{}", app.process.printed()))
            }
        });
        std::thread::sleep(Duration::from_millis(kill * 17 % 60));
        app.process.signal("KILL");
        stop.store(true, Ordering::Relaxed);
        let (more, next) = publisher.join().expect("the publisher ends");
        acknowledged.extend(more);
        tried = next;
        let App { folder, process, .. } = app;
        drop(process);
        app = App::at(folder, "start", &[]);
    }
    assert!(acknowledged.len() > 100, "only {} were acknowledged", acknowledged.len());
    settle(&app, &acknowledged, tried);
}

#[test]
fn nothing_is_lost_or_dead_when_workers_are_killed_under_load() {
    const KILLS: usize = 30;
    let app = app();
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = publisher(app.address, 0, &stop);
    let mut killed = BTreeSet::new();
    while killed.len() < KILLS {
        let pid = until("a worker that was not killed yet", || {
            let pids = std::fs::read_to_string(app.path("pids")).unwrap_or_default();
            let new = pids.lines().find(|pid| !killed.contains(*pid)).map(str::to_owned);
            new.ok_or_else(|| format!("{killed:?}\n{}", app.process.printed()))
        });
        std::thread::sleep(Duration::from_millis(killed.len() as u64 * 13 % 50));
        // It may have ended by itself: one that isolates goes when it is not needed any more.
        let _ = std::process::Command::new("kill")
            .args(["-KILL", &pid])
            .stderr(std::process::Stdio::null())
            .status();
        killed.insert(pid);
    }
    stop.store(true, Ordering::Relaxed);
    let (acknowledged, tried) = publisher.join().expect("the publisher ends");
    assert_eq!(acknowledged.len() as u64, tried, "the app itself was never gone");
    settle(&app, &acknowledged, tried);
}
