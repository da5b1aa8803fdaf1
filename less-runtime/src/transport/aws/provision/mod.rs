//! Making, changing and removing topics and queues: what `less deploy` and the conformance tests do, and a running app never.
//!
//! `desired` says what an app needs, `observe` reads what there is, `difference` compares, `apply` makes, `remove` deletes. The first and the
//! third are pure.

mod apply;
mod archive;
mod desired;
mod difference;
mod error;
mod external;
mod moved;
mod observe;
mod policy;
mod remove;
mod value;

pub use self::apply::{Done, SUBSCRIBE_ELSEWHERE, apply, ensure_all};
pub use self::archive::{DesiredArchive, TAG_ARCHIVE};
pub use self::desired::{
    Desired, DesiredExternal, DesiredQueue, DesiredSubscriber, DesiredTopic, Source, TAG_APP, TAG_CODE,
    TAG_EXTERNAL, TAG_STAGE, TAG_SUBSCRIBER, TAG_TAIL, TAG_TOPIC,
};
pub use self::difference::{Change, attribute_changes, tag_changes};
pub use self::error::ProvisionError;
pub use self::external::{ObservedExternal, OtherTopic, look};
pub use self::observe::{
    Backlog, Observed, ObservedQueue, ObservedSubscription, ObservedTopic, is_ours, observe, observe_all,
    read_backlog,
};
pub use self::policy::{queue_policy, subscriber_statements, topic_policy};
pub use self::remove::{delete_queue, delete_topic, has_messages, unsubscribe};
pub use self::value::{Attributes, Tags, Value};

/// Most calls that are under way at the same time; AWS's rates are for the SDK's adaptive retries to find.
pub const PARALLEL: usize = 16;

/// What there is on AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An SQS queue of dead letters.
    DeadLetters,
    /// A subscriber's SQS queue.
    Queue,
    /// An SQS queue that keeps a topic's messages for replays.
    Archive,
    /// An SNS topic.
    Topic,
    /// What leads from a topic to a queue.
    Subscription,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DeadLetters => "dead-letter queue",
            Self::Queue => "queue",
            Self::Archive => "archive",
            Self::Topic => "topic",
            Self::Subscription => "subscription",
        })
    }
}
