//! Consumers: long polls, as many as there is room for what they bring; leases that are renewed together.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_sqs::types::Message;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::admin;
use super::envelope::{Dead, Received, read};
use super::queue::{Queue, letter, seconds};
use crate::clock::{Timestamp, millis};
use crate::message::{MessageId, StoredMessage};
use crate::transport::{
    AttemptError, AttemptErrorKind, Consumer, DeadReason, Delivery, Leases, Renewal, TransportError,
};

/// Most messages that SQS hands out at once.
const MOST: usize = 10;
/// Longest that SQS hides a message, from when it was received.
const LONGEST_HIDDEN: Duration = Duration::from_secs(12 * 3600);
/// A receive that has waited for so long has found nothing: where messages wait, SQS answers at once.
const IDLE: Duration = Duration::from_secs(3);
/// How long after SQS has said that nothing waits a receive may still be answered.
const LAST_LOOK: Duration = Duration::from_millis(200);
/// How long after SQS has said that messages wait it is asked again.
const NEXT_LOOK: Duration = Duration::from_secs(1);
/// Waits after a receive that failed: from, to.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(20));

/// A subscription's consumer.
pub(super) struct QueueConsumer {
    queue: Arc<Queue>,
    polls: Mutex<Polls>,
}

/// Receives that wait for messages.
struct Polls {
    /// Each brings what it received; they go on when a lease is dropped, and are cut off with the consumer.
    running: JoinSet<(usize, Result<Vec<Message>, TransportError>)>,
    /// Room that running ones were promised.
    promised: usize,
    /// How many shall run, from 1: more while they come back full.
    wanted: usize,
    /// Arrived for a lease that was dropped.
    ready: VecDeque<Box<dyn Delivery>>,
    failures: u32,
    /// When the last receive began.
    begun: Instant,
}

impl QueueConsumer {
    /// The queue's consumer; none while there is one.
    pub(super) fn open(queue: Arc<Queue>) -> Result<Self, TransportError> {
        if queue.taken.swap(true, Ordering::AcqRel) {
            return Err(TransportError::Busy);
        }
        let polls = Polls {
            running: JoinSet::new(),
            promised: 0,
            wanted: 1,
            ready: VecDeque::new(),
            failures: 0,
            begun: Instant::now(),
        };
        Ok(Self { queue, polls: Mutex::new(polls) })
    }
}

impl Drop for QueueConsumer {
    fn drop(&mut self) {
        self.queue.taken.store(false, Ordering::Release);
        let queue = Arc::clone(&self.queue);
        let mut running = std::mem::take(&mut self.polls.get_mut().running);
        // A receive that is cut off may have been answered already: its messages would come again late, and charged. So only those are cut off
        // that have waited for a while, and where SQS says that nothing waits: it may be slow.
        let mut look_at = self.polls.get_mut().begun + IDLE;
        let home = Arc::clone(&self.queue);
        home.spawn(async move {
            let mut quiet = false;
            while !running.is_empty() {
                tokio::select! {
                    biased;
                    joined = running.join_next() => {
                        if let Some(Ok((_, Ok(messages)))) = joined {
                            // Dropped, they are handed back.
                            for message in &messages {
                                drop(begin(&queue, message, Instant::now()));
                            }
                        }
                    }
                    () = tokio::time::sleep_until(look_at.into()) => {
                        if quiet {
                            break;
                        }
                        let depth = admin::depth(&queue, &queue.address.url).await;
                        // Who can't say it can't answer a receive either.
                        quiet = !depth.is_ok_and(|[visible, ..]| visible > 0);
                        look_at = Instant::now() + if quiet { LAST_LOOK } else { NEXT_LOOK };
                    }
                }
            }
        });
    }
}

