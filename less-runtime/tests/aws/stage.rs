//! A stage of an app that exists only for a test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use less_model::manifest::DEFAULT_MAX_MESSAGE;
use less_model::topology::{PlacedSubscriber, PlacedTopic, Topology};
use less_runtime::clock::Clock;
use less_runtime::transport::aws::provision::{Desired, delete_queue, delete_topic, ensure_all};
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
    connection_in("eu-west-1", url, account, purpose).await
}

/// The same in some region.
pub(crate) async fn connection_in(region: &str, url: &str, account: String, purpose: Purpose) -> Connection {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(&account, "x", None, None, "test"));
    let sdk = aws::patient(loader, purpose).load().await;
    Connection::new(sdk, Site { region: region.to_owned(), account })
}

/// The topology of a layout, below names that begin so.
pub(crate) fn topology(prefix: &str, layout: &Layout) -> Topology {
    let topics = (0..).zip(&layout.topics).map(|(index, topic)| {
        let end = if topic.ordered { ".fifo" } else { "" };
        let subscribers = layout.subscriptions.iter().filter(|spec| spec.topic.0 == index);
        PlacedTopic {
            name: topic.name.clone(),
            physical: format!("{prefix}-{}{end}", topic.name),
            ordered: topic.ordered,
            max_message: DEFAULT_MAX_MESSAGE,
            archive: None,
            subscribers: subscribers
                .map(|spec| PlacedSubscriber {
                    name: spec.subscriber.clone(),
                    queue: format!("{prefix}-{}-{}{end}", topic.name, spec.subscriber),
                    dead_letters: format!("{prefix}-{}-{}-dlq{end}", topic.name, spec.subscriber),
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
        external: Vec::new(),
    }
}

/// What names begin with, where the account is the test's own.
pub(crate) const PREFIX: &str = "app-test";

/// Where a stage is.
enum Place {
    /// On a server for tests, in an account of its own.
    Server { url: String, account: String },
    /// In the account that the environment's credentials are of, with names of its own.
    #[cfg(real_aws)]
    Account { prefix: String },
}

/// A stage of an app.
pub(crate) struct Stage {
    place: Place,
    made: Mutex<Vec<Topology>>,
}

impl Stage {
    /// On the server that this variable names.
    pub(crate) fn on(variable: &str) -> Self {
        Self { place: Place::Server { url: server(variable), account: account() }, made: Mutex::default() }
    }

    /// In a real account.
    #[cfg(real_aws)]
    pub(crate) fn on_aws() -> Self {
        let prefix = format!("lesstest-{}", less_runtime::message::MessageId::generate());
        Self { place: Place::Account { prefix }, made: Mutex::default() }
    }

    fn topology(&self, layout: &Layout) -> Topology {
        match &self.place {
            Place::Server { .. } => topology(PREFIX, layout),
            #[cfg(real_aws)]
            Place::Account { prefix } => topology(prefix, layout),
        }
    }

    /// Clients of its server, as its account.
    pub(crate) async fn connection(&self) -> Connection {
        match &self.place {
            Place::Server { url, account } => connection(url, account.clone(), Purpose::Deploy).await,
            #[cfg(real_aws)]
            Place::Account { .. } => {
                aws::connect(&less_model::manifest::AwsLayer::default(), Purpose::Deploy)
                    .await
                    .expect("the environment has credentials and a region")
            }
        }
    }

    /// Makes what a layout needs.
    pub(crate) async fn deploy(&self, layout: &Layout) {
        let connection = self.connection().await;
        let topology = self.topology(layout);
        let desired = Desired::of(&topology, &connection.site, None);
        self.made.lock().expect("no holder panics").push(topology);
        ensure_all(&connection, &desired).await.expect("it is deployed");
    }

    /// A process of the app.
    pub(crate) async fn process(
        &self,
        layout: &Layout,
        options: Options,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        let connection = self.connection().await;
        Ok(aws::open(&connection, &self.topology(layout), layout, options, Clock::System).await?)
    }

    /// Deletes everything that it has made.
    async fn remove(&self) {
        let made = std::mem::take(&mut *self.made.lock().expect("no holder panics"));
        let connection = self.connection().await;
        for topic in made.iter().flat_map(|topology| &topology.topics) {
            delete_topic(&connection, &topic.physical).await.expect("it can be deleted");
            for name in topic.subscribers.iter().flat_map(|found| [&found.queue, &found.dead_letters]) {
                // One that an earlier round has deleted is there no more.
                let Ok(found) = connection.sqs.get_queue_url().queue_name(name).send().await else {
                    continue;
                };
                let url = found.queue_url.expect("it has a URL");
                delete_queue(&connection, &url).await.expect("it can be deleted");
            }
        }
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

    async fn clean(&self) {
        self.remove().await;
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
