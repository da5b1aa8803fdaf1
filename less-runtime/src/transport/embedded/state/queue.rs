//! A subscription's queue: what was leased, what is finished, what waits for its time or for its key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::marks::{Mark, Marks};
use super::ranges::Ranges;
use super::{HISTORY, Seq, Topic, TopicId};
use crate::clock::Timestamp;
use crate::message::MessageId;
use crate::transport::{AttemptError, AttemptErrorKind, DeadReason, Ledger, ReplayLedger};

/// Messages of a subscription that may wait for others with the same key. With more, no further ones are looked at until some are finished.
pub(super) const PARKED: usize = 100_000;

/// A message that was being handled when the process ended, this many times in a row, is attempted alone among such: one that ends its process then
/// takes nobody along, and those that were only near it lose no more attempts than this.
pub(in super::super) const SUSPECT: usize = 2;

/// A subscription's queue.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Queue {
    pub(in super::super) topic: TopicId,
    pub(in super::super) name: String,
    pub(in super::super) start: Seq,
    pub(in super::super) marks: Marks,
    /// Those that were attempted before, and those that came back from the dead letters or by a replay.
    pub(in super::super) open: BTreeMap<Seq, Open>,
    pub(in super::super) dead: BTreeMap<Seq, Dead>,
    /// Ordering keys (hashes) of messages that were looked at and are not done.
    keyed: BTreeMap<Seq, u64>,
    /// Finished messages that are to be delivered once more, and were not leased for that yet.
    pub(in super::super) replays: Ranges,
    done: u64,
    discarded: BTreeMap<String, u64>,
    replay: ReplayCounts,

    /// What follows is made anew by `rebuild`. The next message that was not looked at.
    #[serde(skip)]
    cursor: Seq,
    #[serde(skip)]
    replay_cursor: Seq,
    #[serde(skip)]
    ready: BTreeSet<Seq>,
    /// The same, of those that are to be attempted alone.
    #[serde(skip)]
    suspects: BTreeSet<Seq>,
    #[serde(skip)]
    by_due: BTreeSet<(Timestamp, Seq)>,
    /// Keys that a message holds until it is finished, with those that wait for it, and when those are due.
    #[serde(skip)]
    busy: HashMap<u64, BTreeMap<Seq, Timestamp>>,
    #[serde(skip)]
    parked: usize,
}

/// The books of replays, as far as they are not counted anew.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct ReplayCounts {
    requested: u64,
    done: u64,
    discarded: BTreeMap<String, u64>,
}

/// A message that was attempted before, or came back.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Open {
    pub(in super::super) attempts: u32,
    pub(in super::super) due: Timestamp,
    pub(in super::super) leased: bool,
    pub(in super::super) replay: bool,
    pub(in super::super) history: Vec<AttemptError>,
}

impl Open {
    fn suspect(&self) -> bool {
        let crashes = self.history.iter().rev().take_while(|error| error.kind == AttemptErrorKind::Crash);
        crashes.take(SUSPECT).count() == SUSPECT
    }
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Dead {
    pub(in super::super) id: MessageId,
    pub(in super::super) reason: DeadReason,
    pub(in super::super) died_at: Timestamp,
    pub(in super::super) attempts: u32,
    pub(in super::super) replay: bool,
    pub(in super::super) history: Vec<AttemptError>,
}

/// What may be leased now.
#[derive(Debug, Default)]
pub(in super::super) struct Picked {
    /// Messages, each with its key's hash.
    pub(in super::super) seqs: Vec<(Seq, u64)>,
    /// The next message's key is not known: its block must be read first.
    pub(in super::super) behind: Option<Seq>,
    /// The one among them that no other such may run beside.
    pub(in super::super) suspect: Option<Seq>,
}

/// Where a queue begins that is gone: no message has so high a number.
const DROPPED: Seq = Seq::MAX / 2;

impl Queue {
    /// What is left of a queue that is gone: it keeps its number, and nothing else.
    pub(super) fn dropped(topic: TopicId, name: String) -> Self {
        Self::new(topic, name, DROPPED)
    }

