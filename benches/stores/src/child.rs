//! One measurement in a process of its own: how it is asked for, how it is done, how its numbers come back.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::machine;
use crate::target::{Kind, Target};

/// Publishers that fill a store.
const FILLERS: u64 = 256;
/// Body of the messages that fill it, in bytes.
const FILL_BODY: usize = 256;

/// What to do.
pub(crate) enum Task {
    /// Publish for some time.
    Publish { kind: Kind, body: usize, publishers: usize, millis: u64 },
    /// Publish so many, and end without closing.
    Fill { kind: Kind, count: u64 },
    /// Open what is there, and close it.
    Reopen { kind: Kind, count: u64 },
}

/// What publishing for some time showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Publishes per second.
    pub(crate) rate: f64,
    /// 99th percentile of the time that one took, in milliseconds.
    pub(crate) p99: f64,
}

/// What opening showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    /// Until the store knew how many messages it has, in milliseconds.
    pub(crate) millis: f64,
    /// Resident memory then, in MiB.
    pub(crate) resident: f64,
}

/// Publishes for some time.
pub(crate) fn publish(task: &Task, folder: &Path) -> Result<Sample> {
    let [rate, p99] = ask(task, folder)?;
    Ok(Sample { rate, p99 })
}

/// Fills a store. Returns the resident memory afterwards, in MiB.
pub(crate) fn fill(task: &Task, folder: &Path) -> Result<f64> {
    let [resident] = ask(task, folder)?;
    Ok(resident)
}

/// Opens what is there.
pub(crate) fn reopen(task: &Task, folder: &Path) -> Result<Opened> {
    let [millis, resident] = ask(task, folder)?;
    Ok(Opened { millis, resident })
}

fn ask<const N: usize>(task: &Task, folder: &Path) -> Result<[f64; N]> {
    let words = match task {
        Task::Publish { kind, body, publishers, millis } => vec![
            "publish".to_owned(),
            kind.to_string(),
            body.to_string(),
            publishers.to_string(),
            millis.to_string(),
        ],
        Task::Fill { kind, count } => vec!["fill".to_owned(), kind.to_string(), count.to_string()],
        Task::Reopen { kind, count } => vec!["reopen".to_owned(), kind.to_string(), count.to_string()],
    };
    let output = Command::new(std::env::current_exe()?)
        .arg("--child")
        .args(&words)
        .arg(folder)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "`{}` failed: {}", words.join(" "), output.status);
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    numbers.try_into().ok().with_context(|| format!("`{}` answered `{text}`", words.join(" ")))
}

/// Does what [`ask`] wrote.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match words {
            ["publish", kind, body, publishers, millis, folder] => {
                let (target, _) = Target::open(kind.parse()?, Path::new(folder)).await?;
                let time = Duration::from_millis(millis.parse()?);
                let sample = publish_for(target, body.parse()?, publishers.parse()?, time).await?;
                println!("{} {}", sample.rate, sample.p99);
                Ok(())
            }
            ["fill", kind, count, folder] => {
                let (target, _) = Target::open(kind.parse()?, Path::new(folder)).await?;
                fill_with(target, count.parse()?).await?;
                println!("{}", machine::resident()?);
                // As a kill leaves it: nothing is closed, no destructor runs.
                std::process::exit(0)
            }
            ["reopen", kind, count, folder] => {
                let began = Instant::now();
                let (target, found) = Target::open(kind.parse()?, Path::new(folder)).await?;
                let millis = began.elapsed().as_secs_f64() * 1e3;
                let expected: u64 = count.parse()?;
                ensure!(found == expected, "{found} messages are there, {expected} were acknowledged");
                println!("{millis} {}", machine::resident()?);
                target.close().await
            }
            _ => bail!("a measurement was asked for that there is not"),
        }
    })
}

async fn publish_for(target: Target, body: usize, publishers: usize, time: Duration) -> Result<Sample> {
    let (target, body) = (Arc::new(target), Bytes::from(vec![b'7'; body]));
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..publishers {
        let (target, body) = (Arc::clone(&target), body.clone());
        running.spawn(async move {
            let mut took = Vec::new();
            while began.elapsed() < time {
                let one = Instant::now();
                target.publish(body.clone()).await?;
                took.push(one.elapsed());
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(joined) = running.join_next().await {
        took.extend(joined??);
    }
    let elapsed = began.elapsed();
    took.sort_unstable();
    let p99 = took.get(took.len() * 99 / 100).context("nothing was published")?;
    let sample = Sample { rate: took.len() as f64 / elapsed.as_secs_f64(), p99: p99.as_secs_f64() * 1e3 };
    Arc::into_inner(target).context("a publisher still runs")?.close().await?;
    Ok(sample)
}

async fn fill_with(target: Target, count: u64) -> Result<()> {
    let (target, body) = (Arc::new(target), Bytes::from(vec![b'7'; FILL_BODY]));
    let mut running = JoinSet::new();
    for filler in 0..FILLERS {
        let (target, body) = (Arc::clone(&target), body.clone());
        let share = count / FILLERS + u64::from(filler < count % FILLERS);
        running.spawn(async move {
            for _ in 0..share {
                target.publish(body.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(joined) = running.join_next().await {
        joined??;
    }
    // The store itself stays open until the process ends.
    std::mem::forget(target);
    Ok(())
}
