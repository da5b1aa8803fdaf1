//! Frames: a length and a JSON object.

use std::io::Write;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::StoredMessage;

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;
/// Largest frame, in bytes.
pub(super) const MAX_FRAME: usize = 64 << 20;

/// What a worker says. Which fields there are depends on the kind.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) protocol: Option<u32>,
    pub(super) runtime: Option<String>,
    pub(super) error: Option<String>,
    #[serde(default)]
    pub(super) done: Vec<u64>,
    #[serde(default)]
    pub(super) failed: Vec<Failed>,
    pub(super) id: Option<u64>,
    pub(super) state: Option<Cancelled>,
    pub(super) request: Option<u64>,
    pub(super) topic: Option<String>,
    pub(super) messages: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Ready,
    Failed,
    Results,
    Cancelled,
    Publish,
    Crash,
}

/// How far a cancelled delivery was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cancelled {
    Running,
    Waiting,
    Unknown,
}

/// A delivery that did not end well.
#[derive(Debug, Deserialize)]
pub(super) struct Failed {
    pub(super) id: u64,
    pub(super) error: Option<String>,
    pub(super) reject: Option<String>,
    pub(super) retry_after_ms: Option<u64>,
}

/// What the app says, but for deliveries.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Say<'a> {
    Hello {
        protocol: u32,
        app: &'a str,
        topic: &'a str,
        subscriber: &'a str,
        root: &'a str,
        file: &'a str,
        concurrency: u32,
    },
    Cancel {
        id: u64,
    },
    Published {
        request: u64,
        results: serde_json::Value,
    },
    Stop,
}

impl Say<'_> {
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut out = vec![0; 4];
        // Writing to memory does not fail, and neither do these types.
        let _ = serde_json::to_writer(&mut out, self);
        finish(out)
    }
}

/// Deliveries, as one frame.
pub(super) struct Deliveries(Vec<u8>);

impl Deliveries {
    pub(super) fn new() -> Self {
        let mut out = vec![0; 4];
        out.extend_from_slice(br#"{"type":"deliver","deliveries":["#);
        Self(out)
    }

    pub(super) fn push(&mut self, id: u64, attempt: u32, message: &StoredMessage) {
        let out = &mut self.0;
        if !out.ends_with(b"[") {
            out.push(b',');
        }
        // Writing to memory does not fail.
        let _ = write!(
            out,
            r#"{{"id":{id},"message_id":"{}","attempt":{attempt},"published_at":{}"#,
            message.id, message.published_at
        );
        field(out, "key", message.key.as_ref());
        field(out, "attributes", Some(&message.attributes).filter(|attributes| !attributes.is_empty()));
        field(out, "traceparent", message.traceparent.as_ref());
        out.extend_from_slice(br#","body":"#);
        out.extend_from_slice(&message.body);
        out.push(b'}');
    }

    /// How large it is by now.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn frame(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"]}");
        finish(self.0)
    }
}

fn field<T: Serialize>(out: &mut Vec<u8>, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        let _ = write!(out, r#","{name}":"#);
        let _ = serde_json::to_writer(out, value);
    }
}

/// Fills in the length.
fn finish(mut out: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// Cuts what a worker has written into frames.
#[derive(Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    begin: usize,
}

impl Frames {
    /// Where to append what was read.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.begin > 0 {
            self.buffer.drain(..self.begin);
            self.begin = 0;
        }
        &mut self.buffer
    }

    /// The next whole frame; an error says what is wrong with it.
    pub(super) fn next(&mut self) -> Result<Option<Said>, String> {
        let rest = &self.buffer[self.begin..];
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(format!("a frame of {length} bytes, the most is {MAX_FRAME}"));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let said =
            serde_json::from_slice(frame).map_err(|error| format!("a frame that can't be read: {error}"));
        self.begin += 4 + length;
        said.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::message::MessageId;

    fn attributes(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn message(key: Option<&str>) -> StoredMessage {
        StoredMessage {
            id: MessageId::from_bytes([7; 16]),
            published_at: 1,
            key: key.map(str::to_owned),
            attributes: attributes(&[("a\"b", "c")]),
            traceparent: None,
            body: Bytes::from_static(br#"{"x":[1]}"#),
        }
    }

    fn content(frame: &[u8]) -> Value {
        let (length, rest) = frame.split_first_chunk::<4>().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, rest.len());
        serde_json::from_slice(rest).unwrap()
    }

    #[test]
    fn deliveries_are_one_frame_of_json() {
        let mut deliveries = Deliveries::new();
        deliveries.push(1, 2, &message(Some("k\n")));
        deliveries.push(2, 1, &StoredMessage { attributes: attributes(&[]), ..message(None) });
        let id = "07070707-0707-0707-0707-070707070707";
        let expected = json!({"type": "deliver", "deliveries": [
            {"id": 1, "message_id": id, "attempt": 2, "published_at": 1, "key": "k\n", "attributes": {"a\"b": "c"}, "body": {"x": [1]}},
            {"id": 2, "message_id": id, "attempt": 1, "published_at": 1, "body": {"x": [1]}},
        ]});
        assert_eq!(content(&deliveries.frame()), expected);
        assert_eq!(content(&Say::Stop.frame()), json!({"type": "stop"}));
        assert_eq!(content(&Say::Cancel { id: 3 }.frame()), json!({"type": "cancel", "id": 3}));
    }

    fn frame(text: &str) -> Vec<u8> {
        let mut out = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(text.as_bytes());
        out
    }

    #[test]
    fn frames_are_found_wherever_they_are_cut() {
        let bytes = [
            frame(r#"{"type":"ready","protocol":1,"later":true}"#),
            frame(r#"{"type":"results","done":[1,2],"failed":[{"id":3,"reject":"no"}]}"#),
        ]
        .concat();
        for cut in 0..=bytes.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                frames.buffer().extend_from_slice(part);
                while let Some(said) = frames.next().unwrap() {
                    found.push(said);
                }
            }
            assert_eq!(found.iter().map(|said| said.kind).collect::<Vec<_>>(), [Kind::Ready, Kind::Results]);
            assert_eq!((found[1].done.clone(), found[1].failed[0].id), (vec![1, 2], 3));
        }
    }

    #[test]
    fn what_is_no_frame_is_told() {
        for (bytes, expected) in [
            (vec![255; 8], "a frame of 4294967295 bytes, the most is 67108864"),
            (frame("{}"), "a frame that can't be read: missing field `type`"),
            (frame("[1"), "a frame that can't be read: "),
            (frame(r#"{"type":"other"}"#), "a frame that can't be read: unknown variant `other`"),
        ] {
            let mut frames = Frames::default();
            frames.buffer().extend_from_slice(&bytes);
            let error = frames.next().unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
