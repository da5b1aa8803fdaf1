//! The embedded transport of Less as an app uses it: its own writer, its own records, one topic with one subscriber that takes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use less_runtime::clock::Clock;
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::embedded::{Embedded, Options, open};
use less_runtime::transport::{Layout, NewMessage, SubscriptionSpec, TopicIndex, TopicSpec, Transport};

/// An open data folder.
pub(crate) struct Less(Embedded);

impl Less {
    /// Opens the folder, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let layout = Layout {
            topics: vec![TopicSpec::new("bench".parse()?)],
            subscriptions: vec![SubscriptionSpec::new(TopicIndex(0), "waits".parse()?)],
        };
        Ok(Self(open(folder, &layout, Options::default(), Clock::System)?))
    }

    /// How many messages wait.
    pub(crate) async fn count(&self) -> Result<u64> {
        let ledgers = self.0.ledgers().await?;
        Ok(ledgers.first().context("the subscriber has no books")?.pending)
    }

    /// Publishes a body.
    pub(crate) async fn publish(&self, body: Bytes) -> Result<()> {
        let message = StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: None,
            attributes: BTreeMap::new(),
            traceparent: None,
            body,
        };
        let messages = vec![NewMessage { message, due: None, idempotency_key: None }];
        for result in self.0.publish(TopicIndex(0), messages).await {
            result?;
        }
        Ok(())
    }

    /// Closes it in good order.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}