#[async_trait]
impl Consumer for QueueConsumer {
    async fn lease(&self, max: usize) -> Result<Box<dyn Leases>, TransportError> {
        // Whoever waits here is served after whoever came before.
        let polls = &mut *self.polls.lock().await;
        loop {
            while let Some(joined) = polls.running.try_join_next() {
                polls.take(&self.queue, joined.ok());
            }
            if !polls.ready.is_empty() {
                return Ok(polls.ready.split(max));
            }
            polls.begin(&self.queue, max);
            // Dropping this future cuts off here only: what is running stays in the set.
            let joined = polls.running.join_next().await;
            polls.take(&self.queue, joined.and_then(Result::ok));
        }
    }
}

impl Polls {
    /// Starts receives for room that no running one was promised.
    fn begin(&mut self, queue: &Arc<Queue>, max: usize) {
        while self.running.is_empty() || (self.running.len() < self.wanted && self.promised < max) {
            // A FIFO queue hands out the messages of a group together: the second would wait here for the first, and be charged for it.
            let most = if queue.address.fifo { 1 } else { MOST };
            let room = max.saturating_sub(self.promised).clamp(1, most);
            self.promised += room;
            self.begun = Instant::now();
            let queue = Arc::clone(queue);
            let pause = pause(self.failures);
            self.running.spawn(async move {
                tokio::time::sleep(pause).await;
                let (wait, hidden) = (queue.options.poll, queue.options.visibility);
                (room, queue.receive(&queue.address.url, room, wait, hidden).await)
            });
        }
    }

    /// Takes what a receive brought.
    fn take(&mut self, queue: &Arc<Queue>, joined: Option<(usize, Result<Vec<Message>, TransportError>)>) {
        let Some((room, result)) = joined else {
            // A receive that panicked was told where it did: begin anew.
            self.promised = 0;
            self.running.abort_all();
            return;
        };
        self.promised = self.promised.saturating_sub(room);
        match result {
            Ok(messages) => {
                if self.failures > 0 {
                    tracing::info!(queue = %queue.address.name, "messages can be received again");
                }
                self.failures = 0;
                self.wanted = match messages.len() {
                    0 => 1,
                    count if count == room => self.wanted.saturating_mul(2).min(64),
                    count if count * 2 < room => (self.wanted - 1).max(1),
                    _ => self.wanted,
                };
                let received = Instant::now();
                self.ready.extend(messages.iter().filter_map(|message| begin(queue, message, received)));
            }
            Err(error) => {
                self.failures += 1;
                self.wanted = 1;
                // At first, and then ever more seldom.
                if self.failures.is_power_of_two() {
                    let (name, failures) = (&queue.address.name, self.failures);
                    match error {
                        // The same URL leads to one of the same name that is made later.
                        TransportError::QueueGone { stage, .. } => tracing::warn!(
                            queue = %name,
                            failures,
                            "the queue does not exist any more: nothing is received until `less deploy --stage {stage}` makes it again"
                        ),
                        error => tracing::warn!(queue = %name, failures, "{error}; trying again"),
                    }
                }
            }
        }
    }
}

/// The wait before a receive after so many failures in a row, with jitter.
fn pause(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let (from, to) = BACKOFF;
    let full = from.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1)).min(to);
    full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

/// The delivery of a received message; none for one that is not due yet, which is held.
fn begin(queue: &Arc<Queue>, message: &Message, received_at: Instant) -> Option<Box<dyn Delivery>> {
    let handle = message.receipt_handle()?.to_owned();
    let received = read(message);
    let now = queue.clock.now();
    if let Some(due) = received.envelope.due.filter(|due| *due > now) {
        let held = hold(Arc::clone(queue), received, handle, due);
        queue.spawn(held);
        return None;
    }
    let uncharged = queue.remembered(received.message.id).uncharged;
    let attempt = received.envelope.attempts + received.receives.saturating_sub(uncharged).max(1);
    let until = std::sync::Mutex::new(Some(received_at + queue.options.visibility));
    let hold = Arc::new(Hold { until });
    Some(Box::new(Leased {
        queue: Arc::clone(queue),
        received,
        handle,
        attempt,
        received_at,
        hold,
        ended: false,
    }))
}

