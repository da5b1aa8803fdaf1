//! Transports: what stores messages and hands them to subscribers.
//!
//! A transport is a folder with four rooms: publish, consume, provision, admin. It decides nothing about retries: `worker/retry` does, and
//! tells it the outcome of each delivery.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod guest;
mod leases;
mod replay;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use less_model::filter::Filter;
use less_model::manifest::Policy;
use less_model::name::{AppName, SubscriberName, TopicName};
use less_model::quantity::Span;
use serde::{Deserialize, Serialize};

pub use self::error::TransportError;
pub use self::guest::{Attachment, Guest};
pub use self::leases::Leases;
pub use self::replay::{Replay, ReplayError};
use crate::clock::Timestamp;
use crate::link::LinkStatus;
use crate::message::{MessageId, StoredMessage};
use crate::publish::{PublishError, Receipt};

/// A topic's place in [`Layout::topics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIndex(pub u32);

/// A subscription's place in [`Layout::subscriptions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionIndex(pub u32);

/// What a transport has to provide: the app's topics and subscriptions. Indices are this process's own and are never stored.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Every topic: the app's own ones first, then other apps'.
    pub topics: Vec<TopicSpec>,
    /// Every subscription, in the order of their topics.
    pub subscriptions: Vec<SubscriptionSpec>,
}

/// A topic.
#[derive(Debug, Clone)]
pub struct TopicSpec {
    /// The other app whose topic it is; `None` for the app's own ones.
    pub app: Option<AppName>,
    /// Its id.
    pub name: TopicName,
    /// How long messages are kept once no subscriber waits for them.
    pub retention: Span,
    /// Whether the topic is to keep the order of messages with the same key, for transports that have to know that beforehand.
    pub ordered: bool,
}

impl TopicSpec {
    /// A topic that keeps its messages for seven days.
    pub fn new(name: TopicName) -> Self {
        Self { app: None, name, retention: less_model::manifest::DEFAULT_RETENTION, ordered: false }
    }

    /// What it is called where other apps' topics are called as well: `user_created`, and `shop:user_created` for that of `shop`.
    pub fn address(&self) -> String {
        match &self.app {
            Some(app) => format!("{app}:{}", self.name),
            None => self.name.to_string(),
        }
    }
}

impl Layout {
    /// The app's own topics and their subscriptions, whose indices are the same.
    #[must_use]
    pub fn own(&self) -> Self {
        let topics: Vec<TopicSpec> =
            self.topics.iter().take_while(|topic| topic.app.is_none()).cloned().collect();
        let own = |spec: &&SubscriptionSpec| (spec.topic.0 as usize) < topics.len();
        let subscriptions = self.subscriptions.iter().take_while(own).cloned().collect();
        Self { topics, subscriptions }
    }
}

/// A subscription.
#[derive(Debug, Clone)]
pub struct SubscriptionSpec {
    /// Its topic.
    pub topic: TopicIndex,
    /// Its subscriber.
    pub subscriber: SubscriberName,
    /// How its messages are handled. The transport itself looks at `start` only.
    pub policy: Policy,
    /// Which of the topic's messages it gets.
    pub filter: Option<Filter>,
}

impl SubscriptionSpec {
    /// A subscription with the usual policy, to every message of its topic.
    pub fn new(topic: TopicIndex, subscriber: SubscriberName) -> Self {
        Self { topic, subscriber, policy: Policy::default(), filter: None }
    }
}

/// A message to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The message; its id is kept unless the idempotency key was seen before.
    pub message: Arc<StoredMessage>,
    /// Not delivered before this time.
    pub due: Option<Timestamp>,
    /// Publishes once per topic within 24 hours.
    pub idempotency_key: Option<String>,
}

/// What is mostly one, and then allocates nothing.
pub type Few<T> = smallvec::SmallVec<[T; 1]>;

/// How long an idempotency key is remembered, at least.
pub const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// What a transport can do beyond what all of them promise. What it can't is refused where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Ledgers know what was published, done and discarded; without it they know what is there, `published` is their sum, and numbers follow
    /// what happened with a delay.
    pub counts: bool,
    /// Finished messages are kept for a while: replays, and, where ledgers count as well, new subscribers that begin before now.
    pub retains: bool,
    /// Keys and idempotency keys work on every topic, and go with a delay; without it they are for topics that are declared as ordered, and those know no delay.
    pub plain_keys: bool,
}

impl Capabilities {
    /// Everything.
    pub const ALL: Self = Self { counts: true, retains: true, plain_keys: true };
}

