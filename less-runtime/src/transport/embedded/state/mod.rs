//! What the log means: topics, queues, and the books. Pure: records in, state out; time comes with the records.
//!
//! The same [`State::apply`] runs live and when the log is read back, so that what a crash leaves is what a live store had.

mod index;
mod marks;
mod queue;
mod ranges;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

pub(super) use self::index::{Entry, Index, Place, SPAN, Spot};
pub(super) use self::marks::Mark;
#[cfg(test)]
pub(super) use self::queue::SUSPECT;
pub(super) use self::queue::{Dead, Queue};
use super::record::{QueueId, Record, Seq, TopicId};
use crate::clock::{Timestamp, millis};
use crate::message::{MessageId, StoredMessage};
use crate::transport::IDEMPOTENCY_WINDOW;

/// The ledger's name for messages that a filter keeps away.
pub(super) const FILTERED: &str = "filtered";

/// Bytes that a message takes at least.
const LEAST: u64 = 32;

/// Failed attempts that are remembered per message.
const HISTORY: usize = 20;

/// Everything the store knows, but for the bodies.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) topics: Vec<Topic>,
    pub(super) queues: Vec<Queue>,
    /// When the store was last opened: the time of the crashes that this revealed.
    opened_at: Timestamp,
    /// Filters, as JSON, of the queues that have one. In a checkpoint they stand behind all else: those of earlier versions end before them.
    #[serde(skip)]
    pub(super) filters: BTreeMap<QueueId, String>,
    /// How many messages may have been in what was damaged, while the log is read.
    #[serde(skip)]
    lost: u64,
}

/// What there is: how many topics, how many queues and which of those were dropped, and the filters.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outline {
    topics: usize,
    queues: usize,
    dropped: Vec<QueueId>,
    filters: BTreeMap<QueueId, String>,
}

/// What is needed of a segment: messages one by one, and whole entries with the message that follows each.
pub(super) type Needed = (Vec<(TopicId, Seq)>, Vec<(TopicId, Entry, Seq)>);

/// A topic.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) name: String,
    /// The next message's number.
    pub(super) next: Seq,
    /// When the last message was published.
    last_published: Timestamp,
    /// Whether a message ever had an ordering key.
    pub(super) keyed: bool,
    /// Where messages are, from the first that is kept for all.
    pub(super) index: Index,
    /// Older ones that are still needed: dead letters, and what came back from them. With what each takes.
    pub(super) moved: BTreeMap<Seq, (Place, u32)>,
    /// Those that were published with a delay.
    pub(super) delayed: BTreeMap<Seq, Timestamp>,
    /// Idempotency keys.
    pub(super) keys: HashMap<String, (MessageId, Timestamp)>,
}

impl Topic {
    /// The first message that is kept for all.
    pub(super) fn base(&self) -> Seq {
        self.index.first().map_or(self.next, |entry| entry.first)
    }

    /// Where to look for a message.
    pub(super) fn place(&self, seq: Seq) -> Option<Spot> {
        if let Some((place, _)) = self.moved.get(&seq) {
            return Some(Spot { place: *place, until: seq + 1 });
        }
        self.index.spot(seq, self.next)
    }

    /// The message that this idempotency key published within the window.
    pub(super) fn seen(&self, key: &str, now: Timestamp) -> Option<MessageId> {
        let (id, at) = self.keys.get(key)?;
        (now < at + millis(IDEMPOTENCY_WINDOW)).then_some(*id)
    }