/// Sends a message that is not due yet once more, to be seen later: SQS holds it back for 15 minutes at most.
async fn hold(queue: Arc<Queue>, received: Received, handle: String, due: Timestamp) {
    let left = Duration::from_millis(due.saturating_sub(queue.clock.now())).min(queue.options.hold);
    let letter = letter(&received.message, &received.envelope, seconds(left), None);
    let size = letter.parcel.size();
    match queue.copies.push(letter, size).await {
        Ok(()) => match queue.deletes.push(handle.clone(), handle.len()).await {
            Ok(()) => {}
            Err(failure) => {
                tracing::warn!(queue = %queue.address.name, message_id = %received.message.id, "a delayed message may be handled twice: {failure}");
            }
        },
        // It comes back when its visibility ends, and is held then.
        Err(failure) => {
            tracing::warn!(queue = %queue.address.name, message_id = %received.message.id, "can't hold a delayed message back, will try again: {failure}");
        }
    }
}

/// A leased message.
struct Leased {
    queue: Arc<Queue>,
    received: Received,
    handle: String,
    attempt: u32,
    received_at: Instant,
    hold: Arc<Hold>,
    ended: bool,
}

/// How long a lease lasts: shared with renewals that are under way.
struct Hold {
    /// When SQS hands the message out again, unless the lease is renewed; none once it is lost.
    until: std::sync::Mutex<Option<Instant>>,
}

impl Hold {
    fn until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn extend(&self, until: Instant) {
        if let Some(now) = &mut *self.until() {
            *now = until.max(*now);
        }
    }

    fn is_over(&self) -> bool {
        self.until().is_none_or(|until| Instant::now() >= until)
    }

    fn lose(&self) {
        *self.until() = None;
    }

    fn is_lost(&self) -> bool {
        self.until().is_none()
    }
}

impl Leased {
    /// What has to be known to end it elsewhere.
    fn end(&mut self) -> Ending {
        self.ended = true;
        Ending {
            queue: Arc::clone(&self.queue),
            received: self.received.clone(),
            handle: self.handle.clone(),
            attempt: self.attempt,
        }
    }
}

#[async_trait]
impl Delivery for Leased {
    fn message(&self) -> &Arc<StoredMessage> {
        &self.received.message
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.queue.options.visibility)
    }

    fn renew(&self) -> Renewal {
        let (queue, hold) = (Arc::clone(&self.queue), Arc::clone(&self.hold));
        let begun = Instant::now();
        let length = queue.options.visibility;
        let pushed = queue.changes.push((self.handle.clone(), seconds(length)), self.handle.len());
        Box::pin(async move {
            let Err(failure) = pushed.await else {
                hold.extend(begun + length);
                return Ok(());
            };
            let error = match queue.error("renew a lease", &failure) {
                // Nobody answers, and the time is over.
                TransportError::Aws { .. } if hold.is_over() => TransportError::LeaseLost,
                error => error,
            };
            if matches!(error, TransportError::LeaseLost) {
                hold.lose();
            }
            Err(error)
        })
    }

    async fn ack(mut self: Box<Self>) -> Result<(), TransportError> {
        self.end().delete("acknowledge a message").await
    }

    async fn retry_after(
        mut self: Box<Self>,
        delay: Duration,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        let hidden = LONGEST_HIDDEN.saturating_sub(self.received_at.elapsed() + Duration::from_secs(60));
        let ending = self.end();
        ending.queue.remember(ending.received.message.id, |past| past.history.push(error));
        if delay > hidden && !ending.queue.address.fifo {
            return ending.copy_later(delay).await;
        }
        ending.change("set a message's backoff", seconds(delay.min(hidden))).await
    }

    async fn dead_letter(
        mut self: Box<Self>,
        reason: DeadReason,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        self.end().bury(reason, error).await
    }

    async fn hand_back(mut self: Box<Self>) -> Result<(), TransportError> {
        self.end().hand_back().await
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        // A message that someone else has is not this one's to hand back: that would double it.
        if self.ended || self.hold.is_lost() {
            return;
        }
        let ending = self.end();
        let queue = Arc::clone(&self.queue);
        queue.spawn(async move {
            if let Err(error) = ending.hand_back().await {
                tracing::warn!(
                    "a message could not be handed back, and comes again when its lease ends: {error}"
                );
            }
        });
    }
}

