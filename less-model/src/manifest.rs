//! What a built app carries with it: its topics, subscribers and settings, as one JSON document that `less build` writes.
//!
//! Logical names only. Physical names (queues, ARNs, folders) come from the topology and the transports.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::contract::Contract;
use crate::filter::Filter;
use crate::language::{Language, Worker};
use crate::name::{AppName, StageName, SubscriberName, TopicName};
use crate::quantity::{QuantityError, Size, Span};

/// The version of this document's form; a program refuses one that it does not know.
pub const VERSION: u32 = 1;

/// An app, as its built program knows it. Topics are sorted by name, and so are each topic's subscribers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form's version, [`VERSION`].
    pub version: u32,
    /// The app's name.
    pub app: AppName,
    /// What `less.toml` says.
    pub settings: Settings,
    /// How workers are started, for each language of a subscriber that is not compiled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workers: BTreeMap<Language, Worker>,
    /// Every topic.
    pub topics: Vec<Topic>,
    /// What others may rely on, for those who ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract>,
    /// Other apps' topics that this app subscribes to, sorted by app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<ExternalApp>,
}

/// Another app, of whose topics this app subscribes to some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalApp {
    /// Its name.
    pub app: AppName,
    /// Those topics, sorted by name, with this app's subscribers. What else they say is what the other app's contract says, or else the default.
    pub topics: Vec<Topic>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its id.
    pub name: TopicName,
    /// The name of its message type; without one the topic carries any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// The JSON Schema that a message has to fit before it is accepted, for a topic with a `message.schema.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
    /// How long messages are kept once no subscriber waits for them, up to 3,650 d; 0 s until every subscriber is done. Default 7 d.
    pub retention: Span,
    /// Whether messages with the same key are to be handled in publish order on transports that have to know that beforehand: SNS and SQS
    /// make FIFO topics and queues of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// Largest message with its attributes, 1 KiB to 1 MiB. Default 256 KiB.
    #[serde(default = "default_max_message", skip_serializing_if = "is_default_max_message")]
    pub max_message: Size,
    /// Its subscribers.
    pub subscribers: Vec<Subscriber>,
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// Its name, unique in its topic.
    pub name: SubscriberName,
    /// What it is written in.
    pub language: Language,
    /// Its handler's file, relative to the app's folder, with `/`.
    pub file: String,
    /// How its messages are handled.
    pub policy: Policy,
    /// Which of the topic's messages it gets; all of them without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// How a subscriber's messages are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Most messages handled at the same time, 1 to 10,000. Default 10.
    pub concurrency: u32,
    /// Longest that one attempt may take, 1 ms to 12 h. Default 30 s.
    pub timeout: Span,
    /// Attempts before a message becomes a dead letter, 1 to 1,000. Default 15.
    pub max_attempts: u32,
    /// Wait before the second attempt, before jitter, 1 ms to 12 h; doubled for each one after. Default 1 s.
    pub min_backoff: Span,
    /// Longest wait between two attempts, at least `min_backoff`, at most 12 h. Default 10 min.
    pub max_backoff: Span,
    /// Where a new subscriber begins. Default now.
    pub start: Start,
    /// Worker processes, 1 to 64, that share its messages; nothing for a subscriber that is compiled in. Default 1.
    pub processes: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            concurrency: 10,
            timeout: Span::from_secs(30),
            max_attempts: 15,
            min_backoff: Span::from_secs(1),
            max_backoff: Span::from_secs(600),
            start: Start::Now,
            processes: 1,
        }
    }
}

/// Where a subscriber that did not exist before begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Start {
    /// With the first message published after it was made.
    Now,
    /// With the oldest message that the topic still retains.
    Earliest,
    /// With the first retained message that was published this long ago or later; written `-24h`.
    Ago(Span),
}

impl FromStr for Start {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        match text {
            "now" => Ok(Self::Now),
            "earliest" => Ok(Self::Earliest),
            other => other.strip_prefix('-').unwrap_or("").parse().map(Self::Ago),
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Earliest => f.write_str("earliest"),
            Self::Ago(span) => write!(f, "-{span}"),
        }
    }
}

impl TryFrom<String> for Start {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        text.parse()
    }
}

impl From<Start> for String {
    fn from(start: Start) -> Self {
        start.to_string()
    }
}

/// Default retention of a topic: seven days.
pub const DEFAULT_RETENTION: Span = Span::from_secs(7 * 86_400);
/// Default size of the largest message: 256 KiB, which SNS and SQS take without being told.
pub const DEFAULT_MAX_MESSAGE: Size = Size::from_bytes(256 * 1024);

