//! One turn: every cell of one system, against the server that runs now.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use load::{Tally, pace, pad, window};

use crate::cells::{self, Cell, Lengths, RATE, RATE_BYTES, RATE_SUBSCRIBERS, SIZES};
use crate::jetstream::JetStream;
use crate::less::Less;
use crate::peer::{Body, Consumers, Peer, Publisher};
use crate::rabbitmq::Rabbit;
use crate::record::{self, Outcome, Record};
use crate::redis::Redis;
use crate::system::System;
use crate::{Options, bare, machine};

/// Longest that one run may take: a system that lost something would never be done.
pub(crate) const LIMIT: Duration = Duration::from_mins(3);

static TALLY: Tally = Tally::new();

/// Measures the system, and adds each result to the file as it comes.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let address = &options.address;
    match options.system {
        System::Bare => {
            for bytes in SIZES {
                let per_second = bare::appends_per_second(&options.scratch, bytes)?;
                keep(options, Outcome::Bare { bytes, per_second })?;
            }
            Ok(())
        }
        System::Less => all(options, &Less::new(address, &options.scratch)).await,
        System::RabbitClassic => all(options, &Broker(Rabbit::connect(address, "classic").await?)).await,
        System::RabbitQuorum => all(options, &Broker(Rabbit::connect(address, "quorum").await?)).await,
        System::JetStreamDefault | System::JetStreamAlways => {
            all(options, &Broker(JetStream::connect(address).await?)).await
        }
        System::RedisEverysec | System::RedisAlways => all(options, &Broker(Redis::new(address)?)).await,
    }
}

/// What a closed loop came to.
pub(crate) struct Throughput {
    pub(crate) messages: u64,
    /// From the first publish to the last confirmation.
    pub(crate) published: Duration,
    /// From the first publish until all subscribers have acknowledged all.
    pub(crate) delivered: Duration,
}

/// What an open loop came to.
pub(crate) struct Latency {
    pub(crate) messages: u64,
    pub(crate) elapsed: Duration,
    /// In nanoseconds, sorted; one for each message and subscriber.
    pub(crate) latencies: Vec<u64>,
}

/// Something that can be measured.
pub(crate) trait Measured {
    async fn throughput(&self, cell: Cell, duration: Duration) -> anyhow::Result<Throughput>;
    async fn latency(&self, duration: Duration) -> anyhow::Result<Latency>;
}

async fn all(options: &Options, measured: &impl Measured) -> anyhow::Result<()> {
    let lengths = Lengths::new(options.quick);
    let warm_up = Cell { subscribers: 4, bytes: 256, in_flight: 256 };
    measured.throughput(warm_up, lengths.warm_up).await.context("warming up")?;
    for cell in cells::all() {
        let run = measured.throughput(cell, lengths.throughput).await.with_context(|| format!("{cell:?}"))?;
        keep(
            options,
            Outcome::Throughput {
                cell,
                messages: run.messages,
                published: run.messages as f64 / run.published.as_secs_f64(),
                delivered: (run.messages * cell.subscribers as u64) as f64 / run.delivered.as_secs_f64(),
            },
        )?;
    }
    let run = measured.latency(lengths.latency).await.context("latency")?;
    keep(
        options,
        Outcome::Latency {
            per_second: run.messages as f64 / run.elapsed.as_secs_f64(),
            p50_us: quantile(&run.latencies, 0.50)?,
            p99_us: quantile(&run.latencies, 0.99)?,
            max_us: quantile(&run.latencies, 1.0)?,
        },
    )?;
    if let Some(pid) = options.pid {
        let (resident_kib, peak_kib) = machine::memory(pid)?;
        keep(options, Outcome::Memory { resident_kib, peak_kib })?;
    }
    Ok(())
}

fn keep(options: &Options, result: Outcome) -> anyhow::Result<()> {
    let record =
        Record { system: options.system.id().to_owned(), round: options.round, quick: options.quick, result };
    record::append(&options.out, &record)
}

/// The nearest-rank quantile of sorted nanoseconds, in microseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank lies between 1 and the length"
)]
fn quantile(sorted: &[u64], part: f64) -> anyhow::Result<f64> {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    let value = sorted.get(rank.max(1) - 1).context("no latencies were recorded")?;
    Ok(*value as f64 / 1000.0)
}

/// A broker, driven from this process.
struct Broker<P>(P);

impl<P: Peer> Measured for Broker<P> {
    async fn throughput(&self, cell: Cell, duration: Duration) -> anyhow::Result<Throughput> {
        TALLY.reset(false);
        let (publisher, consumers) = self.0.open(cell.subscribers, &TALLY).await?;
        let run = async |publisher: P::Publisher| {
            let batch = P::Publisher::batch(cell.in_flight);
            let pad = pad(cell.bytes);
            let start = Instant::now();
            let sending = window(cell.in_flight / batch, duration, move |slot| {
                let publisher = publisher.clone();
                let bodies: anyhow::Result<Vec<_>> =
                    (0..batch).map(|_| Body::encode(load::now(), &pad)).collect();
                async move {
                    publisher.publish(slot, bodies?).await?;
                    Ok(batch as u64)
                }
            });
            let sent = sending.await?;
            TALLY.wait(cell.subscribers, sent.messages).await;
            Ok(Throughput { messages: sent.messages, published: sent.elapsed, delivered: start.elapsed() })
        };
        self.finish(publisher, consumers, cell.subscribers, run).await
    }

    async fn latency(&self, duration: Duration) -> anyhow::Result<Latency> {
        TALLY.reset(true);
        let (publisher, consumers) = self.0.open(RATE_SUBSCRIBERS, &TALLY).await?;
        let run = async |publisher: P::Publisher| {
            let pad = pad(RATE_BYTES);
            let paced = pace(RATE, duration, move |number, sent| {
                let publisher = publisher.clone();
                let body = Body::encode(sent, &pad);
                async move { publisher.publish(number, vec![body?]).await }
            });
            let paced = paced.await?;
            TALLY.wait(RATE_SUBSCRIBERS, paced.messages).await;
            Ok(Latency { messages: paced.messages, elapsed: paced.elapsed, latencies: TALLY.latencies() })
        };
        self.finish(publisher, consumers, RATE_SUBSCRIBERS, run).await
    }
}

impl<P: Peer> Broker<P> {
    /// Runs, ends the subscribers and removes the topic. A subscriber that ends by itself is an error.
    async fn finish<T>(
        &self,
        publisher: P::Publisher,
        mut consumers: Consumers,
        subscribers: usize,
        run: impl AsyncFnOnce(P::Publisher) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let result = tokio::select! {
            result = run(publisher.clone()) => result?,
            ended = consumers.join_next() => {
                ended.context("a topic without subscribers")??.context("a subscriber")?;
                bail!("a subscriber ended");
            }
            () = tokio::time::sleep(LIMIT) => {
                bail!("not done after {LIMIT:?}; the subscribers have {:?}", TALLY.counts(subscribers));
            }
        };
        consumers.shutdown().await;
        self.0.close(publisher, subscribers).await.context("removing the topic")?;
        Ok(result)
    }
}