/// A delivery at its end.
struct Ending {
    queue: Arc<Queue>,
    received: Received,
    handle: String,
    attempt: u32,
}

impl Ending {
    async fn delete(&self, action: &'static str) -> Result<(), TransportError> {
        let pushed = self.queue.deletes.push(self.handle.clone(), self.handle.len());
        self.queue.forget(self.received.message.id);
        pushed.await.map_err(|failure| self.queue.error(action, &failure))
    }

    async fn change(&self, action: &'static str, seconds: i32) -> Result<(), TransportError> {
        let pushed = self.queue.changes.push((self.handle.clone(), seconds), self.handle.len());
        pushed.await.map_err(|failure| self.queue.error(action, &failure))
    }

    /// A dead letter: first its copy, then the message goes. Cut off in between, it is one twice, and listed once.
    async fn bury(self, reason: DeadReason, error: AttemptError) -> Result<(), TransportError> {
        let queue = &self.queue;
        let message = &self.received.message;
        let mut envelope = self.received.envelope.clone();
        // The receive that found no attempts left was none.
        envelope.attempts = self.attempt - u32::from(error.kind == AttemptErrorKind::Crash);
        queue.remember(message.id, |past| past.history.push(error));
        envelope.history.append(&mut queue.remembered(message.id).history);
        envelope.due = None;
        envelope.dead = Some(Dead { reason, at: queue.clock.now() });
        // A group of its own: dead letters do not wait for each other. Never deduplicated: it may die again soon after it was released.
        let fifo = queue.address.fifo.then(|| (message.id.to_string(), MessageId::generate().to_string()));
        let letter = letter(message, &envelope, 0, fifo);
        let size = letter.parcel.size();
        let buried = queue.burials.push(letter, size).await;
        buried.map_err(|failure| queue.error("make a message a dead letter", &failure))?;
        self.delete("take a dead letter off its queue").await
    }

    /// As if it had not been received. A copy, because SQS counts what it hands out; in a FIFO queue the message itself, which keeps its place, and
    /// this process remembers that it was not attempted.
    async fn hand_back(self) -> Result<(), TransportError> {
        let queue = &self.queue;
        if queue.address.fifo {
            queue.remember(self.received.message.id, |past| past.uncharged += 1);
            return self.change("hand a message back", 0).await;
        }
        self.copy(0, None).await
    }

    /// Attempted again later than SQS hides messages.
    async fn copy_later(self, delay: Duration) -> Result<(), TransportError> {
        let due = self.queue.clock.now() + millis(delay);
        let hold = self.queue.options.hold;
        let attempt = Self { attempt: self.attempt + 1, ..self };
        attempt.copy(seconds(delay.min(hold)), Some(due)).await
    }

    /// A copy that was attempted `attempt - 1` times takes the message's place.
    async fn copy(self, delay: i32, due: Option<Timestamp>) -> Result<(), TransportError> {
        let queue = &self.queue;
        let mut envelope = self.received.envelope.clone();
        envelope.attempts = self.attempt - 1;
        envelope.due = due.or(envelope.due);
        envelope.history.append(&mut queue.remembered(self.received.message.id).history);
        let letter = letter(&self.received.message, &envelope, delay, None);
        let size = letter.parcel.size();
        let copied = queue.copies.push(letter, size).await;
        copied.map_err(|failure| queue.error("hand a message back", &failure))?;
        self.delete("take the copied message off its queue").await
    }
}
