//! What goes wrong between two apps, and what is then still true.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::super::client::LinkState;
use super::super::{Link, VERSION};
use super::proxy::{Proxy, Weather};
use super::rig::{PATIENCE, Publisher, TOKEN, Where, connected, subscriber, subscriber_with, until};
use crate::clock::Clock;
use crate::message::{MessageId, StoredMessage};
use crate::transport::conformance::{layout, lease};
use crate::transport::{
    AttemptError, AttemptErrorKind, DeadReason, Delivery, Layout, Ledger, NewMessage, TopicIndex,
    TransportError,
};

/// Two apps with a network between them.
pub(super) struct Pair {
    folder: TempDir,
    layout: Layout,
    publisher: Option<Publisher>,
    /// Where the publisher itself is.
    target: Where,
    proxy: Proxy,
    pub(super) link: Arc<Link>,
}

impl Pair {
    pub(super) async fn new(subscribers: &[&str]) -> Self {
        let (folder, layout) = (tempfile::tempdir().unwrap(), layout(subscribers));
        let publisher = Publisher::open(&folder, &layout, Clock::System).await;
        let target = Arc::new(Mutex::new(publisher.address));
        let proxy = Proxy::before(Arc::clone(&target)).await;
        let link = subscriber(&layout, &Arc::new(Mutex::new(proxy.address)));
        connected(&link).await;
        Self { folder, layout, publisher: Some(publisher), target, proxy, link }
    }

    pub(super) fn publisher(&self) -> &Publisher {
        self.publisher.as_ref().unwrap()
    }

    pub(super) async fn publish(&self, bodies: impl IntoIterator<Item = String>) {
        let messages = bodies.into_iter().map(|body| message(&body, None)).collect();
        for result in self.publisher().transport.publish(TopicIndex(0), messages).await {
            result.unwrap();
        }
    }

    /// The books, as the publisher keeps them.
    pub(super) async fn ledger(&self) -> Ledger {
        let mut guests = self.publisher().transport.guests().await.unwrap();
        let ledger = guests.swap_remove(0).1;
        assert!(ledger.balanced(), "{ledger:?}");
        ledger
    }

    pub(super) async fn ledger_until(&self, what: &str, so: impl Fn(&Ledger) -> bool) {
        let began = std::time::Instant::now();
        loop {
            let ledger = self.ledger().await;
            if so(&ledger) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {ledger:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn take_publisher(&mut self) -> Publisher {
        self.publisher.take().unwrap()
    }

    pub(super) async fn stop_publisher(&mut self) {
        self.publisher.take().unwrap().close().await;
    }

    pub(super) async fn start_publisher(&mut self) {
        let publisher = Publisher::open(&self.folder, &self.layout, Clock::System).await;
        *self.target.lock().unwrap() = publisher.address;
        self.publisher = Some(publisher);
    }

    pub(super) async fn close(mut self) {
        self.link.close().await;
        self.stop_publisher().await;
    }
}

pub(super) fn message(body: &str, key: Option<&str>) -> NewMessage {
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: key.map(str::to_owned),
            attributes: BTreeMap::new(),
            traceparent: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }),
        due: None,
        idempotency_key: None,
    }
}

pub(super) async fn one(link: &Link) -> Box<dyn Delivery> {
    let consumer = link.consumer(0).unwrap();
    let mut leased = lease(&*consumer, 1).await;
    leased.remove(0)
}

#[tokio::test]
async fn a_handler_goes_on_while_its_connection_is_cut_and_its_ending_counts() {
    let pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    pair.proxy.cut();
    until("the link is down", || pair.link.status().state == LinkState::Waiting).await;
    delivery.ack().await.unwrap();
    let ledger = pair.ledger().await;
    assert_eq!((ledger.done, ledger.in_flight, ledger.pending), (1, 0, 0));
    pair.close().await;
}

#[tokio::test]
async fn an_ending_whose_confirmation_was_lost_is_confirmed_when_the_link_is_back() {
    let pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    pair.proxy.set(Weather::DeafSubscriber);
    let ack = tokio::spawn(delivery.ack());
    pair.ledger_until("the ending arrives", |ledger| ledger.done == 1).await;
    assert!(!ack.is_finished(), "nobody has confirmed it");
    pair.proxy.set(Weather::Fine);
    pair.proxy.cut();
    ack.await.unwrap().unwrap();
    assert_eq!(pair.ledger().await.done, 1);
    pair.close().await;
}