    /// Whether it is gone.
    pub(in super::super) fn is_dropped(&self) -> bool {
        self.start == DROPPED
    }

    pub(super) fn new(topic: TopicId, name: String, start: Seq) -> Self {
        Self { topic, name, start, marks: Marks::new(start), cursor: start, ..Self::default() }
    }

    /// Messages to lease now, at most `max`: those that came back first, then new ones, then replays. `key` knows the keys of messages that are at
    /// hand, and is asked only where the topic has keys. Without `suspects` none is picked that is to be attempted alone.
    pub(in super::super) fn pick(
        &mut self,
        topic: &Topic,
        now: Timestamp,
        max: usize,
        suspects: bool,
        key: impl Fn(Seq) -> Option<u64>,
    ) -> Picked {
        self.wake(now);
        let mut picked = Picked::default();
        if suspects && let Some(seq) = self.suspects.pop_first() {
            picked.seqs.push((seq, self.keyed.get(&seq).copied().unwrap_or(0)));
            picked.suspect = Some(seq);
        }
        while picked.seqs.len() < max {
            let Some(seq) = self.ready.pop_first() else { break };
            picked.seqs.push((seq, self.keyed.get(&seq).copied().unwrap_or(0)));
        }
        let key = |seq| if topic.keyed { key(seq) } else { Some(0) };
        self.cursor = self.cursor.max(self.marks.floor());
        let fresh = usize::try_from(topic.next.saturating_sub(self.cursor)).unwrap_or(usize::MAX);
        picked.seqs.reserve(fresh.min(max.saturating_sub(picked.seqs.len())));
        while picked.seqs.len() < max && self.cursor < topic.next && self.parked < PARKED {
            let seq = self.cursor;
            if seq < self.marks.end() && self.marks.get(seq) != Mark::Waiting {
                self.cursor += 1;
                continue;
            }
            let Some(key) = key(seq) else {
                picked.behind = Some(seq);
                return picked;
            };
            self.cursor += 1;
            let due = topic.delayed.get(&seq).copied().unwrap_or(0);
            if self.admit(seq, key, due, now) {
                picked.seqs.push((seq, key));
            }
        }
        while picked.seqs.len() < max && self.parked < PARKED {
            let Some(seq) = self.replays.next(self.replay_cursor) else { break };
            let Some(key) = key(seq) else {
                picked.behind = Some(seq);
                return picked;
            };
            self.replay_cursor = seq + 1;
            if self.admit(seq, key, 0, now) {
                picked.seqs.push((seq, key));
            }
        }
        picked
    }

    /// When the next scheduled message is due.
    pub(in super::super) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// The first message that a reader may still be asked for; those before it were handed out.
    pub(in super::super) fn cursor(&self) -> Seq {
        self.cursor.max(self.marks.floor())
    }

    /// Makes ready what is due.
    fn wake(&mut self, now: Timestamp) {
        while let Some((due, seq)) = self.by_due.first().copied()
            && due <= now
        {
            self.by_due.pop_first();
            self.make_ready(seq);
        }
    }

    fn make_ready(&mut self, seq: Seq) {
        let suspect = self.open.get(&seq).is_some_and(Open::suspect);
        if suspect {
            self.suspects.insert(seq)
        } else {
            self.ready.insert(seq)
        };
    }

    /// Whether messages wait that are to be attempted alone.
    pub(in super::super) fn suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Looks at an unfinished message: it waits for the holder of its key, for its time, or (true) for nothing.
    fn admit(&mut self, seq: Seq, key: u64, due: Timestamp, now: Timestamp) -> bool {
        if key != 0 {
            self.keyed.insert(seq, key);
            if let Some(waiting) = self.busy.get_mut(&key) {
                waiting.insert(seq, due);
                self.parked += 1;
                return false;
            }
            self.busy.insert(key, BTreeMap::new());
        }
        if due > now {
            self.by_due.insert((due, seq));
            return false;
        }
        true
    }

    /// Whether this attempt of this message is the one that runs: an ending of any other is stale.
    pub(in super::super) fn holds(&self, seq: Seq, attempt: u32) -> bool {
        match self.open.get(&seq) {
            Some(open) => open.leased && open.attempts == attempt,
            None => attempt == 1 && self.marks.get(seq) == Mark::Leased,
        }
    }

