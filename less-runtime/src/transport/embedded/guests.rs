//! Subscriptions that the layout does not have: other apps' ones, and those whose folder is gone. They get messages like all others, until they are
//! dropped by name.

use std::sync::Arc;

use less_model::manifest::Start;
use less_model::name::AppName;
use tokio::sync::oneshot::Sender;

use super::command::{Answer, Attach, Command, Lease, LeaseAnswer};
use super::consume::Held;
use super::directory::{Directory, Listed, StoredFilter};
use super::provision::{Wanted, provide_queue};
use super::record::{QueueId, Record, TopicId};
use super::state::Queue;
use super::writer::Writer;
use super::{Embedded, TransportError, filters};
use crate::transport::{Attachment, Guest, Ledger, NewMessage, SubscriptionIndex, TopicIndex};

impl Embedded {
    /// The store's number of a subscription: the layout's ones come first, guests have the store's own.
    pub(super) fn queue(&self, subscription: SubscriptionIndex) -> Result<QueueId, TransportError> {
        match subscription.0.checked_sub(SubscriptionIndex::GUESTS) {
            Some(queue) => self.listed(queue).map(|_| queue),
            None => self.queues.get(subscription.0 as usize).copied().ok_or(TransportError::Dropped),
        }
    }

    /// What is known of a subscription.
    pub(super) fn listed(&self, queue: QueueId) -> Result<Listed, TransportError> {
        self.current.get().get(queue).cloned().ok_or(TransportError::Dropped)
    }

    pub(super) async fn attach_guest(
        &self,
        topic: TopicIndex,
        wanted: Attachment,
    ) -> Result<SubscriptionIndex, TransportError> {
        let Attachment { app, subscriber, start, filter } = wanted;
        let topic_name = &self.topic_names[topic.0 as usize];
        let (topic, name) = (self.topics[topic.0 as usize], stored_name(&app, subscriber.as_str()));
        let filter = filters::stored(filter.as_ref(), topic_name, &subscriber)?;
        let directory = self.current.get();
        let found = directory.find(topic, &name).filter(|(_, known)| {
            known.filter.as_ref().map(|filter| &filter.text) == filter.as_ref().map(|filter| &filter.text)
        });
        // What the directory says is on stable storage: whoever comes back costs nothing.
        let queue = if let Some((queue, _)) = found {
            queue
        } else {
            let asked = |reply| Command::Attach(Box::new(Attach { topic, name, start, filter, reply }));
            self.commands.ask(asked).await??
        };
        Ok(index(queue))
    }

    pub(super) async fn list_guests(&self) -> Result<Vec<(Guest, Ledger)>, TransportError> {
        let directory = self.current.get();
        let mut guests: Vec<(QueueId, Guest)> = directory
            .iter()
            .filter(|(queue, _)| !self.queues.contains(queue))
            .filter_map(|(queue, listed)| Some((queue, guest(queue, listed)?)))
            .collect();
        guests.sort_by(|(_, a), (_, b)| {
            (&a.topic, &a.app, &a.subscriber).cmp(&(&b.topic, &b.app, &b.subscriber))
        });
        if guests.is_empty() {
            return Ok(Vec::new());
        }
        let ledgers = self.ledgers_of(guests.iter().map(|(queue, _)| *queue).collect()).await?;
        Ok(guests.into_iter().map(|(_, guest)| guest).zip(ledgers).collect())
    }

    pub(super) async fn drop_stored(
        &self,
        subscription: SubscriptionIndex,
    ) -> Result<Ledger, TransportError> {
        let queue = self.queue(subscription)?;
        if self.queues.contains(&queue) {
            let capability = "dropping a subscription that the app has";
            return Err(TransportError::Unsupported { transport: "embedded", capability });
        }
        let _held = Held::take(&self.consumed, queue)?;
        let ledger = self.commands.ask(|reply| Command::Drop { queue, reply }).await?;
        ledger.ok_or(TransportError::Dropped)
    }
}

fn index(queue: QueueId) -> SubscriptionIndex {
    SubscriptionIndex(SubscriptionIndex::GUESTS + queue)
}

/// What another app's subscriber is called in the store. No subscriber of the app itself is called so: names hold no colon.
fn stored_name(app: &AppName, subscriber: &str) -> String {
    format!("{app}:{subscriber}")
}

