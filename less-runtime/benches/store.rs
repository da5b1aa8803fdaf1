//! The embedded broker alone: `cargo bench -p less-runtime --bench store [-- SECTION…]`.
//!
//! Sections: `publish` (beside the bare write and fdatasync of the same bytes), `fan-out` (1 and 1,000 subscribers), `backlog` (a million messages wait:
//! reopening, memory, catching up), `stuck` (what a subscriber with a backlog that takes nothing costs another), `large` (ten million wait).

#![expect(clippy::print_stdout, reason = "a benchmark's result is its output")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use less_runtime::clock::Clock;
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::embedded::{Embedded, Options, open};
use less_runtime::transport::{
    Layout, NewMessage, SubscriptionIndex, SubscriptionSpec, TopicIndex, TopicSpec, Transport,
};

const BODY: usize = 256;

type Anything = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Anything> {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants =
        |section: &str| chosen.is_empty() && section != "large" || chosen.iter().any(|name| name == section);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    // On the same kind of file system as a data folder: a folder in memory would flatter.
    let place = tempfile::Builder::new().prefix("less-bench").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    runtime.block_on(async {
        if wants("publish") {
            publish(place.path()).await?;
        }
        if wants("fan-out") {
            fan_out(place.path()).await?;
        }
        if wants("backlog") {
            backlog(place.path(), 1_000_000).await?;
        }
        if wants("stuck") {
            stuck(place.path(), 1_000_000).await?;
        }
        if wants("large") {
            backlog(place.path(), 10_000_000).await?;
        }
        Ok(())
    })
}

fn layout(subscribers: usize) -> Result<Layout, Anything> {
    let mut layout = Layout { topics: vec![TopicSpec::new("bench".parse()?)], subscriptions: Vec::new() };
    for n in 0..subscribers {
        let subscriber = format!("s{n}").parse()?;
        layout.subscriptions.push(SubscriptionSpec::new(TopicIndex(0), subscriber));
    }
    Ok(layout)
}

fn message() -> NewMessage {
    let message = StoredMessage {
        id: MessageId::generate(),
        published_at: Clock::System.now(),
        key: None,
        attributes: BTreeMap::new(),
        traceparent: None,
        body: Bytes::from_static(&[b'7'; BODY]),
    };
    NewMessage { message: Arc::new(message), due: None, idempotency_key: None }
}

async fn one(store: &Embedded) -> Result<(), Anything> {
    for result in store.publish(TopicIndex(0), vec![message()].into()).await {
        result?;
    }
    Ok(())
}

/// Publishes one message after the other; how long each took.
async fn serially(store: &Embedded, count: usize) -> Result<Vec<Duration>, Anything> {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        one(store).await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

/// Publishes with this many at the same time; how many a second.
async fn together(store: &Arc<Embedded>, in_flight: usize, count: usize) -> Result<f64, Anything> {
    let began = Instant::now();
    let mut publishers = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let store = Arc::clone(store);
        publishers.spawn(async move { serially(&store, count / in_flight).await.map(drop) });
    }
    while let Some(joined) = publishers.join_next().await {
        joined??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count")]
    Ok((count / in_flight * in_flight) as f64 / began.elapsed().as_secs_f64())
}

fn percentile(took: &mut [Duration], part: usize) -> Duration {
    took.sort_unstable();
    took[(took.len() * part / 100).min(took.len() - 1)]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What the log takes on the disk, in bytes.
fn size(folder: &Path) -> Result<u64, Anything> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".log") {
            total += entry.metadata()?.len();
        }
    }
    Ok(total)
}

/// This process's resident memory, in MiB.
fn resident() -> Result<u64, Anything> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

