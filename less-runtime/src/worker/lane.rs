//! Lanes: they take leased messages one after the other and poll each one's handler once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context as Wakes, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::attempt::{Attempt, Cancel, Going, acknowledge, give_up, panic_text, supervise, tell};
use super::batch::{After, Batch, Lane, Polled, Quick, Taken};
use super::retry::{Outcome, exhausted};
use super::{Compiled, Worker};
use crate::context::Context;
use crate::error::Result;
use crate::handler::HandlerFuture;
use crate::telemetry::{in_scope, labelled};
use crate::transport::{Leases, Taker, TransportError};

/// Messages that a lane handles before it lets other tasks of its thread go on, and takes at once at most.
const ROUND: usize = 256;
/// How long those that a lane takes at once may take, in nanoseconds.
const ROUND_LASTS: u64 = 250_000;
/// From then on a lane gives back what it took and did not begin.
const TOO_LONG: Duration = Duration::from_millis(1);
/// From this time per message on, a second lane is worth its start.
const SLOW: u64 = 20_000;
/// Most lanes of a subscription that run side by side on the handlers' runtime.
const MOST: usize = 4;
/// Attempts that run on threads of their own after a handler blocked its thread.
const WARY: u32 = 64;

/// The lanes of a subscription, and the messages that wait for one.
pub(crate) struct Lanes {
    worker: Arc<Worker>,
    compiled: Compiled,
    inner: Mutex<Inner>,
    /// One for each message that may be leased at the same time.
    slots: Arc<Semaphore>,
    /// Attempts that are yet to run on threads of their own.
    wary: AtomicU32,
    /// What a poll takes, in nanoseconds; a moving average.
    usual: AtomicU64,
}

struct Inner {
    /// What was leased together, in this order.
    waiting: VecDeque<Box<dyn Leases>>,
    /// One for each message that waits.
    slots: Option<OwnedSemaphorePermit>,
    /// Those that are free, and taken for what comes next.
    offered: Option<OwnedSemaphorePermit>,
    lanes: Vec<Arc<Lane>>,
    /// A lane that waits for more to do: waking it costs less than starting one. Dropped, it ends.
    parked: Option<(Arc<Lane>, oneshot::Sender<()>)>,
    watched: bool,
    /// How many messages lanes have taken, and how many that were when the watchdog looked last.
    taken: (usize, usize),
    /// How often in a row the watchdog found something blocked.
    strikes: u32,
    /// Nothing more will come.
    closed: bool,
    /// Gone once nothing waits and nothing more will come.
    alive: Option<mpsc::Sender<()>>,
}

/// A handler's future, and the slot that is free once it is gone; none where whoever waits for its end holds it.
type Running = (HandlerFuture, Option<OwnedSemaphorePermit>);

