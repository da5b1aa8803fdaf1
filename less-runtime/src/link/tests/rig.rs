//! Two apps in one process: a publisher with its broker and its HTTP endpoint, and a subscriber with a link to it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use less_model::config::Secret;
use less_model::manifest::{DEFAULT_MAX_MESSAGE, Manifest, Settings, Topic, VERSION};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::super::client::LinkState;
use super::super::{Address, Link, LinkOptions, Linked, Server, Subscription, Timing};
use crate::app::App;
use crate::clock::{Clock, ManualClock};
use crate::http;
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};
use crate::shutdown::{self, Shutdown, ShutdownSwitch};
use crate::tls::Trust;
use crate::transport::conformance::ByHand;
use crate::transport::embedded::{self, Options};
use crate::transport::{
    Consumer, DeadLetter, Few, Layout, Ledger, NewMessage, Replay, Selection, SubscriptionIndex, TopicIndex,
    Transport, TransportError,
};

/// Longest that anything takes here.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Impatient, so that tests are quick.
pub(super) fn timing() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(100),
        silence: Duration::from_millis(600),
        lease: Duration::from_secs(2),
        retry: Duration::from_millis(10),
        longest_retry: Duration::from_millis(100),
    }
}

/// A publisher.
pub(super) struct Publisher {
    pub(super) address: SocketAddr,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) link: Arc<Server>,
    switch: ShutdownSwitch,
    serving: JoinHandle<()>,
}

impl Publisher {
    /// App `shop` with the layout's topics, on the broker in this folder. Its layout has no subscriptions: those are the other app's.
    pub(super) async fn open(folder: &TempDir, layout: &Layout, clock: Clock) -> Self {
        let topics = layout.topics.iter().map(|topic| Topic {
            name: topic.name.clone(),
            message_type: None,
            schema: None,
            retention: topic.retention,
            ordered: topic.ordered,
            max_message: DEFAULT_MAX_MESSAGE,
            subscribers: Vec::new(),
        });
        let manifest = Manifest {
            version: VERSION,
            app: "shop".parse().unwrap(),
            settings: Settings::default(),
            workers: BTreeMap::new(),
            topics: topics.collect(),
            external: Vec::new(),
            contract: None,
        };
        let own = Layout { topics: layout.topics.clone(), subscriptions: Vec::new() };
        let options = Options { reserve: 0, ..Options::default() };
        let transport = embedded::open(folder.path(), &own, options, clock.clone()).expect("it opens");
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let app = App::new(manifest, &HashMap::new(), Arc::clone(&transport), clock, 1 << 20);
        let (switch, shutdown) = shutdown::channel();
        let link = Server::new(&app, timing(), shutdown.clone());
        let mut options = http::tests_options();
        options.link = Some(Arc::clone(&link));
        options.link_tokens = vec![Secret::new(TOKEN.to_owned())];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(http::serve(listener, Arc::new(app), options, shutdown));
        Self { address, transport, link, switch, serving }
    }

    /// As at SIGTERM.
    pub(super) fn stop(&self) {
        self.switch.stop();
    }

    /// As at SIGTERM, with no time for handlers.
    pub(super) async fn close(self) {
        self.switch.stop();
        self.switch.expire();
        self.link.finish().await;
        self.serving.await.unwrap();
        self.transport.close().await.unwrap();
    }
}

/// What a subscriber subscribes to.
pub(super) fn subscriptions(layout: &Layout) -> Vec<Subscription> {
    let all = layout.subscriptions.iter().map(|spec| Subscription {
        topic: layout.topics[spec.topic.0 as usize].name.clone(),
        subscriber: spec.subscriber.clone(),
        start: spec.policy.start,
        filter: spec.filter.clone(),
    });
    all.collect()
}

/// Where the publisher is now; it may move.
pub(super) type Where = Arc<Mutex<SocketAddr>>;

/// App `friends`, which looks for the publisher there.
pub(super) fn subscriber(layout: &Layout, at: &Where) -> Arc<Link> {
    subscriber_with(layout, at, TOKEN, "folder 1")
}

pub(super) fn subscriber_with(layout: &Layout, at: &Where, token: &str, instance: &str) -> Arc<Link> {
    let (at, token) = (Arc::clone(at), token.to_owned());
    let find = move || {
        let url = format!("http://{}", at.lock().unwrap());
        Ok(Address { url, token: Some(Secret::new(token.clone())), trust: Trust::System })
    };
    Link::open(LinkOptions {
        publisher: "shop".parse().unwrap(),
        app: "friends".parse().unwrap(),
        instance: instance.to_owned(),
        subscriptions: subscriptions(layout),
        find: Box::new(find),
        shutdown: shutdown_that_never_comes(),
        timing: timing(),
    })
}

fn shutdown_that_never_comes() -> Shutdown {
    let (switch, shutdown) = shutdown::channel();
    // Dropping it would be the end of everything.
    std::mem::forget(switch);
    shutdown
}

/// Waits until something is so.
pub(super) async fn until(what: &str, so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(super) async fn connected(link: &Link) {
    until("the link is up", || link.status().state == LinkState::Connected).await;
}

/// For the conformance suite.
pub(super) struct Harness {
    folder: TempDir,
    clock: ManualClock,
}

impl Harness {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: ManualClock::new(1_800_000_000_000) }
    }
}

#[async_trait]
impl ByHand for Harness {
    async fn open(&self, layout: &Layout) -> Arc<dyn Transport> {
        let publisher = Publisher::open(&self.folder, layout, Clock::Manual(self.clock.clone())).await;
        let link = subscriber(layout, &Arc::new(Mutex::new(publisher.address)));
        connected(&link).await;
        let places = (0..).take(layout.subscriptions.len()).map(|place| (0, place)).collect();
        let transport = Linked::new(Arc::clone(&publisher.transport), 0, vec![Arc::clone(&link)], places);
        Arc::new(Both { transport, link, publisher: tokio::sync::Mutex::new(Some(publisher)) })
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

/// Publishes on the one side, and consumes on the other.
struct Both {
    transport: Linked,
    link: Arc<Link>,
    publisher: tokio::sync::Mutex<Option<Publisher>>,
}

#[async_trait]
impl Transport for Both {
    fn name(&self) -> &'static str {
        "link"
    }

    async fn publish(
        &self,
        topic: TopicIndex,
        messages: Few<NewMessage>,
    ) -> Few<Result<Receipt, PublishError>> {
        self.transport.publish(topic, messages).await
    }

    async fn consumer(&self, subscription: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError> {
        self.transport.consumer(subscription).await
    }

    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        self.transport.ledgers().await
    }

    async fn dead_letters(
        &self,
        subscription: SubscriptionIndex,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        self.transport.dead_letters(subscription, after, limit).await
    }

    async fn release(
        &self,
        subscription: SubscriptionIndex,
        which: Selection,
    ) -> Result<u64, TransportError> {
        self.transport.release(subscription, which).await
    }

    async fn purge(&self, subscription: SubscriptionIndex, which: Selection) -> Result<u64, TransportError> {
        self.transport.purge(subscription, which).await
    }

    async fn replay(&self, subscription: SubscriptionIndex, which: Replay) -> Result<u64, TransportError> {
        self.transport.replay(subscription, which).await
    }

    async fn close(&self) -> Result<(), TransportError> {
        self.link.close().await;
        if let Some(publisher) = self.publisher.lock().await.take() {
            publisher.close().await;
        }
        Ok(())
    }
}
