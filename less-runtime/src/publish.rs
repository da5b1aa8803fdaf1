//! Publishing: its options, its receipt, its errors.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::message::MessageId;

/// What `publish` returns once the message is on stable storage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The message's id.
    pub message_id: MessageId,
    /// Whether the idempotency key was seen before: then nothing new was stored, and the id is the first message's.
    pub duplicate: bool,
}

impl Receipt {
    /// The receipt of a message.
    pub fn new(message_id: MessageId, duplicate: bool) -> Self {
        Self { message_id, duplicate }
    }
}

/// How to publish. Every option is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Publish {
    /// See [`Publish::key`].
    pub key: Option<String>,
    /// See [`Publish::delay`].
    pub delay: Option<Duration>,
    /// See [`Publish::attribute`].
    pub attributes: BTreeMap<String, String>,
    /// See [`Publish::idempotency_key`].
    pub idempotency_key: Option<String>,
    /// See [`Publish::traceparent`].
    pub traceparent: Option<String>,
}

impl Publish {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ordering key, 1 to 128 bytes.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Delivers no earlier than this long from now, at most 365 days.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Adds an attribute: at most 10, each name 1 to 256 bytes.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Publishes once however often it is called with this key and topic within 24 hours; 1 to 128 bytes.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The W3C trace parent that handlers see.
    #[must_use]
    pub fn traceparent(mut self, traceparent: impl Into<String>) -> Self {
        self.traceparent = Some(traceparent.into());
        self
    }
}

/// Why a message was not accepted. Nothing was stored, unless the variant says that this is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The app has no such topic.
    #[error("there is no topic `{topic}`{}", nearest.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default())]
    UnknownTopic {
        /// The name that was asked for.
        topic: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// The body is no JSON that can be read.
    #[error("the body is no JSON that can be read: {message} at line {line}, column {column}")]
    NotJson {
        /// What the parser says.
        message: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The body does not fit the topic's message type.
    #[error("the message does not fit `{type_name}`{}: {message}", at(pointer))]
    DoesNotFit {
        /// The topic's message type.
        type_name: String,
        /// Where, as a JSON pointer (RFC 6901).
        pointer: String,
        /// What is wrong there.
        message: String,
    },
    /// The message can't be written as JSON.
    #[error("the message can't be written as JSON: {0}")]
    Serialize(String),
    /// The body is larger than is allowed.
    #[error("the message has {size} bytes, the most is {limit} (`{setting}`)")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
        /// Which setting says so: `max_message` of the topic's `topic.toml`, or `max_body` of `less.toml`.
        setting: &'static str,
    },
    /// A character that SNS and SQS do not take: it is outside XML 1.0. Refused on every transport.
    #[error("{place} holds the character U+{:04X}, which SNS and SQS do not take", u32::from(*.character))]
    BadCharacter {
        /// Where.
        place: String,
        /// The character.
        character: char,
    },
    /// An option is out of its range.
    #[error("{option}: {problem}")]
    BadOption {
        /// Which option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The transport can't do what was asked for.
    #[error("the transport `{transport}` can't do this: {capability}")]
    Unsupported {
        /// Which transport.
        transport: &'static str,
        /// What it can't do.
        capability: &'static str,
    },
    /// There is no room for the message. Try again when there is.
    #[error("no room left to store the message: {0}")]
    Full(String),
    /// It is not known whether the message was stored. Publish it again; with the same idempotency key both times it is stored once.
    #[error("it is not known whether the message was stored: {0}")]
    Unavailable(String),
    /// The app is shutting down.
    #[error("the app is shutting down")]
    ShuttingDown,
    /// No app answers there.
    #[error(
        "no running app answers at {url}: {cause}\nhint: start it with `less dev`, or set LESS_URL to where it runs"
    )]
    NoApp {
        /// Where it was looked for.
        url: String,
        /// What happened.
        cause: String,
    },
    /// What answers there shows a certificate that is not trusted here, or is for another host. Nothing was sent.
    #[error("the app at {url} is not trusted: {cause}")]
    Untrusted {
        /// Where it was looked for.
        url: String,
        /// What is wrong with the certificate, and what to do.
        cause: String,
    },
    /// What is said to be the app's URL can't be one.
    #[error("`{url}` is no URL of an app: {problem}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// A running app could not be looked for, because nothing says where it is.
    #[error(
        "no running app was found\nhint: start it with `less dev` in the app's folder, or set LESS_URL to where it runs"
    )]
    NoAddress,
    /// A running app could not be looked for: its address is in a folder that this user may not read.
    #[error(
        "can't read {}, where the running app's address is: {cause}\nhint: an app's data folder is its user's alone: set LESS_URL to where it runs",
        path.display()
    )]
    AddressUnreadable {
        /// The address file.
        path: std::path::PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The app asks for a key, or for another one.
    #[error(
        "the app at {url} refused the API key\nhint: set LESS_API_KEY to the key that the app was started with"
    )]
    Unauthorized {
        /// Where it runs.
        url: String,
    },
    /// An answer that is read piece by piece, such as a backup, did not arrive whole.
    #[error("the answer of the app at {url} broke off: {cause}")]
    BrokeOff {
        /// Where it runs.
        url: String,
        /// What happened.
        cause: String,
    },
    /// The app answered with something unexpected.
    #[error("the app at {url} answered {status}: {detail}")]
    Refused {
        /// Where it runs.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
}

/// Where a message does not fit: nothing is said for the message as a whole.
fn at(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") }
}

/// What [`crate::Topic::publish_many`] returns when not every message was accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} of {} messages were not accepted; the first error: {}", self.failed(), self.results.len(), self.first())]
pub struct PublishManyError {
    /// One result for each message, in their order.
    pub results: Vec<Result<Receipt, PublishError>>,
}

impl PublishManyError {
    /// How many were not accepted.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| result.is_err()).count()
    }

    fn first(&self) -> String {
        self.results
            .iter()
            .find_map(|result| result.as_ref().err())
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}
