//! A message that ends its process must not take those along that are only near it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::state::SUSPECT;
use super::fault_disk::{FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::ManualClock;
use crate::transport::conformance::{layout, lease, message};
use crate::transport::{SubscriptionIndex, TopicIndex, Transport as _};

/// How long a lease that must give nothing is waited for; only that it does not is certain.
const GLANCE: Duration = Duration::from_millis(50);

#[tokio::test]
async fn what_may_have_ended_its_process_twice_is_attempted_alone_among_such() {
    let clock = ManualClock::new(NOON);
    let mut disk = Arc::new(FaultDisk::default());
    let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
    for n in 0..6 {
        let message = message(&clock, &n.to_string());
        store.publish(TopicIndex(0), vec![message].into()).await.remove(0).expect("it is accepted");
    }
    store.close().await.expect("it closes");
    // Two processes end while all six are in flight.
    for _ in 0..SUSPECT {
        let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
        let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
        let leased = lease(&*consumer, 10).await;
        assert_eq!(leased.len(), 6);
        disk = disk.after_power_cut(Unsynced::Kept);
        leased.into_iter().for_each(std::mem::forget);
    }
    let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
    let fresh = message(&clock, "\"fresh\"");
    store.publish(TopicIndex(0), vec![fresh].into()).await.remove(0).expect("it is accepted");
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let mut attempts = BTreeMap::new();
    for round in 0..6 {
        let mut leased = lease(&*consumer, 10).await;
        if round == 0 {
            // What nobody suspects is handed out beside it.
            let fresh = leased.pop().expect("two messages");
            assert_eq!(&fresh.message().body[..], b"\"fresh\"");
            fresh.ack().await.expect("an ack");
        }
        assert_eq!(leased.len(), 1, "one of them at a time");
        // While it runs no other such is handed out.
        let more = tokio::time::timeout(GLANCE, consumer.lease(10)).await;
        assert!(
            more.is_err(),
            "{} more were handed out beside it",
            more.expect("a lease").expect("a lease").len()
        );
        let alone = leased.remove(0);
        attempts.insert(alone.message().id, alone.attempt());
        alone.ack().await.expect("an ack");
    }
    let third = u32::try_from(SUSPECT).expect("it is small") + 1;
    assert_eq!(
        attempts.into_values().collect::<Vec<_>>(),
        [third; 6],
        "its neighbours lost no more attempts than that"
    );
}