    /// The number of the attempt that a lease has begun.
    pub(in super::super) fn attempt(&self, seq: Seq) -> u32 {
        self.open.get(&seq).map_or(1, |open| open.attempts)
    }

    /// Whether all that is known of its messages are their marks.
    fn plain(&self) -> bool {
        self.open.is_empty() && self.dead.is_empty() && self.keyed.is_empty() && self.replays.is_empty()
    }

    /// An attempt of each message from `from` up to `to` begins, none of which has a key.
    pub(super) fn lease_all(&mut self, from: Seq, to: Seq) {
        if self.plain() {
            self.marks.advance(from, to, Mark::Leased);
        } else {
            (from..to).for_each(|seq| self.lease(seq, 0));
        }
    }

    pub(super) fn lease(&mut self, seq: Seq, key: u64) {
        if let Some(open) = self.open.get_mut(&seq) {
            open.attempts += 1;
            open.due = 0;
            open.leased = true;
        } else if !self.replays.is_empty() && self.replays.remove(seq) {
            self.open.insert(seq, Open { attempts: 1, leased: true, replay: true, ..Open::default() });
        } else if self.unfinished(seq) {
            match self.open.get_mut(&seq) {
                Some(open) => (open.attempts, open.leased) = (1, true),
                None => self.marks.set(seq, Mark::Leased),
            }
        }
        if key != 0 {
            self.keyed.insert(seq, key);
        }
    }

    /// Whether the message is unfinished. It always is when an attempt begins or ends, but where damage took what came between: then a dead letter was
    /// released, and a finished message is left as it is.
    fn unfinished(&mut self, seq: Seq) -> bool {
        if self.marks.get(seq) != Mark::Finished || self.open.contains_key(&seq) {
            return true;
        }
        let Some(dead) = self.dead.remove(&seq) else { return false };
        self.open.insert(seq, Open { replay: dead.replay, ..Open::default() });
        true
    }

    /// Each message from `from` up to `to` is done.
    pub(super) fn done_all(&mut self, from: Seq, to: Seq) {
        if self.plain() {
            self.done += self.marks.advance(from, to, Mark::Finished);
        } else {
            (from..to).for_each(|seq| self.done(seq));
        }
    }

    fn done(&mut self, seq: Seq) {
        if !self.unfinished(seq) {
            return;
        }
        match self.open.remove(&seq) {
            Some(Open { replay: true, .. }) => self.replay.done += 1,
            Some(_) | None => self.done += 1,
        }
        self.finish(seq, true);
    }

    pub(super) fn retry(&mut self, seq: Seq, due: Timestamp, error: &AttemptError) {
        if !self.unfinished(seq) {
            return;
        }
        self.fail(seq, error);
        if let Some(open) = self.open.get_mut(&seq) {
            open.leased = false;
            open.due = due;
        }
        self.by_due.insert((due, seq));
    }

    pub(super) fn hand_back(&mut self, seq: Seq) {
        if !self.unfinished(seq) {
            return;
        }
        match self.open.get_mut(&seq) {
            Some(open) => {
                open.leased = false;
                open.attempts = open.attempts.saturating_sub(1);
            }
            None => self.marks.set(seq, Mark::Waiting),
        }
        self.make_ready(seq);
    }

    pub(super) fn dead(&mut self, seq: Seq, id: MessageId, reason: DeadReason, error: &AttemptError) {
        if !self.unfinished(seq) {
            return;
        }
        // A crash is in the history already, and the lease that found no attempts left was none.
        let crashed = error.kind == AttemptErrorKind::Crash;
        if !crashed {
            self.fail(seq, error);
        }
        let mut open = self.open.remove(&seq).unwrap_or_default();
        open.attempts -= u32::from(crashed && open.attempts > 0);
        let Open { attempts, replay, history, .. } = open;
        self.dead.insert(seq, Dead { id, reason, died_at: error.at, attempts, replay, history });
        self.finish(seq, false);
    }

