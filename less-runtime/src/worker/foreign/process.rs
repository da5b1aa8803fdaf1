//! A worker process, as the pool knows it: what it holds, and until when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::frame::{Deliveries, Say};
use super::link::Link;
use crate::message::MessageId;
use crate::worker::attempt::Attempt;

/// Longest time from the start of a process to its `ready`.
const START: Duration = Duration::from_secs(60);
/// How long a worker may take to answer a `cancel`.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a cancelled handler may take to end.
const END: Duration = Duration::from_millis(250);
/// How long a process that is replaced may finish what else it holds.
const FINISH: Duration = Duration::from_secs(2);
/// Largest frame of deliveries, in bytes, unless one alone is larger.
const FRAME: usize = 1 << 20;

/// A process.
pub(super) struct Process {
    link: Link,
    pub(super) role: Role,
    pub(super) phase: Phase,
    /// By the number that this process knows them by. All have the same time, so that the first one's is over first.
    held: BTreeMap<u64, Attempt>,
    timeout: Duration,
    /// Cancelled, not answered yet.
    asked: HashMap<u64, Instant>,
    /// Deliveries that somebody else has now, until their handlers have ended.
    lost: HashMap<u64, Attempt>,
    /// Charged, but their handlers have not ended yet; until when they may take.
    overdue: HashMap<u64, Instant>,
    pub(super) began: Instant,
    /// Whether any delivery has ended well or badly in it.
    pub(super) useful: bool,
    /// What it said of its end.
    pub(super) last_words: Option<String>,
    next: u64,
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It takes deliveries.
    Serving,
    /// It will, in place of an older one.
    Successor,
    /// It takes deliveries of which one has ended a process, or made it hang: apart from all others.
    Isolation,
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    /// It takes nothing new, and is killed at this time.
    Leaving(Instant),
    /// It was killed, for which what it holds is not to blame.
    Killed,
    /// It was killed because it did not answer.
    Hung,
}

/// What a look at the clock asks for.
pub(super) enum Due {
    /// It did not become ready.
    NotReady,
    /// It does not answer.
    Hangs,
    /// A handler goes on after its time.
    Overdue,
    /// It has had its time.
    Leave,
}

impl Process {
    pub(super) fn new(link: Link, role: Role, timeout: Duration) -> Self {
        Self {
            link,
            role,
            phase: Phase::Starting,
            held: BTreeMap::new(),
            timeout,
            asked: HashMap::new(),
            lost: HashMap::new(),
            overdue: HashMap::new(),
            began: Instant::now(),
            useful: false,
            last_words: None,
            next: 0,
        }
    }

    /// How many deliveries it holds.
    pub(super) fn load(&self) -> usize {
        self.held.len()
    }

    /// Whether it is in this role, and neither leaving nor gone.
    pub(super) fn is(&self, role: Role) -> bool {
        self.role == role && matches!(self.phase, Phase::Starting | Phase::Ready)
    }

    /// Whether it takes deliveries that nothing is held against.
    pub(super) fn takes(&self) -> bool {
        self.role == Role::Serving && self.phase == Phase::Ready
    }

    /// Whether it takes suspects, and holds none.
    pub(super) fn isolates(&self) -> bool {
        self.role == Role::Isolation
            && self.phase == Phase::Ready
            && self.held.is_empty()
            && self.overdue.is_empty()
    }

    /// Hands deliveries over; their time runs from now.
    pub(super) fn deliver(&mut self, attempts: Vec<Attempt>) {
        let now = Instant::now();
        let mut frame = Deliveries::new();
        let mut empty = true;
        for mut attempt in attempts {
            let message = attempt.delivery.message();
            if !empty && frame.len() + message.body.len() > FRAME {
                self.link.send(std::mem::replace(&mut frame, Deliveries::new()).frame());
            }
            self.next += 1;
            frame.push(self.next, attempt.delivery.attempt(), attempt.delivery.message());
            empty = false;
            attempt.began = now;
            self.held.insert(self.next, attempt);
        }
        if !empty {
            self.link.send(frame.frame());
        }
    }

