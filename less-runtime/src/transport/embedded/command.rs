//! What the writer is asked to do, and what it answers.

use std::sync::Arc;

use less_model::manifest::Start;
use tokio::sync::oneshot::Sender;

use super::consume::{Body, QueueLeases, Shared};
use super::directory::StoredFilter;
use super::disk::SnapshotPart;
use super::reader::Run;
use super::record::{QueueId, Seq, TopicId};
use super::state::{Dead, Spot};
use crate::clock::Timestamp;
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};
use crate::transport::{AttemptError, DeadReason, Few, Leases, Ledger, NewMessage, Taker, TransportError};

pub(super) enum Command {
    Publish {
        topic: TopicId,
        messages: Few<NewMessage>,
        /// For each message the queues whose filters keep it away; nothing where there are no filters.
        kept_from: Vec<Vec<QueueId>>,
        /// The version of the directory whose filters said so.
        judged_by: u64,
        reply: Sender<Few<Result<Receipt, PublishError>>>,
    },
    Lease(Lease),
    /// Acks lie in the common list; nobody waits for them.
    Acks,
    /// The same, and the next message of a key does.
    AcksNow,
    HandBack {
        queue: QueueId,
        seq: Seq,
        attempt: u32,
    },
    Discard {
        queue: QueueId,
        seq: Seq,
        attempt: u32,
        reason: &'static str,
    },
    Retry {
        queue: QueueId,
        seq: Seq,
        attempt: u32,
        due: Timestamp,
        error: AttemptError,
        reply: Sender<bool>,
    },
    Dead(Box<Death>),
    Release {
        queue: QueueId,
        which: Option<Vec<MessageId>>,
        reply: Sender<u64>,
    },
    Purge {
        queue: QueueId,
        which: Option<Vec<MessageId>>,
        reply: Sender<u64>,
    },
    Replay {
        queue: QueueId,
        /// What is wanted: half-open ranges, sorted.
        ranges: Vec<(Seq, Seq)>,
        reply: Sender<u64>,
    },
    Where {
        topic: TopicId,
        since: Option<Timestamp>,
        seq: Option<Seq>,
        reply: Sender<Whereabouts>,
    },
    Ledgers {
        queues: Vec<QueueId>,
        reply: Sender<Vec<Books>>,
    },
    DeadLetters {
        queue: QueueId,
        after: Option<MessageId>,
        limit: usize,
        reply: Sender<Vec<Letter>>,
    },
    Attach(Box<Attach>),
    /// `None` where it is gone already.
    Drop {
        queue: QueueId,
        reply: Sender<Option<Ledger>>,
    },
    /// Every ending that was told before is to be on stable storage.
    Settle {
        reply: Sender<()>,
    },
    Snapshot {
        reply: Sender<Result<Vec<SnapshotPart>, TransportError>>,
    },
    Close {
        reply: Sender<Result<(), TransportError>>,
    },
}

/// A consumer asks for messages.
pub(super) struct Lease {
    pub(super) queue: QueueId,
    pub(super) max: usize,
    pub(super) shared: Arc<Shared>,
    /// What the consumer read last, while it is behind.
    pub(super) run: Option<Arc<Run>>,
    /// Whom to give what is leased, while it has room; then this is asked for until that ends.
    pub(super) taker: Option<Arc<dyn Taker>>,
    pub(super) reply: Sender<LeaseAnswer>,
}

impl Lease {
    /// How many messages it is for.
    pub(super) fn room(&self) -> usize {
        self.taker.as_ref().map_or(self.max, |taker| taker.room())
    }
}

/// Another app's subscription is asked for.
pub(super) struct Attach {
    pub(super) topic: TopicId,
    pub(super) name: String,
    pub(super) start: Start,
    pub(super) filter: Option<StoredFilter>,
    pub(super) reply: Sender<Result<QueueId, TransportError>>,
}

/// What a consumer gets.
pub(super) enum LeaseAnswer {
    Leased(Box<dyn Leases>),
    /// The taker has no room.
    Full,
    /// The same, some of which have to be read.
    Unread(QueueLeases<Body>),
    /// The subscription was dropped.
    Dropped,
    /// The next message has to be read before it is known whether it can be leased: it is there, or a little later.
    Behind {
        topic: TopicId,
        seq: Seq,
        spot: Spot,
    },
}

/// An answer that goes out after the sync.
pub(super) enum Answer {
    Published(Sender<Few<Result<Receipt, PublishError>>>, Few<Result<Receipt, PublishError>>),
    Leased(Lease, LeaseAnswer),
    Told(Sender<bool>, bool),
    Count(Sender<u64>, u64),
    Settled(Sender<()>),
    Other(Box<dyn FnOnce() + Send>),
}

impl Answer {
    /// Whoever asked may have gone away; what was done stays done. Where takers may be given what they asked for from here, returns a lease that goes on.
    pub(super) fn send(self, takers: bool) -> Option<Lease> {
        match self {
            Self::Published(reply, results) => drop(reply.send(results)),
            Self::Leased(lease, LeaseAnswer::Leased(mut leases)) => {
                if takers && let Some(taker) = &lease.taker {
                    match Arc::clone(taker).take(leases) {
                        None => return Some(lease),
                        Some(refused) => leases = refused,
                    }
                }
                drop(lease.reply.send(LeaseAnswer::Leased(leases)));
            }
            Self::Leased(lease, answer) => drop(lease.reply.send(answer)),
            Self::Told(reply, held) => drop(reply.send(held)),
            Self::Count(reply, count) => drop(reply.send(count)),
            Self::Settled(reply) => reply.send(()).unwrap_or(()),
            Self::Other(answer) => answer(),
        }
        None
    }
}

/// A message becomes a dead letter.
pub(super) struct Death {
    pub(super) queue: QueueId,
    pub(super) seq: Seq,
    pub(super) attempt: u32,
    pub(super) id: MessageId,
    pub(super) reason: DeadReason,
    pub(super) error: AttemptError,
    pub(super) reply: Sender<bool>,
}

/// A ledger, and where the oldest message is that waits: its time is read there.
pub(super) type Books = (Ledger, Option<(TopicId, Seq, Spot)>);

/// A dead letter without its body.
pub(super) struct Letter {
    pub(super) topic: TopicId,
    pub(super) seq: Seq,
    pub(super) place: Option<Spot>,
    pub(super) dead: Dead,
}

/// Where to begin to look for a message.
pub(super) struct Whereabouts {
    /// A message that comes no later than the first one since the time that was asked for, or the one with that number; and its place.
    pub(super) found: Option<(Seq, Spot)>,
}