impl Lanes {
    pub(super) fn new(
        worker: Arc<Worker>,
        compiled: Compiled,
        (slots, alive): (Arc<Semaphore>, mpsc::Sender<()>),
    ) -> Arc<Self> {
        let inner = Inner {
            waiting: VecDeque::new(),
            slots: None,
            offered: None,
            lanes: Vec::new(),
            parked: None,
            watched: false,
            taken: (0, 0),
            strikes: 0,
            closed: false,
            alive: Some(alive),
        };
        Arc::new(Self {
            worker,
            compiled,
            inner: Mutex::new(inner),
            slots,
            wary: AtomicU32::new(0),
            // Not known yet: lanes take few at first.
            usual: AtomicU64::new(SLOW / 2),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing will be pushed any more: lanes end with what waits.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        inner.parked = None;
        if inner.waiting.is_empty() {
            inner.alive = None;
        }
    }

    /// Waits until there is a free slot.
    pub(super) async fn free(&self) -> Result<(), TransportError> {
        if self.inner().offered.as_ref().is_none_or(|offered| offered.num_permits() == 0) {
            let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| TransportError::Closed)?;
            self.inner().offer(slot);
        }
        Ok(())
    }

    /// Whether what comes next is to run on threads of its own.
    pub(super) fn is_wary(&self) -> bool {
        self.wary.load(Ordering::Relaxed) > 0
    }

    /// Hands messages to the lanes, with a slot for each.
    pub(super) fn push(self: &Arc<Self>, mut leased: Box<dyn Leases>) {
        let mut inner = self.inner();
        if inner.closed {
            return;
        }
        let Some(alive) = inner.alive.clone() else { return };
        let Some(offered) = &mut inner.offered else { return };
        let Some(slots) = offered.split(leased.len().min(offered.num_permits())) else { return };
        if slots.num_permits() < leased.len() {
            // Without a slot they are handed back.
            leased = leased.split(slots.num_permits());
        }
        if leased.is_empty() {
            return;
        }
        inner.waiting.push_back(leased);
        inner.hold(slots, alive);
        if self.is_wary() {
            drop(inner);
            self.scatter();
            return;
        }
        // A handler that takes its time gets more than one thread.
        let wanted = if self.usual.load(Ordering::Relaxed) > SLOW { inner.count().min(MOST) } else { 1 };
        let parked = if inner.lanes.len() < wanted { inner.parked.take() } else { None };
        let runtime = self.compiled.handlers.generation();
        let parked = parked.filter(|(lane, _)| lane.runtime == Some(runtime));
        if let Some((lane, _)) = &parked {
            lane.begun.store(false, Ordering::Relaxed);
            inner.lanes.push(Arc::clone(lane));
        }
        let begin: Vec<Arc<Lane>> = (inner.lanes.len()..wanted).map(|_| Lane::new(Some(runtime))).collect();
        inner.lanes.extend(begin.iter().map(Arc::clone));
        let watch = !std::mem::replace(&mut inner.watched, true);
        drop(inner);
        if let Some((_, wake)) = parked {
            // One that is gone with its runtime is noticed by the watchdog, like one that does not begin.
            let _ = wake.send(());
        }
        for lane in begin {
            self.compiled.handlers.handle().spawn(Arc::clone(self).run(lane));
        }
        if watch {
            self.compiled.watchdog.watch(Arc::clone(self));
        }
    }

    /// Takes messages, and waits for more while no other lane does.
    async fn run(self: Arc<Self>, lane: Arc<Lane>) {
        loop {
            self.work(&lane).await;
            let Some(woken) = self.park(&lane) else { return };
            if woken.await.is_err() {
                return;
            }
        }
    }

    /// Takes messages until none waits.
    async fn work(&self, lane: &Arc<Lane>) {
        let mut handled = 0;
        while let Some(batch) = self.next(lane) {
            handled += batch.waiting.len();
            if self.worker.shutdown.is_expired() {
                // Dropped, it is handed back.
                continue;
            }
            lane.take_on(batch);
            in_scope(&self.worker.label, || self.handle(lane));
            let left = lane.leave();
            if let Some(mut batch) = left {
                // Before the slots of what is done are free.
                batch.tell(&self.worker);
                if let Some(rest) = batch.rest() {
                    self.give_back(rest);
                }
            }
            if handled >= ROUND {
                handled = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Keeps a lane for what comes next; `None` where it is to end.
    fn park(&self, lane: &Arc<Lane>) -> Option<oneshot::Receiver<()>> {
        let mut inner = self.inner();
        // On a runtime that was replaced nothing new is to begin.
        let current = lane.runtime == Some(self.compiled.handlers.generation());
        if inner.closed || inner.parked.is_some() || !current {
            return None;
        }
        let (wake, woken) = oneshot::channel();
        inner.parked = Some((Arc::clone(lane), wake));
        Some(woken)
    }

    /// The next messages; `None` where none waits, or where others do without this lane.
    fn next(&self, lane: &Arc<Lane>) -> Option<Batch> {
        let most = ROUND_LASTS / self.usual.load(Ordering::Relaxed).max(1);
        let most = usize::try_from(most).unwrap_or(ROUND).clamp(1, ROUND);
        let mut inner = self.inner();
        let works = |other: &Arc<Lane>| !Arc::ptr_eq(other, lane) && other.begun.load(Ordering::Relaxed);
        let relieved = lane.stands_in() && inner.lanes.iter().any(works);
        let next = if relieved { None } else { inner.take(most) };
        let Some(batch) = next else {
            inner.lanes.retain(|other| !Arc::ptr_eq(other, lane));
            return None;
        };
        lane.begun.store(true, Ordering::Relaxed);
        inner.taken.0 = inner.taken.0.wrapping_add(batch.waiting.len());
        if !inner.lanes.iter().any(|other| Arc::ptr_eq(other, lane)) {
            // It had been given up.
            inner.lanes.push(Arc::clone(lane));
        }
        Some(batch)
    }

    /// Puts what was taken and not begun back in its place.
    fn give_back(&self, rest: Batch) {
        let Batch { waiting, slots, alive, quick: _ } = rest;
        let mut inner = self.inner();
        inner.waiting.push_front(waiting);
        inner.hold(slots, alive);
    }

    /// Polls the handlers of a lane's messages. The clock is read once for each: where one ends, the next one begins.
    fn handle(&self, lane: &Lane) {
        let worker = &self.worker;
        let mut began = Instant::now();
        let until = began + TOO_LONG;
        let mut next = lane.begin(began);
        while let Some((message, number)) = next {
            if exhausted(&worker.policy, number) {
                let (after, following) = lane.end(false, Duration::ZERO, began, true);
                if let After::Left(attempt, _slot) = after {
                    self.over(attempt);
                }
                next = following;
                continue;
            }
            let context = Context::new(Arc::clone(&worker.source), number, message);
            // Called in here, so that a panic of the handler's first lines is caught like any other.
            let polled = catch_unwind(AssertUnwindSafe(|| {
                let mut future = (self.compiled.handler)(context);
                // Nobody is woken by this poll: who is not done is polled again by a task of its own.
                match future.as_mut().poll(&mut Wakes::from_waker(Waker::noop())) {
                    Poll::Ready(result) => Err(result),
                    Poll::Pending => Ok(future),
                }
            }));
            let polled = match polled {
                Ok(polled) => polled.map_err(ended),
                Err(payload) => Err(Outcome::Panicked(panic_text(&*payload))),
            };
            let now = Instant::now();
            let took = now - std::mem::replace(&mut began, now);
            let done = matches!(polled, Err(Outcome::Done));
            let (after, following) = lane.end(done, took, now, now < until);
            next = following;
            // What blocks its lane says nothing of others.
            if !matches!(after, After::Watched(_)) {
                self.learn(took);
            }
            match after {
                After::Done => (worker.observer)(Outcome::Done.label(), 1, took),
                After::Acknowledge(delivery) => {
                    (worker.observer)(Outcome::Done.label(), 1, took);
                    acknowledge(worker, delivery, lane.alive());
                }
                After::Left(attempt, slot) => match polled {
                    Err(outcome) => tell(worker, attempt, outcome),
                    Ok(future) => self.go_on(attempt, (future, Some(slot))),
                },
                After::Watched(waits) => {
                    // Who waits may have given up: the timeout is over, and what goes on is dropped with this.
                    let _ = waits.send(match polled {
                        Err(outcome) => Polled::Ended(outcome),
                        Ok(future) => Polled::GoesOn(self.spawn((future, None))),
                    });
                }
                After::Nothing => {}
            }
        }
    }

    /// Ends a message whose attempts are used up.
    fn over(&self, attempt: Attempt) {
        let worker = Arc::clone(&self.worker);
        self.worker.home.spawn(async move { give_up(&worker, attempt).await });
    }

    fn learn(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).min(1 << 40);
        // Two lanes may overwrite each other: it is a hint.
        self.usual.store((self.usual.load(Ordering::Relaxed) * 7 + took) / 8, Ordering::Relaxed);
    }

    fn spawn(&self, (future, slot): Running) -> Going {
        let future = labelled(Arc::clone(&self.worker.label), future);
        Going::new(self.compiled.handlers.handle().spawn(async move {
            let _slot = slot;
            future.await
        }))
    }

    /// Lets a handler that waits for something go on as a task of its own.
    fn go_on(&self, attempt: Attempt, running: Running) {
        let handler = self.spawn(running);
        let cancel = Cancel::Task(handler.abort_handle());
        self.worker.home.spawn(supervise(Arc::clone(&self.worker), attempt, handler.ended(), cancel));
    }

    /// Handles a message on a thread of its own, because handlers of this subscription block theirs.
    fn apart(self: &Arc<Self>, attempt: Attempt, slot: OwnedSemaphorePermit) {
        let worker = Arc::clone(&self.worker);
        let lanes = Arc::clone(self);
        let (message, number) = (Arc::clone(attempt.delivery.message()), attempt.delivery.attempt());
        let (cancel, cancelled) = oneshot::channel::<()>();
        let (running, gone) = oneshot::channel::<()>();
        let handler = self.compiled.handlers.handle().spawn_blocking(move || {
            // Dropped at the end.
            let _running = running;
            let began = Instant::now();
            let Lanes { worker, compiled, .. } = &*lanes;
            let context = Context::new(Arc::clone(&worker.source), number, message);
            let future = async {
                tokio::select! {
                    biased;
                    // An error: whoever waits for this has given up.
                    _ = cancelled => Ok(()),
                    result = async { (compiled.handler)(context).await } => result,
                }
            };
            let result = compiled.handlers.handle().block_on(labelled(Arc::clone(&worker.label), future));
            if began.elapsed() < Duration::from_micros(500) {
                // Quick ones earn the lanes back.
                let less = |wary: u32| wary.checked_sub(1);
                let _ = lanes.wary.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            result
        });
        let slot = Held { lanes: Arc::clone(self), on: On::ItsOwn, rest: Some((gone, slot)) };
        let handler = async move {
            let ended = super::attempt::outcome(handler.await);
            slot.free();
            ended
        };
        self.worker.home.spawn(supervise(worker, attempt, handler, Cancel::Thread(cancel)));
    }

    /// Looks after lanes whose handler has blocked its thread for longer than `patience`, and after messages that no lane takes. Returns whether
    /// anything is going on at all.
    pub(super) fn look(self: &Arc<Self>, patience: Duration) -> bool {
        let inner = self.inner();
        let lanes: Vec<Arc<Lane>> = inner.lanes.clone();
        drop(inner);
        let mut blocked = false;
        for lane in &lanes {
            let Some(Taken { attempt, slot, polled, rest }) = lane.watch(&self.worker, patience) else {
                continue;
            };
            blocked = true;
            // Others take its place; should it come back, it joins them.
            self.inner().lanes.retain(|other| !Arc::ptr_eq(other, lane));
            if let Some(rest) = rest {
                self.give_back(rest);
            }
            let task = Arc::default();
            let ended = wait_for(Arc::clone(self), polled, slot, Arc::clone(&task));
            self.worker.home.spawn(supervise(Arc::clone(&self.worker), attempt, ended, Cancel::Soon(task)));
        }
        let mut inner = self.inner();
        let (taken, before) = inner.taken;
        inner.taken.1 = taken;
        let stuck = taken == before && !inner.waiting.is_empty();
        if stuck {
            // Its threads are taken by handlers of others: a lane that did not begin may never do.
            inner.lanes.clear();
        }
        inner.strikes = if blocked || stuck { inner.strikes + 1 } else { 0 };
        let (strikes, waits) = (inner.strikes, !inner.waiting.is_empty());
        drop(inner);
        if strikes > 1 {
            self.scatter();
        } else if strikes == 1 && waits {
            // On a busy machine a thread waits that long for its turn: one more helps, and costs little if that was all.
            self.stand_in();
        }
        stuck || !lanes.is_empty()
    }

    /// Lets a lane on a thread of its own handle what waits.
    fn stand_in(self: &Arc<Self>) {
        let (lanes, lane) = (Arc::clone(self), Lane::new(None));
        self.inner().lanes.push(Arc::clone(&lane));
        let handlers = self.compiled.handlers.handle();
        handlers.clone().spawn_blocking(move || handlers.block_on(lanes.work(&lane)));
    }

    /// Whoever waits, now or soon, goes on on threads of its own.
    fn scatter(self: &Arc<Self>) {
        self.wary.store(WARY, Ordering::Relaxed);
        loop {
            let next = self.inner().take(usize::MAX);
            let Some(mut all) = next else { return };
            while let Some((attempt, slot)) = all.pop() {
                if exhausted(&self.worker.policy, attempt.delivery.attempt()) {
                    self.over(attempt);
                } else {
                    self.apart(attempt, slot);
                }
            }
        }
    }

    /// Says that the watchdog looks no more. False where it has to go on.
    pub(super) fn unwatch(&self) -> bool {
        let mut inner = self.inner();
        inner.watched = !inner.lanes.is_empty();
        !inner.watched
    }
}

impl Taker for Lanes {
    fn room(&self) -> usize {
        let mut inner = self.inner();
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        if free > 0
            && let Ok(free) = Arc::clone(&self.slots).try_acquire_many_owned(free)
        {
            inner.offer(free);
        }
        inner.offered.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    fn take(self: Arc<Self>, leases: Box<dyn Leases>) -> Option<Box<dyn Leases>> {
        if self.is_wary() {
            // That starts threads, which takes its time.
            return Some(leases);
        }
        self.push(leases);
        None
    }
}

impl Inner {
    /// Slots for what comes next.
    fn offer(&mut self, free: OwnedSemaphorePermit) {
        match &mut self.offered {
            Some(all) => all.merge(free),
            None => self.offered = Some(free),
        }
    }

    /// Slots of messages that wait.
    fn hold(&mut self, slots: OwnedSemaphorePermit, alive: mpsc::Sender<()>) {
        match &mut self.slots {
            Some(all) => all.merge(slots),
            None => self.slots = Some(slots),
        }
        self.alive.get_or_insert(alive);
    }

    /// How many messages wait.
    fn count(&self) -> usize {
        self.slots.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes the next messages of those that were leased together, at most this many; `None` where none waits.
    fn take(&mut self, most: usize) -> Option<Batch> {
        let first = self.waiting.front_mut()?;
        let whole = first.len() <= most;
        let slots = self.slots.as_mut()?.split(first.len().min(most))?;
        let waiting = if whole { self.waiting.pop_front()? } else { first.split(most) };
        let over = self.closed && self.waiting.is_empty();
        let alive = if over { self.alive.take() } else { self.alive.clone() }?;
        Some(Batch { waiting, slots, alive, quick: Quick::default() })
    }
}

fn ended(result: Result<()>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Returned(error.into_kind()),
    }
}

/// Waits for a handler that blocks its lane, and then for what it still does.
async fn wait_for(
    lanes: Arc<Lanes>,
    watched: oneshot::Receiver<Polled>,
    slot: OwnedSemaphorePermit,
    task: Arc<OnceLock<AbortHandle>>,
) -> Outcome {
    let mut held = Held { lanes, on: On::Runtime, rest: Some((watched, slot)) };
    let polled = match &mut held.rest {
        Some((watched, _)) => watched.await,
        None => return Outcome::Panicked("nobody handles it".to_owned()),
    };
    let _slot = held.free();
    match polled {
        Ok(Polled::Ended(outcome)) => outcome,
        Ok(Polled::GoesOn(handler)) => {
            // Nobody else sets it.
            let _ = task.set(handler.abort_handle());
            handler.ended().await
        }
        Err(_) => Outcome::Panicked("the handler's thread is gone".to_owned()),
    }
}

/// The slot of a handler that blocks a thread. Dropped before the handler has ended, because its time is over, it keeps the slot for as long again:
/// what is meant to run alone does, unless the handler never returns.
struct Held<T: Send + 'static> {
    lanes: Arc<Lanes>,
    on: On,
    /// What tells that it has returned.
    rest: Option<(oneshot::Receiver<T>, OwnedSemaphorePermit)>,
}

/// Whose thread it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// The handlers' runtime's, which has few.
    Runtime,
    /// Its own.
    ItsOwn,
}

impl<T: Send + 'static> Held<T> {
    /// The slot, of a handler that has returned.
    fn free(mut self) -> Option<OwnedSemaphorePermit> {
        self.rest.take().map(|(_, slot)| slot)
    }
}

impl<T: Send + 'static> Drop for Held<T> {
    fn drop(&mut self) {
        let Some((returned, slot)) = self.rest.take() else { return };
        let (lanes, on) = (Arc::clone(&self.lanes), self.on);
        let patience = lanes.worker.policy.timeout.duration();
        self.lanes.worker.home.spawn(async move {
            if tokio::time::timeout(patience, returned).await.is_err() && on == On::Runtime {
                lanes.compiled.handlers.lost_thread();
            }
            drop(slot);
        });
    }
}