    pub(super) fn discard(&mut self, seq: Seq, reason: &str) {
        if !self.unfinished(seq) {
            return;
        }
        let open = self.open.remove(&seq);
        let books = if open.is_some_and(|open| open.replay) {
            &mut self.replay.discarded
        } else {
            &mut self.discarded
        };
        *books.entry(reason.to_owned()).or_default() += 1;
        self.finish(seq, true);
    }

    /// The dead letters that are meant: all, or those with these ids.
    pub(in super::super) fn select(&self, which: Option<Vec<MessageId>>) -> Vec<Seq> {
        let which: Option<BTreeSet<MessageId>> = which.map(|ids| ids.into_iter().collect());
        let wanted = |id| which.as_ref().is_none_or(|ids| ids.contains(id));
        self.dead.iter().filter(|(_, dead)| wanted(&dead.id)).map(|(seq, _)| *seq).collect()
    }

    /// How many messages its filter kept away.
    pub(in super::super) fn filtered(&self) -> u64 {
        self.discarded.get(super::FILTERED).copied().unwrap_or(0)
    }

    pub(super) fn release(&mut self, seq: Seq) {
        let Some(dead) = self.dead.remove(&seq) else { return };
        self.open.insert(seq, Open { replay: dead.replay, ..Open::default() });
        let key = self.keyed.get(&seq).copied().unwrap_or(0);
        if self.admit(seq, key, 0, 0) {
            self.ready.insert(seq);
        }
    }

    pub(super) fn purge(&mut self, seq: Seq) {
        let Some(dead) = self.dead.remove(&seq) else { return };
        let books = if dead.replay { &mut self.replay.discarded } else { &mut self.discarded };
        *books.entry("purged".to_owned()).or_default() += 1;
        self.keyed.remove(&seq);
    }

    pub(super) fn replay(&mut self, from: Seq, to: Seq) {
        self.replays.add(from, to);
        self.replay.requested += to - from;
        self.replay_cursor = self.replay_cursor.min(from);
    }

    /// The finished messages from `from` up to `to` that a replay can hand out once more: dead letters are released instead, and what is
    /// being replayed is not replayed twice.
    pub(in super::super) fn replayable(&self, from: Seq, to: Seq) -> Vec<(Seq, Seq)> {
        let mut out = Vec::new();
        let mut begin = None;
        let from = from.max(self.start);
        let to = to.min(self.marks.end());
        // What stands in the way is sparse; between it whole ranges are taken.
        let stops = self.open.range(from..to.max(from)).map(|(seq, _)| *seq);
        let stops = stops.chain(self.dead.range(from..to.max(from)).map(|(seq, _)| *seq));
        let unfinished = self.marks.iter().filter(|(_, mark)| *mark != Mark::Finished).map(|(seq, _)| seq);
        let mut stops: BTreeSet<Seq> = stops.chain(unfinished).collect();
        let mut seq = from;
        while let Some(start) = self.replays.next(seq).filter(|start| *start < to) {
            stops.insert(start);
            seq = start + 1;
        }
        stops.insert(to);
        for stop in stops.into_iter().filter(|stop| (from..=to).contains(stop)) {
            let start = begin.unwrap_or(from);
            if start < stop {
                out.push((start, stop));
            }
            begin = Some(stop + 1);
        }
        out
    }

    /// What was leased is attempted again: its process is gone.
    pub(super) fn crashed(&mut self, at: Timestamp) {
        let leased: Vec<Seq> =
            self.marks.iter().filter(|(_, mark)| *mark == Mark::Leased).map(|(seq, _)| seq).collect();
        let again = self.open.iter().filter(|(_, open)| open.leased).map(|(seq, _)| *seq);
        for seq in again.chain(leased).collect::<Vec<_>>() {
            let message = "the process ended during the attempt".to_owned();
            self.fail(seq, &AttemptError { kind: AttemptErrorKind::Crash, message, at });
            if let Some(open) = self.open.get_mut(&seq) {
                open.leased = false;
            }
        }
    }

