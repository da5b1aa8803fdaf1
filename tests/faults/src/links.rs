//! Proof: two apps, one of which subscribes to the other's topics, are killed at random, either or both, while messages are published.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::app::{App, History, build_app, verify_store};
use crate::http::Connection;
use crate::process::PATIENCE;

/// Messages of one request.
const BATCH: u64 = 50;
/// Ordering keys: message `n` of the ordered topic has the key `n % KEYS`.
const KEYS: u64 = 10;
/// Most of the messages are published between kills; so many requests at least.
const LEAST: u64 = 2;

/// The two apps, as long as they live.
struct Pair {
    less: PathBuf,
    place: PathBuf,
    program: PathBuf,
    publisher: Option<App>,
    subscriber: Option<App>,
    history: History,
}

impl Pair {
    fn publisher(&mut self) -> Result<&App> {
        if self.publisher.is_none() {
            let mut command = Command::new(&self.less);
            command.arg("start").current_dir(self.place.join("publisher"));
            self.publisher = Some(App::start_with(command, &self.place.join("stored"), &self.history)?);
        }
        self.publisher.as_ref().context("it was started")
    }

    fn subscriber(&mut self) -> Result<&App> {
        if self.subscriber.is_none() {
            let command = Command::new(&self.program);
            self.subscriber = Some(App::start_with(command, &self.place.join("linked"), &self.history)?);
        }
        self.subscriber.as_ref().context("it was started")
    }

    /// Kills one of them, or both.
    fn kill(&mut self) -> Result<()> {
        let which = rand::rng().random_range(0..5);
        if which != 0
            && which != 1
            && let Some(app) = self.publisher.take()
        {
            app.kill()?;
        }
        if which < 3
            && let Some(app) = self.subscriber.take()
        {
            app.kill()?;
        }
        Ok(())
    }
}

/// What was published, by topic: the numbers that were acknowledged.
#[derive(Default)]
struct Published {
    next: u64,
    acknowledged: BTreeMap<&'static str, BTreeSet<u64>>,
}

impl Published {
    fn count(&self) -> u64 {
        self.acknowledged.values().map(|numbers| numbers.len() as u64).sum()
    }
}

/// Runs it. Returns whether what is promised held.
pub(crate) fn run(less: &Path, kills: u64, messages: u64) -> Result<bool> {
    let began = Instant::now();
    let program = build_app(less, "linked", "faults_linked")?;
    let folder = tempfile::Builder::new().prefix("less-links").tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let place = folder.path().to_owned();
    for topic in ["work", "ordered"] {
        std::fs::create_dir_all(place.join("publisher/less/topics").join(topic))?;
    }
    std::fs::write(place.join("publisher/less.toml"), "name = \"faults_publisher\"\n")?;
    let history = History::new(place.join("history"))?;
    let less = less.to_owned();
    let mut pair = Pair { less, place, program, publisher: None, subscriber: None, history };
    linked(&mut pair)?;
    let mut published = Published::default();
    let mut killed = 0;
    while killed < kills || published.count() < messages {
        pair.publisher()?;
        pair.subscriber()?;
        // The rest of the messages, spread over the rest of the kills.
        let left = messages.saturating_sub(published.count()) / BATCH;
        let requests = (left / (kills - killed).max(1)).max(LEAST);
        let requests = rand::rng().random_range(1..=2 * requests);
        let address = pair.publisher()?.address;
        std::thread::scope(|scope| {
            let publishing = scope.spawn(|| publish(address, &mut published, requests));
            if killed < kills {
                std::thread::sleep(Duration::from_micros(rand::rng().random_range(500..120_000)));
                pair.kill()?;
                killed += 1;
            }
            publishing.join().unwrap_or_else(|_| bail!("the publisher panicked"))
        })?;
    }
    linked(&mut pair)?;
    let (here, there) = settled(&mut pair)?;
    let mut problems = compare(&here, &there, &published);
    problems.extend(handled(&std::fs::read_to_string(&pair.history.path)?, &published));
    let apps = [pair.subscriber.take(), pair.publisher.take()];
    apps.into_iter().flatten().try_for_each(App::stop)?;
    problems.extend(verify_store(&pair.less, &pair.place.join("stored"))?);
    problems.iter().take(20).for_each(|problem| println!("  {problem}"));
    let acknowledged = published.count();
    println!(
        "links: {kills} kills, {acknowledged} acknowledged, {} problems, {} s",
        problems.len(),
        began.elapsed().as_secs()
    );
    Ok(problems.is_empty())
}