    /// The first message that stays when those before `needed` go as soon as they are older than `kept` milliseconds.
    fn first_kept(&self, needed: Seq, kept: u64, now: Timestamp) -> Seq {
        let old = |published: Timestamp| published.saturating_add(kept) <= now;
        let mut first = self.base();
        for entry in self.index.iter() {
            // An entry goes when the one after it begins with an old message: then all of its own are old.
            let (end, newest) = match self.index.after(*entry) {
                Some(after) => (after.first, after.published_at),
                None => (self.next, self.last_published),
            };
            if end > needed || !old(newest) {
                break;
            }
            first = end;
        }
        first
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
    /// Takes a record in. `place` is where its frame lies, `length` what it takes. False where it speaks of what is not there.
    pub(super) fn apply(&mut self, record: &Record<'_>, place: Place, length: u32) -> bool {
        if !self.makes_sense(record) {
            return false;
        }
        match record {
            Record::Write { .. } | Record::Copied { .. } => {}
            Record::Opened { at } => {
                self.opened_at = *at;
                for queue in &mut self.queues {
                    queue.crashed(*at);
                }
            }
            Record::Topic { name, .. } => {
                self.topics.push(Topic { name: name.clone().into_owned(), ..Topic::default() });
            }
            Record::Queue { topic, name, start, .. } => {
                // Where the messages before it were damaged, their numbers are not given out again.
                if let Some(topic) = self.topic(*topic) {
                    topic.next = topic.next.max(*start);
                }
                self.queues.push(Queue::new(*topic, name.clone().into_owned(), *start));
            }
            Record::QueueFiltered { topic, name, start, runs, .. } => {
                self.begin_filtered(*topic, name.clone().into_owned(), *start, runs);
            }
            Record::QueueWithFilter { id, topic, name, start, runs, filter } => {
                self.begin_filtered(*topic, name.clone().into_owned(), *start, runs);
                self.filters.insert(*id, filter.clone().into_owned());
            }
            Record::QueueFilter { id, filter } => match filter {
                Some(filter) => drop(self.filters.insert(*id, filter.clone().into_owned())),
                None => drop(self.filters.remove(id)),
            },
            Record::QueueDropped { id } => {
                if let Some(queue) = self.queues.get_mut(*id as usize) {
                    *queue = Queue::dropped(queue.topic, std::mem::take(&mut queue.name));
                }
                self.filters.remove(id);
            }
            Record::Publish { topic, seq, due, idempotency_key, message } => {
                self.published(*topic, *seq, *due, idempotency_key.as_deref(), message, place, length);
            }
            Record::PublishFiltered { topic, seq, due, idempotency_key, message, kept_from } => {
                self.published(*topic, *seq, *due, idempotency_key.as_deref(), message, place, length);
                for queue in kept_from.iter() {
                    self.with(*queue, *seq, |queue| queue.discard(*seq, FILTERED));
                }
            }
            Record::Moved { topic, seq, .. } => {
                if let Some(topic) = self.topic(*topic) {
                    topic.moved.insert(*seq, (place, length));
                }
            }
            Record::Rehomed { topic, entries, until } => {
                if let Some(topic) = self.topic(*topic) {
                    topic.index.rehome(entries, *until);
                }
            }
            Record::Lease { leases } => {
                self.each(leases, Queue::lease_all);
            }
            Record::LeaseKeyed { queue, seq, key } => {
                self.with(*queue, *seq, |queue| queue.lease(*seq, *key));
            }
            Record::Done { done } => {
                self.each(done, Queue::done_all);
            }
            Record::Retry { queue, seq, due, error } => {
                self.with(*queue, *seq, |queue| queue.retry(*seq, *due, error));
            }
            Record::Dead { queue, seq, id, reason, error } => {
                self.with(*queue, *seq, |queue| queue.dead(*seq, *id, *reason, error));
            }
            Record::HandBack { queue, seq } => self.with(*queue, *seq, |queue| queue.hand_back(*seq)),
            Record::Release { queue, seqs } => {
                seqs.iter().for_each(|seq| self.with(*queue, *seq, |queue| queue.release(*seq)));
            }
            Record::Purge { queue, seqs } => {
                seqs.iter().for_each(|seq| self.with(*queue, *seq, |queue| queue.purge(*seq)));
            }
            Record::Discard { queue, seq, reason } => {
                self.with(*queue, *seq, |queue| queue.discard(*seq, reason));
            }
            Record::Replay { queue, ranges } => {
                for (from, to) in ranges.iter().filter(|(from, to)| from < to) {
                    self.with(*queue, to - 1, |queue| queue.replay(*from, *to));
                }
            }
        }
        true
    }

    /// Whether what a record speaks of is there.
    fn makes_sense(&self, record: &Record<'_>) -> bool {
        let topic = |id: TopicId| (id as usize) < self.topics.len();
        let queue = |id: QueueId| (id as usize) < self.queues.len();
        match record {
            Record::Write { .. } | Record::Opened { .. } => true,
            Record::Topic { id, .. } => *id as usize == self.topics.len(),
            Record::Queue { id, topic: of, start, .. }
            | Record::QueueFiltered { id, topic: of, start, .. }
            | Record::QueueWithFilter { id, topic: of, start, .. } => {
                let next = self.topics.get(*of as usize).map(|topic| topic.next);
                *id as usize == self.queues.len()
                    && next.is_some_and(|next| *start <= next.saturating_add(self.lost))
            }
            Record::PublishFiltered { topic: id, kept_from, .. }
                if kept_from
                    .iter()
                    .any(|queue| self.queues.get(*queue as usize).is_none_or(|queue| queue.topic != *id)) =>
            {
                false
            }
            Record::Publish { topic: id, seq, .. } | Record::PublishFiltered { topic: id, seq, .. } => {
                let next = self.topics.get(*id as usize).map(|topic| topic.next);
                // Their numbers have gaps only where some were damaged.
                next.is_some_and(|next| (next..=next.saturating_add(self.lost)).contains(seq))
            }
            Record::Moved { topic: id, .. }
            | Record::Copied { topic: id, .. }
            | Record::Rehomed { topic: id, .. } => topic(*id),
            Record::Lease { leases: runs } | Record::Done { done: runs } => {
                runs.iter().all(|(id, _, _)| queue(*id))
            }
            Record::LeaseKeyed { queue: id, .. }
            | Record::Retry { queue: id, .. }
            | Record::Dead { queue: id, .. }
            | Record::HandBack { queue: id, .. }
            | Record::Release { queue: id, .. }
            | Record::Purge { queue: id, .. }
            | Record::Discard { queue: id, .. }
            | Record::Replay { queue: id, .. }
            | Record::QueueFilter { id, .. }
            | Record::QueueDropped { id } => queue(*id),
        }
    }

    /// What was read next was damaged, so many bytes of it: the numbers of messages that were in it are known from what is said of them later.
    pub(super) fn damaged(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes / LEAST);
    }

