//! Proof: the shipped program is killed at random moments under load over HTTP, while handlers succeed, fail, panic, hang and block.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::RngExt as _;

use crate::app::{App, History, build, verify};
use crate::http::Connection;

/// Connections that publish without order, and those that publish to one key each.
const FREE: u64 = 3;
const KEYS: u64 = 3;
/// Most messages of a connection in the life of a process.
const MOST: u64 = 60;
/// What the app's less.toml says.
const MAX_ATTEMPTS: u32 = 60;

/// Runs it. Returns whether what is promised held.
pub(crate) fn run(less: &Path, kills: u32) -> Result<bool> {
    let began = Instant::now();
    let program = build(less)?;
    let place = tempfile::Builder::new().prefix("less-kill").tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let data = place.path().join("data");
    let history = History::new(place.path().join("history.jsonl"))?;
    let next = AtomicU64::new(1);
    for _ in 0..kills {
        let app = App::start(&program, &data, &history)?;
        let life = Duration::from_micros(rand::rng().random_range(500..90_000));
        under_load(&app, &history, &next, life)?;
        app.kill()?;
        history.tell("killed", "")?;
    }
    let app = App::start(&program, &data, &history)?;
    let books = app.settle()?;
    let metrics = app.get("/metrics")?;
    app.stop()?;
    let (findings, problems) = verify(less, &data, &history, &books, &metrics, MAX_ATTEMPTS)?;
    problems.iter().take(20).for_each(|problem| println!("  {problem}"));
    println!(
        "kill: {kills} kills, {} acknowledged, {} attempts, {} delivered again after a kill, {} problems, {} s",
        findings["published"],
        findings["started"],
        findings["duplicates"],
        problems.len(),
        began.elapsed().as_secs()
    );
    Ok(problems.is_empty() && findings["kills"] == kills)
}

/// Publishes for this long.
fn under_load(app: &App, history: &History, next: &AtomicU64, life: Duration) -> Result<()> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..FREE + KEYS)
            .map(|number| {
                let (stop, topic) = (&stop, if number < FREE { "work" } else { "ordered" });
                let header = if number < FREE { String::new() } else { format!("less-key: k{number}\r\n") };
                scope.spawn(move || publish(app, history, next, topic, &header, stop))
            })
            .collect();
        std::thread::sleep(life);
        stop.store(true, Ordering::Relaxed);
        publishers.into_iter().try_for_each(|publisher| match publisher.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("a publisher panicked"),
        })
    })
}

fn publish(
    app: &App,
    history: &History,
    next: &AtomicU64,
    topic: &str,
    header: &str,
    stop: &AtomicBool,
) -> Result<()> {
    let mut connection = Connection::open(app.address)?;
    for _ in 0..MOST {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let n = next.fetch_add(1, Ordering::Relaxed);
        history.publish("publishing", topic, n)?;
        let answer =
            connection.ask("POST", &format!("/topics/{topic}"), header, &format!("{{\"n\":{n}}}"))?;
        anyhow::ensure!(answer.status == 202, "{}: {}", answer.status, answer.body);
        history.publish("published", topic, n)?;
    }
    Ok(())
}