#[tokio::test]
async fn a_connection_that_is_half_open_is_noticed_by_both_sides_and_opened_anew() {
    let pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    pair.proxy.set(Weather::Silent);
    until("the subscriber notices", || pair.link.status().state == LinkState::Waiting).await;
    until("the publisher notices", || pair.publisher().link.connected().is_empty()).await;
    pair.proxy.set(Weather::Fine);
    pair.proxy.cut();
    connected(&pair.link).await;
    delivery.renew().await.unwrap();
    delivery.ack().await.unwrap();
    assert_eq!(pair.ledger().await.done, 1);
    pair.close().await;
}

#[tokio::test]
async fn what_a_subscriber_held_that_never_came_back_is_delivered_again_as_another_attempt() {
    let pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    pair.proxy.set(Weather::Closed);
    pair.proxy.cut();
    pair.ledger_until("the lease runs out", |ledger| ledger.pending == 1).await;
    until("the subscriber knows that, too", || {
        futures_now(delivery.renew()).is_some_and(|renewed| renewed.is_err())
    })
    .await;
    pair.proxy.set(Weather::Fine);
    connected(&pair.link).await;
    let again = tokio::spawn({
        let link = Arc::clone(&pair.link);
        async move { one(&link).await }
    });
    // Its old handler still runs, and the new attempt waits for that.
    assert!(matches!(delivery.ack().await, Err(TransportError::LeaseLost)));
    let again = again.await.unwrap();
    assert_eq!(again.attempt(), 2);
    again.dead_letter(DeadReason::Rejected, error("no")).await.unwrap();
    let letters = pair.link.dead_letters(0, None, 10).await.unwrap();
    let history: Vec<&str> = letters[0].history.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(history, ["the link to `friends` was lost during attempt 1, and did not come back", "no"]);
    pair.close().await;
}

#[tokio::test]
async fn a_restarted_publisher_delivers_again_what_was_held_and_the_old_handler_is_told() {
    let mut pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    pair.stop_publisher().await;
    until("the link is down", || pair.link.status().state == LinkState::Waiting).await;
    pair.start_publisher().await;
    connected(&pair.link).await;
    assert!(matches!(delivery.renew().await, Err(TransportError::LeaseLost)));
    drop(delivery);
    // The publisher was stopped in order, so that no attempt was charged.
    let again = one(&pair.link).await;
    assert_eq!(again.attempt(), 1);
    again.ack().await.unwrap();
    assert_eq!(pair.ledger().await.done, 1);
    pair.close().await;
}

#[tokio::test]
async fn a_subscriber_that_is_down_catches_up() {
    let pair = Pair::new(&["a"]).await;
    pair.link.close().await;
    pair.publish((0..100).map(|n| n.to_string())).await;
    assert_eq!(pair.ledger().await.pending, 100);
    let link = subscriber(&pair.layout, &pair.target);
    let consumer = link.consumer(0).unwrap();
    let mut bodies = Vec::new();
    while bodies.len() < 100 {
        for delivery in lease(&*consumer, 7).await {
            bodies.push(String::from_utf8(delivery.message().body.to_vec()).unwrap());
            delivery.ack().await.unwrap();
        }
    }
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(bodies, expected, "in the order in which they were published");
    link.close().await;
    pair.close().await;
}

#[tokio::test]
async fn what_a_killed_subscriber_held_goes_to_its_successor_at_once_and_counts_as_an_attempt() {
    let pair = Pair::new(&["a"]).await;
    pair.publish(["1".to_owned()]).await;
    let delivery = one(&pair.link).await;
    // As kill -9 does: not a word, its connections break, and it does not come back.
    pair.proxy.set(Weather::Closed);
    pair.proxy.cut();
    let successor = subscriber(&pair.layout, &pair.target);
    let again = one(&successor).await;
    assert_eq!(again.attempt(), 2);
    again.dead_letter(DeadReason::Rejected, error("no")).await.unwrap();
    let letters = successor.dead_letters(0, None, 10).await.unwrap();
    let history: Vec<&str> = letters[0].history.iter().map(|error| error.message.as_str()).collect();
    let because = "the process of `friends` ended during attempt 1";
    assert_eq!(history, [because, "no"], "its successor ended it, not the lease");
    drop(delivery);
    successor.close().await;
    pair.close().await;
}

#[tokio::test]
async fn two_folders_of_an_app_share_its_queue() {
    let pair = Pair::new(&["a"]).await;
    let other = subscriber_with(&pair.layout, &pair.target, TOKEN, "folder 2");
    connected(&other).await;
    pair.publish((0..20).map(|n| n.to_string())).await;
    let (here, there) = (pair.link.consumer(0).unwrap(), other.consumer(0).unwrap());
    let mut done = 0;
    while done < 20 {
        let (first, second) = tokio::join!(lease(&*here, 1), lease(&*there, 1));
        for delivery in first.into_iter().chain(second) {
            assert_eq!(delivery.attempt(), 1);
            delivery.ack().await.unwrap();
            done += 1;
        }
    }
    assert_eq!(pair.ledger().await.done, 20);
    other.close().await;
    pair.close().await;
}

