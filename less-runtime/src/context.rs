//! What a handler can know of the delivery it handles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::message::{MessageId, StoredMessage};

/// A delivery's circumstances: the optional second argument of `process`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    topic: Arc<str>,
    subscriber: Arc<str>,
    attempt: u32,
    message: Arc<StoredMessage>,
}

impl Context {
    pub(crate) fn new(
        topic: Arc<str>,
        subscriber: Arc<str>,
        attempt: u32,
        message: Arc<StoredMessage>,
    ) -> Self {
        Self { inner: Arc::new(Inner { topic, subscriber, attempt, message }) }
    }

    /// The message's id; the same for every subscriber and every attempt.
    pub fn message_id(&self) -> MessageId {
        self.inner.message.id
    }

    /// The topic's id.
    pub fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// The subscriber's name.
    pub fn subscriber(&self) -> &str {
        &self.inner.subscriber
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// When the message was accepted.
    pub fn published_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.inner.message.published_at)
    }

    /// The ordering key it was published with.
    pub fn key(&self) -> Option<&str> {
        self.inner.message.key.as_deref()
    }

    /// The attributes it was published with.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.inner.message.attributes
    }

    /// The W3C trace parent it was published with.
    pub fn traceparent(&self) -> Option<&str> {
        self.inner.message.traceparent.as_deref()
    }
}
