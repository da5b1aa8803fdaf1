//! A transport behind a proxy that fails, a worker, and what is found past the proxy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::{StreamExt as _, stream};
use less_aws_proxy::Proxy;
use less_model::topology::Topology;
use less_runtime::PublishError;
use less_runtime::clock::Clock;
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{self, Connection, Options, Purpose};
use less_runtime::transport::conformance::layout;
use less_runtime::transport::{
    AttemptError, AttemptErrorKind, DeadReason, Delivery, Layout, NewMessage, SubscriptionIndex, TopicIndex,
    Transport,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::stage::{PREFIX, account, connection, server, topology};

/// Longest that anything here may take; reaching it fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Messages that a worker handles at the same time.
const CONCURRENCY: usize = 20;
/// How long a message is hidden: what a lost answer costs.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(2);

/// One topic with subscribers, deployed past the proxy and used through it.
pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) transport: Arc<dyn Transport>,
    direct: Connection,
    topology: Topology,
}

/// Polls of a second, and leases of two.
pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.visibility = VISIBILITY;
    options.poll = Duration::from_secs(1);
    options.linger = Duration::from_millis(5);
    options
}

impl Rig {
    /// On LocalStack. What is left to chance follows from the seed.
    pub(crate) async fn new(subscribers: &[&str], seed: u64) -> Self {
        Self::on(&server("LESS_TEST_LOCALSTACK"), layout(subscribers), options(), seed).await
    }

    /// The same with a FIFO topic.
    pub(crate) async fn ordered(subscribers: &[&str], seed: u64) -> Self {
        let mut layout = layout(subscribers);
        layout.topics[0].ordered = true;
        Self::on(&server("LESS_TEST_LOCALSTACK"), layout, options(), seed).await
    }

    /// On the server with this URL.
    pub(crate) async fn on(server: &str, layout: Layout, options: Options, seed: u64) -> Self {
        let account = account();
        let direct = connection(server, account.clone(), Purpose::Deploy).await;
        let topology = topology(PREFIX, &layout);
        let desired = Desired::of(&topology, &direct.site, None);
        ensure_all(&direct, &desired).await.expect("it is deployed");
        let proxy = Proxy::start(server, seed).await.expect("a port is free");
        let faulty = connection(proxy.url(), account, Purpose::Run).await;
        let open = aws::open(&faulty, &topology, &layout, options, Clock::System);
        let transport = open.await.expect("it opens");
        Self { proxy, transport, direct, topology }
    }

    /// Publishes JSON numbers; one result each.
    pub(crate) async fn try_publish(&self, bodies: &[u32]) -> Vec<Result<MessageId, PublishError>> {
        let messages = bodies.iter().map(|body| message(&body.to_string(), None)).collect();
        let results = self.transport.publish(TopicIndex(0), messages).await;
        results.into_iter().map(|result| result.map(|receipt| receipt.message_id)).collect()
    }

    /// Publishes JSON numbers, all of which are accepted.
    pub(crate) async fn publish(&self, bodies: std::ops::Range<u32>) -> Vec<MessageId> {
        let bodies: Vec<u32> = bodies.collect();
        self.try_publish(&bodies).await.into_iter().map(|result| result.expect("it is accepted")).collect()
    }

    /// Waits until a subscription's queue holds nothing, whatever the proxy says.
    pub(crate) async fn settled(&self, subscription: usize) {
        let name = &self.topology.topics[0].subscribers[subscription].queue;
        let url = self.direct.sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
        let began = Instant::now();
        loop {
            let asked = self.direct.sqs.get_queue_attributes().queue_url(&url);
            let found = asked.attribute_names(QueueAttributeName::All).send().await.unwrap();
            let depths: Vec<String> = [
                QueueAttributeName::ApproximateNumberOfMessages,
                QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
                QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            ]
            .into_iter()
            .map(|name| found.attributes().unwrap()[&name].clone())
            .collect();
            if depths.iter().all(|depth| depth == "0") {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "visible, hidden, delayed in {name}: {depths:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The ids of a subscription's dead letters, sorted.
    pub(crate) async fn dead(&self, subscription: u32) -> Vec<MessageId> {
        let letters = self.transport.dead_letters(SubscriptionIndex(subscription), None, 1000).await;
        let mut ids: Vec<MessageId> = letters.unwrap().iter().map(|letter| letter.message.id).collect();
        ids.sort_unstable();
        ids
    }

    /// A worker of a subscription.
    pub(crate) async fn work(
        &self,
        subscription: u32,
        handler: impl Fn(&StoredMessage, u32) -> Verdict + Send + Sync + 'static,
    ) -> Worker {
        Worker::start(Arc::clone(&self.transport), subscription, Arc::new(handler)).await
    }
}

/// Tries each case, some at a time: most of their time is waiting.
pub(crate) async fn each<T, F: Future<Output = ()>>(
    cases: impl IntoIterator<Item = T>,
    try_one: impl Fn(T) -> F,
) {
    stream::iter(cases).for_each_concurrent(5, try_one).await;
}

/// A new message.
pub(crate) fn message(body: &str, key: Option<&str>) -> NewMessage {
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: key.map(str::to_owned),
            attributes: BTreeMap::new(),
            traceparent: None,
            body: body.as_bytes().to_vec().into(),
        }),
        due: None,
        idempotency_key: None,
    }
}