    /// Makes what is not stored, once everything that is has been read.
    pub(super) fn rebuild(&mut self) {
        self.cursor = self.marks.floor();
        self.replay_cursor = 0;
        self.ready.clear();
        self.suspects.clear();
        self.by_due.clear();
        self.busy.clear();
        self.parked = 0;
        let (marks, open, dead) = (&self.marks, &self.open, &self.dead);
        self.keyed.retain(|seq, _| {
            open.contains_key(seq) || dead.contains_key(seq) || marks.get(*seq) == Mark::Leased
        });
        let open: Vec<(Seq, Timestamp)> = self.open.iter().map(|(seq, open)| (*seq, open.due)).collect();
        for (seq, due) in open {
            let key = self.keyed.get(&seq).copied().unwrap_or(0);
            // Everything that has a time is found by `wake`, also what is due already.
            if self.admit(seq, key, due, 0) {
                self.make_ready(seq);
            }
        }
    }

    fn fail(&mut self, seq: Seq, error: &AttemptError) {
        if self.marks.get(seq) != Mark::Finished {
            self.marks.set(seq, Mark::Open);
        }
        let open =
            self.open.entry(seq).or_insert_with(|| Open { attempts: 1, leased: true, ..Open::default() });
        if open.history.len() == HISTORY {
            open.history.remove(0);
        }
        open.history.push(error.clone());
    }

    /// Nothing more is to be done for it; the next message of its key may go.
    fn finish(&mut self, seq: Seq, forget_key: bool) {
        self.marks.set(seq, Mark::Finished);
        let key = if self.keyed.is_empty() {
            None
        } else if forget_key {
            self.keyed.remove(&seq)
        } else {
            self.keyed.get(&seq).copied()
        };
        let Some(key) = key else { return };
        if let Some(waiting) = self.busy.get_mut(&key) {
            match waiting.pop_first() {
                Some((next, due)) => {
                    self.parked -= 1;
                    self.by_due.insert((due, next));
                }
                None => {
                    self.busy.remove(&key);
                }
            }
        }
    }

    /// The books, each number counted for itself, and the oldest message that waits.
    pub(in super::super) fn ledger(&self, topic: &Topic, now: Timestamp) -> (Ledger, Option<Seq>) {
        let end = self.marks.end();
        let unseen = topic.next.saturating_sub(end);
        let fresh = unseen + self.marks.count(Mark::Waiting);
        let delayed = topic.delayed.range(self.marks.floor()..);
        let delayed =
            delayed.filter(|(seq, due)| **due > now && self.marks.get(**seq) == Mark::Waiting).count() as u64;
        let mut ledger = Ledger {
            published: topic.next.saturating_sub(self.start),
            pending: fresh - delayed,
            scheduled: delayed,
            in_flight: self.marks.count(Mark::Leased),
            done: self.done,
            dead: self.dead.values().filter(|dead| !dead.replay).count() as u64,
            discarded: self.discarded.clone(),
            oldest_pending_ms: None,
            replay: ReplayLedger {
                requested: self.replay.requested,
                pending: self.replays.len(),
                done: self.replay.done,
                dead: self.dead.values().filter(|dead| dead.replay).count() as u64,
                discarded: self.replay.discarded.clone(),
                ..ReplayLedger::default()
            },
        };
        for open in self.open.values() {
            let (pending, scheduled, in_flight) = if open.replay {
                let books = &mut ledger.replay;
                (&mut books.pending, &mut books.scheduled, &mut books.in_flight)
            } else {
                (&mut ledger.pending, &mut ledger.scheduled, &mut ledger.in_flight)
            };
            *(if open.leased {
                in_flight
            } else if open.due > now {
                scheduled
            } else {
                pending
            }) += 1;
        }
        let waits = |seq: &Seq| topic.delayed.get(seq).is_none_or(|due| *due <= now);
        let fresh = self.marks.iter().filter(|(_, mark)| *mark == Mark::Waiting).map(|(seq, _)| seq);
        let oldest = fresh.chain(end..topic.next).find(waits);
        let open = self.open.iter().find(|(_, open)| !open.leased && open.due <= now).map(|(seq, _)| *seq);
        (ledger, oldest.into_iter().chain(open).min())
    }
}