    /// A delivery has ended; its attempt, unless that was charged before.
    pub(super) fn ended(&mut self, id: u64) -> Option<Attempt> {
        self.useful = true;
        self.overdue.remove(&id);
        self.take(id)
    }

    /// Whether it was told that a delivery's time is over.
    pub(super) fn cancelled(&self, id: u64) -> bool {
        self.asked.contains_key(&id)
    }

    /// Takes a delivery away from it.
    pub(super) fn take(&mut self, id: u64) -> Option<Attempt> {
        self.asked.remove(&id);
        self.lost.remove(&id);
        self.held.remove(&id)
    }

    /// Takes everything away from it.
    pub(super) fn take_all(&mut self) -> Vec<Attempt> {
        self.asked.clear();
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// Everything it holds.
    pub(super) fn held(&self) -> impl Iterator<Item = &Attempt> {
        self.held.values()
    }

    /// Lets go of messages that someone else has now, and cancels their handlers.
    pub(super) fn lost(&mut self, messages: &HashSet<MessageId>) {
        let lost = |attempt: &Attempt| messages.contains(&attempt.delivery.message().id);
        let ids: Vec<u64> =
            self.held.iter().filter(|(_, attempt)| lost(attempt)).map(|(id, _)| *id).collect();
        for id in ids {
            // Kept until its handler has ended: nobody is to handle the message beside it.
            let attempt = self.take(id);
            self.lost.extend(attempt.map(|attempt| (id, attempt)));
            self.cancel(id);
        }
    }

    /// The time of this delivery was over, and its handler was running: it may take a little to end.
    pub(super) fn charge(&mut self, id: u64) -> Option<Attempt> {
        let attempt = self.take(id)?;
        self.overdue.insert(id, Instant::now() + END);
        Some(attempt)
    }

    /// Tells it that a delivery's time is over.
    pub(super) fn cancel(&mut self, id: u64) {
        self.asked.insert(id, Instant::now() + ANSWER);
        self.link.send(Say::Cancel { id }.frame());
    }

    /// Tells it to finish and go.
    pub(super) fn leave(&mut self, grace: Option<Duration>) {
        if matches!(self.phase, Phase::Starting) {
            return self.kill(Phase::Killed);
        }
        if self.phase == Phase::Ready {
            self.link.send(Say::Stop.frame());
            self.phase = Phase::Leaving(Instant::now() + grace.unwrap_or(FINISH));
        }
    }

    pub(super) fn kill(&mut self, phase: Phase) {
        self.phase = phase;
        self.link.kill();
    }

    /// The deliveries that nobody has cancelled yet, those whose time is over first before the others.
    fn timed(&self) -> impl Iterator<Item = (u64, Instant)> {
        let timed = self.held.iter().filter(|(id, _)| !self.asked.contains_key(id));
        timed.map(|(id, attempt)| (*id, attempt.began + self.timeout))
    }

    /// When to look at the clock again.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Starting => Some(self.began + START),
            Phase::Leaving(until) => Some(until),
            Phase::Ready => None,
            Phase::Killed | Phase::Hung => return None,
        };
        let deadline = self.timed().next().map(|(_, deadline)| deadline);
        let answers = self.asked.values().chain(self.overdue.values()).copied();
        phase.into_iter().chain(deadline).chain(answers).min()
    }

    /// Cancels what is over its time, and says what else is due.
    pub(super) fn look(&mut self, now: Instant) -> Option<Due> {
        match self.phase {
            Phase::Killed | Phase::Hung => return None,
            Phase::Starting => return (now >= self.began + START).then_some(Due::NotReady),
            Phase::Leaving(until) if now >= until => return Some(Due::Leave),
            Phase::Leaving(_) | Phase::Ready => {}
        }
        if self.asked.values().any(|until| now >= *until) {
            return Some(Due::Hangs);
        }
        let over: Vec<u64> =
            self.timed().take_while(|(_, deadline)| now >= *deadline).map(|(id, _)| id).collect();
        for id in over {
            self.cancel(id);
        }
        if self.phase == Phase::Ready && self.overdue.values().any(|until| now >= *until) {
            return Some(Due::Overdue);
        }
        None
    }
}