/// Stores messages, hands them out, and keeps count.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Its name, as configuration and errors have it.
    fn name(&self) -> &'static str;

    /// What it can do beyond what all transports promise.
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    /// Stores messages for every subscription of the topic. One result per message, in their order; an accepted one is on stable storage.
    async fn publish(
        &self,
        topic: TopicIndex,
        messages: Few<NewMessage>,
    ) -> Few<Result<Receipt, PublishError>>;

    /// Opens a subscription's queue. A subscription has at most one consumer at a time in a process.
    async fn consumer(&self, subscription: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError>;

    /// The ledger of every subscription, in the layout's order.
    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError>;

    /// Dead letters, oldest first: at most `limit` (1 to 1,000) after the one called `after`.
    async fn dead_letters(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError>;

    /// Hands dead letters back to their subscription, with attempts counted anew. Returns how many.
    async fn release(&self, subscription: SubscriptionIndex, which: Selection)
    -> Result<u64, TransportError>;

    /// Deletes dead letters; the ledger counts them as discarded, reason `purged`. Returns how many.
    async fn purge(&self, subscription: SubscriptionIndex, which: Selection) -> Result<u64, TransportError>;

    /// Delivers messages once more that this subscription has finished and the topic still retains; their ledger is [`Ledger::replay`]. Dead letters
    /// are released instead. Returns how many will be.
    async fn replay(&self, subscription: SubscriptionIndex, which: Replay) -> Result<u64, TransportError>;

    /// Makes sure that another app's subscription to a topic is stored, from now on until it is dropped. Durable when this returns.
    async fn attach(
        &self,
        topic: TopicIndex,
        wanted: Attachment,
    ) -> Result<SubscriptionIndex, TransportError> {
        let _ = (topic, wanted);
        Err(TransportError::Unsupported { transport: self.name(), capability: "other apps' subscriptions" })
    }

    /// Every subscription that the layout does not have, with its ledger, by topic, app and subscriber.
    async fn guests(&self) -> Result<Vec<(Guest, Ledger)>, TransportError> {
        Ok(Vec::new())
    }

    /// Deletes a subscription that the layout does not have, with all that waits in it. Returns what its ledger was.
    async fn drop_guest(&self, _: SubscriptionIndex) -> Result<Ledger, TransportError> {
        Err(TransportError::Unsupported { transport: self.name(), capability: "dropping a subscription" })
    }

    /// Whether the books of a subscription are known, as they are now or were last.
    fn knows(&self, _: SubscriptionIndex) -> bool {
        true
    }

    /// How the links to other apps are, whose topics this app subscribes to.
    fn links(&self) -> Vec<LinkStatus> {
        Vec::new()
    }

    /// Waits until every ending that was told before is on stable storage.
    async fn settle(&self) -> Result<(), TransportError> {
        Ok(())
    }

    /// Everything that is stored, as it is at one moment, while work goes on.
    async fn snapshot(&self) -> Result<Snapshot, TransportError> {
        Err(TransportError::Unsupported { transport: self.name(), capability: "backup" })
    }

    /// Writes down whatever is not yet, and refuses further work.
    async fn close(&self) -> Result<(), TransportError>;
}

/// One subscription's queue.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Leases at least 1 and at most `max` messages, waiting until there is one. Each one's attempt number is durable before this returns.
    ///
    /// Dropping the future leases nothing. Several may wait at the same time: they are served one after the other.
    async fn lease(&self, max: usize) -> Result<Box<dyn Leases>, TransportError>;

    /// The same for a taker, which is given messages as they come while it has room, so that nobody has to be woken to pass them on. Returns once it has
    /// none, or with messages that it was not given.
    async fn lease_to(&self, taker: &Arc<dyn Taker>) -> Result<Option<Box<dyn Leases>>, TransportError> {
        self.lease(taker.room().max(1)).await.map(Some)
    }
}

/// Takes leased messages where they come. Its functions are called by the transport's own threads, and take no time.
pub trait Taker: Send + Sync {
    /// How many messages it has room for.
    fn room(&self) -> usize;

    /// Takes them. What it returns is for whoever waits in [`Consumer::lease_to`].
    fn take(self: Arc<Self>, leases: Box<dyn Leases>) -> Option<Box<dyn Leases>>;
}

/// The answer to a renewal. [`TransportError::LeaseLost`] is final: someone else has the message, or soon will.
pub type Renewal = Pin<Box<dyn Future<Output = Result<(), TransportError>> + Send>>;

