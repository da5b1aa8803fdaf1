//! What travels with a body: Less's own attribute, and the message's attributes.
//!
//! SNS and SQS carry ten attributes; one of them, `less`, is a JSON text with all that has no place of its own: the id, the time, the key, and for
//! a copy what happened before it. Messages that others published have none, and get what SQS knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::app::MAX_ATTRIBUTES;
use crate::clock::Timestamp;
use crate::message::{MessageId, StoredMessage};
use crate::transport::{AttemptError, DeadReason};

/// The name of Less's own attribute.
pub(super) const OWN: &str = "less";
/// The type of every attribute.
pub(super) const STRING: &str = "String";

/// Less's own attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// The message's id.
    pub(super) id: MessageId,
    /// When it was accepted.
    pub(super) at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    /// Attributes that found no room beside this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    /// Not to be handled before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Timestamp>,
    /// Attempts that were made before this copy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) attempts: u32,
    /// How they failed, as far as is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) history: Vec<AttemptError>,
    /// Of a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead: Option<Dead>,
    /// Of a dead letter in a FIFO queue: the group that a release gives it back to, where neither the key nor its own group says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
}

/// Why and when a message became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dead {
    pub(super) reason: DeadReason,
    pub(super) at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A message as it is sent: body, and attributes by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) body: String,
    pub(super) attributes: BTreeMap<String, String>,
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) message: Arc<StoredMessage>,
    pub(super) envelope: Envelope,
    /// How often SQS has handed it out, this time included.
    pub(super) receives: u32,
    /// The group that it belongs to, in a FIFO queue.
    pub(super) group: Option<String>,
    /// When SQS got it.
    pub(super) sent_at: Timestamp,
}

impl Envelope {
    /// The envelope of a message that is new.
    pub(super) fn new(message: &StoredMessage, due: Option<Timestamp>) -> Self {
        Self {
            id: message.id,
            at: message.published_at,
            key: message.key.clone(),
            traceparent: message.traceparent.clone(),
            attributes: BTreeMap::new(),
            due,
            attempts: 0,
            history: Vec::new(),
            dead: None,
            group: None,
        }
    }

    /// Packs a message. Of ten attributes of its own the last one that `inside` allows goes into the envelope: there are ten in all.
    pub(super) fn pack(mut self, message: &StoredMessage, inside: impl Fn(&str) -> bool) -> Parcel {
        let mut attributes = message.attributes.clone();
        while attributes.len() >= MAX_ATTRIBUTES {
            let last = attributes.keys().rev().find(|name| inside(name)).or(attributes.keys().next_back());
            let Some((name, value)) = last.cloned().and_then(|name| attributes.remove_entry(&name)) else {
                break;
            };
            self.attributes.insert(name, value);
        }
        // Of strings and numbers: it can be written.
        attributes.insert(OWN.to_owned(), serde_json::to_string(&self).unwrap_or_default());
        // A body is JSON, so it is UTF-8.
        Parcel { body: String::from_utf8_lossy(&message.body).into_owned(), attributes }
    }
}

impl Parcel {
    /// What SNS and SQS count: the body, and every attribute with its name and type.
    pub(super) fn size(&self) -> usize {
        let attribute = |(name, value): (&String, &String)| name.len() + STRING.len() + value.len();
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }
}

/// Reads a received message.
pub(super) fn read(message: &Message) -> Received {
    let system = |name: &MessageSystemAttributeName| message.attributes().and_then(|found| found.get(name));
    let number = |name| system(&name).and_then(|text| text.parse::<u64>().ok());
    let sent_at = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or(1);
    let mut attributes: BTreeMap<String, String> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.string_value()?.to_owned())))
        .collect();
    let own = attributes.remove(OWN).and_then(|text| serde_json::from_str::<Envelope>(&text).ok());
    let mut envelope = own.unwrap_or_else(|| foreign(message, sent_at));
    attributes.append(&mut envelope.attributes.clone());
    let stored = StoredMessage {
        id: envelope.id,
        published_at: envelope.at,
        key: envelope.key.clone(),
        attributes,
        traceparent: envelope.traceparent.clone(),
        body: Bytes::from(message.body().unwrap_or_default().to_owned()),
    };
    envelope.attributes = BTreeMap::new();
    Received {
        message: Arc::new(stored),
        envelope,
        receives: u32::try_from(receives).unwrap_or(u32::MAX).max(1),
        group: system(&MessageSystemAttributeName::MessageGroupId).cloned(),
        sent_at,
    }
}

/// For a message that something else than Less has published: SQS's own id is a UUID.
fn foreign(message: &Message, sent_at: Timestamp) -> Envelope {
    let id = message.message_id().and_then(|id| id.parse().ok()).unwrap_or_else(MessageId::generate);
    Envelope {
        id,
        at: sent_at,
        key: None,
        traceparent: None,
        attributes: BTreeMap::new(),
        due: None,
        attempts: 0,
        history: Vec::new(),
        dead: None,
        group: None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::MessageAttributeValue;

    use super::*;

    fn message(attributes: usize) -> StoredMessage {
        StoredMessage {
            id: MessageId::generate(),
            published_at: 7,
            key: Some("k".to_owned()),
            attributes: (0..attributes).map(|n| (format!("a{n}"), n.to_string())).collect(),
            traceparent: Some("00-1".to_owned()),
            body: Bytes::from_static(b"{\"n\":1}"),
        }
    }

    /// As SQS would hand it out.
    fn received(parcel: &Parcel) -> Message {
        let value = |text: &String| {
            MessageAttributeValue::builder().data_type(STRING).string_value(text).build().unwrap()
        };
        parcel
            .attributes
            .iter()
            .fold(Message::builder().body(&parcel.body), |built, (name, text)| {
                built.message_attributes(name, value(text))
            })
            .build()
    }

    #[test]
    fn what_is_packed_is_read_as_it_was_with_up_to_ten_attributes() {
        for count in [0, 1, 9, 10] {
            let sent = message(count);
            let parcel = Envelope::new(&sent, Some(9)).pack(&sent, |_| true);
            assert!(parcel.attributes.len() <= MAX_ATTRIBUTES);
            let got = read(&received(&parcel));
            assert_eq!(*got.message, sent);
            assert_eq!((got.envelope.due, got.receives), (Some(9), 1));
        }
    }

    #[test]
    fn the_attribute_that_goes_inside_is_one_that_nobody_filters_by() {
        let sent = message(10);
        let parcel = Envelope::new(&sent, None).pack(&sent, |name| name == "a3");
        assert!(!parcel.attributes.contains_key("a3"));
        assert!(parcel.attributes.contains_key("a9"));
    }

    #[test]
    fn a_message_that_others_published_has_what_sqs_knows() {
        let id = "8a7f3c1e-0000-4000-8000-0123456789ab";
        let sqs = Message::builder()
            .message_id(id)
            .body("hi")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1700000000000")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "3")
            .build();
        let got = read(&sqs);
        assert_eq!((got.message.id.to_string().as_str(), got.message.published_at), (id, 1_700_000_000_000));
        assert_eq!((got.receives, &got.message.body[..]), (3, &b"hi"[..]));
    }
}
