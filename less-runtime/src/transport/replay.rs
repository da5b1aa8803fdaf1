//! Replays: which messages are delivered once more, and why they may not be.

use less_model::name::AppName;

use crate::clock::Timestamp;
use crate::message::MessageId;

/// Which retained messages are delivered once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// All of them.
    All,
    /// Those published at this time or later.
    Since(Timestamp),
    /// This one.
    Id(MessageId),
}

/// Why finished messages are not delivered once more, where a transport keeps them in archives. But for [`ReplayError::Partly`] nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The stage has no archives.
    #[error(
        "stage `{stage}` keeps no finished messages: SNS and SQS do not by themselves\nhint: write `archive = true` into [stages.{stage}] and deploy: what is published after that can be replayed"
    )]
    NoArchive {
        /// The stage.
        stage: String,
    },
    /// The stage says that there are archives, and this one is not there.
    #[error(
        "archive {queue} does not exist: `archive = true` of stage `{stage}` is not deployed yet\nhint: `less deploy --stage {stage}` makes it: what is published after that can be replayed"
    )]
    NotDeployed {
        /// The stage.
        stage: String,
        /// The archive.
        queue: String,
    },
    /// The topic is another app's, and so is what is kept of it.
    #[error(
        "topic `{topic}` is that of app `{app}`, and so is its archive: this app can't have its messages delivered once more\nhint: dead letters can be: `less dlq release`"
    )]
    OtherApp {
        /// That app.
        app: AppName,
        /// The topic's address.
        topic: String,
    },
    /// More than can be read.
    #[error(
        "archive {queue} holds {count} messages, more than the {most} that a replay reads: SQS shows 120,000 at once at most\nhint: a shorter `retention` in topic.toml keeps fewer: once that is deployed, SQS deletes what is older"
    )]
    TooMany {
        /// The archive.
        queue: String,
        /// How many, as far as is known.
        count: u64,
        /// How many it may be.
        most: u64,
    },
    /// Somebody else reads it.
    #[error(
        "archive {queue} is being read by somebody else, or somebody was cut off while reading it: messages hidden: {count}\nhint: try again in 5 minutes"
    )]
    Busy {
        /// The archive.
        queue: String,
        /// How many messages are hidden.
        count: u64,
    },
    /// It could not be read before its messages were seen by others again.
    #[error(
        "archive {queue} could not be read in {seconds} s: {count} messages were, and nothing was sent\nhint: run `less replay` near the queue, on a machine in its region"
    )]
    TooSlow {
        /// The archive.
        queue: String,
        /// How many messages were read.
        count: u64,
        /// The time for it.
        seconds: u64,
    },
    /// Some were sent.
    #[error(
        "{sent} of {chosen} messages were sent to {queue} once more, and then no more: {cause}\nhint: a replay sends all of them, those {sent} as well"
    )]
    Partly {
        /// The subscriber's queue.
        queue: String,
        /// How many were sent.
        sent: u64,
        /// How many should have been.
        chosen: u64,
        /// Why.
        cause: String,
    },
}

impl ReplayError {
    /// Whether it stays so until the app is set up otherwise.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::NoArchive { .. } | Self::OtherApp { .. } => true,
            Self::NotDeployed { .. }
            | Self::TooMany { .. }
            | Self::Busy { .. }
            | Self::TooSlow { .. }
            | Self::Partly { .. } => false,
        }
    }
}
