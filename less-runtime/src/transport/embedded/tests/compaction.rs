//! A quiet topic that keeps its messages, beside a busy one that does not: the segments that both are in go, and nothing with them.

use std::sync::Arc;
use std::time::Duration;

use less_model::quantity::Span;

use super::super::log::number;
use super::fault_disk::{FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::ManualClock;
use crate::transport::conformance::{lease, message};
use crate::transport::embedded::disk::Disk as _;
use crate::transport::{
    Consumer, Layout, Replay, SubscriptionIndex, SubscriptionSpec, TopicIndex, TopicSpec, Transport as _,
};

const QUIET: u32 = 0;
const BUSY: u32 = 1;

fn layout() -> Layout {
    let topic =
        |name: &str, retention| TopicSpec { retention, ..TopicSpec::new(name.parse().expect("a name")) };
    let subscription = |topic| SubscriptionSpec::new(TopicIndex(topic), "all".parse().expect("a name"));
    Layout {
        topics: vec![topic("quiet", Span::from_secs(7 * 86_400)), topic("busy", Span::from_secs(1))],
        subscriptions: vec![subscription(QUIET), subscription(BUSY)],
    }
}

/// Takes this many messages, and acks them. Returns their bodies.
async fn handle(consumer: &dyn Consumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        for delivery in lease(consumer, count - bodies.len()).await {
            bodies.push(String::from_utf8_lossy(&delivery.message().body).into_owned());
            delivery.ack().await.expect("an ack");
        }
    }
    bodies
}

#[tokio::test]
async fn a_quiet_topic_does_not_keep_what_a_busy_one_wrote_meanwhile_and_loses_nothing() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &layout(), &clock).expect("it opens");
    let quiet = store.consumer(SubscriptionIndex(QUIET)).await.expect("a consumer");
    let busy = store.consumer(SubscriptionIndex(BUSY)).await.expect("a consumer");
    let mut written = Vec::new();
    let logs = |disk: &FaultDisk| {
        disk.list().expect("it lists").iter().filter(|name| number(name).is_some()).count()
    };
    let mut most = 0;
    for round in 0..150 {
        let body = format!("\"quiet {round}\"");
        store
            .publish(TopicIndex(QUIET), vec![message(&clock, &body)].into())
            .await
            .remove(0)
            .expect("it is accepted");
        written.push(body);
        // Every third one is finished, the others wait.
        if round % 3 == 0 {
            handle(&*quiet, 1).await;
        }
        let noise = (0..8).map(|_| message(&clock, &format!("\"{}\"", "x".repeat(200)))).collect();
        for result in store.publish(TopicIndex(BUSY), noise).await {
            result.expect("it is accepted");
        }
        handle(&*busy, 8).await;
        clock.advance(Duration::from_secs(5));
        most = most.max(logs(&disk));
    }
    // 150 rounds of some 2 KB fill 150 segments of 2 KB; all that is needed of them is 150 short messages.
    assert!(most <= 30, "there were {most} segments");
    drop((quiet, busy));
    // Once as it is after a crash, and once closed.
    for close in [false, true] {
        let left = disk.after_power_cut(Unsynced::Lost);
        let mut store = open(&left, &layout(), &clock).expect("it opens");
        if close {
            store.close().await.expect("it closes");
            store = open(&left, &layout(), &clock).expect("it opens");
        }
        let ledger = store.ledgers().await.expect("ledgers").swap_remove(0);
        assert_eq!((ledger.published, ledger.done, ledger.discarded.len()), (150, 50, 0), "{ledger:?}");
        let quiet = store.consumer(SubscriptionIndex(QUIET)).await.expect("a consumer");
        assert_eq!(handle(&*quiet, 100).await, written[50..]);
        assert_eq!(store.replay(SubscriptionIndex(QUIET), Replay::All).await.expect("a replay"), 150);
        assert_eq!(handle(&*quiet, 150).await, written);
        let ledger = store.ledgers().await.expect("ledgers").swap_remove(0);
        assert!(ledger.balanced() && ledger.replay.done == 150, "{ledger:?}");
    }
}
