//! Leasing, and the endings of a delivery: the second room.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::log::{Block, Segments};
use super::record::{QueueId, Seq};
use super::state::Entry;
use super::writer::Command;
use super::{Commands, Embedded, TransportError};
use crate::clock::{Clock, millis};
use crate::message::StoredMessage;
use crate::transport::{AttemptError, Consumer, DeadReason, Delivery, SubscriptionIndex};

/// Wait after messages could not be read.
const PAUSE: Duration = Duration::from_millis(100);
/// How much a subscriber that is behind reads at once, in bytes.
const READ_AHEAD: u64 = 64 << 10;

/// A leased message, as the writer hands it over. Dropping it hands it back.
pub(super) struct Leased {
    pub(super) queue: QueueId,
    pub(super) seq: Seq,
    pub(super) attempt: u32,
    pub(super) body: Body,
    /// The way back; taken when an ending was told.
    pub(super) back: Option<Commands>,
}

/// A leased message's content.
pub(super) enum Body {
    /// In memory.
    Cached(Arc<StoredMessage>),
    /// On the disk.
    At(Entry),
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(back) = self.back.take() {
            // A closed store hands everything back when it is opened again.
            let _ = back.send(Command::HandBack { queue: self.queue, seq: self.seq });
        }
    }
}

impl Embedded {
    pub(super) fn open_consumer(
        &self,
        subscription: SubscriptionIndex,
    ) -> Result<Box<dyn Consumer>, TransportError> {
        let queue = self.queues[subscription.0 as usize];
        if !self.consumed.lock().unwrap_or_else(PoisonError::into_inner).insert(queue) {
            return Err(TransportError::Busy);
        }
        Ok(Box::new(QueueConsumer {
            queue,
            commands: self.commands.clone(),
            segments: self.segments.clone(),
            clock: self.clock.clone(),
            consumed: Arc::clone(&self.consumed),
            block: None,
        }))
    }
}

struct QueueConsumer {
    queue: QueueId,
    commands: Commands,
    segments: Segments,
    clock: Clock,
    consumed: Arc<Mutex<HashSet<QueueId>>>,
    /// What was read last, while the subscriber is behind.
    block: Option<Block>,
}

impl Drop for QueueConsumer {
    fn drop(&mut self) {
        self.consumed.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.queue);
    }
}

#[async_trait]
impl Consumer for QueueConsumer {
    async fn lease(&mut self, max: usize) -> Result<Vec<Box<dyn Delivery>>, TransportError> {
        loop {
            let (queue, back) = (self.queue, self.commands.clone());
            let leased = self.commands.ask(|reply| Command::Lease { queue, max, back, reply }).await?;
            let leased = self.load(leased).await?;
            let deliveries: Vec<Box<dyn Delivery>> = leased
                .into_iter()
                .filter_map(|leased| {
                    let Body::Cached(message) = &leased.body else { return None };
                    let message = Arc::clone(message);
                    Some(Box::new(QueueDelivery { leased, message, clock: self.clock.clone() })
                        as Box<dyn Delivery>)
                })
                .collect();
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            // None could be read. Those that are not damaged come again, and a sick disk is not to be asked without a pause.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl QueueConsumer {
    /// Brings bodies that are on the disk into memory. What lies in the last block that was read costs nothing more.
    async fn load(&mut self, leased: Vec<Leased>) -> Result<Vec<Leased>, TransportError> {
        let mut whole = Vec::with_capacity(leased.len());
        for mut leased in leased {
            if let Body::At(entry) = leased.body {
                if self.block.as_ref().is_none_or(|block| block.frame(entry).is_none()) {
                    let segments = self.segments.clone();
                    let read = tokio::task::spawn_blocking(move || segments.read_block(entry, READ_AHEAD));
                    match read.await.map_err(|_| TransportError::Closed)? {
                        Ok(block) => self.block = Some(block),
                        Err(error) => {
                            unreadable(leased, &error);
                            continue;
                        }
                    }
                }
                let Some(block) = &self.block else { continue };
                match self.segments.decode(block, entry) {
                    Ok(message) => leased.body = Body::Cached(Arc::new(message)),
                    Err(error) => {
                        unreadable(leased, &error);
                        continue;
                    }
                }
            } else {
                // It keeps up: memory is for those who do not.
                self.block = None;
            }
            whole.push(leased);
        }
        Ok(whole)
    }
}

/// Ends a lease whose body can't be read. A damaged one can never be delivered: the ledger counts it as discarded, reason `corrupt`. Another one
/// is handed back by being dropped: the next attempt may find the disk well.
fn unreadable(mut leased: Leased, error: &TransportError) {
    tracing::error!("a message can't be read: {error}");
    if matches!(error, TransportError::Damaged { .. })
        && let Some(commands) = leased.back.take()
    {
        // A closed store finds the same damage when it is opened again.
        let _ = commands.send(Command::Discard { queue: leased.queue, seq: leased.seq, reason: "corrupt" });
    }
}

struct QueueDelivery {
    leased: Leased,
    message: Arc<StoredMessage>,
    clock: Clock,
}

impl QueueDelivery {
    fn commands(&mut self) -> Result<Commands, TransportError> {
        self.leased.back.take().ok_or(TransportError::LeaseLost)
    }
}

#[async_trait]
impl Delivery for QueueDelivery {
    fn message(&self) -> &Arc<StoredMessage> {
        &self.message
    }

    fn attempt(&self) -> u32 {
        self.leased.attempt
    }

    fn lease(&self) -> Option<Duration> {
        None
    }

    async fn renew(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    async fn ack(mut self: Box<Self>) -> Result<(), TransportError> {
        let (queue, seq) = (self.leased.queue, self.leased.seq);
        self.commands()?.send(Command::Done { queue, seq })
    }

    async fn retry_after(
        mut self: Box<Self>,
        delay: Duration,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        let (queue, seq) = (self.leased.queue, self.leased.seq);
        let due = self.clock.now().saturating_add(millis(delay)).max(1);
        self.commands()?.ask(|reply| Command::Retry { queue, seq, due, error, reply }).await
    }

    async fn dead_letter(
        mut self: Box<Self>,
        reason: DeadReason,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        let (queue, seq) = (self.leased.queue, self.leased.seq);
        self.commands()?.ask(|reply| Command::Dead { queue, seq, reason, error, reply }).await
    }

    async fn hand_back(mut self: Box<Self>) -> Result<(), TransportError> {
        let (queue, seq) = (self.leased.queue, self.leased.seq);
        self.commands()?.send(Command::HandBack { queue, seq })
    }
}