    /// A record speaks of this message: it was published, even if that was damaged.
    fn existed(&mut self, id: QueueId, seq: Seq) {
        if self.lost > 0
            && let Some(queue) = self.queues.get(id as usize)
            && let Some(topic) = self.topics.get_mut(queue.topic as usize)
            && (topic.next..topic.next.saturating_add(self.lost)).contains(&seq)
        {
            topic.next = seq + 1;
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one record")]
    fn published(
        &mut self,
        topic: TopicId,
        seq: Seq,
        due: Option<Timestamp>,
        idempotency_key: Option<&str>,
        message: &StoredMessage,
        place: Place,
        length: u32,
    ) {
        let Some(topic) = self.topic(topic) else { return };
        topic.next = seq.saturating_add(1);
        topic.last_published = message.published_at;
        topic.keyed |= message.key.is_some();
        topic.index.push(seq, place, length, message.published_at);
        if let Some(due) = due {
            topic.delayed.insert(seq, due);
        }
        if let Some(key) = idempotency_key {
            topic.keys.insert(key.to_owned(), (message.id, message.published_at));
        }
    }

    /// A queue that begins before messages which its filter keeps away.
    fn begin_filtered(&mut self, id: TopicId, name: String, start: Seq, runs: &[(u64, u64)]) {
        let mut queue = Queue::new(id, name, start);
        if let Some(topic) = self.topic(id) {
            topic.next = topic.next.max(start);
            let mut seq = start;
            for (passed, kept) in runs {
                let from = seq.saturating_add(*passed).min(topic.next);
                seq = from.saturating_add(*kept).min(topic.next);
                (from..seq).for_each(|seq| queue.discard(seq, FILTERED));
            }
        }
        self.queues.push(queue);
    }

    fn topic(&mut self, id: TopicId) -> Option<&mut Topic> {
        self.topics.get_mut(id as usize)
    }

    /// For each message of runs; numbers that no message has are passed over.
    fn each(&mut self, runs: &[(QueueId, Seq, u32)], change: impl Fn(&mut Queue, Seq, Seq)) {
        for (id, first, count) in runs {
            self.existed(*id, first.saturating_add(u64::from(count.saturating_sub(1))));
            let Some(queue) = self.queues.get_mut(*id as usize).filter(|queue| !queue.is_dropped()) else {
                continue;
            };
            let Some(topic) = self.topics.get(queue.topic as usize) else { continue };
            let end = first.saturating_add(u64::from(*count)).min(topic.next);
            if *first < end {
                change(queue, *first, end);
            }
        }
    }

    /// Changes what became of a message; a number that no message has is passed over, and so is a queue that is gone.
    fn with(&mut self, id: QueueId, seq: Seq, change: impl FnOnce(&mut Queue)) {
        self.existed(id, seq);
        let Some(queue) = self.queues.get_mut(id as usize).filter(|queue| !queue.is_dropped()) else {
            return;
        };
        if self.topics.get(queue.topic as usize).is_some_and(|topic| seq < topic.next) {
            change(queue);
        }
    }

    /// What all records that make or drop something have made of it.
    pub(super) fn outline(&self) -> Outline {
        let dropped = (0..).zip(&self.queues).filter(|(_, queue)| queue.is_dropped());
        Outline {
            topics: self.topics.len(),
            queues: self.queues.len(),
            dropped: dropped.map(|(id, _)| id).collect(),
            filters: self.filters.clone(),
        }
    }

    /// A queue and its topic.
    pub(super) fn both(&mut self, id: QueueId) -> (&mut Queue, &Topic) {
        let queue = &mut self.queues[id as usize];
        let topic = &self.topics[queue.topic as usize];
        (queue, topic)
    }

    /// Makes what is not stored, once everything that is has been read.
    pub(super) fn rebuild(&mut self) {
        self.lost = 0;
        for queue in &mut self.queues {
            queue.rebuild();
        }
    }

    /// By topic, the first message that the next [`State::forget`] keeps for all.
    fn first_kept(&self, now: Timestamp, retention: &HashMap<String, u64>) -> Vec<Seq> {
        let mut needed = vec![Seq::MAX; self.topics.len()];
        let mut queues = vec![(0_u32, 0_u32); self.topics.len()];
        for queue in &self.queues {
            let (left, dropped) = &mut queues[queue.topic as usize];
            if queue.is_dropped() {
                *dropped += 1;
                continue;
            }
            *left += 1;
            let least = &mut needed[queue.topic as usize];
            // What a replay is still to hand out must not go before.
            *least = (*least).min(queue.marks.floor()).min(queue.replays.first().unwrap_or(Seq::MAX));
        }
        let kept = |topic: &Topic, queues| match (retention.get(&topic.name), queues) {
            (Some(kept), _) => *kept,
            // A topic that has no folder any more goes with its last subscription that is dropped.
            (None, (0, 1..)) => 0,
            (None, _) => u64::MAX,
        };
        let topics = self.topics.iter().zip(needed).zip(queues);
        topics.map(|((topic, needed), queues)| topic.first_kept(needed, kept(topic, queues), now)).collect()
    }

    /// Forgets what no queue and no retention needs.
    pub(super) fn forget(&mut self, now: Timestamp, retention: &HashMap<String, u64>) {
        let first_kept = self.first_kept(now, retention);
        for ((id, topic), first) in (0..).zip(&mut self.topics).zip(first_kept) {
            while topic.index.first().is_some_and(|entry| entry.first < first) {
                topic.index.pop();
            }
            let queues = || self.queues.iter().filter(move |queue| queue.topic == id);
            topic.moved.retain(|seq, _| {
                *seq >= first
                    || queues().any(|queue| queue.dead.contains_key(seq) || queue.open.contains_key(seq))
            });
            topic.delayed = topic.delayed.split_off(&first);
            topic.keys.retain(|_, (_, at)| now < *at + millis(IDEMPOTENCY_WINDOW));
        }
    }

    /// Dead letters and what came back from them that the next [`State::forget`] would leave without a body: they are to be moved first.
    pub(super) fn to_move(&self, now: Timestamp, retention: &HashMap<String, u64>) -> Vec<(TopicId, Seq)> {
        let first_kept = self.first_kept(now, retention);
        let mut out = BTreeSet::new();
        for queue in &self.queues {
            let topic = &self.topics[queue.topic as usize];
            let first = first_kept[queue.topic as usize];
            let seqs = queue.dead.range(..first).map(|(seq, _)| seq);
            let seqs = seqs.chain(queue.open.range(..first).map(|(seq, _)| seq));
            out.extend(seqs.filter(|seq| !topic.moved.contains_key(seq)).map(|seq| (queue.topic, *seq)));
        }
        out.into_iter().collect()
    }

    /// What each segment holds that is still needed, in bytes.
    pub(super) fn live(&self) -> BTreeMap<u32, u64> {
        let mut out = BTreeMap::new();
        for topic in &self.topics {
            for entry in topic.index.iter() {
                *out.entry(entry.place.segment).or_default() += u64::from(entry.bytes);
            }
            for (place, length) in topic.moved.values() {
                *out.entry(place.segment).or_default() += u64::from(*length);
            }
        }
        out
    }

    /// What a segment holds that is still needed.
    pub(super) fn in_segment(&self, segment: u32) -> Needed {
        let (mut moved, mut entries) = (Vec::new(), Vec::new());
        for (id, topic) in (0..).zip(&self.topics) {
            let here = topic.moved.iter().filter(|(_, (place, _))| place.segment == segment);
            moved.extend(here.map(|(seq, _)| (id, *seq)));
            let here = topic.index.iter().filter(|entry| entry.place.segment == segment);
            entries.extend(here.map(|entry| {
                (id, *entry, topic.index.after(*entry).map_or(topic.next, |after| after.first))
            }));
        }
        (moved, entries)
    }
}
