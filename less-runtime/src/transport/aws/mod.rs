//! SNS topics and SQS queues: a topic each, and for every subscriber a queue with one for its dead letters.
//!
//! What they are called follows from the app, the stage and the folders' names ([`less_model::topology`]); nothing is listed or searched for.
//! Attempts are counted by SQS, which counts what it hands out; how they failed is remembered by the process that saw it, and written into the
//! dead letter. What SQS can't do is refused: it keeps nothing that is done, so that there is no start but now, and replays only where a stage
//! has archives.

mod admin;
mod archive;
mod batch;
mod calls;
mod connect;
mod consume;
mod envelope;
mod keeper;
mod known;
#[cfg(feature = "deploy")]
pub mod provision;
mod publish;
mod queue;
mod site;
#[cfg(feature = "deploy")]
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use less_model::filter::Scope;
use less_model::topology::Topology;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

pub use self::calls::brief;
pub use self::connect::{Connection, Purpose, connect, connect_to, patient};
pub use self::keeper::Keeping;
pub use self::known::Known;
use self::publish::Topic;
use self::queue::{Address, Queue, Queues};
pub use self::site::{Site, partition, sns_principal};
#[cfg(feature = "deploy")]
pub use self::watch::{Watch, Watched};
use super::{
    Capabilities, Consumer, DeadLetter, Few, Layout, Ledger, NewMessage, Replay, Selection,
    SubscriptionIndex, TopicIndex, Transport, TransportError,
};
use crate::clock::Clock;
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};
use crate::shutdown::{self, Shutdown, ShutdownSwitch};

/// What errors call this transport.
const NAME: &str = "aws";
/// Queues that are looked up at the same time.
const LOOKUPS: usize = 16;

/// How the transport works. The default suits most apps.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Options {
    /// How long a message is hidden from others unless its lease is renewed, which happens after a third of it: how long a message waits whose
    /// process was killed. In whole seconds. Default 60 s.
    pub visibility: Duration,
    /// How long SQS waits for a message before it answers that there is none, 0 to 20 s. Default 20 s.
    pub poll: Duration,
    /// How long acks wait for others, so that ten go with one call: a process that is killed does that much again. Default 200 ms.
    pub linger: Duration,
    /// Longest that a message which is not due yet is held back at once, up to 15 min: then it is looked at and held again. Default 15 min.
    pub hold: Duration,
    /// How old the numbers of a ledger may be: probes and scrapers ask often, and each time that two calls are made for every subscriber. Default 10 s.
    pub fresh: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(60),
            poll: connect::LONGEST_POLL,
            linger: Duration::from_millis(200),
            hold: Duration::from_secs(900),
            fresh: Duration::from_secs(10),
        }
    }
}

/// An app's topics and queues.
pub struct Aws {
    topics: Vec<Topic>,
    queues: Queues,
    /// Ends what runs beside publishing and consuming.
    switch: Arc<ShutdownSwitch>,
    shutdown: Shutdown,
    fresh: Duration,
    /// The ledgers that were read last.
    read: Mutex<Option<(Instant, Vec<Ledger>)>>,
    /// Where messages of each subscription are kept.
    kept: Vec<archive::Kept>,
    /// Held while an archive is read.
    replaying: Mutex<()>,
}

/// Finds the queues of an app. `layout` and `topology` are of the same manifest.
pub async fn open(
    connection: &Connection,
    topology: &Topology,
    layout: &Layout,
    options: Options,
    clock: Clock,
) -> Result<Arc<Aws>, TransportError> {
    open_known(connection, topology, layout, options, clock, &Known::default()).await
}

/// The same, without looking for what is known.
pub async fn open_known(
    connection: &Connection,
    topology: &Topology,
    layout: &Layout,
    options: Options,
    clock: Clock,
    known: &Known,
) -> Result<Arc<Aws>, TransportError> {
    let filtered = |topic: usize| -> BTreeSet<String> {
        let specs = layout.subscriptions.iter().filter(|spec| spec.topic.0 as usize == topic);
        let filters = specs.filter_map(|spec| spec.filter.as_ref());
        let attributes = filters.filter(|filter| filter.scope == Scope::Attributes);
        attributes.flat_map(|filter| filter.policy.keys().cloned()).collect()
    };
    let topics = topology.topics.iter().enumerate().map(|(index, topic)| {
        let arn = known.topic(topic.name.as_str());
        let arn = arn.map_or_else(|| connection.site.topic_arn(&topic.physical), str::to_owned);
        let max_message = usize::try_from(topic.max_message.bytes()).unwrap_or(usize::MAX);
        Topic::new(&connection.sns, &arn, topic.ordered, max_message, filtered(index))
    });
    // Other apps' topics are published to by those alone; what leads from them to here are queues like any other.
    let addresses = topology.subscribers().map(|(address, topic, subscriber)| {
        let url = known.queue(&address, subscriber.name.as_str()).unwrap_or_default();
        let dead_url =
            if url.is_empty() { String::new() } else { known::beside(url, &subscriber.dead_letters) };
        Address {
            stage: topology.stage.to_string(),
            name: subscriber.queue.clone(),
            url: url.to_owned(),
            dead_name: subscriber.dead_letters.clone(),
            dead_url,
            fifo: topic.ordered,
        }
    });
    let addresses = find(connection, addresses.collect(), topology.stage.as_str()).await?;
    let queues: Queues = addresses
        .into_iter()
        .map(|address| Arc::new(Queue::new(connection.sqs.clone(), address, options, clock.clone())))
        .collect();
    let (switch, shutdown) = shutdown::channel();
    Ok(Arc::new(Aws {
        topics: topics.collect(),
        queues,
        switch: Arc::new(switch),
        shutdown,
        fresh: options.fresh,
        read: Mutex::default(),
        kept: archive::kept(topology),
        replaying: Mutex::default(),
    }))
}

