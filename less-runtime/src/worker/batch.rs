//! One lane: the messages that it took together, and the handler that it polls now.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::attempt::{Attempt, Going};
use super::retry::Outcome;
use crate::message::StoredMessage;
use crate::transport::Delivery;

/// Messages that were taken together, and their slots: counted once, not for each of them.
pub(super) struct Batch {
    pub(super) waiting: VecDeque<Box<dyn Delivery>>,
    /// One for each that waits, for the one whose handler runs, and for each that has ended: those are freed together.
    pub(super) slots: OwnedSemaphorePermit,
    /// What keeps the worker from ending while something waits or runs.
    pub(super) alive: mpsc::Sender<()>,
}

impl Batch {
    /// The next message, with what it holds until its end.
    pub(super) fn pop(&mut self) -> Option<(Attempt, OwnedSemaphorePermit)> {
        let delivery = self.waiting.pop_front()?;
        Some((self.attempt(delivery, Instant::now()), self.slots.split(1)?))
    }

    /// Those that wait, without the slots of those that have ended; `None` where none waits.
    pub(super) fn rest(mut self) -> Option<Self> {
        if self.waiting.is_empty() {
            return None;
        }
        let slots = self.slots.split(self.waiting.len())?;
        Some(Self { slots, ..self })
    }

    fn attempt(&self, delivery: Box<dyn Delivery>, began: Instant) -> Attempt {
        Attempt { delivery, alive: self.alive.clone(), began }
    }
}

/// One lane.
pub(super) struct Lane {
    work: Mutex<Work>,
    /// Whether it has a thread of its own, and ends as soon as another lane works.
    pub(super) stands_in: bool,
    /// Whether it has taken anything yet.
    pub(super) begun: AtomicBool,
}

/// What a lane has taken.
#[derive(Default)]
struct Work {
    now: Now,
    batch: Option<Batch>,
}

/// What a lane does now.
#[derive(Default)]
enum Now {
    #[default]
    Nothing,
    /// It polls this message's handler, since then.
    Polls(Box<dyn Delivery>, Instant),
    /// The same, and someone else waits for how that ends.
    Watched(oneshot::Sender<Polled>),
}

/// How a poll went.
pub(super) enum Polled {
    Ended(Outcome),
    GoesOn(Going),
}

/// What is to be done after a poll.
pub(super) enum After {
    /// It ended well.
    Done(Box<dyn Delivery>),
    /// It did not, or goes on: it is the lane's no more.
    Left(Attempt, OwnedSemaphorePermit),
    /// Who took the attempt over waits for that.
    Watched(oneshot::Sender<Polled>),
    Nothing,
}

/// What the watchdog takes over from a lane: its attempt, and what waits behind that.
pub(super) struct Taken {
    pub(super) attempt: Attempt,
    pub(super) slot: OwnedSemaphorePermit,
    pub(super) polled: oneshot::Receiver<Polled>,
    pub(super) rest: Option<Batch>,
}

impl Lane {
    pub(super) fn new(stands_in: bool) -> Arc<Self> {
        Arc::new(Self { work: Mutex::default(), stands_in, begun: AtomicBool::new(false) })
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch on.
    pub(super) fn take_on(&self, batch: Batch) {
        self.work().batch = Some(batch);
    }

    /// Begins with the next message.
    pub(super) fn begin(&self, began: Instant) -> Option<(Arc<StoredMessage>, u32)> {
        let mut work = self.work();
        let delivery = work.batch.as_mut()?.waiting.pop_front()?;
        let message = (Arc::clone(delivery.message()), delivery.attempt());
        work.now = Now::Polls(delivery, began);
        Some(message)
    }

    /// The poll is over.
    pub(super) fn end(&self, done: bool) -> After {
        let mut work = self.work();
        match std::mem::take(&mut work.now) {
            Now::Polls(delivery, _) if done => After::Done(delivery),
            Now::Polls(delivery, began) => {
                let Some(batch) = &mut work.batch else { return After::Nothing };
                let Some(slot) = batch.slots.split(1) else { return After::Nothing };
                After::Left(batch.attempt(delivery, began), slot)
            }
            Now::Watched(waits) => After::Watched(waits),
            Now::Nothing => After::Nothing,
        }
    }

    /// What keeps the worker from ending, for an ending that takes longer than the batch.
    pub(super) fn alive(&self) -> Option<mpsc::Sender<()>> {
        self.work().batch.as_ref().map(|batch| batch.alive.clone())
    }

    /// Lets go of the batch.
    pub(super) fn leave(&self) -> Option<Batch> {
        self.work().batch.take()
    }

    /// Takes everything over, if its poll has lasted longer than `patience`.
    pub(super) fn watch(&self, patience: Duration) -> Option<Taken> {
        let mut work = self.work();
        if !matches!(&work.now, Now::Polls(_, began) if began.elapsed() > patience) {
            return None;
        }
        let mut batch = work.batch.take()?;
        let slot = batch.slots.split(1)?;
        let (sender, polled) = oneshot::channel();
        match std::mem::replace(&mut work.now, Now::Watched(sender)) {
            Now::Polls(delivery, began) => {
                let attempt = batch.attempt(delivery, began);
                Some(Taken { attempt, slot, polled, rest: batch.rest() })
            }
            Now::Nothing | Now::Watched(_) => None,
        }
    }
}
