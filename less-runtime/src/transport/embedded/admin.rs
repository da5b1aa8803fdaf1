//! Books and dead letters: the fourth room.

use std::sync::{Arc, Mutex, PoisonError};

use less_model::filter::Matcher;

use super::command::Command;
use super::directory::Listed;
use super::filters::{common, passes};
use super::reader::Segments;
use super::record::{QueueId, Seq, TopicId};
use super::{Embedded, TransportError};
use crate::clock::Timestamp;
use crate::message::{MessageId, StoredMessage};
use crate::transport::{DeadLetter, Ledger, Replay, Selection, SubscriptionIndex};

/// How far apart the time in a message's id and the order of messages may be, in milliseconds: publishers run side by side.
const SLACK: u64 = 10_000;
/// How much is read at once in search of a message, in bytes.
const SEARCH: u64 = 1 << 20;

impl Embedded {
    pub(super) async fn read_ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        self.ledgers_of(self.queues.clone()).await
    }

    /// The ledgers of these queues, in their order.
    pub(super) async fn ledgers_of(&self, queues: Vec<QueueId>) -> Result<Vec<Ledger>, TransportError> {
        let books = self.commands.ask(|reply| Command::Ledgers { queues, reply }).await?;
        let now = self.clock.now();
        let segments = self.segments.clone();
        let read = tokio::task::spawn_blocking(move || {
            let books = books.into_iter().map(|(mut ledger, oldest)| {
                // A message that can't be read has no age; its delivery will tell why.
                let message = oldest.and_then(|(topic, seq, place)| segments.read(topic, seq, place).ok());
                ledger.oldest_pending_ms = message.map(|message| now.saturating_sub(message.published_at));
                ledger
            });
            books.collect()
        });
        read.await.map_err(|_| TransportError::Closed)
    }

    pub(super) async fn list_dead(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        let queue = self.queue(subscription)?;
        let limit = limit.clamp(1, 1000);
        let letters = self.commands.ask(|reply| Command::DeadLetters { queue, after, limit, reply }).await?;
        let segments = self.segments.clone();
        let read = tokio::task::spawn_blocking(move || {
            let letters = letters.into_iter().filter_map(|letter| {
                match segments.read(letter.topic, letter.seq, letter.place?) {
                    Ok(message) => Some(DeadLetter {
                        message,
                        reason: letter.dead.reason,
                        died_at: letter.dead.died_at,
                        attempts: letter.dead.attempts,
                        history: letter.dead.history,
                    }),
                    Err(error) => {
                        tracing::error!("a dead letter can't be read: {error}");
                        None
                    }
                }
            });
            letters.collect()
        });
        read.await.map_err(|_| TransportError::Closed)
    }

    pub(super) async fn release_dead(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        let (queue, which) = (self.queue(subscription)?, ids(which));
        self.commands.ask(|reply| Command::Release { queue, which, reply }).await
    }

    pub(super) async fn purge_dead(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        let (queue, which) = (self.queue(subscription)?, ids(which));
        self.commands.ask(|reply| Command::Purge { queue, which, reply }).await
    }

    pub(super) async fn replay_finished(
        &self,
        subscription: SubscriptionIndex,
        which: Replay,
    ) -> Result<u64, TransportError> {
        let queue = self.queue(subscription)?;
        let Listed { topic, filter, .. } = self.listed(queue)?;
        let ranges = match (which, filter.map(|filter| filter.matcher)) {
            (Replay::All, None) => vec![(0, Seq::MAX)],
            (Replay::All, Some(matcher)) => self.passing(topic, 0, matcher).await?,
            (Replay::Since(since), None) => vec![(self.since(topic, since).await?, Seq::MAX)],
            (Replay::Since(since), Some(matcher)) => {
                let first = self.since(topic, since).await?;
                common(&self.passing(topic, since, matcher).await?, &[(first, Seq::MAX)])
            }
            (Replay::Id(id), matcher) => {
                let found = self.find(topic, id, matcher).await?;
                found.map(|seq| (seq, seq + 1)).into_iter().collect()
            }
        };
        self.commands.ask(|reply| Command::Replay { queue, ranges, reply }).await
    }

    /// The retained messages that pass a filter, as half-open ranges, from about this time on.
    async fn passing(
        &self,
        topic: TopicId,
        since: Timestamp,
        matcher: Arc<Matcher>,
    ) -> Result<Vec<(Seq, Seq)>, TransportError> {
        let found = Arc::new(Mutex::new(Vec::<(Seq, Seq)>::new()));
        let ranges = Arc::clone(&found);
        let judge = move |seq, message: &StoredMessage| {
            if passes(&matcher, message) {
                let mut ranges = ranges.lock().unwrap_or_else(PoisonError::into_inner);
                match ranges.last_mut() {
                    Some((_, to)) if *to == seq => *to += 1,
                    _ => ranges.push((seq, seq + 1)),
                }
            }
            // All of them are looked at.
            false
        };
        self.search(topic, since, judge).await?;
        let ranges = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(ranges)
    }

    /// The first message that was published at `since` or later.
    async fn since(&self, topic: TopicId, since: Timestamp) -> Result<Seq, TransportError> {
        let found = self.search(topic, since, move |_, message| message.published_at >= since).await?;
        Ok(found.unwrap_or(Seq::MAX))
    }

    /// The number of a retained message, where it passes.
    async fn find(
        &self,
        topic: TopicId,
        id: MessageId,
        matcher: Option<Arc<Matcher>>,
    ) -> Result<Option<Seq>, TransportError> {
        let wanted = move |_, message: &StoredMessage| {
            message.id == id && matcher.as_ref().is_none_or(|matcher| passes(matcher, message))
        };
        // The id says about when; where the machine's clock was set in between, everything is looked at.
        match self.search(topic, id.time().saturating_sub(SLACK), wanted.clone()).await? {
            Some(found) => Ok(Some(found)),
            None => self.search(topic, 0, wanted).await,
        }
    }

    /// The first message that is wanted, among those since a time.
    async fn search(
        &self,
        topic: TopicId,
        since: Timestamp,
        wanted: impl Fn(Seq, &StoredMessage) -> bool + Send + Sync + 'static,
    ) -> Result<Option<Seq>, TransportError> {
        let wanted = Arc::new(wanted);
        let places =
            self.commands.ask(|reply| Command::Where { topic, since: Some(since), seq: None, reply }).await?;
        let mut next = places.found;
        while let Some((seq, place)) = next {
            let (segments, test): (Segments, _) = (self.segments.clone(), Arc::clone(&wanted));
            let read = tokio::task::spawn_blocking(move || {
                let run = segments.read_run(topic, seq, place, SEARCH)?;
                let found = run
                    .iter()
                    .find(|(seq, message)| message.as_ref().is_ok_and(|message| test(*seq, message)));
                let last = run.iter().last().map_or(seq, |(seq, _)| seq);
                Ok::<_, TransportError>((found.map(|(seq, _)| seq), last + 1))
            });
            let (found, after) = read.await.map_err(|_| TransportError::Closed)??;
            if found.is_some() {
                return Ok(found);
            }
            let places = self
                .commands
                .ask(|reply| Command::Where { topic, since: None, seq: Some(after), reply })
                .await?;
            next = places.found;
        }
        Ok(None)
    }
}

fn ids(which: Selection) -> Option<Vec<MessageId>> {
    match which {
        Selection::All => None,
        Selection::Ids(ids) => Some(ids),
    }
}
