//! Messages: what topics carry.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::clock::{Clock, Timestamp};

/// Any JSON: what a topic without a message type carries.
pub type Value = serde_json::Value;

/// A topic's message type. `#[less::message]` implements it.
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type's name, or `None` for a type that takes any JSON.
    const NAME: Option<&'static str>;

    /// The type's JSON Schema (draft 2020-12); for a type that takes any JSON one that allows everything.
    #[cfg(feature = "schema")]
    fn json_schema() -> schemars::Schema {
        true.into()
    }
}

impl Message for Value {
    const NAME: Option<&'static str> = None;
}

/// A message's id: a UUID, version 7, made where the message is accepted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(uuid::Uuid);

/// The time of the last id in milliseconds, and twelve bits that count within it.
static LAST: AtomicU64 = AtomicU64::new(0);
/// How far ids may run ahead of the clock, in milliseconds, before they follow one that was set back.
const AHEAD: u64 = 1_000;

/// The time and the count of the next id: above the last one's, unless the clock was set back. Beyond 4,096 in a millisecond they run ahead.
fn next(last: &AtomicU64, now: Timestamp) -> (Timestamp, u16) {
    let after = |last: u64| match last >> 12 {
        ahead if ahead >= now && ahead - now <= AHEAD => last + 1,
        _ => now << 12,
    };
    let before = last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
    let mine = after(before.unwrap_or_else(|last| last));
    (mine >> 12, u16::try_from(mine & 0xfff).unwrap_or_default())
}

impl MessageId {
    /// A new id: above all that this process has made, as long as its clock is not set back.
    pub fn generate() -> Self {
        let (millis, count) = next(&LAST, Clock::System.now());
        // From the thread's generator: the system's would be asked for every single message.
        let mut rest: [u8; 10] = rand::random();
        // Behind the time there are twelve bits that may count (RFC 9562, 6.2, method 1).
        rest[..2].copy_from_slice(&count.to_be_bytes());
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &rest).into_uuid())
    }

    /// The id that a text always gets (version 5): for what has to be the same when it is made again.
    #[cfg(feature = "aws")]
    pub(crate) fn named(text: &str) -> Self {
        Self(uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, text.as_bytes()))
    }

    /// When it was made, in milliseconds since 1970.
    pub fn time(self) -> Timestamp {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0.as_bytes()[..6]);
        u64::from_be_bytes(bytes)
    }

    /// The id's 16 bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The id of these 16 bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// A message as it is stored and delivered. The body is JSON text, checked before it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// When it was accepted.
    pub published_at: Timestamp,
    /// The ordering key.
    pub key: Option<String>,
    /// Attributes.
    pub attributes: BTreeMap<String, String>,
    /// The W3C trace parent that came with it.
    pub traceparent: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// A body as it is shown: its very text, and `false`; where it is no JSON, a string with that text, and `true`.
pub(crate) fn shown(body: &[u8]) -> (Box<RawValue>, bool) {
    let text = std::str::from_utf8(body).ok().and_then(|text| RawValue::from_string(text.to_owned()).ok());
    let lossy = || serde_json::value::to_raw_value(&String::from_utf8_lossy(body));
    // A string can always be written.
    text.map_or_else(|| (lossy().unwrap_or_else(|_| RawValue::NULL.to_owned()), true), |text| (text, false))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::{AHEAD, Message as _, MessageId, next, shown};

    #[test]
    fn ids_are_in_the_order_in_which_they_were_made() {
        let ids: Vec<MessageId> = (0..10_000).map(|_| MessageId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn ids_count_within_a_millisecond_and_follow_a_clock_that_was_set_back() {
        let last = AtomicU64::new(0);
        let at = |now| next(&last, now);
        assert_eq!([at(5_000), at(5_000), at(5_001)], [(5_000, 0), (5_000, 1), (5_001, 0)]);
        assert_eq!([at(5_000), at(4_999)], [(5_001, 1), (5_001, 2)]);
        let full = AtomicU64::new((7 << 12) | 0xfff);
        assert_eq!([next(&full, 7), next(&full, 7)], [(8, 0), (8, 1)]);
        assert_eq!(at(5_000 - AHEAD), (5_000 - AHEAD, 0));
    }

    #[test]
    fn a_body_is_shown_as_its_very_text_and_what_is_no_json_as_a_string() {
        for body in ["{\"z\":12345678901234567890123,\"a\":1.10,\"a\":2}", "1e999", "null"] {
            let (shown, not_json) = shown(body.as_bytes());
            assert_eq!((shown.get(), not_json), (body, false));
        }
        let (shown, not_json) = shown(b"<a>\xff\n\"");
        assert_eq!((shown.get(), not_json), ("\"<a>\u{fffd}\\n\\\"\"", true));
    }

    #[less::message]
    #[serde(rename_all = "camelCase")]
    #[derive(Debug, PartialEq)]
    struct UserCreated {
        user_id: u64,
    }

    #[test]
    fn a_message_type_reads_and_writes_json_as_serde_is_told_and_knows_its_name() {
        let user = UserCreated { user_id: 7 };
        let text = serde_json::to_string(&user).unwrap();
        assert_eq!(text, "{\"userId\":7}");
        assert_eq!(serde_json::from_str::<UserCreated>(&text).unwrap(), user);
        assert_eq!(UserCreated::NAME, Some("UserCreated"));
    }

    #[cfg(feature = "schema")]
    #[test]
    fn a_message_type_has_a_json_schema() {
        let schema = serde_json::to_value(UserCreated::json_schema()).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["userId"]));
        assert_eq!(schema["properties"]["userId"]["type"], "integer");
    }
}
