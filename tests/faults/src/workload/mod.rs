//! The process under test: it uses a store, and tells what it does and what it is told.

mod load;
mod script;
mod steps;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use less_model::manifest::{DEFAULT_RETENTION, Policy};
use less_model::quantity::Span;
use less_runtime::clock::{Clock, Timestamp};
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::embedded::{self, Options, STEPS};
use less_runtime::transport::{
    AttemptError, AttemptErrorKind, Consumer, DeadReason, Delivery, Layout, NewMessage, Replay, Selection,
    SubscriptionIndex, SubscriptionSpec, TopicIndex, TopicSpec, Transport, TransportError,
};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::event::{What, tell};

/// Attempts of a message; the one that would be more makes it a dead letter.
pub(crate) const MAX_ATTEMPTS: u32 = 4;
/// The topic of each subscription.
pub(crate) const TOPIC_OF: [u32; 3] = [0, 0, 1];

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Concurrent publishers and subscribers, until the process is ended.
    Load {
        /// Whether publishes are told as acknowledged before they are: what a store that does not sync would do.
        lie: bool,
    },
    /// A fixed sequence of this many rounds.
    Script {
        /// How many.
        rounds: u32,
        /// Whether it waits for a line on stdin once the store is open.
        wait: bool,
        /// Whether it ends without closing the store.
        abandon: bool,
    },
}

/// Runs it.
pub(crate) fn run(folder: &Path, segment_size: u64, kind: Kind) -> Result<()> {
    log();
    match kind {
        Kind::Load { lie } => {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(async {
                let store = open(folder, segment_size)?;
                tell(What::Opened, 0, None, 0);
                load::run(store, lie).await
            })
        }
        Kind::Script { rounds, wait, abandon } => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // Opened on the main thread, whose calls are counted apart from those of the store's own thread.
            runtime.block_on(async {
                let store = match open(folder, segment_size) {
                    Ok(store) => store,
                    Err(error) => {
                        failed("open", &error);
                        return Ok(());
                    }
                };
                tell(What::Opened, 0, None, 0);
                if wait {
                    io::stdin().read_line(&mut String::new())?;
                }
                script::run(&*store, rounds).await?;
                if abandon {
                    // Dropping it would close it.
                    std::process::exit(0);
                }
                script::close(&*store).await;
                Ok(())
            })
        }
    }
}

/// What the store logs goes to stderr; its steps are told.
pub(crate) fn log() {
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry()
        .with(log.with_filter(LevelFilter::WARN))
        .with(steps::Steps.with_filter(filter_fn(|about| about.target() == STEPS)))
        .init();
}

/// Opens the store: `orders` keeps nothing that its two subscribers are done with, `notes` keeps everything for its one.
pub(crate) fn open(folder: &Path, segment_size: u64) -> Result<Arc<dyn Transport>, TransportError> {
    let topic =
        |name: &str, retention| TopicSpec { retention, ..TopicSpec::new(name.parse().expect("a name")) };
    let subscription = |(topic, name): (&u32, &str)| SubscriptionSpec {
        policy: Policy { max_attempts: MAX_ATTEMPTS, ..Policy::default() },
        ..SubscriptionSpec::new(TopicIndex(*topic), name.parse().expect("a name"))
    };
    let layout = Layout {
        topics: vec![topic("orders", Span::from_millis(0)), topic("notes", DEFAULT_RETENTION)],
        subscriptions: TOPIC_OF.iter().zip(["ship", "bill", "keep"]).map(subscription).collect(),
    };
    let mut options = Options::default();
    options.segment_size = segment_size;
    // Less than is published in a moment, so that bodies are read from the disk too.
    options.cache = 64 << 10;
    options.reserve = 1 << 20;
    Ok(Arc::new(embedded::open(folder, &layout, options, Clock::System)?))
}

/// Tells of an error.
pub(crate) fn failed(action: &str, error: &dyn std::fmt::Display) {
    tell(What::Failed, 0, None, 0);
    eprintln!("{action}: {error}");
}

/// A new message. `key` 0 is none.
fn message(body: String, key: u32, due: Option<Timestamp>) -> NewMessage {
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: (key > 0).then(|| key.to_string()),
            attributes: BTreeMap::new(),
            traceparent: None,
            body: Bytes::from(body),
        }),
        due,
        idempotency_key: None,
    }
}