/// The number that a message is.
pub(crate) fn number(message: &StoredMessage) -> u32 {
    std::str::from_utf8(&message.body).unwrap().parse().unwrap()
}

/// How a failed attempt is told.
pub(crate) fn error() -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Error, message: "no".to_owned(), at: Clock::System.now() }
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// Again after a second.
    Retry,
    Reject,
}

type Handler = Arc<dyn Fn(&StoredMessage, u32) -> Verdict + Send + Sync>;

/// Attempts by message, in the order of their beginnings.
pub(crate) type Runs = BTreeMap<MessageId, Vec<u32>>;

/// Leases and ends messages as the runtime's workers do.
pub(crate) struct Worker {
    runs: watch::Receiver<Runs>,
    /// Outcomes that could not be told.
    untold: watch::Receiver<u32>,
    task: JoinHandle<()>,
}

impl Worker {
    async fn start(transport: Arc<dyn Transport>, subscription: u32, handler: Handler) -> Self {
        let consumer = transport.consumer(SubscriptionIndex(subscription)).await.unwrap();
        let (note, runs) = watch::channel(Runs::new());
        let (fail, untold) = watch::channel(0);
        let task = tokio::spawn(async move {
            let slots = Arc::new(Semaphore::new(CONCURRENCY));
            let mut attempts = JoinSet::new();
            loop {
                let mut free = Arc::clone(&slots).acquire_owned().await.unwrap();
                if let Ok(more) =
                    Arc::clone(&slots).try_acquire_many_owned(slots.available_permits().try_into().unwrap())
                {
                    free.merge(more);
                }
                let leased = consumer.lease(free.num_permits()).await.expect("a worker can go on");
                assert!(leased.len() <= free.num_permits(), "more than there was room for");
                for delivery in leased {
                    let slot = free.split(1).unwrap();
                    let (handler, note, fail) = (Arc::clone(&handler), note.clone(), fail.clone());
                    attempts.spawn(async move {
                        attempt(delivery, &handler, &note, &fail).await;
                        drop(slot);
                    });
                }
                while attempts.try_join_next().is_some() {}
            }
        });
        Self { runs, untold, task }
    }

    /// Waits until what was handled is as it should be.
    pub(crate) async fn until(&self, what: &str, good: impl Fn(&Runs) -> bool) -> Runs {
        let mut runs = self.runs.clone();
        if let Ok(found) = tokio::time::timeout(PATIENCE, runs.wait_for(|runs| good(runs))).await {
            return found.expect("the worker goes on").clone();
        }
        panic!("not {what} in {} s: {:#?}", PATIENCE.as_secs(), *self.runs.borrow());
    }

    /// Waits until every one of these was handled.
    pub(crate) async fn handled(&self, ids: &[MessageId]) -> Runs {
        self.until("all handled", |runs| ids.iter().all(|id| runs.contains_key(id))).await
    }

    /// What was handled so far.
    pub(crate) fn runs(&self) -> Runs {
        self.runs.borrow().clone()
    }

    /// How many outcomes could not be told: their messages come again.
    pub(crate) fn untold(&self) -> u32 {
        *self.untold.borrow()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attempt(
    delivery: Box<dyn Delivery>,
    handler: &Handler,
    note: &watch::Sender<Runs>,
    fail: &watch::Sender<u32>,
) {
    let (id, number) = (delivery.message().id, delivery.attempt());
    note.send_modify(|runs| runs.entry(id).or_default().push(number));
    let told = match handler(delivery.message(), number) {
        Verdict::Done => delivery.ack().await,
        Verdict::Retry => delivery.retry_after(Duration::from_secs(1), error()).await,
        Verdict::Reject => delivery.dead_letter(DeadReason::Rejected, error()).await,
    };
    if told.is_err() {
        fail.send_modify(|count| *count += 1);
    }
}
