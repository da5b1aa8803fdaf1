//! Recent messages, in memory, so that who keeps up never reads the disk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::reader::cost;
use super::record::{Seq, TopicId};
use super::state::key_hash;
use crate::message::StoredMessage;

/// The last messages of every topic, up to a limit of bytes in all.
#[derive(Default)]
pub(super) struct Tail {
    limit: usize,
    size: usize,
    /// How many were ever put in: the age of those that are.
    inserted: u64,
    topics: Vec<Recent>,
}

/// A topic's last messages, without gaps.
#[derive(Default)]
struct Recent {
    first: Seq,
    messages: VecDeque<Held>,
}

struct Held {
    message: Arc<StoredMessage>,
    key: u64,
    number: u64,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds a topic's next message; the oldest of all topics make room.
    pub(super) fn insert(&mut self, topic: TopicId, seq: Seq, message: Arc<StoredMessage>) {
        let at = topic as usize;
        if self.topics.len() <= at {
            self.topics.resize_with(at + 1, Recent::default);
        }
        self.size += cost(&message);
        let recent = &mut self.topics[at];
        if recent.messages.is_empty() {
            recent.first = seq;
        }
        let key = key_hash(message.key.as_deref());
        recent.messages.push_back(Held { message, key, number: self.inserted });
        self.inserted += 1;
        while self.size > self.limit {
            self.evict();
        }
    }

    /// Lets the oldest sixteenth go.
    fn evict(&mut self) {
        let oldest =
            self.topics.iter().filter_map(|recent| recent.messages.front()).map(|held| held.number).min();
        let Some(oldest) = oldest else { return };
        let until = oldest + ((self.inserted - oldest) / 16).max(1);
        for at in 0..self.topics.len() {
            while self.topics[at].messages.front().is_some_and(|held| held.number < until) {
                self.pop(at);
            }
        }
    }

    fn pop(&mut self, at: usize) {
        let recent = &mut self.topics[at];
        if let Some(held) = recent.messages.pop_front() {
            recent.first += 1;
            self.size -= cost(&held.message);
        }
    }

    /// How many of a topic's messages are held.
    pub(super) fn len(&self, topic: TopicId) -> usize {
        self.topics.get(topic as usize).map_or(0, |recent| recent.messages.len())
    }

    /// Lets a topic's messages before `seq` go: everyone has had them.
    pub(super) fn trim(&mut self, topic: TopicId, seq: Seq) {
        let at = topic as usize;
        while self.topics.get(at).is_some_and(|recent| recent.first < seq && !recent.messages.is_empty()) {
            self.pop(at);
        }
    }

    fn held(&self, topic: TopicId, seq: Seq) -> Option<&Held> {
        let recent = self.topics.get(topic as usize)?;
        recent.messages.get(usize::try_from(seq.checked_sub(recent.first)?).ok()?)
    }

    pub(super) fn get(&self, topic: TopicId, seq: Seq) -> Option<Arc<StoredMessage>> {
        self.held(topic, seq).map(|held| Arc::clone(&held.message))
    }

    /// The hash of a message's ordering key, where the message is held.
    pub(super) fn key(&self, topic: TopicId, seq: Seq) -> Option<u64> {
        self.held(topic, seq).map(|held| held.key)
    }
}
