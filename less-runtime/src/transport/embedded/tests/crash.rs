//! The power is cut, or a call fails, at every call to the disk, one after the other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::fault_disk::{Fault, FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::ManualClock;
use crate::message::MessageId;
use crate::transport::conformance::{layout, lease, message};
use crate::transport::embedded::Embedded;
use crate::transport::{
    AttemptError, AttemptErrorKind, DeadReason, Selection, SubscriptionIndex, TopicIndex, Transport as _,
    TransportError,
};

/// What a workload was told before the fault.
#[derive(Debug, Default)]
struct Told {
    published: HashSet<MessageId>,
    /// Acks that were begun: what comes of them is open.
    acked: HashSet<MessageId>,
    dead: HashSet<MessageId>,
    /// Releases and purges were begun: dead letters may be anywhere.
    dead_moved: bool,
}

fn failure() -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Error, message: "no".to_owned(), at: NOON }
}

/// Publishes, leases, acks, retries, kills, releases, purges; ends at the first error.
async fn work(store: &Embedded, clock: &ManualClock, told: &mut Told) -> Result<(), String> {
    let text = |error: TransportError| error.to_string();
    let consumer = store.consumer(SubscriptionIndex(0)).await.map_err(text)?;
    for round in 0..6_u32 {
        let batch: Vec<_> =
            (0..4).map(|n| message(clock, &format!("\"{round}-{n}-{}\"", "x".repeat(100)))).collect();
        for result in store.publish(TopicIndex(0), batch.into()).await {
            told.published.insert(result.map_err(|error| error.to_string())?.message_id);
        }
        for (n, delivery) in consumer.lease(4).await.map_err(text)?.enumerate() {
            let id = delivery.message().id;
            match n {
                0 | 1 => {
                    told.acked.insert(id);
                    delivery.ack().await.map_err(text)?;
                }
                2 => delivery.retry_after(Duration::from_millis(1), failure()).await.map_err(text)?,
                _ => {
                    delivery.dead_letter(DeadReason::Rejected, failure()).await.map_err(text)?;
                    told.dead.insert(id);
                }
            }
        }
        clock.advance(Duration::from_millis(5));
        if round == 3 {
            told.dead_moved = true;
            let some = told.dead.iter().copied().take(1).collect();
            store.release(SubscriptionIndex(0), Selection::Ids(some)).await.map_err(text)?;
            let some = told.dead.iter().copied().skip(1).take(1).collect();
            store.purge(SubscriptionIndex(0), Selection::Ids(some)).await.map_err(text)?;
        }
    }
    store.close().await.map_err(text)
}

/// Opens the disk and accounts for every message that was acknowledged.
async fn account(disk: &Arc<FaultDisk>, clock: &ManualClock, told: &Told, what: &str) {
    let store = open(disk, &layout(&["a"]), clock).unwrap_or_else(|error| panic!("{what}: {error}"));
    let ledger = store.ledgers().await.expect("ledgers").swap_remove(0);
    assert!(ledger.balanced(), "{what}: {ledger:?}");
    assert_eq!(ledger.in_flight, 0, "{what}: nobody leased anything yet");
    let dead: HashSet<MessageId> = store
        .dead_letters(SubscriptionIndex(0), None, 1000)
        .await
        .expect("dead letters")
        .into_iter()
        .map(|letter| letter.message.id)
        .collect();
    if !told.dead_moved {
        assert!(told.dead.is_subset(&dead), "{what}: a dead letter is missing");
    }
    clock.advance(Duration::from_secs(60));
    let mut seen = HashSet::new();
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let open_messages = ledger.pending + ledger.scheduled;
    let mut got = 0;
    while got < open_messages {
        for delivery in lease(&*consumer, 100).await {
            seen.insert(delivery.message().id);
            got += 1;
            delivery.ack().await.expect("an ack");
        }
    }
    let purged = ledger.discarded.get("purged").copied().unwrap_or(0);
    let missing: Vec<_> = told
        .published
        .iter()
        .filter(|id| !seen.contains(*id) && !told.acked.contains(*id) && !dead.contains(*id))
        .collect();
    assert!(missing.len() as u64 <= purged, "{what}: acknowledged and gone: {missing:?}, purged {purged}");
    let after = store.ledgers().await.expect("ledgers").swap_remove(0);
    assert!(after.balanced(), "{what}: {after:?}");
    assert_eq!(after.pending + after.scheduled + after.in_flight, 0, "{what}: {after:?}");
    store.close().await.expect("it closes");
}

async fn every_call(fault: Fault, unsynced: Unsynced) -> u64 {
    let mut at = 1;
    loop {
        let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
        let mut told = Told::default();
        disk.fail(at, fault);
        let result = match open(&disk, &layout(&["a"]), &clock) {
            Ok(store) => work(&store, &clock, &mut told).await,
            Err(error) => Err(error.to_string()),
        };
        let reached = disk.calls() >= at;
        let left = disk.after_power_cut(unsynced);
        account(&left, &clock, &told, &format!("{fault:?} at call {at}, unsynced {unsynced:?}, {result:?}"))
            .await;
        if !reached {
            assert_eq!(result, Ok(()));
            return at;
        }
        at += 1;
    }
}

#[tokio::test]
async fn a_power_cut_at_any_call_loses_nothing_acknowledged() {
    for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn, Unsynced::Reordered] {
        let calls = every_call(Fault::PowerCut, unsynced).await;
        assert!(calls > 30, "the workload makes too few calls to mean anything: {calls}");
    }
}

#[tokio::test]
async fn a_failing_call_loses_nothing_acknowledged_and_nothing_is_acknowledged_after_it() {
    for unsynced in [Unsynced::Lost, Unsynced::Kept] {
        every_call(Fault::Error, unsynced).await;
    }
}

#[tokio::test]
async fn without_room_publishing_is_refused_while_acks_go_on_and_it_recovers_by_itself() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
    let publish =
        async || store.publish(TopicIndex(0), vec![message(&clock, "\"1\"")].into()).await.remove(0);
    publish().await.expect("there is room");
    disk.set_free(0);
    // What was free a moment ago is believed for a moment.
    let began = std::time::Instant::now();
    while !matches!(publish().await, Err(crate::PublishError::Full(_))) {
        assert!(began.elapsed() < Duration::from_secs(10), "publishing is not refused");
    }
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    lease(&*consumer, 1).await.remove(0).ack().await.expect("an ack");
    disk.set_free(1 << 30);
    publish().await.expect("there is room again");
    let ledger = store.ledgers().await.expect("ledgers").remove(0);
    assert!(ledger.balanced() && ledger.done == 1 && ledger.pending >= 1, "{ledger:?}");
}
