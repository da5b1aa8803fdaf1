//! What the log holds: records, each in a frame with its length and checksum.
//!
//! A frame is `length: u32 | crc32c: u32 | payload`, little endian; the checksum covers length and payload. A payload is a [`Record`] in
//! postcard's wire format, whose variants are numbered in their order here: new ones are added at the end.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::message::StoredMessage;
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
    /// The first record of every write. All of this segment up to `synced` was on stable storage before: damage there is no torn write.
    Write { synced: u64 },
    /// The store was opened; what was leased before belongs to a process that is gone.
    Opened { at: Timestamp },
    /// A topic, with the next free number.
    Topic { name: Cow<'a, str> },
    /// A subscription, with the next free number.
    Queue { topic: TopicId, name: Cow<'a, str>, start: Seq },
    /// A message.
    Publish {
        topic: TopicId,
        seq: Seq,
        due: Option<Timestamp>,
        idempotency_key: Option<Cow<'a, str>>,
        message: Cow<'a, StoredMessage>,
    },
    /// A message again, so that the segment that held it can go.
    Moved { topic: TopicId, seq: Seq, message: Cow<'a, StoredMessage> },
    /// Attempts begin.
    Lease { queue: QueueId, seqs: Cow<'a, [Seq]> },
    /// Done.
    Done { queue: QueueId, seq: Seq },
    /// To be attempted again.
    Retry { queue: QueueId, seq: Seq, due: Timestamp, error: Cow<'a, AttemptError> },
    /// A dead letter.
    Dead { queue: QueueId, seq: Seq, reason: DeadReason, error: Cow<'a, AttemptError> },
    /// The attempt did not take place.
    HandBack { queue: QueueId, seq: Seq },
    /// Dead letters that are to be attempted again.
    Release { queue: QueueId, seqs: Cow<'a, [Seq]> },
    /// Dead letters that are gone.
    Purge { queue: QueueId, seqs: Cow<'a, [Seq]> },
    /// A message that can't be delivered any more, with the ledger's name for that.
    Discard { queue: QueueId, seq: Seq, reason: Cow<'a, str> },
}

/// Appends a record's frame to `out`.
pub(super) fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    // Writing to a Vec can't fail, and no record holds what postcard can't write.
    let Ok(written) = postcard::to_extend(record, std::mem::take(out)) else { return };
    *out = written;
    let length = u32::try_from(out.len() - start - HEADER).unwrap_or(u32::MAX).to_le_bytes();
    let crc = checksum(length, &out[start + HEADER..]).to_le_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + HEADER].copy_from_slice(&crc);
}

/// The record whose frame begins at `at`, and where the next begins; `None` where no whole, sound frame begins.
pub(super) fn decode(bytes: &[u8], at: usize) -> Option<(Record<'static>, usize)> {
    let header = bytes.get(at..at + HEADER)?;
    let length: [u8; 4] = header[..4].try_into().ok()?;
    let crc: [u8; 4] = header[4..].try_into().ok()?;
    let size = u32::from_le_bytes(length) as usize;
    if size == 0 || size > MAX_PAYLOAD {
        return None;
    }
    let payload = bytes.get(at + HEADER..at + HEADER + size)?;
    if checksum(length, payload) != u32::from_le_bytes(crc) {
        return None;
    }
    Some((postcard::from_bytes(payload).ok()?, at + HEADER + size))
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}
