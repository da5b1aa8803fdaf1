//! Takers are given what is leased for them as it comes, while they have room.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::{Embedded, Options};
use super::fault_disk::FaultDisk;
use super::{NOON, open_disk};
use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{layout, message};
use crate::transport::{Leases, Ledger, SubscriptionIndex, Taker, TopicIndex, Transport as _};

/// Keeps what it is given.
#[derive(Default)]
struct Basket {
    room: AtomicUsize,
    refuses: AtomicBool,
    taken: Mutex<Vec<Box<dyn Leases>>>,
}

impl Basket {
    fn with(room: usize) -> Arc<Self> {
        Arc::new(Self { room: room.into(), ..Self::default() })
    }

    fn bodies(&self) -> Vec<String> {
        let taken = self.taken.lock().expect("no holder panics");
        let bodies =
            taken.iter().filter_map(|leases| leases.first().map(|(message, _)| message.body.to_vec()));
        bodies.map(|body| String::from_utf8(body).expect("text")).collect()
    }
}

impl Taker for Basket {
    fn room(&self) -> usize {
        self.room.load(Ordering::SeqCst)
    }

    fn take(self: Arc<Self>, leases: Box<dyn Leases>) -> Option<Box<dyn Leases>> {
        if self.refuses.load(Ordering::SeqCst) {
            return Some(leases);
        }
        self.room.fetch_sub(leases.len(), Ordering::SeqCst);
        self.taken.lock().expect("no holder panics").push(leases);
        None
    }
}

fn store() -> (Arc<Embedded>, ManualClock) {
    let clock = ManualClock::new(NOON);
    let options = Options { reserve: 0, ..Options::default() };
    let store = open_disk(
        Arc::new(FaultDisk::default()),
        &layout(&["a"]),
        options,
        Clock::Manual(clock.clone()),
        None,
    );
    (Arc::new(store.expect("it opens")), clock)
}

async fn publish(store: &Embedded, clock: &ManualClock, bodies: &[&str]) {
    let messages = bodies.iter().map(|body| message(clock, body)).collect();
    for result in store.publish(TopicIndex(0), messages).await {
        result.expect("it is accepted");
    }
}

async fn until(store: &Embedded, wanted: impl Fn(&Ledger) -> bool) {
    let began = Instant::now();
    loop {
        let ledger = store.ledgers().await.expect("ledgers").remove(0);
        assert!(ledger.balanced(), "{ledger:?}");
        if wanted(&ledger) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain; last: {ledger:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_taker_is_given_what_comes_until_it_has_no_room() {
    let (store, clock) = store();
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let basket = Basket::with(3);
    let taker: Arc<dyn Taker> = Arc::<Basket>::clone(&basket);
    let asked = tokio::spawn(async move {
        let left = consumer.lease_to(&taker).await.expect("it goes on");
        (left.is_none(), consumer)
    });
    for (count, body) in (1..).zip(["1", "2", "3"]) {
        assert!(!asked.is_finished(), "there is room");
        publish(&store, &clock, &[body]).await;
        until(&store, |ledger| ledger.in_flight == count).await;
    }
    publish(&store, &clock, &["4"]).await;
    let (full, _consumer) = asked.await.expect("no panic");
    assert!(full, "whoever waits learns that there is no room");
    assert_eq!(basket.bodies(), ["1", "2", "3"]);
    until(&store, |ledger| (ledger.in_flight, ledger.pending) == (3, 1)).await;
    // Dropped, they are handed back.
    basket.taken.lock().expect("no holder panics").clear();
    until(&store, |ledger| (ledger.in_flight, ledger.pending) == (0, 4)).await;
}

#[tokio::test]
async fn what_a_taker_refuses_is_for_whoever_waits() {
    let (store, clock) = store();
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let basket = Basket::with(1);
    basket.refuses.store(true, Ordering::SeqCst);
    let taker: Arc<dyn Taker> = Arc::<Basket>::clone(&basket);
    publish(&store, &clock, &["1", "2"]).await;
    let left = consumer.lease_to(&taker).await.expect("it goes on").expect("it was refused");
    assert_eq!((left.len(), left.first().map(|(_, attempt)| attempt)), (1, Some(1)));
    assert_eq!(basket.bodies(), [""; 0]);
    until(&store, |ledger| (ledger.in_flight, ledger.pending) == (1, 1)).await;
}

#[tokio::test]
async fn a_taker_whose_caller_is_gone_is_given_nothing_more() {
    let (store, clock) = store();
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let basket = Basket::with(10);
    let taker: Arc<dyn Taker> = Arc::<Basket>::clone(&basket);
    let asked = tokio::spawn(async move { consumer.lease_to(&taker).await.map(|_| ()) });
    publish(&store, &clock, &["1"]).await;
    until(&store, |ledger| ledger.in_flight == 1).await;
    asked.abort();
    assert!(asked.await.expect_err("it was ended").is_cancelled());
    publish(&store, &clock, &["2"]).await;
    until(&store, |ledger| ledger.pending == 1).await;
    assert_eq!(basket.bodies(), ["1"]);
    // Another one goes on from there.
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let leases = consumer.lease(10).await.expect("it goes on");
    assert_eq!(leases.first().map(|(message, _)| message.body.to_vec()), Some(b"2".to_vec()));
}
