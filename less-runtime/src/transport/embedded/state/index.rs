//! Where a topic's messages are: one entry for every [`SPAN`] bytes of log, so that ten million messages that wait take a few megabytes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Seq;
use crate::clock::Timestamp;

/// Bytes of log that one entry may cover: who looks for a message reads at most this much before it.
pub(in super::super) const SPAN: u32 = 32 << 10;

/// Bytes that a reader may be told of at once.
const CHAIN: u32 = 512 << 10;

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in super::super) struct Place {
    pub(in super::super) segment: u32,
    pub(in super::super) offset: u32,
}

/// Where to look for a message, and how far the messages that follow it do so in the log too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Spot {
    /// It is here, or at most [`SPAN`] bytes later.
    pub(in super::super) place: Place,
    /// Messages before this one come one after the other from there on; what comes behind them may be any.
    pub(in super::super) until: Seq,
}

/// Some messages that follow each other, in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Entry {
    /// The first of them.
    pub(in super::super) first: Seq,
    /// When that one was published.
    pub(in super::super) published_at: Timestamp,
    /// Where that one is; the others come after it, up to the next entry's place.
    pub(in super::super) place: Place,
    /// What they take in all.
    pub(in super::super) bytes: u32,
}

/// The entries of a topic, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Index(VecDeque<Entry>);

impl Index {
    /// Adds the next message.
    pub(super) fn push(&mut self, seq: Seq, place: Place, length: u32, published_at: Timestamp) {
        if let Some(last) = self.0.back_mut()
            && last.place.segment == place.segment
            && last.place.offset <= place.offset
            && place.offset - last.place.offset < SPAN
        {
            last.bytes = last.bytes.saturating_add(length);
        } else {
            self.0.push_back(Entry { first: seq, published_at, place, bytes: length });
        }
    }

    /// The entry that covers a message.
    pub(in super::super) fn find(&self, seq: Seq) -> Option<Entry> {
        let after = self.0.partition_point(|entry| entry.first <= seq);
        self.0.get(after.checked_sub(1)?).copied()
    }

    /// Where a message is, `next` being the number after the last one.
    pub(super) fn spot(&self, seq: Seq, next: Seq) -> Option<Spot> {
        let mut at = self.0.partition_point(|entry| entry.first <= seq).checked_sub(1)?;
        let place = self.0.get(at)?.place;
        // Entries that moved stand elsewhere than those beside them: what is read on must not take the one for the other's follower.
        let until = loop {
            let Some(after) = self.0.get(at + 1) else { break next };
            let here = self.0.get(at)?.place;
            let far = after.place.offset.saturating_sub(place.offset) > CHAIN;
            if after.place.segment != here.segment || after.place.offset < here.offset || far {
                break after.first;
            }
            at += 1;
        };
        (seq < until).then_some(Spot { place, until })
    }

    /// The last entry whose first message was published before `time`; else the first one.
    pub(in super::super) fn before(&self, time: Timestamp) -> Option<Entry> {
        let after = self.0.partition_point(|entry| entry.published_at < time);
        self.0.get(after.saturating_sub(1)).copied()
    }

    pub(in super::super) fn first(&self) -> Option<Entry> {
        self.0.front().copied()
    }

    /// Where the messages of an entry end, if another entry follows.
    pub(super) fn after(&self, entry: Entry) -> Option<Entry> {
        let after = self.0.partition_point(|other| other.first <= entry.first);
        self.0.get(after).copied()
    }

    pub(super) fn pop(&mut self) {
        self.0.pop_front();
    }

    pub(in super::super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// Messages from `entries[0].first` up to `until` are now where `entries` say.
    pub(super) fn rehome(&mut self, entries: &[Entry], until: Seq) {
        let Some(first) = entries.first() else { return };
        let from = self.0.partition_point(|entry| entry.first < first.first);
        let to = self.0.partition_point(|entry| entry.first < until);
        let rest = self.0.split_off(to.max(from));
        self.0.truncate(from);
        self.0.extend(entries.iter().copied());
        self.0.extend(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(segment: u32, offset: u32) -> Place {
        Place { segment, offset }
    }

    #[test]
    fn an_entry_covers_messages_up_to_its_span_and_never_two_segments() {
        let mut index = Index::default();
        for (seq, at) in [(0, place(0, 0)), (1, place(0, SPAN - 1)), (2, place(0, SPAN)), (3, place(1, 0))] {
            index.push(seq, at, 10, seq * 100);
        }
        let firsts: Vec<_> = index.iter().map(|entry| (entry.first, entry.bytes)).collect();
        assert_eq!(firsts, [(0, 20), (2, 10), (3, 10)]);
        assert_eq!(index.find(1).map(|entry| entry.place), Some(place(0, 0)));
        assert_eq!(index.find(9).map(|entry| entry.first), Some(3));
        assert_eq!(index.before(250).map(|entry| entry.first), Some(2));
    }

    #[test]
    fn messages_that_moved_are_found_where_they_are_now() {
        let mut index = Index::default();
        for seq in 0..4 {
            index.push(seq, place(u32::try_from(seq).unwrap(), 0), 10, seq);
        }
        let entry = Entry { first: 1, published_at: 1, place: place(9, 50), bytes: 20 };
        index.rehome(&[entry], 3);
        let segments: Vec<_> = index.iter().map(|entry| (entry.first, entry.place.segment)).collect();
        assert_eq!(segments, [(0, 0), (1, 9), (3, 3)]);
        assert_eq!(
            index.spot(2, 4).map(|spot| spot.until),
            Some(3),
            "what follows it in the log is not message 3"
        );
    }
}
