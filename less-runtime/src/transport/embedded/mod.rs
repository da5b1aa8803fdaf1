//! The embedded broker: one data folder, one owner, durable without anything to install.
//!
//! One thread owns the state and the log. It takes all commands that wait, writes their records with one call, syncs once, and only then answers:
//! concurrent publishes share a sync. A message's body is written once, whatever the number of subscribers; a subscriber is a cursor and a
//! sparse set of what is out of order. An ack alone is not waited for: it is synced at the latest [`LAZY_SYNC`] after it was written, so that a
//! power cut may cause that much to be delivered again, and never loses anything.

mod admin;
mod backup;
mod command;
mod compact;
mod consume;
mod crowd;
mod directory;
mod disk;
mod file;
mod filters;
mod guests;
mod inbox;
mod log;
mod mutant;
mod provision;
mod publish;
mod reader;
mod record;
mod room;
mod runs;
mod scan;
mod serve;
mod state;
mod steps;
mod tail;
#[cfg(test)]
mod tests;
pub mod verify;
mod witness;
mod writer;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use less_model::name::TopicName;
use tokio::sync::oneshot;

pub use self::backup::{RestoreError, restore, snapshot_of_closed};
use self::command::Command;
pub use self::provision::open;
use self::record::{QueueId, TopicId};
use super::{
    Attachment, Consumer, DeadLetter, Few, Guest, Ledger, NewMessage, Replay, Selection, Snapshot,
    SubscriptionIndex, TopicIndex, Transport, TransportError,
};
use crate::clock::Clock;
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};

/// The target under which the store tells what it does, at the trace level, in a field `step`: `taking` what was acknowledged since the last time, asking
/// the `disk` for something, being the `store` again, and having `synced` what was taken. An app's log leaves them out. The names may change.
pub const STEPS: &str = steps::TARGET;

/// Longest time from an ack to its sync.
pub const LAZY_SYNC: Duration = Duration::from_millis(10);

/// How the store works. The default suits most apps.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Size at which a new log file is begun, in bytes; at most 1 GiB. Default 64 MiB.
    pub segment_size: u64,
    /// Bodies of recent messages that are kept in memory, in bytes; an eighth of that more for what subscribers that are behind have read. Default
    /// 64 MiB.
    pub cache: usize,
    /// Room that is left on the disk for acks and dead letters: with less, publishing is refused. Default 32 MiB.
    pub reserve: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_size: 64 << 20, cache: 64 << 20, reserve: 32 << 20 }
    }
}

/// An open data folder.
pub struct Embedded {
    commands: Commands,
    /// The store's numbers for the layout's topics and subscriptions.
    topics: Vec<TopicId>,
    topic_names: Vec<TopicName>,
    queues: Vec<QueueId>,
    current: directory::Current,
    acks: Arc<consume::Acks>,
    consumed: Arc<Mutex<HashSet<QueueId>>>,
    segments: reader::Segments,
    runs: Arc<runs::Runs>,
    clock: Clock,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// The way to the writer.
#[derive(Clone)]
struct Commands {
    inbox: Arc<inbox::Inbox>,
    /// Why the writer answers no more.
    failure: Arc<OnceLock<TransportError>>,
}

impl Commands {
    /// Sends a command without waiting for anything.
    fn send(&self, command: Command) -> Result<(), TransportError> {
        if self.inbox.send(command) { Ok(()) } else { Err(self.why()) }
    }

    /// Sends a command and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, TransportError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.map_err(|_| self.why())
    }

    fn why(&self) -> TransportError {
        self.failure.get().cloned().unwrap_or(TransportError::Closed)
    }
}

#[async_trait]
impl Transport for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn publish(
        &self,
        topic: TopicIndex,
        messages: Few<NewMessage>,
    ) -> Few<Result<Receipt, PublishError>> {
        self.publish_batch(topic, messages).await
    }

    async fn consumer(&self, subscription: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError> {
        self.open_consumer(subscription)
    }

    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        self.read_ledgers().await
    }

    async fn dead_letters(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        self.list_dead(subscription, after, limit).await
    }

    async fn release(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        self.release_dead(subscription, which).await
    }

    async fn purge(&self, subscription: SubscriptionIndex, which: Selection) -> Result<u64, TransportError> {
        self.purge_dead(subscription, which).await
    }

    async fn replay(&self, subscription: SubscriptionIndex, which: Replay) -> Result<u64, TransportError> {
        self.replay_finished(subscription, which).await
    }

    async fn attach(
        &self,
        topic: TopicIndex,
        wanted: Attachment,
    ) -> Result<SubscriptionIndex, TransportError> {
        self.attach_guest(topic, wanted).await
    }

    async fn guests(&self) -> Result<Vec<(Guest, Ledger)>, TransportError> {
        self.list_guests().await
    }

    async fn drop_guest(&self, subscription: SubscriptionIndex) -> Result<Ledger, TransportError> {
        self.drop_stored(subscription).await
    }

    async fn settle(&self) -> Result<(), TransportError> {
        self.commands.ask(|reply| Command::Settle { reply }).await
    }

    async fn snapshot(&self) -> Result<Snapshot, TransportError> {
        self.take_snapshot().await
    }

    async fn close(&self) -> Result<(), TransportError> {
        let result = self.commands.ask(|reply| Command::Close { reply }).await?;
        let writer = self.writer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // Only then the folder's lock is free again.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
        result
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Whoever did not close it gets the same, without waiting; after a close there is nobody to hear this.
        let (reply, _) = oneshot::channel();
        let _ = self.commands.send(Command::Close { reply });
    }
}
