//! Leasing, and the endings of a delivery: the second room.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::command::{Command, Death, Lease, LeaseAnswer};
use super::reader::{Run, Segments};
use super::record::{QueueId, Seq, TopicId};
use super::runs::Runs;
use super::state::Spot;
use super::{Commands, Embedded, TransportError};
use crate::clock::{Clock, millis};
use crate::message::StoredMessage;
use crate::transport::{
    AttemptError, Consumer, DeadReason, Delivery, Leases, Renewal, SubscriptionIndex, Taker,
};

/// Wait after messages could not be read.
const PAUSE: Duration = Duration::from_millis(100);
/// How much a subscriber that is behind reads at once, in bytes.
const READ_AHEAD: u64 = 256 << 10;

/// Acks on their way to the writer: all that come while it works are taken with one look.
#[derive(Default)]
pub(super) struct Acks {
    /// By queue, so that handlers of different subscriptions do not wait for each other.
    lists: [List; 8],
    /// Whether the writer has been told that there are some.
    told: AtomicBool,
}

/// What is done of a queue: so many messages from the first one on, each in this attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ack {
    pub(super) queue: QueueId,
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) attempt: u32,
}

/// In a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct List(Mutex<Vec<Ack>>);

impl Acks {
    /// Adds what is done of a queue. Returns whether the writer is to be told.
    pub(super) fn push(&self, queue: QueueId, acks: &[Ack]) -> bool {
        let list = &self.lists[queue as usize % self.lists.len()];
        list.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(acks);
        // After that: who reads `true` here is seen by the writer, which has yet to read its lists. Read first, because all handlers write it else.
        !self.told.load(Ordering::Acquire) && !self.told.swap(true, Ordering::AcqRel)
    }

