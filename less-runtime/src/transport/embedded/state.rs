//! What the log means: topics, queues, and the books. Pure: records in, state out; time comes with the records.
//!
//! The same [`State::apply`] runs live and when the log is read back, so that what a crash leaves is what a live store had.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::record::{QueueId, Record, Seq, TopicId};
use crate::clock::{Timestamp, millis};
use crate::message::MessageId;
use crate::transport::{AttemptError, AttemptErrorKind, DeadReason, IDEMPOTENCY_WINDOW, Ledger};

/// Failed attempts that are remembered per message.
const HISTORY: usize = 20;

/// Everything the store knows, but for the bodies.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) topics: Vec<Topic>,
    pub(super) queues: Vec<Queue>,
    /// When the store was last opened: the time of the crashes that this revealed.
    opened_at: Timestamp,
}

/// A topic.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) name: String,
    /// The first message that `index` holds.
    pub(super) base: Seq,
    /// Where messages are, from `base` on.
    pub(super) index: VecDeque<Entry>,
    /// Older ones that are still needed.
    pub(super) moved: BTreeMap<Seq, Entry>,
    /// Those that were published with a delay.
    pub(super) delayed: BTreeMap<Seq, Timestamp>,
    /// Idempotency keys.
    pub(super) keys: HashMap<String, (MessageId, Timestamp)>,
}

/// Where a message is, and what delivering needs to know without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) segment: u32,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) published_at: Timestamp,
    /// A hash of the ordering key; 0 is none. Keys that share a hash are ordered among each other, which is more than was asked for.
    pub(super) key: u64,
}

/// A subscription's queue.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Queue {
    pub(super) topic: TopicId,
    pub(super) name: String,
    start: Seq,
    /// Every message before it is finished.
    pub(super) floor: Seq,
    /// Those from `floor` on that are finished: done, dead or discarded.
    finished: BTreeSet<Seq>,
    /// Those that have been leased before and are not finished.
    pub(super) open: BTreeMap<Seq, Open>,
    pub(super) leased: BTreeSet<Seq>,
    pub(super) dead: BTreeMap<Seq, Dead>,
    done: u64,
    discarded: BTreeMap<String, u64>,

    /// What follows is made anew by `rebuild`. The next message that was not looked at.
    #[serde(skip)]
    cursor: Seq,
    #[serde(skip)]
    ready: BTreeSet<Seq>,
    #[serde(skip)]
    scheduled: BTreeMap<Seq, Timestamp>,
    /// The same by time, so that finding what is due costs no more than what is due.
    #[serde(skip)]
    by_due: BTreeSet<(Timestamp, Seq)>,
    /// Ordering keys that a message holds until it is finished, with those that wait for it.
    #[serde(skip)]
    busy: HashMap<u64, BTreeSet<Seq>>,
}

/// A message that was leased before.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) attempts: u32,
    pub(super) due: Timestamp,
    pub(super) history: Vec<AttemptError>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) reason: DeadReason,
    pub(super) died_at: Timestamp,
    pub(super) attempts: u32,
    pub(super) history: Vec<AttemptError>,
}

impl Topic {
    pub(super) fn next(&self) -> Seq {
        self.base + self.index.len() as u64
    }

    pub(super) fn entry(&self, seq: Seq) -> Option<Entry> {
        if let Some(entry) = self.moved.get(&seq) {
            return Some(*entry);
        }
        let at = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        self.index.get(at).copied()
    }

    /// The message that this idempotency key published within the window.
    pub(super) fn seen(&self, key: &str, now: Timestamp) -> Option<MessageId> {
        let (id, at) = self.keys.get(key)?;
        (now < at + millis(IDEMPOTENCY_WINDOW)).then_some(*id)
    }
}

/// A hash that is the same in every version: FNV-1a, never 0.
pub(super) fn key_hash(key: Option<&str>) -> u64 {
    let Some(key) = key else { return 0 };
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash.max(1)
}