/// Publishes messages with their keys, and tells. With `lie` they are told as acknowledged before they are sent.
async fn publish(store: &dyn Transport, topic: u32, messages: Vec<NewMessage>, lie: bool) -> bool {
    let ids: Vec<MessageId> = messages.iter().map(|new| new.message.id).collect();
    for NewMessage { message, .. } in &messages {
        let key = message.key.as_ref().and_then(|key| key.parse().ok()).unwrap_or(0);
        tell(What::Publishing, topic, Some(message.id), key);
    }
    if lie {
        for id in &ids {
            tell(What::Published, topic, Some(*id), 0);
        }
        // So that there is always something that was told and is not stored.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let results = store.publish(TopicIndex(topic), messages.into()).await;
    let mut well = true;
    for (id, result) in ids.iter().zip(results) {
        match result {
            Ok(_) if lie => {}
            Ok(_) => tell(What::Published, topic, Some(*id), 0),
            Err(error) => {
                failed("publish", &error);
                well = false;
            }
        }
    }
    well
}

/// Leases messages, and tells. `None` where that failed.
async fn lease(consumer: &dyn Consumer, subscription: u32, max: usize) -> Option<Vec<Box<dyn Delivery>>> {
    tell(What::Leasing, subscription, None, 0);
    match consumer.lease(max).await {
        Ok(leases) => {
            let deliveries: Vec<_> = leases.collect();
            for delivery in &deliveries {
                tell(What::Started, subscription, Some(delivery.message().id), delivery.attempt());
            }
            Some(deliveries)
        }
        Err(error) => {
            failed("lease", &error);
            None
        }
    }
}

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Ack,
    Retry(Duration),
    Dead,
    HandBack,
    Drop,
}

/// Ends a delivery, and tells.
async fn end(delivery: Box<dyn Delivery>, subscription: u32, ending: Ending) -> bool {
    let (id, attempt) = (Some(delivery.message().id), delivery.attempt());
    let error = |kind| AttemptError { kind, message: "no".to_owned(), at: Clock::System.now() };
    // The store counts attempts; more than are allowed are those that a crash has ended.
    let ending = if attempt > MAX_ATTEMPTS { Ending::Dead } else { ending };
    let (before, after) = match ending {
        Ending::Ack => (What::Acking, Some(What::Acked)),
        Ending::Retry(_) => (What::Retrying, Some(What::Retried)),
        Ending::Dead => (What::Dying, Some(What::Died)),
        Ending::HandBack | Ending::Drop => (What::HandingBack, None),
    };
    tell(before, subscription, id, attempt);
    let result = match ending {
        Ending::Ack => delivery.ack().await,
        Ending::Retry(delay) => delivery.retry_after(delay, error(AttemptErrorKind::Error)).await,
        Ending::Dead if attempt > MAX_ATTEMPTS => {
            delivery.dead_letter(DeadReason::MaxAttempts, error(AttemptErrorKind::Crash)).await
        }
        Ending::Dead => delivery.dead_letter(DeadReason::Rejected, error(AttemptErrorKind::Rejected)).await,
        Ending::HandBack => delivery.hand_back().await,
        Ending::Drop => {
            drop(delivery);
            Ok(())
        }
    };
    match result {
        Ok(()) => {
            if let Some(after) = after {
                tell(after, subscription, id, attempt);
            }
            true
        }
        Err(error) => {
            failed("end a delivery", &error);
            false
        }
    }
}

/// What is done to a message of a subscription without a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Care {
    Release,
    Purge,
    Replay,
}

/// Does it, and tells. Returns to how many messages it was done, `None` where that failed.
async fn care(store: &dyn Transport, subscription: u32, id: MessageId, care: Care) -> Option<u64> {
    let index = SubscriptionIndex(subscription);
    let (before, after) = match care {
        Care::Release => (What::Releasing, What::Released),
        Care::Purge => (What::Purging, What::Purged),
        Care::Replay => (What::Replaying, What::Replayed),
    };
    tell(before, subscription, Some(id), 0);
    let result = match care {
        Care::Release => store.release(index, Selection::Ids(vec![id])).await,
        Care::Purge => store.purge(index, Selection::Ids(vec![id])).await,
        Care::Replay => store.replay(index, Replay::Id(id)).await,
    };
    match result {
        Ok(count) => {
            if count == 1 {
                tell(after, subscription, Some(id), 0);
            }
            Some(count)
        }
        Err(error) => {
            failed("release, purge or replay", &error);
            None
        }
    }
}