    /// Moves what has come since the last time.
    pub(super) fn take(&self, into: &mut Vec<Ack>) {
        if self.told.swap(false, Ordering::AcqRel) {
            for list in &self.lists {
                into.append(&mut list.0.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// What the deliveries of a subscription have in common.
pub(super) struct Shared {
    queue: QueueId,
    commands: Commands,
    acks: Arc<Acks>,
    clock: Clock,
}

impl Shared {
    /// Tells what is done; `keyed` where another message may wait for that.
    fn ack(&self, acks: &[Ack], keyed: bool) -> Result<(), TransportError> {
        let first = self.acks.push(self.queue, acks);
        // The writer is told of the first one, and finds the others when it looks.
        if keyed {
            return self.commands.send(Command::AcksNow);
        }
        if first {
            return self.commands.send(Command::Acks);
        }
        self.commands.failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    fn hand_back(&self, seq: Seq, attempt: u32) -> Result<(), TransportError> {
        self.commands.send(Command::HandBack { queue: self.queue, seq, attempt })
    }
}

/// A leased message.
pub(super) struct Leased<B> {
    pub(super) seq: Seq,
    pub(super) attempt: u32,
    pub(super) body: B,
}

/// The content of a message that is leased.
pub(super) enum Body {
    /// In memory.
    Cached(Arc<StoredMessage>),
    /// On the disk, there or a little later.
    At(TopicId, Option<Spot>),
}

/// Messages that were leased together. What is dropped with it is handed back.
pub(super) struct QueueLeases<B> {
    shared: Arc<Shared>,
    list: VecDeque<Leased<B>>,
    /// What is done, and was not told yet.
    done: Vec<Ack>,
    /// Whether others may wait for what is done.
    keyed: bool,
}

impl<B> QueueLeases<B> {
    pub(super) fn new(shared: Arc<Shared>, list: VecDeque<Leased<B>>) -> Self {
        Self { shared, list, done: Vec::new(), keyed: false }
    }

    fn tell_done(&mut self) -> Result<(), TransportError> {
        if self.done.is_empty() {
            return Ok(());
        }
        let result = self.shared.ack(&self.done, self.keyed);
        self.done.clear();
        self.keyed = false;
        result
    }
}

impl<B> Drop for QueueLeases<B> {
    fn drop(&mut self) {
        // A closed store delivers it again, and hands everything back, when it is opened.
        let _ = self.tell_done();
        for leased in self.list.drain(..) {
            let _ = self.shared.hand_back(leased.seq, leased.attempt);
        }
    }
}

impl Leases for QueueLeases<Arc<StoredMessage>> {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn first(&self) -> Option<(&Arc<StoredMessage>, u32)> {
        self.list.front().map(|first| (&first.body, first.attempt))
    }

    fn pop(&mut self) -> Option<Box<dyn Delivery>> {
        let Leased { seq, attempt, body: message } = self.list.pop_front()?;
        let shared = Arc::clone(&self.shared);
        Some(Box::new(QueueDelivery { shared, seq, attempt, message, ended: false }))
    }

    fn split(&mut self, count: usize) -> Box<dyn Leases> {
        let rest = self.list.split_off(count.min(self.list.len()));
        let list = std::mem::replace(&mut self.list, rest);
        Box::new(Self::new(Arc::clone(&self.shared), list))
    }

    fn done(&mut self) -> bool {
        let Some(Leased { seq, attempt, body }) = self.list.pop_front() else { return false };
        self.keyed |= body.key.is_some();
        match self.done.last_mut() {
            Some(last) if last.attempt == attempt && last.first + u64::from(last.count) == seq => {
                last.count += 1;
            }
            _ => self.done.push(Ack { queue: self.shared.queue, first: seq, count: 1, attempt }),
        }
        true
    }

    fn tell(&mut self) -> Result<(), TransportError> {
        self.tell_done()
    }
}

impl Embedded {
    pub(super) fn open_consumer(
        &self,
        subscription: SubscriptionIndex,
    ) -> Result<Box<dyn Consumer>, TransportError> {
        let queue = self.queue(subscription)?;
        let held = Held::take(&self.consumed, queue)?;
        // Only now: nobody drops what is held.
        self.listed(queue)?;
        let shared = Shared {
            queue,
            commands: self.commands.clone(),
            acks: Arc::clone(&self.acks),
            clock: self.clock.clone(),
        };
        Ok(Box::new(QueueConsumer {
            shared: Arc::new(shared),
            segments: self.segments.clone(),
            runs: Arc::clone(&self.runs),
            _held: held,
            run: Mutex::default(),
        }))
    }
}

/// A queue that has a consumer, or is being dropped: nobody else may then.
pub(super) struct Held {
    all: Arc<Mutex<HashSet<QueueId>>>,
    queue: QueueId,
}

impl Held {
    pub(super) fn take(all: &Arc<Mutex<HashSet<QueueId>>>, queue: QueueId) -> Result<Self, TransportError> {
        if all.lock().unwrap_or_else(PoisonError::into_inner).insert(queue) {
            Ok(Self { all: Arc::clone(all), queue })
        } else {
            Err(TransportError::Busy)
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.queue);
    }
}

struct QueueConsumer {
    shared: Arc<Shared>,
    segments: Segments,
    runs: Arc<Runs>,
    /// What was read last, while the subscriber is behind.
    run: Mutex<Option<Arc<Run>>>,
    _held: Held,
}

#[async_trait]
impl Consumer for QueueConsumer {
    async fn lease(&self, max: usize) -> Result<Box<dyn Leases>, TransportError> {
        loop {
            if let Some(leases) = self.ask(max, None).await? {
                return Ok(leases);
            }
        }
    }

    async fn lease_to(&self, taker: &Arc<dyn Taker>) -> Result<Option<Box<dyn Leases>>, TransportError> {
        self.ask(usize::MAX, Some(taker)).await
    }
}

impl QueueConsumer {
    /// Asks until there is something. `None` where a taker has no room.
    async fn ask(
        &self,
        max: usize,
        taker: Option<&Arc<dyn Taker>>,
    ) -> Result<Option<Box<dyn Leases>>, TransportError> {
        loop {
            let (queue, shared, run) = (self.shared.queue, Arc::clone(&self.shared), self.run());
            let taker = taker.cloned();
            let asked = |reply| Command::Lease(Lease { queue, max, shared, run, taker, reply });
            match self.shared.commands.ask(asked).await? {
                LeaseAnswer::Leased(leases) => return Ok(Some(leases)),
                LeaseAnswer::Full => return Ok(None),
                LeaseAnswer::Unread(unread) => {
                    let leases = self.load_all(unread).await;
                    if !leases.list.is_empty() {
                        return Ok(Some(Box::new(leases)));
                    }
                    // None could be read. Those that are not damaged come again, and a sick disk is not to be asked without a pause.
                    tokio::time::sleep(PAUSE).await;
                }
                LeaseAnswer::Dropped => return Err(TransportError::Dropped),
                LeaseAnswer::Behind { topic, seq, spot } => {
                    if let Err(error) = self.read(topic, seq, spot).await {
                        tracing::error!("messages can't be read: {error}");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// Brings all of them into memory, but for those that can't be read.
    async fn load_all(&self, mut unread: QueueLeases<Body>) -> QueueLeases<Arc<StoredMessage>> {
        let list = VecDeque::with_capacity(unread.list.len());
        let mut leases = QueueLeases::new(Arc::clone(&self.shared), list);
        // Taken one by one, so that those that are left are handed back if this is dropped while it reads.
        while let Some(Leased { seq, body, .. }) = unread.list.front() {
            let read = match body {
                Body::Cached(message) => Ok(Arc::clone(message)),
                Body::At(topic, place) => self.load(*topic, *seq, *place).await,
            };
            let Some(Leased { seq, attempt, .. }) = unread.list.pop_front() else { break };
            match read {
                Ok(body) => leases.list.push_back(Leased { seq, attempt, body }),
                Err(error) => self.unreadable(seq, attempt, &error),
            }
        }
        leases
    }

    /// Brings a message into memory, with those around it. What lies in the run that was read last costs nothing more.
    async fn load(
        &self,
        topic: TopicId,
        seq: Seq,
        place: Option<Spot>,
    ) -> Result<Arc<StoredMessage>, TransportError> {
        if let Some(message) = self.run().as_ref().and_then(|run| run.get(seq)) {
            return message.clone();
        }
        let place = place.ok_or_else(|| TransportError::Damaged {
            file: "the index".to_owned(),
            offset: 0,
            problem: format!("message {seq} has no place"),
        })?;
        let run = self.read(topic, seq, place).await?;
        run.get(seq).cloned().unwrap_or(Err(TransportError::Closed))
    }

    fn run(&self) -> Option<Arc<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self, topic: TopicId, seq: Seq, spot: Spot) -> Result<Arc<Run>, TransportError> {
        let _turn = self.runs.turn(topic, seq).await;
        let found = self.runs.find(topic, seq);
        let run = if let Some(run) = found {
            run
        } else {
            let segments = self.segments.clone();
            let read = tokio::task::spawn_blocking(move || segments.read_run(topic, seq, spot, READ_AHEAD));
            let run = Arc::new(read.await.map_err(|_| TransportError::Closed)??);
            self.runs.keep(topic, &run);
            run
        };
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&run));
        Ok(run)
    }

    /// Ends a lease whose body can't be read. A damaged one can never be delivered: the ledger counts it as discarded, reason `corrupt`. Another
    /// one is handed back: the next attempt may find the disk well.
    fn unreadable(&self, seq: Seq, attempt: u32, error: &TransportError) {
        tracing::error!("a message can't be read: {error}");
        let queue = self.shared.queue;
        // A closed store finds the same when it is opened again.
        let _ = if matches!(error, TransportError::Damaged { .. }) {
            self.shared.commands.send(Command::Discard { queue, seq, attempt, reason: "corrupt" })
        } else {
            self.shared.hand_back(seq, attempt)
        };
    }
}

struct QueueDelivery {
    shared: Arc<Shared>,
    seq: Seq,
    attempt: u32,
    message: Arc<StoredMessage>,
    ended: bool,
}

impl Drop for QueueDelivery {
    fn drop(&mut self) {
        if !self.ended {
            // A closed store hands everything back when it is opened again.
            let _ = self.shared.hand_back(self.seq, self.attempt);
        }
    }
}

/// The store's answer to an ending.
fn told(held: bool) -> Result<(), TransportError> {
    if held { Ok(()) } else { Err(TransportError::LeaseLost) }
}

#[async_trait]
impl Delivery for QueueDelivery {
    fn message(&self) -> &Arc<StoredMessage> {
        &self.message
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn lease(&self) -> Option<Duration> {
        None
    }

    fn renew(&self) -> Renewal {
        Box::pin(std::future::ready(Ok(())))
    }

    async fn ack(mut self: Box<Self>) -> Result<(), TransportError> {
        self.ended = true;
        let (queue, attempt) = (self.shared.queue, self.attempt);
        self.shared.ack(&[Ack { queue, first: self.seq, count: 1, attempt }], self.message.key.is_some())
    }

    async fn retry_after(
        mut self: Box<Self>,
        delay: Duration,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        self.ended = true;
        let (queue, seq, attempt) = (self.shared.queue, self.seq, self.attempt);
        let due = self.shared.clock.now().saturating_add(millis(delay)).max(1);
        let asked = |reply| Command::Retry { queue, seq, attempt, due, error, reply };
        told(self.shared.commands.ask(asked).await?)
    }

    async fn dead_letter(
        mut self: Box<Self>,
        reason: DeadReason,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        self.ended = true;
        let (queue, seq, attempt, id) = (self.shared.queue, self.seq, self.attempt, self.message.id);
        let asked = |reply| Command::Dead(Box::new(Death { queue, seq, attempt, id, reason, error, reply }));
        told(self.shared.commands.ask(asked).await?)
    }

    async fn hand_back(mut self: Box<Self>) -> Result<(), TransportError> {
        self.ended = true;
        self.shared.hand_back(self.seq, self.attempt)
    }
}
