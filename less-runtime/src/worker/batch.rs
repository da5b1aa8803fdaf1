//! One lane: the messages that it took together, and the handler that it polls now.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::attempt::{Attempt, Going, told};
use super::retry::Outcome;
use super::{QUICK, Worker};
use crate::message::StoredMessage;
use crate::transport::{Delivery, Leases};

/// Messages that were taken together, and their slots: counted once, not for each of them.
pub(super) struct Batch {
    pub(super) waiting: Box<dyn Leases>,
    /// One for each that waits, for the one whose handler runs, and for each that has ended: those are freed together.
    pub(super) slots: OwnedSemaphorePermit,
    /// What keeps the worker from ending while something waits or runs.
    pub(super) alive: mpsc::Sender<()>,
    /// Those of it that ended well in little time, and were not told of yet.
    pub(super) quick: Quick,
}

/// Attempts that ended well, each in little time.
#[derive(Default)]
pub(super) struct Quick {
    pub(super) count: u64,
    pub(super) took: Duration,
}

impl Batch {
    /// The next message, with what it holds until its end.
    pub(super) fn pop(&mut self) -> Option<(Attempt, OwnedSemaphorePermit)> {
        let delivery = self.waiting.pop()?;
        Some((self.attempt(delivery, Instant::now()), self.slots.split(1)?))
    }

    /// Tells what is done so far.
    pub(super) fn tell(&mut self, worker: &Worker) {
        let Quick { count, took } = std::mem::take(&mut self.quick);
        if count > 0 {
            (worker.observer)(Outcome::Done.label(), count, took);
        }
        told(worker, self.waiting.tell());
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
    /// Which of the handlers' runtimes it is on; none if it stands in.
    pub(super) runtime: Option<usize>,
    /// Whether it has taken anything yet, since it was started or woken.
    pub(super) begun: AtomicBool,
}

/// What a lane has taken.
#[derive(Default)]
struct Work {
    now: Now,
    batch: Option<Batch>,
}

impl Work {
    fn begin(&mut self, began: Instant) -> Option<(Arc<StoredMessage>, u32)> {
        let (message, attempt) = self.batch.as_ref()?.waiting.first()?;
        let message = (Arc::clone(message), attempt);
        self.now = Now::Polls(began);
        Some(message)
    }

    fn end(&mut self, done: bool, took: Duration) -> After {
        match std::mem::take(&mut self.now) {
            Now::Polls(began) => {
                let Some(batch) = &mut self.batch else { return After::Nothing };
                if done && batch.waiting.done() {
                    if took < QUICK {
                        batch.quick.count += 1;
                        batch.quick.took += took;
                        return After::Nothing;
                    }
                    return After::Done;
                }
                let Some(delivery) = batch.waiting.pop() else { return After::Nothing };
                if done {
                    return After::Acknowledge(delivery);
                }
                let Some(slot) = batch.slots.split(1) else { return After::Nothing };
                After::Left(batch.attempt(delivery, began), slot)
            }
            Now::Watched(waits) => After::Watched(waits),
            Now::Nothing => After::Nothing,
        }
    }
}

/// What a lane does now.
#[derive(Default)]
enum Now {
    #[default]
    Nothing,
    /// It polls the handler of its batch's first message, since then.
    Polls(Instant),
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
    /// It ended well, and its batch tells that to the transport.
    Done,
    /// It ended well, which the transport takes its time to learn.
    Acknowledge(Box<dyn Delivery>),
    /// It did not, or goes on: it is the lane's no more.
    Left(Attempt, OwnedSemaphorePermit),
    /// Who took the attempt over waits for that.
    Watched(oneshot::Sender<Polled>),
    /// It ended well, quickly, and its batch tells all of that.
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
    pub(super) fn new(runtime: Option<usize>) -> Arc<Self> {
        Arc::new(Self { work: Mutex::default(), runtime, begun: AtomicBool::new(false) })
    }

    /// Whether it has a thread of its own, and ends as soon as another lane works.
    pub(super) fn stands_in(&self) -> bool {
        self.runtime.is_none()
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
        self.work().begin(began)
    }

    /// The poll is over, well or not, and took this long. Begins with the next message, if there is time for that.
    pub(super) fn end(
        &self,
        done: bool,
        took: Duration,
        now: Instant,
        go_on: bool,
    ) -> (After, Option<(Arc<StoredMessage>, u32)>) {
        let mut work = self.work();
        let after = work.end(done, took);
        let next = if go_on { work.begin(now) } else { None };
        (after, next)
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
    pub(super) fn watch(&self, worker: &Worker, patience: Duration) -> Option<Taken> {
        let mut work = self.work();
        let Now::Polls(began) = work.now else { return None };
        if began.elapsed() <= patience {
            return None;
        }
        let mut batch = work.batch.take()?;
        let (delivery, slot) = (batch.waiting.pop()?, batch.slots.split(1)?);
        let (sender, polled) = oneshot::channel();
        work.now = Now::Watched(sender);
        let attempt = batch.attempt(delivery, began);
        batch.tell(worker);
        Some(Taken { attempt, slot, polled, rest: batch.rest() })
    }
}
