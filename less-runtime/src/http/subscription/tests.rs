//! Guests over a real socket, from a real store, with the client that the command line uses.
#![cfg(feature = "embedded")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use less_model::manifest::{Manifest, Policy, Settings, Start, Subscriber, Topic, VERSION};
use tokio::net::TcpListener;

use crate::app::{App, layout};
use crate::client::{Client, SubscriberStatus};
use crate::clock::Clock;
use crate::publish::{Publish, PublishError};
use crate::shutdown::{self, ShutdownSwitch};
use crate::transport::conformance::lease;
use crate::transport::embedded::{Options, open};
use crate::transport::{
    Attachment, AttemptError, AttemptErrorKind, DeadReason, Replay, SubscriptionIndex, TopicIndex, Transport,
};

const GUEST: &str = "friends:suggest";
const PATIENCE: Duration = Duration::from_secs(20);

/// App `shop` with topic `user_created` and these subscribers, running.
struct Shop {
    client: Client,
    transport: Arc<dyn Transport>,
    _switch: ShutdownSwitch,
}

async fn shop(folder: &Path, subscribers: &[&str]) -> Shop {
    let subscriber = |name: &&str| Subscriber {
        name: name.parse().unwrap(),
        language: less_model::language::Language::Rust,
        file: String::new(),
        policy: Policy::default(),
        filter: None,
    };
    let topic = Topic {
        name: "user_created".parse().unwrap(),
        message_type: None,
        schema: None,
        retention: less_model::manifest::DEFAULT_RETENTION,
        ordered: false,
        max_message: less_model::manifest::DEFAULT_MAX_MESSAGE,
        subscribers: subscribers.iter().map(subscriber).collect(),
    };
    let manifest = Manifest {
        version: VERSION,
        app: "shop".parse().unwrap(),
        settings: Settings::default(),
        workers: BTreeMap::new(),
        topics: vec![topic],
        external: Vec::new(),
        contract: None,
    };
    let options = Options { reserve: 0, ..Options::default() };
    let transport: Arc<dyn Transport> =
        Arc::new(open(folder, &layout(&manifest), options, Clock::System).unwrap());
    let app = App::new(manifest, &HashMap::new(), Arc::clone(&transport), Clock::System, 1 << 20);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (switch, shutdown) = shutdown::channel();
    tokio::spawn(crate::http::serve(listener, Arc::new(app), crate::http::tests_options(), shutdown));
    Shop { client: Client::at(&url, None).unwrap(), transport, _switch: switch }
}

impl Shop {
    async fn attach(&self) -> SubscriptionIndex {
        let (app, subscriber) = ("friends".parse().unwrap(), "suggest".parse().unwrap());
        let wanted = Attachment { app, subscriber, start: Start::Now, filter: None };
        self.transport.attach(TopicIndex(0), wanted).await.unwrap()
    }

    async fn publish(&self, count: u32) {
        let messages = (0..count).map(|n| (n.to_string().into(), Publish::default())).collect();
        for result in self.client.publish("user_created", messages).await {
            result.unwrap();
        }
    }

    async fn row(&self, subscriber: &str) -> SubscriberStatus {
        let status = self.client.status().await.unwrap();
        status.subscribers.into_iter().find(|row| row.subscriber == subscriber).unwrap()
    }
}

/// Status and detail of a refusal.
fn refused<T: std::fmt::Debug>(result: Result<T, PublishError>) -> (u16, String) {
    match result {
        Err(PublishError::Refused { status, detail, .. }) => (status, detail),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_guest_is_shown_administered_and_dropped_by_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(folder.path(), &["own"]).await;
    let (client, index) = (&shop.client, shop.attach().await);
    shop.publish(3).await;
    let consumer = shop.transport.consumer(index).await.unwrap();
    for delivery in lease(&*consumer, 2).await {
        let error = AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: 1 };
        delivery.dead_letter(DeadReason::Rejected, error).await.unwrap();
    }
    let row = shop.row(GUEST).await;
    assert_eq!((row.topic.as_str(), row.pending, row.dead, row.orphaned), ("user_created", 1, 2, false));
    let letters = client.dead_letters("user_created", GUEST, None, 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    let ids = [letters[0].message_id];
    assert_eq!(client.release("user_created", GUEST, Some(&ids)).await.unwrap(), 1);
    assert_eq!(client.purge("user_created", GUEST, None).await.unwrap(), 1);
    assert_eq!(client.replay("user_created", GUEST, Replay::All).await.unwrap(), 1);
    let tail = client.tail("user_created", Some(GUEST)).await;
    assert!(tail.is_ok());
    assert_eq!(refused(client.restart_workers("user_created", GUEST).await).0, 409);

    let drop = |messages| client.drop_subscription("user_created", GUEST, messages);
    let held = "3 messages are in `user_created/friends:suggest`, and would be lost";
    assert_eq!(refused(drop(false).await), (409, held.to_owned()));
    let busy = "`user_created/friends:suggest` is in use: app `friends` runs, and subscribes to it";
    assert_eq!(refused(drop(true).await), (409, busy.to_owned()));
    std::mem::drop(consumer);
    let last = drop(true).await.unwrap();
    assert_eq!((last.subscriber.as_str(), last.held(), last.published), (GUEST, 3, Some(3)));
    assert_eq!(refused(drop(true).await).0, 404);
    let status = client.status().await.unwrap();
    assert_eq!(status.subscribers.len(), 1);
}

#[tokio::test]
async fn a_subscriber_is_dropped_once_its_folder_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let before = shop(folder.path(), &["old", "own"]).await;
    before.publish(2).await;
    let drop = before.client.drop_subscription("user_created", "old", true).await;
    let expected = "`user_created/old` has a folder in the app that runs, and is not dropped";
    assert_eq!(refused(drop), (409, expected.to_owned()));
    before.transport.close().await.unwrap();

    let after = shop(folder.path(), &["own"]).await;
    after.publish(1).await;
    let row = after.row("old").await;
    assert!(row.orphaned && row.pending == 3, "{row:?}");
    assert!(!after.row("own").await.orphaned);
    let metrics = metrics(&after).await;
    let line = r#"less_messages{topic="user_created",subscriber="old",state="pending"} 3"#;
    assert!(metrics.contains(line), "{metrics}");
    assert_eq!(refused(after.client.drop_subscription("nowhere", "old", true).await).0, 404);
    assert_eq!(after.client.drop_subscription("user_created", "old", true).await.unwrap().pending, 3);
    assert!(!self::metrics(&after).await.contains("\"old\""));
}

async fn metrics(shop: &Shop) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = shop.client.url().trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut out = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut out)).await.expect("in time").unwrap();
    out
}