async fn publish(place: &Path) -> Result<(), Anything> {
    println!("publish: {BODY} B, one subscriber that takes nothing, medians of 5");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let mut file = File::create(place.join(format!("bare{round}")))?;
        let frame = [b'7'; BODY + 64];
        let mut took = Vec::new();
        for _ in 0..2_000 {
            let began = Instant::now();
            file.write_all(&frame)?;
            file.sync_data()?;
            took.push(began.elapsed());
        }
        bare.push(percentile(&mut took, 50).as_secs_f64() * 1e6);
        let store =
            open(&place.join(format!("serial{round}")), &layout(1)?, Options::default(), Clock::System)?;
        ours.push(percentile(&mut serially(&store, 2_000).await?, 50).as_secs_f64() * 1e6);
        store.close().await?;
    }
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    println!(
        "  one at a time: bare write+fdatasync {bare:.0} us, publish {ours:.0} us, ratio {:.2}",
        ours / bare
    );
    for in_flight in [16, 256] {
        let mut rates = Vec::new();
        for round in 0..5 {
            let folder = place.join(format!("together{in_flight}-{round}"));
            let store = Arc::new(open(&folder, &layout(1)?, Options::default(), Clock::System)?);
            rates.push(together(&store, in_flight, 20_000 * (in_flight / 16)).await?);
            store.close().await?;
            std::fs::remove_dir_all(&folder)?;
        }
        println!("  {in_flight} in flight: {:.0} publishes/s", median(&mut rates));
    }
    Ok(())
}

/// Takes and acks whatever comes, until told to stop.
async fn consume(store: Arc<Embedded>, index: u32, stop: Arc<AtomicBool>) -> Result<(), Anything> {
    let consumer = store.consumer(SubscriptionIndex(index)).await?;
    while !stop.load(Ordering::Relaxed) {
        let Ok(leased) = tokio::time::timeout(Duration::from_millis(50), consumer.lease(64)).await else {
            continue;
        };
        for delivery in leased? {
            delivery.ack().await?;
        }
    }
    Ok(())
}