/// Looks for the URLs that are not known yet; all queues that are missing are told at once.
async fn find(
    connection: &Connection,
    mut addresses: Vec<Address>,
    stage: &str,
) -> Result<Vec<Address>, TransportError> {
    let mut wanted = Vec::new();
    for (place, address) in addresses.iter().enumerate().filter(|(_, address)| address.url.is_empty()) {
        wanted.push((place, false, address.name.clone()));
        wanted.push((place, true, address.dead_name.clone()));
    }
    let mut lookups = JoinSet::new();
    let mut wanted = wanted.into_iter();
    let mut missing = BTreeSet::new();
    loop {
        while lookups.len() < LOOKUPS
            && let Some((place, is_dead, name)) = wanted.next()
        {
            let request = connection.sqs.get_queue_url().queue_name(&name);
            lookups.spawn(async move { (place, is_dead, name, request.send().await) });
        }
        let Some(joined) = lookups.join_next().await else { break };
        let Ok((place, is_dead, name, answer)) = joined else { continue };
        match answer {
            Ok(answer) => {
                let url = answer.queue_url.unwrap_or_default();
                let address = &mut addresses[place];
                *(if is_dead { &mut address.dead_url } else { &mut address.url }) = url;
            }
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => {
                missing.insert(name);
            }
            Err(error) => return Err(calls::failed("find the queue", &name, &error)),
        }
    }
    if missing.is_empty() {
        return Ok(addresses);
    }
    Err(TransportError::NotDeployed {
        stage: stage.to_owned(),
        region: connection.site.region.clone(),
        account: connection.site.account.clone(),
        missing: missing.into_iter().collect(),
    })
}

impl Aws {
    fn queue(&self, subscription: SubscriptionIndex) -> Result<&Arc<Queue>, TransportError> {
        self.queues.get(subscription.0 as usize).ok_or(TransportError::Closed)
    }

    /// Renews dead letters before SQS deletes them, until `end` or until this is closed. For a running app: whoever only looks at a stage leaves it.
    pub fn keep_dead_letters(&self, keeping: Keeping, end: impl Future<Output = ()> + Send + 'static) {
        let denied = Arc::new(AtomicBool::new(false));
        for queue in &self.queues {
            queue.spawn(keeper::keep(Arc::clone(queue), keeping, Arc::clone(&denied), self.shutdown.clone()));
        }
        // Dropping this is an end as well.
        let (switch, shutdown) = (Arc::downgrade(&self.switch), self.shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = end => if let Some(switch) = switch.upgrade() { switch.stop() },
                () = shutdown.stopping() => {}
            }
        });
    }
}

#[async_trait]
impl Transport for Aws {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { counts: false, retains: self.retains(), plain_keys: false }
    }

    async fn publish(
        &self,
        topic: TopicIndex,
        messages: Few<NewMessage>,
    ) -> Few<Result<Receipt, PublishError>> {
        match self.topics.get(topic.0 as usize) {
            Some(topic) => topic.publish(messages).await,
            None => messages.iter().map(|_| Err(PublishError::ShuttingDown)).collect(),
        }
    }

    async fn consumer(&self, subscription: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError> {
        let queue = self.queue(subscription)?;
        Ok(Box::new(consume::QueueConsumer::open(Arc::clone(queue))?))
    }

    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        // Held while they are read: who asks meanwhile gets the same answer.
        let read = &mut *self.read.lock().await;
        if let Some((when, ledgers)) = read
            && when.elapsed() < self.fresh
        {
            return Ok(ledgers.clone());
        }
        let mut ledgers = Vec::with_capacity(self.queues.len());
        for some in self.queues.chunks(LOOKUPS) {
            let mut asked = JoinSet::new();
            for (place, queue) in some.iter().enumerate() {
                let queue = Arc::clone(queue);
                asked.spawn(async move { (place, admin::ledger(&queue).await) });
            }
            let mut found: Vec<_> = asked.join_all().await;
            found.sort_by_key(|(place, _)| *place);
            for (_, ledger) in found {
                ledgers.push(ledger?);
            }
        }
        *read = Some((Instant::now(), ledgers.clone()));
        Ok(ledgers)
    }

    async fn dead_letters(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        admin::dead_letters(self.queue(subscription)?, after, limit).await
    }

    async fn release(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        admin::release(self.queue(subscription)?, &which).await
    }

    async fn purge(&self, subscription: SubscriptionIndex, which: Selection) -> Result<u64, TransportError> {
        admin::purge(self.queue(subscription)?, &which).await
    }

    async fn replay(&self, subscription: SubscriptionIndex, which: Replay) -> Result<u64, TransportError> {
        Ok(self.replay_to(&[subscription], which).await?.iter().sum())
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.switch.stop();
        for topic in &self.topics {
            topic.close().await;
        }
        let mut closing = JoinSet::new();
        for queue in &self.queues {
            let queue = Arc::clone(queue);
            closing.spawn(async move { queue.close().await });
        }
        closing.join_all().await;
        Ok(())
    }
}
