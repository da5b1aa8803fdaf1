//! Books and dead letters: the fourth room.

use std::collections::HashSet;
use std::sync::Arc;

use super::record::Seq;
use super::state::{Dead, Entry};
use super::writer::Command;
use super::{Embedded, TransportError};
use crate::message::{MessageId, StoredMessage};
use crate::transport::{DeadLetter, Ledger, Selection, SubscriptionIndex};

impl Embedded {
    pub(super) async fn read_ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        let queues = self.queues.clone();
        self.commands.ask(|reply| Command::Ledgers { queues, reply }).await
    }

    pub(super) async fn list_dead(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        let dead = self.dead(subscription).await?;
        let mut passed = after.is_none();
        let letters = dead.into_iter().filter_map(|(_, message, dead)| {
            let wanted = passed;
            passed |= Some(message.id) == after;
            wanted.then(|| DeadLetter {
                message: Arc::new(message),
                reason: dead.reason,
                died_at: dead.died_at,
                attempts: dead.attempts,
                history: dead.history,
            })
        });
        Ok(letters.take(limit.clamp(1, 1000)).collect())
    }

    pub(super) async fn release_dead(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        let seqs = self.select(subscription, which).await?;
        let queue = self.queues[subscription.0 as usize];
        self.commands.ask(|reply| Command::Release { queue, seqs, reply }).await
    }

    pub(super) async fn purge_dead(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        let seqs = self.select(subscription, which).await?;
        let queue = self.queues[subscription.0 as usize];
        self.commands.ask(|reply| Command::Purge { queue, seqs, reply }).await
    }

    async fn entries(
        &self,
        subscription: SubscriptionIndex,
    ) -> Result<Vec<(Seq, Entry, Dead)>, TransportError> {
        let queue = self.queues[subscription.0 as usize];
        self.commands.ask(|reply| Command::DeadLetters { queue, reply }).await
    }

    /// The dead letters with their bodies, oldest first. One that can't be read is told of in the log and left out.
    async fn dead(
        &self,
        subscription: SubscriptionIndex,
    ) -> Result<Vec<(Seq, StoredMessage, Dead)>, TransportError> {
        let entries = self.entries(subscription).await?;
        let segments = self.segments.clone();
        let read = tokio::task::spawn_blocking(move || {
            let whole = entries.into_iter().filter_map(|(seq, entry, dead)| match segments.read(entry) {
                Ok(message) => Some((seq, message, dead)),
                Err(error) => {
                    tracing::error!("a dead letter can't be read: {error}");
                    None
                }
            });
            whole.collect()
        });
        read.await.map_err(|_| TransportError::Closed)
    }

    async fn select(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<Vec<Seq>, TransportError> {
        match which {
            Selection::All => {
                Ok(self.entries(subscription).await?.into_iter().map(|(seq, _, _)| seq).collect())
            }
            Selection::Ids(ids) => {
                let ids: HashSet<MessageId> = ids.into_iter().collect();
                let dead = self.dead(subscription).await?;
                Ok(dead
                    .into_iter()
                    .filter(|(_, message, _)| ids.contains(&message.id))
                    .map(|(seq, _, _)| seq)
                    .collect())
            }
        }
    }
}
