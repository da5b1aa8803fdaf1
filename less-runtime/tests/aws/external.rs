//! One app's messages in another app's queues: the publisher knows nothing of who subscribes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use less_model::manifest::{Manifest, Policy, VERSION};
use less_model::topology::Topology;
use less_runtime::app::layout;
use less_runtime::clock::Clock;
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{Connection, Known, Purpose, open, open_known};
use less_runtime::transport::{
    AttemptError, AttemptErrorKind, DeadReason, Delivery, NewMessage, Selection, SubscriptionIndex,
    TopicIndex, Transport,
};
use serde_json::{Value, json};

use crate::stage::{account, connection_in, quick, server};

const SERVERS: [&str; 2] = ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"];
const HOME: &str = "eu-west-1";
/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Behind the subscription to the app's own topic.
const SUGGEST: SubscriptionIndex = SubscriptionIndex(1);
const FILTERED: SubscriptionIndex = SubscriptionIndex(2);

fn subscriber(name: &str, filter: Option<Value>) -> Value {
    let mut subscriber =
        json!({"name": name, "language": "node", "file": "index.js", "policy": Policy::default()});
    if let Some(policy) = filter {
        subscriber["filter"] = json!({"scope": "attributes", "policy": policy});
    }
    subscriber
}

fn topic(name: &str, ordered: bool, subscribers: &[Value]) -> Value {
    json!({"name": name, "retention": "7d", "ordered": ordered, "subscribers": subscribers})
}

fn manifest(app: &str, topics: &[Value], external: Value, at: &Value) -> Manifest {
    let settings = json!({"stages": {"prod": {"transport": "aws", "external": {"users": at}}}});
    let external = if external.is_null() { json!([]) } else { external };
    serde_json::from_value(json!({
        "version": VERSION, "app": app, "settings": settings, "topics": topics, "external": external
    }))
    .expect("a manifest")
}

/// Two apps that are deployed, and a process of each.
struct Apps {
    users: Arc<dyn Transport>,
    friends: Arc<dyn Transport>,
    connection: Connection,
    manifest: Manifest,
    topology: Topology,
}

async fn deployed(manifest: &Manifest, connection: &Connection, accounts: &[String]) -> Topology {
    let topology = Topology::of(manifest, &"prod".parse().unwrap());
    let desired = Desired::of(&topology, &connection.site, None).open_to(accounts);
    ensure_all(connection, &desired).await.expect("it is deployed");
    topology
}

impl Apps {
    /// `users` in a region and, where it is not the same, in an account of its own.
    async fn new(server_name: &str, ordered: bool, region: &str, far: bool) -> Self {
        let url = server(server_name);
        let here = account();
        let there = if far { account() } else { here.clone() };
        let at = json!({"region": region, "account": there});
        let publisher = connection_in(region, &url, there, Purpose::Deploy).await;
        let connection = connection_in(HOME, &url, here.clone(), Purpose::Deploy).await;

        let created = topic("created", ordered, &[subscriber("mail", None)]);
        let users = manifest("users", &[created], Value::Null, &json!({}));
        let placed = deployed(&users, &publisher, &[here]).await;
        let opened = open(&publisher, &placed, &layout(&users), quick(), Clock::System).await;
        let users: Arc<dyn Transport> = opened.expect("it opens");

        let suggest = [subscriber("suggest", None), subscriber("vip", Some(json!({"kind": ["vip"]})))];
        let external = json!([{"app": "users", "topics": [topic("created", ordered, &suggest)]}]);
        let own = topic("suggested", false, &[subscriber("tell", None)]);
        let manifest = manifest("friends", &[own], external, &at);
        let topology = deployed(&manifest, &connection, &[]).await;
        let opened = open(&connection, &topology, &layout(&manifest), quick(), Clock::System).await;
        Self { users, friends: opened.expect("it opens"), connection, manifest, topology }
    }

    async fn publish(&self, messages: Vec<NewMessage>) {
        for result in self.users.publish(TopicIndex(0), messages.into()).await {
            result.expect("it is accepted");
        }
    }
}

fn message(number: u32, key: Option<&str>, kind: &str) -> NewMessage {
    let attributes = BTreeMap::from([("kind".to_owned(), kind.to_owned())]);
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: key.map(str::to_owned),
            attributes,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            body: number.to_string().into_bytes().into(),
        }),
        due: None,
        idempotency_key: None,
    }
}

/// The next message of a subscription.
async fn next(process: &Arc<dyn Transport>, subscription: SubscriptionIndex) -> Box<dyn Delivery> {
    let consumer = process.consumer(subscription).await.expect("a consumer");
    let leased = tokio::time::timeout(PATIENCE, consumer.lease(1)).await.expect("a message in time");
    leased.expect("a lease").pop().expect("a message")
}

