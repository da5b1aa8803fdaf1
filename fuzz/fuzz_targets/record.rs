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
struct Published {
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
    if let Ok(published) = Published::arbitrary_take_rest(Unstructured::new(bytes)) {
        let message = StoredMessage {
            id: MessageId::from_bytes(published.id),
            published_at: published.published_at,
            key: published.key,
            attributes: published.attributes,
            traceparent: published.traceparent,
            body: published.body.into(),
        };
        round_trip(&message, published.due, published.idempotency_key);
    }
});
