//! Proof: one message that ends its process, among many good ones: all of them are done, it is a dead letter.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::app::{App, History, build, verify};
use crate::http::Connection;
use crate::process::PATIENCE;

const TOPIC: &str = "poison";
/// Messages of one request.
const BATCH: u64 = 500;
/// What the subscriber's subscriber.toml says.
const MAX_ATTEMPTS: u32 = 5;

/// Runs it. Returns whether what is promised held.
pub(crate) fn run(less: &Path, good: u64) -> Result<bool> {
    let began = Instant::now();
    let program = build(less)?;
    let place = tempfile::Builder::new().prefix("less-poison").tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let data = place.path().join("data");
    let history = History::new(place.path().join("history.jsonl"))?;
    let mut deaths = 0;
    let mut app = App::start(&program, &data, &history)?;
    let (mut next, mut acknowledged, mut poisoned) = (1, 0, false);
    // The app may end at any moment once it has the poison: other numbers take the place of those that it has not acknowledged then.
    while acknowledged < good || !poisoned {
        // In the middle of the good ones.
        let poison = !poisoned && acknowledged >= good / 2;
        let numbers: Vec<u64> = if poison { vec![0] } else { (next..next + BATCH).collect() };
        let told = publish(&app, &history, &numbers).is_ok();
        poisoned |= poison && told;
        if !poison {
            next += BATCH;
            acknowledged += u64::from(told) * BATCH;
        }
        deaths += u64::from(revive(&mut app, &program, &data, &history)?);
    }
    let books = loop {
        match app.settle() {
            Ok(books) => break books,
            Err(error) => {
                // Its answer is missing a moment before its end can be seen.
                let began = Instant::now();
                while !app.ended()? {
                    ensure!(began.elapsed() < PATIENCE, "{error}");
                    std::thread::sleep(Duration::from_millis(1));
                }
                deaths += u64::from(revive(&mut app, &program, &data, &history)?);
            }
        }
    };
    let metrics = app.get("/metrics")?;
    app.stop()?;
    let (findings, mut problems) = verify(less, &data, &history, &books, &metrics, MAX_ATTEMPTS)?;
    let book = books.iter().find(|book| book["topic"] == TOPIC).cloned().unwrap_or_default();
    let published = book["published"].as_u64().unwrap_or(0);
    if book["dead"] != json!(1) || book["done"].as_u64() != published.checked_sub(1) || published <= good {
        problems.push(format!("not all good ones are done, or the bad one is not the only dead one: {book}"));
    }
    problems.iter().take(20).for_each(|problem| println!("  {problem}"));
    println!(
        "poison: {acknowledged} good messages acknowledged, one that ends its process: {deaths} processes ended, {} done, {} dead, {} attempts, {} problems, {} s",
        book["done"],
        book["dead"],
        findings["started"],
        problems.len(),
        began.elapsed().as_secs()
    );
    Ok(problems.is_empty())
}

/// Starts the app anew if it has ended.
fn revive(app: &mut App, program: &Path, data: &Path, history: &History) -> Result<bool> {
    if !app.ended()? {
        return Ok(false);
    }
    history.tell("killed", "")?;
    *app = App::start(program, data, history)?;
    Ok(true)
}

fn publish(app: &App, history: &History, numbers: &[u64]) -> Result<()> {
    for n in numbers {
        history.publish("publishing", TOPIC, *n)?;
    }
    let item = |n: &u64| json!({ "body": { "n": n }, "idempotency_key": n.to_string() });
    let items: Vec<_> = numbers.iter().map(item).collect();
    let path = format!("/_less/topics/{TOPIC}/batch");
    let answer = Connection::open(app.address)?.ask("POST", &path, "", &json!(items).to_string())?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
    for n in numbers {
        history.publish("published", TOPIC, *n)?;
    }
    Ok(())
}