/// Publishes in one app, and expects all of it, as it was, in the other.
async fn all_of_it_arrives(apps: &Apps, ordered: bool) {
    let key = ordered.then_some("k");
    let sent: Vec<NewMessage> =
        (0..12).map(|n| message(n, key, if n == 7 { "vip" } else { "plain" })).collect();
    apps.publish(sent.clone()).await;
    let mut got = Vec::new();
    for _ in 0..sent.len() {
        let delivery = next(&apps.friends, SUGGEST).await;
        assert_eq!(delivery.attempt(), 1);
        got.push(Arc::clone(delivery.message()));
        delivery.ack().await.expect("an ack");
    }
    if !ordered {
        got.sort_by_key(|message| message.id);
    }
    let mut wanted: Vec<_> = sent.iter().map(|sent| sent.message.clone()).collect();
    if !ordered {
        wanted.sort_by_key(|message| message.id);
    }
    assert_eq!(got, wanted, "ids, times, keys, attributes, trace parents and bodies are the publisher's");
    let vip = next(&apps.friends, FILTERED).await;
    assert_eq!(vip.message().id, sent[7].message.id, "the filter is this subscriber's own");
    vip.ack().await.expect("an ack");
    // The publisher's own subscriber has them all, whatever the other app does.
    assert_eq!(apps.users.ledgers().await.expect("ledgers")[0].pending, 12);
}

#[tokio::test]
async fn another_app_gets_what_is_published_as_it_was_published() {
    for server in SERVERS {
        for ordered in [false, true] {
            let apps = Apps::new(server, ordered, HOME, false).await;
            all_of_it_arrives(&apps, ordered).await;
            let ledgers = apps.friends.ledgers().await.expect("ledgers");
            let left: Vec<u64> = ledgers.iter().map(|ledger| ledger.pending + ledger.in_flight).collect();
            assert_eq!(left, [0, 0, 0], "{server}, ordered: {ordered}");
        }
    }
}

#[tokio::test]
async fn another_region_s_topic_delivers_here() {
    for server in SERVERS {
        let apps = Apps::new(server, false, "us-east-1", false).await;
        all_of_it_arrives(&apps, false).await;
    }
}

#[tokio::test]
async fn another_account_s_topic_delivers_here() {
    // LocalStack shows nobody another account's subscription, not even the one whose it is.
    for ordered in [false, true] {
        let apps = Apps::new(SERVERS[1], ordered, HOME, true).await;
        all_of_it_arrives(&apps, ordered).await;
    }
}

#[tokio::test]
async fn dead_letters_of_another_app_s_topic_are_this_app_s() {
    for server in SERVERS {
        let apps = Apps::new(server, false, HOME, false).await;
        apps.publish(vec![message(1, None, "plain")]).await;
        let error =
            AttemptError { kind: AttemptErrorKind::Error, message: "no".to_owned(), at: Clock::System.now() };
        let delivery = next(&apps.friends, SUGGEST).await;
        let id = delivery.message().id;
        delivery.dead_letter(DeadReason::Rejected, error).await.expect("it is a dead letter");
        let letters = apps.friends.dead_letters(SUGGEST, None, 10).await.expect("dead letters");
        assert_eq!(letters.iter().map(|letter| letter.message.id).collect::<Vec<_>>(), [id]);
        assert_eq!(letters[0].history[0].message, "no");
        assert_eq!(apps.friends.release(SUGGEST, Selection::All).await.expect("a release"), 1);
        let again = next(&apps.friends, SUGGEST).await;
        assert_eq!(again.message().id, id);
        again.ack().await.expect("an ack");
        assert_eq!(apps.users.dead_letters(SubscriptionIndex(0), None, 10).await.expect("none").len(), 0);
    }
}

#[tokio::test]
async fn queues_of_other_apps_topics_are_known_by_the_topic_s_address() {
    let apps = Apps::new(SERVERS[0], false, HOME, false).await;
    let mut urls = BTreeMap::new();
    for (address, _, subscriber) in apps.topology.subscribers() {
        let found = apps.connection.sqs.get_queue_url().queue_name(&subscriber.queue).send().await;
        urls.insert(format!("{address}/{}", subscriber.name), found.unwrap().queue_url.unwrap());
    }
    let names: Vec<&String> = urls.keys().collect();
    assert_eq!(names, ["suggested/tell", "users:created/suggest", "users:created/vip"]);
    let known = Known::from_env(|name| (name == "LESS_QUEUE_URLS").then(|| json!(urls).to_string()));
    let known = known.expect("it is JSON").expect("it is set");
    // Nobody is asked: the server is one that is not there.
    let mut nowhere = connection_in(HOME, "http://127.0.0.1:9", account(), Purpose::Run).await;
    let layout = layout(&apps.manifest);
    let blind = open_known(&nowhere, &apps.topology, &layout, quick(), Clock::System, &known).await;
    blind.expect("nothing has to be looked for");
    nowhere.sqs = apps.connection.sqs.clone();
    let opened = open_known(&nowhere, &apps.topology, &layout, quick(), Clock::System, &known).await;
    let friends: Arc<dyn Transport> = opened.expect("it opens");
    apps.publish(vec![message(1, None, "plain")]).await;
    next(&friends, SUGGEST).await.ack().await.expect("an ack");
}

#[tokio::test]
async fn queues_that_are_missing_are_named() {
    let apps = Apps::new(SERVERS[0], false, HOME, false).await;
    let mut manifest = apps.manifest.clone();
    manifest.external[0].topics[0].subscribers[0].name = "later".parse().unwrap();
    let topology = Topology::of(&manifest, &"prod".parse().unwrap());
    let opened = open(&apps.connection, &topology, &layout(&manifest), quick(), Clock::System).await;
    let told = opened.err().expect("it does not open").to_string();
    assert!(told.contains("friends-prod-users-created-later"), "{told}");
}