/// Starts both, and waits until they are linked.
fn linked(pair: &mut Pair) -> Result<()> {
    pair.publisher()?;
    let began = Instant::now();
    loop {
        let status: Value = serde_json::from_str(&pair.subscriber()?.get("/_less/status")?)?;
        if status["links"][0]["state"] == "connected" {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "the two apps do not find each other: {}", status["links"]);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Publishes requests of many messages, until the app is killed: a request that is not answered counts as not acknowledged.
fn publish(address: SocketAddr, published: &mut Published, requests: u64) -> Result<()> {
    let Ok(mut connection) = Connection::open(address) else { return Ok(()) };
    for request in 0..requests {
        let topic = if request.is_multiple_of(2) { "work" } else { "ordered" };
        let numbers: Vec<u64> = (published.next..published.next + BATCH).collect();
        published.next += BATCH;
        let items = numbers.iter().map(|n| {
            let key = (topic == "ordered").then(|| (n % KEYS).to_string());
            json!({"body": {"n": n}, "key": key})
        });
        let items = Value::Array(items.collect());
        let path = format!("/_less/topics/{topic}/batch");
        let Ok(answer) = connection.ask("POST", &path, "", &items.to_string()) else { return Ok(()) };
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        let answer: Value = serde_json::from_str(&answer.body)?;
        let results = answer["results"].as_array().context("results")?;
        ensure!(results.iter().all(|result| result["message_id"].is_string()), "{answer}");
        published.acknowledged.entry(topic).or_default().extend(numbers);
    }
    Ok(())
}

/// Waits until nothing is left to do. Returns the books of both sides.
fn settled(pair: &mut Pair) -> Result<(Vec<Value>, Vec<Value>)> {
    let began = Instant::now();
    loop {
        let here = pair.publisher()?.status()?;
        let idle = |book: &Value| ["pending", "scheduled", "in_flight"].iter().all(|state| book[*state] == 0);
        if here.iter().all(idle) {
            return Ok((here, pair.subscriber()?.status()?));
        }
        ensure!(began.elapsed() < PATIENCE * 6, "the two apps do not come to their end: {here:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Holds the books of both sides against each other and against what was acknowledged.
fn compare(here: &[Value], there: &[Value], published: &Published) -> Vec<String> {
    let mut problems = Vec::new();
    for (topic, subscriber) in [("work", "collect"), ("ordered", "follow")] {
        let find = |books: &[Value], topic: &str, subscriber: &str| {
            books.iter().find(|book| book["topic"] == topic && book["subscriber"] == subscriber).cloned()
        };
        let kept = find(here, topic, &format!("faults_linked:{subscriber}")).unwrap_or_default();
        let shown = find(there, &format!("faults_publisher:{topic}"), subscriber).unwrap_or_default();
        for state in ["published", "pending", "scheduled", "in_flight", "done", "dead"] {
            if kept[state] != shown[state] {
                problems.push(format!("{topic}: {state} is {} here and {} there", kept[state], shown[state]));
            }
        }
        let acknowledged = published.acknowledged.get(topic).map_or(0, BTreeSet::len) as u64;
        let done = kept["done"].as_u64().unwrap_or(0);
        if kept["published"] != kept["done"] || done < acknowledged {
            problems.push(format!("{topic}: {acknowledged} were acknowledged, and the books are {kept}"));
        }
    }
    problems
}

/// Holds what the handlers told against what was acknowledged: all of it was done, and that of a key in order.
fn handled(history: &str, published: &Published) -> Vec<String> {
    let mut problems = Vec::new();
    let ordered = published.acknowledged.get("ordered").cloned().unwrap_or_default();
    let mut done = BTreeSet::new();
    // By key, the greatest number that was ever begun.
    let mut begun: BTreeMap<u64, u64> = BTreeMap::new();
    for line in history.lines() {
        let Some((what, n)) = line.split_once(' ') else { continue };
        let Ok(n) = n.parse::<u64>() else { continue };
        if what == "<" {
            done.insert(n);
        } else if ordered.contains(&n) {
            let before = begun.entry(n % KEYS).or_insert(n);
            if n > *before {
                // Whatever was begun before is done, and nothing between was passed over.
                let skipped =
                    ordered.range(*before..n).find(|m| **m % KEYS == n % KEYS && !done.contains(*m));
                problems.extend(skipped.map(|m| format!("{n} was begun before {m} was done")));
                *before = n;
            }
        }
    }
    for (topic, acknowledged) in &published.acknowledged {
        let lost: Vec<&u64> = acknowledged.difference(&done).collect();
        if !lost.is_empty() {
            problems.push(format!("{topic}: {} were lost, such as {:?}", lost.len(), &lost[..1]));
        }
    }
    problems
}