impl State {
    /// Takes a record in. `place` is where its frame lies: segment, offset, length.
    pub(super) fn apply(&mut self, record: &Record<'_>, place: (u32, u32, u32)) {
        match record {
            Record::Write { .. } => {}
            Record::Opened { at } => {
                self.opened_at = *at;
                for queue in &mut self.queues {
                    queue.crashed(*at);
                }
            }
            Record::Topic { name } => {
                self.topics.push(Topic { name: name.clone().into_owned(), ..Topic::default() });
            }
            Record::Queue { topic, name, start } => self.queues.push(Queue {
                topic: *topic,
                name: name.clone().into_owned(),
                start: *start,
                floor: *start,
                cursor: *start,
                ..Queue::default()
            }),
            Record::Publish { topic, seq, due, idempotency_key, message } => {
                let topic = &mut self.topics[*topic as usize];
                debug_assert_eq!(*seq, topic.next());
                topic.index.push_back(entry(place, message));
                if let Some(due) = due {
                    topic.delayed.insert(*seq, *due);
                }
                if let Some(key) = idempotency_key {
                    topic.keys.insert(key.clone().into_owned(), (message.id, message.published_at));
                }
            }
            Record::Moved { topic, seq, message } => {
                self.topics[*topic as usize].moved.insert(*seq, entry(place, message));
            }
            Record::Lease { queue, seqs } => {
                for seq in seqs.iter() {
                    self.queue(*queue).lease(*seq);
                }
            }
            Record::Done { queue, seq } => {
                let (queue, topic) = self.both(*queue);
                queue.open.remove(seq);
                queue.done += 1;
                queue.finish(*seq, topic);
            }
            Record::Retry { queue, seq, due, error } => {
                let queue = self.queue(*queue);
                queue.leased.remove(seq);
                queue.fail(*seq, error);
                queue.open.entry(*seq).or_default().due = *due;
                queue.schedule(*seq, *due);
            }
            Record::Dead { queue, seq, reason, error } => {
                let (queue, topic) = self.both(*queue);
                // A crash is in the history already, and the lease that found no attempts left was none.
                let crashed = error.kind == AttemptErrorKind::Crash;
                if !crashed {
                    queue.fail(*seq, error);
                }
                let mut open = queue.open.remove(seq).unwrap_or_default();
                open.attempts -= u32::from(crashed && open.attempts > 0);
                let dead = Dead {
                    reason: *reason,
                    died_at: error.at,
                    attempts: open.attempts,
                    history: open.history,
                };
                queue.dead.insert(*seq, dead);
                queue.finish(*seq, topic);
            }
            Record::HandBack { queue, seq } => {
                let queue = self.queue(*queue);
                queue.leased.remove(seq);
                let open = queue.open.entry(*seq).or_default();
                open.attempts = open.attempts.saturating_sub(1);
                queue.ready.insert(*seq);
            }
            Record::Release { queue, seqs } => {
                let (queue, topic) = self.both(*queue);
                for seq in seqs.iter() {
                    if queue.dead.remove(seq).is_some() {
                        queue.open.insert(*seq, Open::default());
                        queue.admit(*seq, topic);
                    }
                }
            }
            Record::Purge { queue, seqs } => {
                let queue = self.queue(*queue);
                for seq in seqs.iter() {
                    if queue.dead.remove(seq).is_some() {
                        *queue.discarded.entry("purged".to_owned()).or_default() += 1;
                    }
                }
            }
            Record::Discard { queue, seq, reason } => {
                let (queue, topic) = self.both(*queue);
                queue.open.remove(seq);
                *queue.discarded.entry(reason.clone().into_owned()).or_default() += 1;
                queue.finish(*seq, topic);
            }
        }
    }

    fn queue(&mut self, id: QueueId) -> &mut Queue {
        &mut self.queues[id as usize]
    }

    /// A queue and its topic.
    pub(super) fn both(&mut self, id: QueueId) -> (&mut Queue, &Topic) {
        let queue = &mut self.queues[id as usize];
        let topic = &self.topics[queue.topic as usize];
        (queue, topic)
    }

    /// Makes what is not stored, once everything that is has been read.
    pub(super) fn rebuild(&mut self) {
        for queue in &mut self.queues {
            let topic = &self.topics[queue.topic as usize];
            queue.cursor = queue.floor;
            queue.ready.clear();
            queue.scheduled.clear();
            queue.by_due.clear();
            queue.busy.clear();
            let open: Vec<Seq> = queue.open.keys().copied().collect();
            for seq in open {
                queue.admit(seq, topic);
            }
        }
    }

