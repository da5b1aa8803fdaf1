//! What a handler can know of the delivery it handles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::message::{MessageId, StoredMessage};

/// A delivery's circumstances: the optional second argument of `process`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    message: Arc<StoredMessage>,
    source: Arc<Source>,
    attempt: u32,
}

/// What delivers: the same for all deliveries of a subscription.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) topic: String,
    pub(crate) subscriber: String,
}

impl Context {
    pub(crate) fn new(source: Arc<Source>, attempt: u32, message: Arc<StoredMessage>) -> Self {
        Self { message, source, attempt }
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.message.body
    }

    /// The message's id; the same for every subscriber and every attempt.
    pub fn message_id(&self) -> MessageId {
        self.message.id
    }

    /// The topic's id.
    pub fn topic(&self) -> &str {
        &self.source.topic
    }

    /// The subscriber's name.
    pub fn subscriber(&self) -> &str {
        &self.source.subscriber
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the message was accepted.
    pub fn published_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.message.published_at)
    }

    /// The ordering key it was published with.
    pub fn key(&self) -> Option<&str> {
        self.message.key.as_deref()
    }

    /// The attributes it was published with.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.message.attributes
    }

    /// The W3C trace parent it was published with.
    pub fn traceparent(&self) -> Option<&str> {
        self.message.traceparent.as_deref()
    }
}