/// A stored subscription as others see it. None only where a name is none of ours.
fn guest(queue: QueueId, listed: &Listed) -> Option<Guest> {
    let (app, subscriber) = match listed.name.split_once(':') {
        Some((app, subscriber)) => (Some(app.parse().ok()?), subscriber),
        None => (None, listed.name.as_str()),
    };
    let (topic, subscriber) = (listed.topic_name.parse().ok()?, subscriber.parse().ok()?);
    let filter = listed.filter.as_ref().map(|stored| stored.filter.clone());
    Some(Guest { index: index(queue), topic, app, subscriber, filter })
}

impl Writer {
    /// Finds or makes another app's subscription, and its filter.
    pub(super) fn attach(&mut self, wanted: Attach) {
        let Attach { topic, name, start, filter, reply } = wanted;
        let result = self.provide(topic, &name, start, filter.as_ref());
        if let Ok(queue) = result {
            let of = &mut self.queues_of[topic as usize];
            if !of.contains(&queue) {
                of.push(queue);
            }
            let topic_name = self.state.topics[topic as usize].name.clone();
            self.change(|directory| directory.insert(queue, Listed { topic, topic_name, name, filter }));
        }
        self.tell(move || drop(reply.send(result)));
    }

    fn provide(
        &mut self,
        topic: TopicId,
        name: &str,
        start: Start,
        filter: Option<&StoredFilter>,
    ) -> Result<QueueId, TransportError> {
        // Where it may begin before messages, those are read, and what is not written yet is not there to be read. What is written so has to be
        // synced: nothing else knows that it is to be.
        if start != Start::Now
            && let Err(error) = self.log.write().and_then(|()| self.log.sync())
        {
            self.broken = Some(error.clone());
            return Err(error);
        }
        let now = self.clock.now();
        provide_queue(&mut self.log, &mut self.state, &Wanted { topic, name, start, filter }, now)
    }

    /// Drops a subscription with everything in it.
    pub(super) fn drop_queue(&mut self, queue: QueueId, reply: Sender<Option<Ledger>>) {
        if self.state.queues.get(queue as usize).is_none_or(Queue::is_dropped) {
            self.tell(move || drop(reply.send(None)));
            return;
        }
        self.take_acks();
        let now = self.clock.now();
        let (known, topic) = self.state.both(queue);
        let (topic_id, (ledger, _)) = (known.topic, known.ledger(topic, now));
        self.push(queue, &Record::QueueDropped { id: queue });
        self.queues_of[topic_id as usize].retain(|id| *id != queue);
        if self.isolated.is_some_and(|(of, _)| of == queue) {
            // Others of its kind wait for the end of the message that was attempted alone.
            self.isolated = None;
            self.dirty.extend(self.waiting.keys());
        }
        for lease in self.waiting.remove(&queue).into_iter().flatten() {
            self.refuse(lease);
        }
        self.change(|directory| directory.remove(queue));
        self.tell(move || drop(reply.send(Some(ledger))));
    }

    /// Answers a consumer whose subscription was dropped.
    pub(super) fn refuse(&mut self, lease: Lease) {
        self.tell(move || drop(lease.reply.send(LeaseAnswer::Dropped)));
    }

    /// What is to be kept from which queues: as the publisher says, unless it judged by filters that are not those of now.
    pub(super) fn judged(
        &self,
        topic: TopicId,
        messages: &[NewMessage],
        kept_from: Vec<Vec<QueueId>>,
        by: u64,
    ) -> Vec<Vec<QueueId>> {
        if by == self.directory.version() { kept_from } else { self.directory.keep(topic, messages) }
    }

    /// Changes the directory: here at once, for everyone else when what it says is on stable storage. A checkpoint makes that independent of a single
    /// record of the log, as it does for what the layout asks for.
    fn change(&mut self, change: impl FnOnce(&mut Directory)) {
        let mut directory = Directory::clone(&self.directory);
        change(&mut directory);
        self.directory = Arc::new(directory);
        if let Err(error) = self.checkpoint() {
            self.broken = Some(error);
        }
        let (current, directory) = (self.current.clone(), Arc::clone(&self.directory));
        self.tell(move || current.set(directory));
    }

    fn tell(&mut self, answer: impl FnOnce() + Send + 'static) {
        self.answers.push(Answer::Other(Box::new(answer)));
    }
}