    /// Forgets what no queue and no retention needs.
    pub(super) fn forget(&mut self, now: Timestamp, retention: &HashMap<String, u64>) {
        for (id, topic) in (0..).zip(&mut self.topics) {
            let queues = || self.queues.iter().filter(move |queue| queue.topic == id);
            let needed = queues().map(|queue| queue.floor).min().unwrap_or(Seq::MAX);
            let kept = retention.get(&topic.name).copied().unwrap_or(u64::MAX);
            while topic.base < needed
                && topic.index.front().is_some_and(|entry| entry.published_at.saturating_add(kept) <= now)
            {
                topic.index.pop_front();
                topic.base += 1;
            }
            topic.moved.retain(|seq, _| {
                *seq >= topic.base
                    || queues().any(|queue| queue.dead.contains_key(seq) || queue.open.contains_key(seq))
            });
            topic.delayed = topic.delayed.split_off(&topic.base);
            topic.keys.retain(|_, (_, at)| now < *at + millis(IDEMPOTENCY_WINDOW));
        }
    }

    /// Dead letters and released ones that the next [`State::forget`] would leave without a body: they are to be moved first.
    pub(super) fn to_move(&self, now: Timestamp, retention: &HashMap<String, u64>) -> Vec<(TopicId, Seq)> {
        let mut out = BTreeSet::new();
        for (id, topic) in (0..).zip(&self.topics) {
            let queues = || self.queues.iter().filter(move |queue| queue.topic == id);
            let needed = queues().map(|queue| queue.floor).min().unwrap_or(Seq::MAX);
            let kept = retention.get(&topic.name).copied().unwrap_or(u64::MAX);
            let old =
                topic.index.iter().take_while(|entry| entry.published_at.saturating_add(kept) <= now).count()
                    as u64;
            let base = needed.min(topic.base + old);
            for queue in queues() {
                let seqs = queue.dead.keys().chain(queue.open.keys());
                out.extend(
                    seqs.filter(|seq| **seq < base && !topic.moved.contains_key(seq)).map(|seq| (id, *seq)),
                );
            }
        }
        out.into_iter().collect()
    }

    /// The first segment of those that hold messages by their index; all from there on are needed.
    pub(super) fn first_segment(&self) -> Option<u32> {
        self.topics.iter().filter_map(|topic| topic.index.front()).map(|entry| entry.segment).min()
    }

    /// Older segments that moved messages keep, with how many bytes of them.
    pub(super) fn moved_segments(&self) -> BTreeMap<u32, u64> {
        let mut out = BTreeMap::new();
        for entry in self.topics.iter().flat_map(|topic| topic.moved.values()) {
            *out.entry(entry.segment).or_default() += u64::from(entry.length);
        }
        out
    }

    /// Moved messages in segments that hold less than `least` bytes of such: moved once more, they free their segments.
    pub(super) fn scattered(&self, least: u64, current: u32) -> Vec<(TopicId, Seq)> {
        let first = self.first_segment().unwrap_or(current).min(current);
        let segments = self.moved_segments();
        let sparse =
            |segment: u32| segment < first && segments.get(&segment).is_some_and(|bytes| *bytes < least);
        let moved =
            (0..).zip(&self.topics).flat_map(|(id, topic)| topic.moved.iter().map(move |entry| (id, entry)));
        moved.filter(|(_, (_, entry))| sparse(entry.segment)).map(|(id, (seq, _))| (id, *seq)).collect()
    }
}

fn entry(place: (u32, u32, u32), message: &crate::message::StoredMessage) -> Entry {
    let (segment, offset, length) = place;
    Entry {
        segment,
        offset,
        length,
        published_at: message.published_at,
        key: key_hash(message.key.as_deref()),
    }
}

impl Queue {
    /// Messages to lease now, at most `max`: those that came back first, then new ones.
    pub(super) fn pick(&mut self, topic: &Topic, now: Timestamp, max: usize) -> Vec<Seq> {
        self.wake(now);
        let mut out = Vec::new();
        while out.len() < max {
            if let Some(seq) = self.ready.pop_first() {
                out.push(seq);
                continue;
            }
            // The floor may have passed the cursor, over messages that were finished before the store was opened.
            let seq = self.cursor.max(self.floor);
            if seq >= topic.next() {
                break;
            }
            self.cursor = seq + 1;
            if !self.finished.contains(&seq) && !self.open.contains_key(&seq) {
                self.admit(seq, topic);
                self.wake(now);
            }
        }
        out
    }

