//! The way to the writer: commands pile up while it syncs, and are taken all at once.
//!
//! Not a channel, because those who have been answered are about to publish again: the writer can say for how many of them it wants to wait, so that
//! neither each of them wakes it nor does it sync for each few of them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::command::Command;

#[derive(Default)]
pub(super) struct Inbox {
    inner: Mutex<Inner>,
    come: Condvar,
}

/// How long acks alone are let pile up before they are written: nobody waits for them.
const ACKS: Duration = Duration::from_micros(200);

#[derive(Default)]
struct Inner {
    commands: Vec<Command>,
    publishes: usize,
    /// Commands that someone waits for.
    urgent: usize,
    /// What the writer sleeps for.
    asleep: Option<Wanted>,
    closed: bool,
}

#[derive(Clone, Copy)]
enum Wanted {
    /// A command of any kind.
    Any,
    /// A command that someone waits for.
    Urgent,
    /// This many publishes.
    Publishes(usize),
}

impl Inner {
    fn enough(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Any => !self.commands.is_empty(),
            Wanted::Urgent => self.urgent > 0,
            Wanted::Publishes(wanted) => self.publishes >= wanted,
        }
    }
}

impl Inbox {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a command in. False once the writer has ended.
    pub(super) fn send(&self, command: Command) -> bool {
        let mut inner = self.inner();
        if inner.closed {
            return false;
        }
        inner.publishes += usize::from(matches!(command, Command::Publish { .. }));
        inner.urgent += usize::from(!matches!(command, Command::Acks));
        inner.commands.push(command);
        // Whoever wakes the writer clears this: one of them is enough.
        let wake = inner.asleep.is_some_and(|wanted| inner.enough(wanted));
        if wake {
            inner.asleep = None;
        }
        drop(inner);
        if wake {
            self.come.notify_one();
        }
        true
    }

    /// Waits for a command, at most this long.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        if self.sleep(Wanted::Any, limit) {
            self.sleep(Wanted::Urgent, Some(ACKS));
        }
    }

    /// Waits until this many publishes are there, at most this long. Returns whether they are.
    pub(super) fn gather(&self, publishes: usize, limit: Duration) -> bool {
        self.sleep(Wanted::Publishes(publishes), Some(limit))
    }

    fn sleep(&self, wanted: Wanted, limit: Option<Duration>) -> bool {
        let began = Instant::now();
        let mut inner = self.inner();
        while !inner.enough(wanted) {
            inner.asleep = Some(wanted);
            let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
            inner = match left {
                Some(Duration::ZERO) => break,
                Some(left) => self.come.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.come.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
        inner.asleep = None;
        inner.enough(wanted)
    }

    /// How many publishes are there.
    pub(super) fn publishes(&self) -> usize {
        self.inner().publishes
    }

    /// Whether someone waits for what is there.
    pub(super) fn holds_urgent(&self) -> bool {
        self.inner().urgent > 0
    }

    /// Takes what is there.
    pub(super) fn take(&self, into: &mut Vec<Command>) {
        let mut inner = self.inner();
        (inner.publishes, inner.urgent) = (0, 0);
        std::mem::swap(&mut inner.commands, into);
    }

    /// Closes this when it is dropped, also by a panic: nobody may wait for a writer that is gone.
    pub(super) fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    /// Refuses everything from now on, and drops what nobody will answer.
    fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        let left = std::mem::take(&mut inner.commands);
        drop(inner);
        drop(left);
    }
}

pub(super) struct Guard<'a>(&'a Inbox);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