fn default_max_message() -> Size {
    DEFAULT_MAX_MESSAGE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default_max_message(size: &Size) -> bool {
    *size == DEFAULT_MAX_MESSAGE
}

/// What `less.toml` says, as far as a running app needs it: one layer for the file, one for each stage. `None` is "not said here".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The file's own top level.
    #[serde(default, flatten)]
    pub base: Layer,
    /// One layer per `[stages.<name>]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<StageName, Layer>,
}

/// One layer of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Address to listen on, `ip:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The data folder, relative to the app's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where the app is reached from outside; stages alone say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What stores and delivers messages; stages alone choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportKind>,
    /// Where on AWS.
    #[serde(default, skip_serializing_if = "AwsLayer::is_empty")]
    pub aws: AwsLayer,
    /// The HTTP endpoint.
    #[serde(default)]
    pub http: HttpLayer,
    /// Where other apps are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external: BTreeMap<AppName, ExternalLayer>,
}

/// Where another app is: `[external.<app>]`, or `[stages.<stage>.external.<app>]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalLayer {
    /// Its URL, on the embedded broker; without one it is looked for among the apps that run on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The environment variable that holds the token which it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
    /// A file with the certificates that its own is checked against, PEM, relative to the app's folder; the system's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Its stage; the same as this app's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// Its AWS account, 12 digits; the same as this app's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its AWS region; the same as this app's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl ExternalLayer {
    /// What this layer says, and what `below` says where it says nothing.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        Self {
            url: self.url.clone().or_else(|| below.url.clone()),
            token_env: self.token_env.clone().or_else(|| below.token_env.clone()),
            ca: self.ca.clone().or_else(|| below.ca.clone()),
            stage: self.stage.clone().or_else(|| below.stage.clone()),
            account: self.account.clone().or_else(|| below.account.clone()),
            region: self.region.clone().or_else(|| below.region.clone()),
        }
    }
}

/// What stores and delivers messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// The embedded broker.
    #[default]
    Embedded,
    /// SNS topics and SQS queues.
    Aws,
}

impl TransportKind {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Embedded, Self::Aws];

    /// Its name in `less.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Aws => "aws",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a stage on AWS says beside its transport.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsLayer {
    /// The region, such as `eu-west-1`; what the environment says without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account, 12 digits: in any other one nothing is deployed or run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The KMS key that encrypts topics and queues (id, ARN or `alias/…`); SQS's own without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Other accounts that may subscribe queues of theirs to this app's topics, 12 digits each. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriber_accounts: Vec<String>,
    /// Whether each topic's messages are kept in a queue beside its subscribers' ones, so that they can be replayed. Default no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archive: bool,
}

impl AwsLayer {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Settings {
    /// The transport of a stage: the embedded broker, unless its table says otherwise.
    pub fn transport(&self, stage: &StageName) -> TransportKind {
        self.stages.get(stage).and_then(|layer| layer.transport).unwrap_or_default()
    }

    /// Where another app is, seen from a stage.
    pub fn external(&self, stage: &StageName, app: &AppName) -> ExternalLayer {
        let base = self.base.external.get(app).cloned().unwrap_or_default();
        let layer = self.stages.get(stage).and_then(|layer| layer.external.get(app));
        layer.map_or_else(|| base.clone(), |layer| layer.over(&base))
    }

    /// Whether HTTPS is spoken in some stage: by this app's endpoint, or to another app.
    pub fn needs_tls(&self) -> bool {
        let https = |layer: &ExternalLayer| layer.url.as_ref().is_some_and(|url| url.starts_with("https://"));
        let mut layers = self.stages.values().chain([&self.base]);
        layers.any(|layer| layer.http.tls.is_some() || layer.external.values().any(https))
    }

    /// Every transport that some stage runs on, and the embedded broker, which development runs on.
    pub fn transports(&self) -> std::collections::BTreeSet<TransportKind> {
        let stages = self.stages.values().filter_map(|layer| layer.transport);
        stages.chain([TransportKind::Embedded]).collect()
    }
}

/// One layer of the HTTP endpoint's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpLayer {
    /// Host names, beside `localhost` and IP addresses, that requests may be addressed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
    /// Largest body of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<Size>,
    /// Most connections at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// What makes it HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
}

/// What makes an endpoint HTTPS. Paths are relative to the app's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// A file with the certificate, and behind it those that lead to an authority: PEM.
    pub cert: String,
    /// A file with the certificate's private key: PEM.
    pub key: String,
}