    /// When the next scheduled message is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Makes ready what is due.
    fn wake(&mut self, now: Timestamp) {
        while let Some((due, seq)) = self.by_due.first().copied()
            && due <= now
        {
            self.unschedule(seq);
            self.ready.insert(seq);
        }
    }

    fn schedule(&mut self, seq: Seq, due: Timestamp) {
        self.scheduled.insert(seq, due);
        self.by_due.insert((due, seq));
    }

    fn unschedule(&mut self, seq: Seq) {
        if let Some(due) = self.scheduled.remove(&seq) {
            self.by_due.remove(&(due, seq));
        }
    }

    /// Puts an unfinished message where it belongs: behind the holder of its key, with the scheduled, or with the ready.
    fn admit(&mut self, seq: Seq, topic: &Topic) {
        let key = topic.entry(seq).map_or(0, |entry| entry.key);
        if key != 0 {
            if let Some(waiting) = self.busy.get_mut(&key) {
                waiting.insert(seq);
                return;
            }
            self.busy.insert(key, BTreeSet::new());
        }
        self.enter(seq, topic);
    }

    fn enter(&mut self, seq: Seq, topic: &Topic) {
        let due = match self.open.get(&seq) {
            Some(open) => open.due,
            None => topic.delayed.get(&seq).copied().unwrap_or(0),
        };
        if due == 0 {
            self.ready.insert(seq);
        } else {
            self.schedule(seq, due);
        }
    }

    fn lease(&mut self, seq: Seq) {
        let open = self.open.entry(seq).or_default();
        open.attempts += 1;
        open.due = 0;
        self.leased.insert(seq);
        self.ready.remove(&seq);
        self.unschedule(seq);
    }

    fn fail(&mut self, seq: Seq, error: &AttemptError) {
        let history = &mut self.open.entry(seq).or_default().history;
        if history.len() == HISTORY {
            history.remove(0);
        }
        history.push(error.clone());
    }

    /// What was leased is attempted again: its process is gone.
    fn crashed(&mut self, at: Timestamp) {
        for seq in std::mem::take(&mut self.leased) {
            let message = "the process ended during the attempt".to_owned();
            self.fail(seq, &AttemptError { kind: AttemptErrorKind::Crash, message, at });
        }
    }

    /// Nothing more is to be done for it; the next message of its key may go.
    fn finish(&mut self, seq: Seq, topic: &Topic) {
        self.leased.remove(&seq);
        self.ready.remove(&seq);
        self.unschedule(seq);
        if seq >= self.floor {
            self.finished.insert(seq);
            while self.finished.remove(&self.floor) {
                self.floor += 1;
            }
        }
        let key = topic.entry(seq).map_or(0, |entry| entry.key);
        if key != 0
            && let Some(waiting) = self.busy.get_mut(&key)
        {
            match waiting.pop_first() {
                Some(next) => self.enter(next, topic),
                None => {
                    self.busy.remove(&key);
                }
            }
        }
    }

    /// The books, each number counted for itself.
    pub(super) fn ledger(&self, topic: &Topic, now: Timestamp) -> Ledger {
        let next = topic.next();
        let from = self.cursor.max(self.floor);
        let open_unseen =
            self.open.range(from..).filter(|(seq, _)| !self.finished.contains(seq)).count() as u64;
        let unseen = next.saturating_sub(from) - self.finished.range(from..).count() as u64 - open_unseen;
        let parked: usize = self.busy.values().map(BTreeSet::len).sum();
        let oldest = [self.ready.first().copied(), (unseen > 0).then_some(from)]
            .into_iter()
            .flatten()
            .chain(self.busy.values().filter_map(|waiting| waiting.first().copied()))
            .min();
        Ledger {
            published: next - self.start,
            pending: self.ready.len() as u64 + parked as u64 + unseen,
            scheduled: self.scheduled.len() as u64,
            in_flight: self.leased.len() as u64,
            done: self.done,
            dead: self.dead.len() as u64,
            discarded: self.discarded.clone(),
            oldest_pending_ms: oldest
                .and_then(|seq| topic.entry(seq))
                .map(|entry| now.saturating_sub(entry.published_at)),
        }
    }
}
