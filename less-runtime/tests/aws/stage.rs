//! A stage of an app that exists only for a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use less_model::manifest::DEFAULT_MAX_MESSAGE;
use less_model::topology::{PlacedSubscriber, PlacedTopic, Topology};
use less_runtime::clock::Clock;
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{self, Connection, Options, Purpose, Site};
use less_runtime::transport::conformance::Harness;
use less_runtime::transport::{Layout, Transport, TransportError};

/// The URL of a server for tests.
pub(crate) fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set\nhint: `tests/aws/servers.sh cargo test …` starts the servers and sets it"
        )
    })
}

/// An account that nobody else has: on these servers every 12-digit key id is one.
pub(crate) fn account() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis();
    let number = u64::try_from(now % 10_000_000).expect("it fits") * 10_000;
    format!("{:012}", 100_000_000_000 + number + u64::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A connection to a server, as an account.
pub(crate) async fn connection(url: &str, account: String, purpose: Purpose) -> Connection {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new(&account, "x", None, None, "test"));
    let sdk = aws::patient(loader, purpose).load().await;
    Connection::new(sdk, Site { region: "eu-west-1".to_owned(), account })
}

/// The topology of a layout.
pub(crate) fn topology(layout: &Layout) -> Topology {
    let topics = (0..).zip(&layout.topics).map(|(index, topic)| {
        let end = if topic.ordered { ".fifo" } else { "" };
        let subscribers = layout.subscriptions.iter().filter(|spec| spec.topic.0 == index);
        PlacedTopic {
            name: topic.name.clone(),
            physical: format!("app-test-{}{end}", topic.name),
            ordered: topic.ordered,
            max_message: DEFAULT_MAX_MESSAGE,
            subscribers: subscribers
                .map(|spec| PlacedSubscriber {
                    name: spec.subscriber.clone(),
                    queue: format!("app-test-{}-{}{end}", topic.name, spec.subscriber),
                    dead_letters: format!("app-test-{}-{}-dlq{end}", topic.name, spec.subscriber),
                    max_receives: 100,
                    filter: spec.filter.clone(),
                })
                .collect(),
        }
    });
    Topology {
        app: "app".parse().expect("a name"),
        stage: "test".parse().expect("a name"),
        topics: topics.collect(),
    }
}

/// A stage on a server, in an account of its own.
pub(crate) struct Stage {
    url: String,
    account: String,
}

impl Stage {
    /// On the server that this variable names.
    pub(crate) fn on(variable: &str) -> Self {
        Self { url: server(variable), account: account() }
    }
}

impl Stage {
    /// Clients of its server, as its account.
    pub(crate) async fn connection(&self) -> Connection {
        connection(&self.url, self.account.clone(), Purpose::Deploy).await
    }

    /// Makes what a layout needs.
    pub(crate) async fn deploy(&self, layout: &Layout) {
        let connection = self.connection().await;
        let desired = Desired::of(&topology(layout), &connection.site, None);
        ensure_all(&connection, &desired).await.expect("it is deployed");
    }

    /// A process of the app.
    pub(crate) async fn process(
        &self,
        layout: &Layout,
        options: Options,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        let connection = self.connection().await;
        Ok(aws::open(&connection, &topology(layout), layout, options, Clock::System).await?)
    }
}

/// Options for tests: what waits for others does not wait long.
pub(crate) fn quick() -> Options {
    let mut options = Options::default();
    options.linger = Duration::from_millis(5);
    options.fresh = Duration::ZERO;
    options
}

#[async_trait]
impl Harness for Stage {
    async fn open(&self, layout: &Layout) -> Arc<dyn Transport> {
        self.deploy(layout).await;
        self.process(layout, quick()).await.expect("it opens")
    }

    fn clock(&self) -> Clock {
        Clock::System
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn delay(&self) -> Duration {
        Duration::from_secs(4)
    }

    fn most_of(&self, delay: Duration) -> Duration {
        delay / 4
    }
}
