//! Less: the app in `app/`, which publishes by itself, through the API that its users have. This tells it what to run, and reads what came out.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::cells::{Cell, RATE, RATE_BYTES, RATE_SUBSCRIBERS};
use crate::http;
use crate::measure::{LIMIT, Latency, Measured, Throughput};

/// How often is looked whether a run is over. What it takes longer for that counts against Less.
const POLL: Duration = Duration::from_millis(2);

/// The running app.
pub(crate) struct Less {
    address: String,
    result: PathBuf,
}

/// What the app writes: see `app/src/lib.rs`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Failed { error: String },
    Paced { messages: u64, elapsed_ns: u64, latencies_ns: Vec<u64> },
    Windowed { messages: u64, elapsed_ns: u64, handled_ns: u64, began: u64 },
}

/// A part of `GET /_less/status`.
#[derive(Deserialize)]
struct Status {
    subscribers: Vec<Ledger>,
}

#[derive(Deserialize)]
struct Ledger {
    topic: String,
    pending: u64,
    scheduled: u64,
    in_flight: u64,
    dead: u64,
}

impl Less {
    pub(crate) fn new(address: &str, scratch: &Path) -> Self {
        Self { address: address.to_owned(), result: scratch.join("result.json") }
    }

    async fn drive(&self, topic: &str, job: serde_json::Value) -> anyhow::Result<Answer> {
        let began = Instant::now();
        let mut job = job;
        job["topic"] = topic.into();
        job["result"] = self.result.to_str().context("a folder that is no text")?.into();
        http::request(&self.address, "POST", "/topics/drive", &job.to_string()).await?;
        while !self.result.exists() {
            ensure!(began.elapsed() < LIMIT, "no result after {LIMIT:?}");
            tokio::time::sleep(POLL).await;
        }
        let answer = serde_json::from_str(&std::fs::read_to_string(&self.result)?)?;
        std::fs::remove_file(&self.result)?;
        self.settle(topic).await?;
        Ok(answer)
    }

    /// Waits until the app's own books say that every subscriber of the topic is done with everything.
    async fn settle(&self, topic: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let body = http::request(&self.address, "GET", "/_less/status", "").await?;
            let status: Status = serde_json::from_str(&body)?;
            let of_topic = || status.subscribers.iter().filter(|ledger| ledger.topic == topic);
            ensure!(of_topic().all(|ledger| ledger.dead == 0), "a message became a dead letter");
            if of_topic().all(|ledger| ledger.pending + ledger.scheduled + ledger.in_flight == 0) {
                return Ok(());
            }
            ensure!(began.elapsed() < LIMIT, "not settled after {LIMIT:?}: {body}");
            tokio::time::sleep(POLL).await;
        }
    }
}

fn topic(subscribers: usize) -> anyhow::Result<&'static str> {
    let found = load::FANOUTS.into_iter().find(|(_, count)| *count == subscribers);
    found.map(|(topic, _)| topic).with_context(|| format!("no topic has {subscribers} subscribers"))
}

impl Measured for Less {
    async fn throughput(&self, cell: Cell, duration: Duration) -> anyhow::Result<Throughput> {
        let job = json!({
            "subscribers": cell.subscribers, "bytes": cell.bytes, "in_flight": cell.in_flight,
            "millis": u64::try_from(duration.as_millis())?, "per_second": 0,
        });
        match self.drive(topic(cell.subscribers)?, job).await? {
            Answer::Windowed { messages, elapsed_ns, handled_ns, began } => {
                let settled = load::now().saturating_sub(began);
                ensure!(settled >= handled_ns, "the clocks of two processes disagree");
                Ok(Throughput {
                    messages,
                    published: Duration::from_nanos(elapsed_ns),
                    delivered: Duration::from_nanos(settled),
                })
            }
            Answer::Failed { error } => bail!("{error}"),
            Answer::Paced { .. } => bail!("the app ran another job"),
        }
    }

    async fn latency(&self, duration: Duration) -> anyhow::Result<Latency> {
        let job = json!({
            "subscribers": RATE_SUBSCRIBERS, "bytes": RATE_BYTES, "in_flight": 0,
            "millis": u64::try_from(duration.as_millis())?, "per_second": RATE,
        });
        match self.drive(topic(RATE_SUBSCRIBERS)?, job).await? {
            Answer::Paced { messages, elapsed_ns, latencies_ns } => {
                Ok(Latency { messages, elapsed: Duration::from_nanos(elapsed_ns), latencies: latencies_ns })
            }
            Answer::Failed { error } => bail!("{error}"),
            Answer::Windowed { .. } => bail!("the app ran another job"),
        }
    }
}
