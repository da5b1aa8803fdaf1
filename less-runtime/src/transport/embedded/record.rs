//! What the log holds: records, each in a frame with its length and checksum.
//!
//! A frame is `length: u32 | crc32c: u32 | payload`, little endian; the checksum covers length and payload. A payload is a [`Record`] in
//! postcard's wire format, whose variants are numbered in their order here: new ones are added at the end.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::state::{Entry, Place};
use crate::clock::Timestamp;
use crate::message::{MessageId, StoredMessage};
use crate::transport::{AttemptError, DeadReason};

/// Bytes before a frame's payload.
pub(super) const HEADER: usize = 8;
/// Longest payload: longer ones are damage.
pub(super) const MAX_PAYLOAD: usize = 64 << 20;

/// A topic's number in the store, from 0.
pub(super) type TopicId = u32;
/// A subscription's number in the store, from 0.
pub(super) type QueueId = u32;
/// A message's number in its topic, from 0.
pub(super) type Seq = u64;

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Record<'a> {
    /// The first record of every write. All of this segment up to `synced` was on stable storage before: damage there is no torn write. At the
    /// beginning of a segment it tells the size of the one before, which was all on stable storage.
    Write { synced: u64 },
    /// The store was opened; what was leased before belongs to a process that is gone.
    Opened { at: Timestamp },
    /// A topic, with the next free number.
    Topic { id: TopicId, name: Cow<'a, str> },
    /// A subscription, with the next free number.
    Queue { id: QueueId, topic: TopicId, name: Cow<'a, str>, start: Seq },
    /// A message.
    Publish {
        topic: TopicId,
        seq: Seq,
        due: Option<Timestamp>,
        idempotency_key: Option<Cow<'a, str>>,
        message: Cow<'a, StoredMessage>,
    },
    /// A message that is kept for few again, so that the segment that held it can go.
    Moved { topic: TopicId, seq: Seq, message: Cow<'a, StoredMessage> },
    /// First attempts, or later ones, of messages without a key begin: queue, first message, how many that follow each other.
    Lease { leases: Cow<'a, [(QueueId, Seq, u32)]> },
    /// An attempt of a message with an ordering key begins; the key as its hash.
    LeaseKeyed { queue: QueueId, seq: Seq, key: u64 },
    /// Done: queue, first message, how many that follow each other.
    Done { done: Cow<'a, [(QueueId, Seq, u32)]> },
    /// To be attempted again.
    Retry { queue: QueueId, seq: Seq, due: Timestamp, error: Cow<'a, AttemptError> },
    /// A dead letter.
    Dead { queue: QueueId, seq: Seq, id: MessageId, reason: DeadReason, error: Cow<'a, AttemptError> },
    /// The attempt did not take place.
    HandBack { queue: QueueId, seq: Seq },
    /// Dead letters that are to be attempted again.
    Release { queue: QueueId, seqs: Cow<'a, [Seq]> },
    /// Dead letters that are gone.
    Purge { queue: QueueId, seqs: Cow<'a, [Seq]> },
    /// A message that can't be delivered any more, with the ledger's name for that.
    Discard { queue: QueueId, seq: Seq, reason: Cow<'a, str> },
    /// Finished messages, as half-open ranges, that are to be delivered to this subscription once more.
    Replay { queue: QueueId, ranges: Cow<'a, [(Seq, Seq)]> },
    /// A message again. It counts once [`Record::Rehomed`] says so.
    Copied { topic: TopicId, seq: Seq, message: Cow<'a, StoredMessage> },
    /// Messages from the first of the entries up to `until` are now where the entries say.
    Rehomed { topic: TopicId, entries: Cow<'a, [Entry]>, until: Seq },
    /// A message that the filters of these queues keep away from them: all that a [`Record::Publish`] says, and that, in one record, so that no
    /// torn write leaves the one without the other.
    PublishFiltered {
        topic: TopicId,
        seq: Seq,
        due: Option<Timestamp>,
        idempotency_key: Option<Cow<'a, str>>,
        message: Cow<'a, StoredMessage>,
        kept_from: Cow<'a, [QueueId]>,
    },
    /// A subscription with a filter that begins before messages which that keeps away: by turns how many pass, and how many after them do not.
    QueueFiltered { id: QueueId, topic: TopicId, name: Cow<'a, str>, start: Seq, runs: Cow<'a, [(u64, u64)]> },
    /// A subscription with its filter, so that what comes while nobody asks for it is judged too; with the runs of [`Record::QueueFiltered`].
    QueueWithFilter {
        id: QueueId,
        topic: TopicId,
        name: Cow<'a, str>,
        start: Seq,
        runs: Cow<'a, [(u64, u64)]>,
        filter: Cow<'a, str>,
    },
    /// A subscription's filter from here on; none where it has none any more.
    QueueFilter { id: QueueId, filter: Option<Cow<'a, str>> },
    /// A subscription that is gone, with all that was in it. Its number is not given out again.
    QueueDropped { id: QueueId },
}

/// Appends a record's frame to `out`. It is sound at this place alone: one that is found elsewhere is damage.
pub(super) fn encode(record: &Record<'_>, place: Place, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    // Writing to a Vec can't fail, and no record holds what postcard can't write.
    let Ok(written) = postcard::to_extend(record, std::mem::take(out)) else { return };
    *out = written;
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX).to_le_bytes();
    let crc = checksum(place, length, &out[start + HEADER..]).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + HEADER].copy_from_slice(&crc);
}

/// The length of the frame that begins here, by its header; `None` where no frame begins, or one with a longer payload.
pub(super) fn length(bytes: &[u8], longest: usize) -> Option<usize> {
    let size = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    (1..=longest).contains(&size).then_some(HEADER + size)
}

/// Whether these bytes are a whole frame whose checksum fits this place.
pub(super) fn sound(frame: &[u8], place: Place) -> bool {
    let (Some(length), Some(crc)) = (frame.first_chunk::<4>(), frame.get(4..HEADER)) else { return false };
    checksum(place, *length, &frame[HEADER..]).to_le_bytes() == crc
}

/// The record in a payload.
pub(super) fn read(payload: &[u8]) -> Option<Record<'static>> {
    postcard::from_bytes(payload).ok()
}

/// The topic and number of the message that a payload holds, without reading the message.
pub(super) fn heading(payload: &[u8]) -> Option<(TopicId, Seq)> {
    let ((variant, topic, seq), _) = postcard::take_from_bytes::<(u32, TopicId, Seq)>(payload).ok()?;
    [PUBLISH, MOVED, COPIED, PUBLISH_FILTERED].contains(&variant).then_some((topic, seq))
}

/// Numbers of the variants that hold messages.
const PUBLISH: u32 = 4;
const MOVED: u32 = 5;
const COPIED: u32 = 16;
const PUBLISH_FILTERED: u32 = 18;

fn checksum(place: Place, length: [u8; 4], payload: &[u8]) -> u32 {
    let mut head = [0; 12];
    head[..4].copy_from_slice(&place.segment.to_le_bytes());
    head[4..8].copy_from_slice(&place.offset.to_le_bytes());
    head[8..].copy_from_slice(&length);
    crc32c::crc32c_append(crc32c::crc32c(&head), payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading_of_every_record_that_holds_a_message_is_read_without_it() {
        let message = StoredMessage {
            id: MessageId::generate(),
            published_at: 1,
            key: None,
            attributes: std::collections::BTreeMap::default(),
            traceparent: None,
            body: "1".into(),
        };
        let (topic, seq, message) = (300, 70_000, Cow::<StoredMessage>::Owned(message));
        let records = [
            Record::Publish { topic, seq, due: None, idempotency_key: None, message: message.clone() },
            Record::Moved { topic, seq, message: message.clone() },
            Record::Copied { topic, seq, message: message.clone() },
            Record::PublishFiltered {
                topic,
                seq,
                due: None,
                idempotency_key: None,
                message,
                kept_from: Cow::Borrowed(&[7]),
            },
        ];
        for record in records {
            let mut frame = Vec::new();
            let place = Place { segment: 3, offset: 40 };
            encode(&record, place, &mut frame);
            assert!(sound(&frame, place));
            assert!(!sound(&frame, Place { offset: 80, ..place }), "it was moved");
            assert!(!sound(&frame, Place { segment: 4, ..place }), "it was moved");
            assert_eq!(heading(&frame[HEADER..]), Some((topic, seq)));
        }
        let mut frame = Vec::new();
        encode(&Record::Opened { at: 1 }, Place { segment: 0, offset: 0 }, &mut frame);
        assert_eq!(heading(&frame[HEADER..]), None);
    }
}