async fn fan_out(place: &Path) -> Result<(), Anything> {
    println!("fan-out: {BODY} B, one publish after the other");
    for (subscribers, consuming) in
        [(1, false), (1000, false), (1, true), (4, true), (16, true), (1000, true)]
    {
        let folder = place.join(format!("fan{subscribers}{consuming}"));
        let store = Arc::new(open(&folder, &layout(subscribers)?, Options::default(), Clock::System)?);
        let stop = Arc::new(AtomicBool::new(false));
        let mut consumers = tokio::task::JoinSet::new();
        for index in 0..subscribers * usize::from(consuming) {
            consumers.spawn(consume(Arc::clone(&store), u32::try_from(index)?, Arc::clone(&stop)));
        }
        one(&store).await?;
        let before = size(&folder)?;
        let count = 2_000;
        let mut took = serially(&store, count).await?;
        let bytes = (size(&folder)? - before) / count as u64;
        let (p50, p99) = (percentile(&mut took, 50), percentile(&mut took, 99));
        let what = if consuming { "that take and ack" } else { "that take nothing" };
        println!(
            "  {subscribers} subscribers {what}: {bytes} bytes written per publish, p50 {} us, p99 {} us",
            p50.as_micros(),
            p99.as_micros()
        );
        stop.store(true, Ordering::Relaxed);
        while let Some(joined) = consumers.join_next().await {
            joined??;
        }
        store.close().await?;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

async fn backlog(place: &Path, count: usize) -> Result<(), Anything> {
    println!("backlog: {count} messages of {BODY} B wait for one subscriber, another is done with all");
    let folder = place.join(format!("backlog{count}"));
    let store = Arc::new(open(&folder, &layout(2)?, Options::default(), Clock::System)?);
    let stop = Arc::new(AtomicBool::new(false));
    let consumer = tokio::spawn(consume(Arc::clone(&store), 1, Arc::clone(&stop)));
    let rate = together(&store, 256, count).await?;
    println!("  published at {rate:.0}/s; resident {} MiB, log {} MiB", resident()?, size(&folder)? >> 20);
    while store.ledgers().await?[1].pending > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut took = serially(&store, 2_000).await?;
    println!(
        "  publish beside the backlog: p50 {} us, p99 {} us",
        percentile(&mut took, 50).as_micros(),
        percentile(&mut took, 99).as_micros()
    );
    stop.store(true, Ordering::Relaxed);
    consumer.await??;
    // As a kill leaves it: without the checkpoint that closing makes.
    let killed = place.join(format!("killed{count}"));
    std::fs::create_dir(&killed)?;
    for entry in std::fs::read_dir(&folder)? {
        let entry = entry?;
        std::fs::copy(entry.path(), killed.join(entry.file_name()))?;
    }
    store.close().await?;
    drop(store);
    for (what, folder) in [("closed", &folder), ("killed", &killed)] {
        let before = resident()?;
        let began = Instant::now();
        let store = open(folder, &layout(2)?, Options::default(), Clock::System)?;
        let opened = began.elapsed();
        let pending = store.ledgers().await?[0].pending;
        println!(
            "  reopened ({what}) with {pending} pending: {} ms, resident {} MiB ({before} before)",
            opened.as_millis(),
            resident()?
        );
        let consumer = store.consumer(SubscriptionIndex(0)).await?;
        let (began, mut taken) = (Instant::now(), 0_usize);
        while taken < pending.min(500_000) as usize {
            for delivery in consumer.lease(256).await? {
                taken += 1;
                delivery.ack().await?;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        let rate = taken as f64 / began.elapsed().as_secs_f64();
        println!("  catching up: {rate:.0} deliveries/s; resident {} MiB", resident()?);
        drop(consumer);
        store.close().await?;
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Publishes 2,000 messages a second for two seconds; how long each took from before its publish to the second subscriber's hands.
async fn latency(store: &Arc<Embedded>) -> Result<Vec<Duration>, Anything> {
    const COUNT: usize = 4_000;
    let sent: Arc<Vec<OnceLock<Instant>>> = Arc::new((0..COUNT).map(|_| OnceLock::new()).collect());
    let (taker, times) = (Arc::clone(store), Arc::clone(&sent));
    let taker = tokio::spawn(async move {
        let consumer = taker.consumer(SubscriptionIndex(1)).await?;
        let mut took = Vec::with_capacity(COUNT);
        while took.len() < COUNT {
            for delivery in consumer.lease(64).await? {
                let n: usize = delivery.message().attributes["n"].parse()?;
                took.push(times[n].get().ok_or("it came before it was sent")?.elapsed());
                delivery.ack().await?;
            }
        }
        Ok::<_, Anything>(took)
    });
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut publishing = tokio::task::JoinSet::new();
    for n in 0..COUNT {
        if n % 2 == 0 {
            tick.tick().await;
        }
        let (store, sent) = (Arc::clone(store), Arc::clone(&sent));
        publishing.spawn(async move {
            let mut new = message();
            Arc::make_mut(&mut new.message).attributes.insert("n".to_owned(), n.to_string());
            // Nobody else sends this one.
            let _ = sent[n].set(Instant::now());
            store.publish(TopicIndex(0), vec![new].into()).await
        });
    }
    while let Some(results) = publishing.join_next().await {
        for result in results? {
            result?;
        }
    }
    taker.await?
}

async fn stuck(place: &Path, count: usize) -> Result<(), Anything> {
    println!(
        "stuck: publish to delivery at 2,000/s, beside a subscriber that holds 10 messages and leaves {count} waiting"
    );
    let mut stores = Vec::new();
    let mut held = Vec::new();
    for (name, backlog) in [("free", 0), ("stuck", count)] {
        let store = Arc::new(open(&place.join(name), &layout(2)?, Options::default(), Clock::System)?);
        if backlog > 0 {
            let stop = Arc::new(AtomicBool::new(false));
            let other = tokio::spawn(consume(Arc::clone(&store), 1, Arc::clone(&stop)));
            together(&store, 256, backlog).await?;
            let consumer = store.consumer(SubscriptionIndex(0)).await?;
            held.push((consumer.lease(10).await?, consumer));
            while store.ledgers().await?[1].pending > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.store(true, Ordering::Relaxed);
            other.await??;
        }
        stores.push(store);
    }
    let (mut p50, mut p99) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..7 {
        for which in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let mut took = latency(&stores[which]).await?;
            p50[which].push(percentile(&mut took, 50).as_secs_f64() * 1e6);
            p99[which].push(percentile(&mut took, 99).as_secs_f64() * 1e6);
        }
    }
    for (what, [free, stuck]) in [("p50", &mut p50), ("p99", &mut p99)] {
        let (free, stuck) = (median(free), median(stuck));
        println!("  {what}: {free:.0} us without, {stuck:.0} us with the backlog, ratio {:.2}", stuck / free);
    }
    drop(held);
    for store in stores {
        store.close().await?;
    }
    Ok(())
}
