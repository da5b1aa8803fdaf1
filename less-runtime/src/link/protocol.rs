//! What both sides say. Fields that one side does not know are passed over, so that some can be added without a new version.

use std::collections::BTreeMap;

use less_model::filter::Filter;
use less_model::manifest::Start;
use less_model::name::{AppName, SubscriberName, TopicName};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::message::MessageId;
use crate::transport::{AttemptError, DeadReason, Ledger};

/// The version of the protocol, which the request for a link names.
pub(crate) const VERSION: u32 = 1;

/// A subscription of this link: its place in [`Hello::subscriptions`].
pub(crate) type Place = u32;
/// A delivery's number in its session, from 1.
pub(super) type DeliveryId = u64;
/// A request's number in its session.
pub(super) type RequestId = u64;

/// The subscriber's first words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    /// Its app.
    pub(super) app: AppName,
    /// Its data folder's own number: two processes with the same one never run at the same time.
    pub(super) instance: String,
    /// Its process's own number.
    pub(super) boot: String,
    /// The session that goes on.
    pub(super) session: Option<u64>,
    /// Deliveries of that session that it holds, or whose ending was not confirmed.
    #[serde(default)]
    pub(super) holding: Vec<DeliveryId>,
    /// What it subscribes to.
    pub(super) subscriptions: Vec<Subscription>,
}

/// A subscription.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) topic: TopicName,
    pub(crate) subscriber: SubscriberName,
    pub(crate) start: Start,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<Filter>,
}

/// What the subscriber says after that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToPublisher {
    Hello(Hello),
    /// So many messages of a subscription can be started now.
    Lease {
        request: RequestId,
        of: Place,
        max: u32,
    },
    /// They can't any more.
    Cancel {
        request: RequestId,
    },
    /// What became of deliveries.
    End {
        endings: Vec<(DeliveryId, Ending)>,
        seen: u64,
    },
    /// Administration.
    Ask {
        request: RequestId,
        what: Question,
    },
    /// It is there. `seen` is the number of the last [`ToSubscriber::Ended`] that came.
    Ping {
        seen: u64,
    },
    /// It ends, and holds nothing any more.
    Bye,
}

/// What became of a delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ending {
    Done,
    Retry { after_ms: u64, error: AttemptError },
    Dead { reason: DeadReason, error: AttemptError },
    HandedBack,
}

/// An administrative question. Which dead letters: all of them without ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Question {
    Ledgers,
    DeadLetters { of: Place, after: Option<MessageId>, limit: usize },
    Release { of: Place, ids: Option<Vec<MessageId>> },
    Purge { of: Place, ids: Option<Vec<MessageId>> },
    Replay { of: Place, since: Option<Timestamp>, id: Option<MessageId> },
}

/// What the publisher says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToSubscriber {
    /// The answer to [`Hello`].
    Welcome {
        app: AppName,
        session: u64,
        /// Of those that are held: the ones that are not the subscriber's any more.
        #[serde(default)]
        lost: Vec<DeliveryId>,
        /// Subscriptions that can't be, and why.
        #[serde(default)]
        refused: Vec<(Place, String)>,
        /// Subscriptions of this app that are stored and that it did not name: topic, subscriber, messages that wait, dead letters.
        #[serde(default)]
        left: Vec<(TopicName, SubscriberName, u64, u64)>,
        /// How many other processes of this app are linked, and share its queues.
        #[serde(default)]
        others: usize,
    },
    /// There can be no link, and why.
    Refused { error: String },
    /// Messages; their bodies lie behind this, one after the other. More of the same request follow where `more` says so.
    Deliver { request: RequestId, deliveries: Vec<Delivered>, more: bool },
    /// Endings that are on stable storage, or came too late.
    Ended { number: u64, done: Vec<DeliveryId>, late: Vec<DeliveryId> },
    /// The answer to a question; bodies of dead letters lie behind this.
    Answer { request: RequestId, answer: Answer },
    /// It is there.
    Ping,
    /// It ends: nothing more will be leased; what is held may be ended until the connection closes.
    Bye,
}

/// A message, without its body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Delivered {
    pub(super) id: DeliveryId,
    pub(super) attempt: u32,
    #[serde(flatten)]
    pub(super) head: Head,
}

/// What a message has beside its body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) message_id: MessageId,
    pub(super) published_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
    /// The body's length in bytes.
    pub(super) body: usize,
}

/// An answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Ledgers(Vec<Ledger>),
    DeadLetters(Vec<Letter>),
    Count(u64),
    Failed { unsupported: bool, error: String },
}

/// A dead letter, without its body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Letter {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) reason: DeadReason,
    pub(super) died_at: Timestamp,
    pub(super) attempts: u32,
    pub(super) history: Vec<AttemptError>,
}