/// A leased message. Exactly one of the four endings is called; dropping it is [`Delivery::hand_back`] without waiting.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// The message.
    fn message(&self) -> &Arc<StoredMessage>;

    /// Which attempt this is, from 1.
    fn attempt(&self) -> u32;

    /// How long the lease lasts unless it is renewed; `None` where it lasts as long as the process.
    fn lease(&self) -> Option<Duration>;

    /// Renews the lease. Asked for when this returns, so that many go together; the answer may take long.
    fn renew(&self) -> Renewal;

    /// Done.
    async fn ack(self: Box<Self>) -> Result<(), TransportError>;

    /// To be attempted again after `delay`; `error` joins the attempt history.
    async fn retry_after(self: Box<Self>, delay: Duration, error: AttemptError)
    -> Result<(), TransportError>;

    /// A dead letter.
    async fn dead_letter(
        self: Box<Self>,
        reason: DeadReason,
        error: AttemptError,
    ) -> Result<(), TransportError>;

    /// Back to the queue at once, as if it had not been leased: the attempt is not charged.
    async fn hand_back(self: Box<Self>) -> Result<(), TransportError>;
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// What happened.
    pub kind: AttemptErrorKind,
    /// The error's text, cut to 2,048 bytes.
    pub message: String,
    /// When it ended.
    pub at: Timestamp,
}

/// The ways in which an attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptErrorKind {
    /// The handler returned an error.
    Error,
    /// The handler panicked.
    Panic,
    /// The handler took longer than its timeout.
    Timeout,
    /// The handler asked for another attempt.
    RetryAfter,
    /// The handler rejected the message.
    Rejected,
    /// The app's process ended during the attempt.
    Crash,
    /// The handler's own worker process ended during the attempt.
    Exit,
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// No attempts are left.
    MaxAttempts,
    /// The handler rejected it.
    Rejected,
    /// It no longer fits the topic's type.
    Schema,
    /// The transport itself has given it up, and no subscriber was asked: it could not be delivered, or was received too often without an ending.
    Redrive,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message.
    pub message: Arc<StoredMessage>,
    /// Why.
    pub reason: DeadReason,
    /// When it became one.
    pub died_at: Timestamp,
    /// How many attempts were made.
    pub attempts: u32,
    /// The last 20 failed attempts, oldest first.
    pub history: Vec<AttemptError>,
}

/// Which dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// These; ids that are no dead letters of the subscription are passed over.
    Ids(Vec<MessageId>),
}

/// Everything that a transport stores, as files.
#[derive(Debug)]
pub struct Snapshot {
    /// The files, in an order in which they can be written one after the other.
    pub files: Vec<SnapshotFile>,
}

/// A file of a snapshot: read it to its end.
pub struct SnapshotFile {
    /// Its name: no path.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    content: Box<dyn std::io::Read + Send>,
}

impl SnapshotFile {
    /// A file with this content, of which there are `size` bytes.
    pub fn new(name: String, size: u64, content: impl std::io::Read + Send + 'static) -> Self {
        Self { name, size, content: Box::new(content) }
    }
}

impl std::io::Read for SnapshotFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.content.read(buffer)
    }
}

impl std::fmt::Debug for SnapshotFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotFile")
            .field("name", &self.name)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A subscription's books: `published = pending + scheduled + in_flight + done + dead + discarded`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Messages this subscription was to get.
    pub published: u64,
    /// Waiting.
    pub pending: u64,
    /// Waiting for their time: delays and backoff.
    pub scheduled: u64,
    /// Leased.
    pub in_flight: u64,
    /// Done.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// Given up, by named reason.
    pub discarded: BTreeMap<String, u64>,
    /// Age of the oldest pending message, in milliseconds.
    pub oldest_pending_ms: Option<u64>,
    /// Deliveries by replay, which count apart.
    pub replay: ReplayLedger,
}

/// The books of replays: `requested = pending + scheduled + in_flight + done + dead + discarded`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayLedger {
    /// Messages that were to be delivered once more.
    pub requested: u64,
    /// Waiting.
    pub pending: u64,
    /// Waiting for their time.
    pub scheduled: u64,
    /// Leased.
    pub in_flight: u64,
    /// Done.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// Given up, by named reason.
    pub discarded: BTreeMap<String, u64>,
}

impl Ledger {
    /// Whether the books balance.
    pub fn balanced(&self) -> bool {
        let discarded: u64 = self.discarded.values().sum();
        let replay = &self.replay;
        let replay_discarded: u64 = replay.discarded.values().sum();
        let replayed = replay.pending + replay.scheduled + replay.in_flight + replay.done + replay.dead;
        self.published == self.pending + self.scheduled + self.in_flight + self.done + self.dead + discarded
            && replay.requested == replayed + replay_discarded
    }
}