#[tokio::test]
async fn a_slow_network_delays_and_loses_nothing() {
    let pair = Pair::new(&["a"]).await;
    pair.proxy.set(Weather::Slow(512));
    let body = format!("\"{}\"", "x".repeat(200_000));
    pair.publish((0..4).map(|_| body.clone())).await;
    let consumer = pair.link.consumer(0).unwrap();
    let mut done = 0;
    while done < 4 {
        for delivery in lease(&*consumer, 4).await {
            assert_eq!((delivery.attempt(), delivery.message().body.len()), (1, body.len()));
            delivery.ack().await.unwrap();
            done += 1;
        }
    }
    assert_eq!(pair.link.status().state, LinkState::Connected, "bytes came all the time");
    assert_eq!(pair.ledger().await.done, 4);
    pair.close().await;
}

#[tokio::test]
async fn messages_of_a_key_keep_their_order_whatever_happens_to_the_connection() {
    const MESSAGES: usize = 600;
    let mut pair = Pair::new(&["a"]).await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let consumer = pair.link.consumer(0).unwrap();
    for round in 0..12 {
        for n in round * MESSAGES / 12..(round + 1) * MESSAGES / 12 {
            let news = message(&n.to_string(), Some(&format!("key {}", n % 5)));
            pair.publisher().transport.publish(TopicIndex(0), vec![news].into()).await.remove(0).unwrap();
        }
        let goal = (round + 1) * MESSAGES / 12;
        while pair.ledger().await.done < goal as u64 {
            let Ok(leased) = tokio::time::timeout(Duration::from_millis(300), consumer.lease(3)).await else {
                continue;
            };
            for (nth, delivery) in leased.unwrap().enumerate() {
                let n: usize = std::str::from_utf8(&delivery.message().body).unwrap().parse().unwrap();
                let last = seen.get(&format!("key {}", n % 5)).copied();
                // Again, or the one that follows: never one before those.
                assert!(last.is_none_or(|last| n == last || n == last + 5), "{n} after {last:?}");
                seen.insert(format!("key {}", n % 5), n);
                if nth == 0 && n.is_multiple_of(7) {
                    pair.proxy.cut();
                }
                match delivery.ack().await {
                    Ok(()) | Err(TransportError::LeaseLost) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
        if round % 4 == 3 {
            pair.stop_publisher().await;
            pair.start_publisher().await;
        }
    }
    assert_eq!(pair.ledger().await.done, MESSAGES as u64);
    drop(consumer);
    pair.close().await;
}

#[tokio::test]
async fn a_wrong_token_another_app_and_an_unknown_topic_are_said() {
    let pair = Pair::new(&["a"]).await;
    let said = |link: &Arc<Link>| {
        let link = Arc::clone(link);
        async move {
            until("it says why", || link.status().error.is_some()).await;
            link.status().error.unwrap()
        }
    };
    let wrong = subscriber_with(&pair.layout, &pair.target, "another token of 32 characters..", "x");
    let url = format!("http://{}", pair.target.lock().unwrap());
    assert_eq!(
        said(&wrong).await,
        format!(
            "{url} refuses the link: the token is not this app's; LESS_LINK_TOKEN in its environment says which one is"
        )
    );
    assert_eq!(wrong.status().state, LinkState::Waiting);
    let mut other = layout(&["a"]);
    other.topics[0].name = "leger".parse().unwrap();
    let other = subscriber_with(&other, &pair.target, TOKEN, "y");
    assert_eq!(said(&other).await, "app `shop` has no topic `leger`, did you mean `ledger`?");
    assert_eq!(other.status().state, LinkState::Connected, "other subscriptions get theirs");
    wrong.close().await;
    other.close().await;
    pair.close().await;
}

#[tokio::test]
async fn another_version_of_the_link_is_said_to_both_sides() {
    let pair = Pair::new(&["a"]).await;
    let ask = |version: String| {
        let address = pair.publisher().address;
        async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = format!(
                "GET /_less/link HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: less-link\r\nless-link: {version}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; 2000];
            let read = stream.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..read]).into_owned()
        }
    };
    for version in [VERSION + 1, VERSION - 1] {
        let answer = ask(version.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        let said = format!(
            "speaks version {VERSION} of the link, and was asked for version {version}: build both apps with the same version of Less"
        );
        assert!(answer.contains(&said), "{answer}");
    }
    assert!(ask("one".to_owned()).await.starts_with("HTTP/1.1 400 "));
    pair.close().await;
}

pub(super) fn error(message: &str) -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Error, message: message.to_owned(), at: 1 }
}

/// What a future says at once.
fn futures_now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
