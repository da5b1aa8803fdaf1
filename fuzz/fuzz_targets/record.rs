//! The log's records, and the replay of a whole segment.
//!
//! Any bytes, as a record and as a segment: never a panic; a segment opens, or says that it is damaged; what is a record is the same after it was
//! written and read. A message made from the bytes comes back from a log as it went in.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use less_runtime::fuzz::{decode, replay, round_trip};
use less_runtime::message::{MessageId, StoredMessage};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Given {
    id: [u8; 16],
    published_at: u64,
    key: Option<String>,
    attributes: BTreeMap<String, String>,
    traceparent: Option<String>,
    due: Option<u64>,
    idempotency_key: Option<String>,
    body: Vec<u8>,
}

fuzz_target!(|bytes: &[u8]| {
    decode(bytes);
    replay(bytes);
    if let Ok(given) = Given::arbitrary_take_rest(Unstructured::new(bytes)) {
        let message = StoredMessage {
            id: MessageId::from_bytes(given.id),
            published_at: given.published_at,
            key: given.key,
            attributes: given.attributes,
            traceparent: given.traceparent,
            body: given.body.into(),
        };
        round_trip(&message, given.due, given.idempotency_key);
    }
});
