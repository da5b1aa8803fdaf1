//! An app's own transport, and the links to other apps beside it.

use std::sync::Arc;

use async_trait::async_trait;

use super::client::{Link, LinkStatus};
use super::protocol::Place;
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};
use crate::transport::{
    Attachment, Capabilities, Consumer, DeadLetter, Few, Guest, Ledger, NewMessage, Replay, Selection,
    Snapshot, SubscriptionIndex, TopicIndex, Transport, TransportError,
};

/// Stores what is the app's own; subscriptions of other apps' topics go over links.
pub(crate) struct Linked {
    own: Arc<dyn Transport>,
    /// How many subscriptions are the app's own: those before the others.
    count: u32,
    links: Vec<Arc<Link>>,
    /// For each subscription after these its link, and its place there.
    external: Vec<(usize, Place)>,
}

/// Who keeps a subscription.
enum Kept<'a> {
    Here,
    There(&'a Arc<Link>, Place),
}

impl Linked {
    pub(crate) fn new(
        own: Arc<dyn Transport>,
        count: u32,
        links: Vec<Arc<Link>>,
        external: Vec<(usize, Place)>,
    ) -> Self {
        Self { own, count, links, external }
    }

    fn find(&self, subscription: SubscriptionIndex) -> Kept<'_> {
        let place =
            subscription.0.checked_sub(self.count).and_then(|place| self.external.get(place as usize));
        match place {
            Some((link, place)) => Kept::There(&self.links[*link], *place),
            None => Kept::Here,
        }
    }
}

#[async_trait]
impl Transport for Linked {
    fn name(&self) -> &'static str {
        self.own.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.own.capabilities()
    }

    async fn publish(
        &self,
        topic: TopicIndex,
        messages: Few<NewMessage>,
    ) -> Few<Result<Receipt, PublishError>> {
        self.own.publish(topic, messages).await
    }

    async fn consumer(&self, subscription: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError> {
        match self.find(subscription) {
            Kept::Here => self.own.consumer(subscription).await,
            Kept::There(link, place) => link.consumer(place),
        }
    }

    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        let mut ledgers = self.own.ledgers().await?;
        // Side by side: one that does not answer costs what it costs, once.
        let asked = self.links.iter().map(|link| {
            let link = Arc::clone(link);
            tokio::spawn(async move { link.ledgers().await })
        });
        let mut theirs = Vec::with_capacity(self.links.len());
        for ledgers in asked.collect::<Vec<_>>() {
            theirs.push(ledgers.await.unwrap_or_default());
        }
        let external = self.external.iter();
        ledgers.extend(
            external.map(|(link, place)| theirs[*link].get(*place as usize).cloned().unwrap_or_default()),
        );
        Ok(ledgers)
    }

    async fn dead_letters(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        match self.find(subscription) {
            Kept::Here => self.own.dead_letters(subscription, after, limit).await,
            Kept::There(link, place) => link.dead_letters(place, after, limit).await,
        }
    }

    async fn release(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        match self.find(subscription) {
            Kept::Here => self.own.release(subscription, which).await,
            Kept::There(link, place) => link.release(place, which).await,
        }
    }

    async fn purge(&self, subscription: SubscriptionIndex, which: Selection) -> Result<u64, TransportError> {
        match self.find(subscription) {
            Kept::Here => self.own.purge(subscription, which).await,
            Kept::There(link, place) => link.purge(place, which).await,
        }
    }

    async fn replay(&self, subscription: SubscriptionIndex, which: Replay) -> Result<u64, TransportError> {
        match self.find(subscription) {
            Kept::Here => self.own.replay(subscription, which).await,
            Kept::There(link, place) => link.replay(place, which).await,
        }
    }

    async fn attach(
        &self,
        topic: TopicIndex,
        wanted: Attachment,
    ) -> Result<SubscriptionIndex, TransportError> {
        self.own.attach(topic, wanted).await
    }

    async fn guests(&self) -> Result<Vec<(Guest, Ledger)>, TransportError> {
        self.own.guests().await
    }

    async fn drop_guest(&self, subscription: SubscriptionIndex) -> Result<Ledger, TransportError> {
        self.own.drop_guest(subscription).await
    }

    async fn settle(&self) -> Result<(), TransportError> {
        self.own.settle().await
    }

    fn knows(&self, subscription: SubscriptionIndex) -> bool {
        match self.find(subscription) {
            Kept::Here => true,
            Kept::There(link, place) => link.knows(place),
        }
    }

    fn links(&self) -> Vec<LinkStatus> {
        self.links.iter().map(|link| link.status()).collect()
    }

    async fn snapshot(&self) -> Result<Snapshot, TransportError> {
        self.own.snapshot().await
    }

    async fn close(&self) -> Result<(), TransportError> {
        let closing = self.links.iter().map(|link| {
            let link = Arc::clone(link);
            tokio::spawn(async move { link.close().await })
        });
        for closed in closing.collect::<Vec<_>>() {
            // It has no result.
            let _ = closed.await;
        }
        self.own.close().await
    }
}
