//! What subscribers have done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::clock::now;

/// Most subscribers of a topic.
pub const MAX_SUBSCRIBERS: usize = 16;

/// Counts what each subscriber has done, and tells when all are through; one for the process, used for one run at a time.
pub struct Tally {
    done: [Counter; MAX_SUBSCRIBERS],
    /// How many each has to do; not known before publishing has ended.
    target: AtomicU64,
    changed: Notify,
    timed: AtomicBool,
    latencies: Mutex<Vec<u64>>,
}

/// In a cache line of its own, so that subscribers do not slow each other by counting.
#[repr(align(64))]
struct Counter(AtomicU64);

impl Tally {
    /// Nothing done yet.
    pub const fn new() -> Self {
        Self {
            done: [const { Counter(AtomicU64::new(0)) }; MAX_SUBSCRIBERS],
            target: AtomicU64::new(u64::MAX),
            changed: Notify::const_new(),
            timed: AtomicBool::new(false),
            latencies: Mutex::new(Vec::new()),
        }
    }

    /// Begins a run. Handlers of the one before must have ended.
    pub fn reset(&self, timed: bool) {
        for counter in &self.done {
            counter.0.store(0, Ordering::SeqCst);
        }
        self.target.store(u64::MAX, Ordering::SeqCst);
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.timed.store(timed, Ordering::SeqCst);
    }

    /// A handler has begun with the message that was sent at this time.
    pub fn seen(&self, sent: u64) {
        if self.timed.load(Ordering::Relaxed) {
            let took = now().saturating_sub(sent);
            self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
        }
    }

    /// A subscriber is done with so many more messages.
    pub fn done(&self, subscriber: usize, messages: u64) {
        let done = self.done[subscriber].0.fetch_add(messages, Ordering::SeqCst) + messages;
        if done >= self.target.load(Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }

    /// Waits until each of so many subscribers has done so many messages.
    pub async fn wait(&self, subscribers: usize, messages: u64) {
        // In this order: a subscriber that is done in between sees the target, or is seen here.
        self.target.store(messages, Ordering::SeqCst);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.done[..subscribers].iter().all(|counter| counter.0.load(Ordering::SeqCst) >= messages) {
                return;
            }
            changed.await;
        }
    }

    /// How many messages each subscriber has done.
    pub fn counts(&self, subscribers: usize) -> Vec<u64> {
        self.done[..subscribers].iter().map(|counter| counter.0.load(Ordering::SeqCst)).collect()
    }

    /// From publish to handler, in nanoseconds, sorted.
    pub fn latencies(&self) -> Vec<u64> {
        let mut taken = std::mem::take(&mut *self.latencies.lock().unwrap_or_else(PoisonError::into_inner));
        taken.sort_unstable();
        taken
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}
