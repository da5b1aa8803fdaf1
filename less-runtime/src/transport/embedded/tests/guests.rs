//! Subscriptions that the layout does not have: other apps' ones, and those whose folder is gone.

use std::sync::Arc;
use std::time::Duration;

use less_model::filter::{Filter, Scope};
use less_model::manifest::Start;
use serde_json::json;

use super::fault_disk::{Fault, FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::ManualClock;
use crate::transport::conformance::{filter, layout, lease, message};
use crate::transport::embedded::Embedded;
use crate::transport::embedded::disk::Disk as _;
use crate::transport::embedded::log::number;
use crate::transport::embedded::verify;
use crate::transport::{
    Attachment, DeadReason, Guest, Layout, Ledger, Replay, Selection, SubscriptionIndex, TopicIndex,
    Transport as _, TransportError,
};
use crate::transport::{AttemptError, AttemptErrorKind};

fn even() -> Filter {
    filter(Scope::Body, &json!({ "even": [true] }))
}

fn wanted(subscriber: &str, start: Start, filter: Option<Filter>) -> Attachment {
    let app = "friends".parse().expect("a name");
    Attachment { app, subscriber: subscriber.parse().expect("a name"), start, filter }
}

async fn attach(store: &Embedded, subscriber: &str, filter: Option<Filter>) -> SubscriptionIndex {
    store.attach(TopicIndex(0), wanted(subscriber, Start::Now, filter)).await.expect("it is attached")
}

async fn publish(store: &Embedded, clock: &ManualClock, numbers: std::ops::Range<u32>) {
    let body = |n: u32| json!({ "n": n, "even": n.is_multiple_of(2), "text": "x".repeat(50) }).to_string();
    let messages: Vec<_> = numbers.map(|n| message(clock, &body(n))).collect();
    // A write is never in two files.
    for some in messages.chunks(10) {
        for result in store.publish(TopicIndex(0), some.to_vec().into()).await {
            result.expect("it is accepted");
        }
    }
}

/// Takes and acks this many messages. Returns their numbers.
async fn take(store: &Embedded, subscription: SubscriptionIndex, count: usize) -> Vec<u64> {
    let consumer = store.consumer(subscription).await.expect("a consumer");
    let mut numbers = Vec::new();
    while numbers.len() < count {
        for delivery in lease(&*consumer, count - numbers.len()).await {
            let body: serde_json::Value = serde_json::from_slice(&delivery.message().body).expect("JSON");
            numbers.push(body["n"].as_u64().expect("a number"));
            delivery.ack().await.expect("an ack");
        }
    }
    numbers
}

/// The only guest and its books.
async fn only(store: &Embedded) -> (Guest, Ledger) {
    let mut guests = store.guests().await.expect("guests");
    assert_eq!(guests.len(), 1, "{guests:?}");
    let (guest, ledger) = guests.remove(0);
    assert!(ledger.balanced(), "{ledger:?}");
    (guest, ledger)
}

fn filtered(ledger: &Ledger) -> u64 {
    ledger.discarded.get("filtered").copied().unwrap_or(0)
}

fn fresh() -> (Arc<FaultDisk>, ManualClock) {
    (Arc::new(FaultDisk::default()), ManualClock::new(NOON))
}

fn logs(disk: &FaultDisk) -> usize {
    disk.list().expect("it can be listed").iter().filter(|name| number(name).is_some()).count()
}

#[tokio::test]
async fn a_guest_keeps_getting_messages_while_its_app_and_this_one_are_down() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    publish(&store, &clock, 0..3).await;
    let guest = attach(&store, "suggest", None).await;
    assert!(guest.0 >= SubscriptionIndex::GUESTS);
    assert_eq!(attach(&store, "suggest", None).await, guest, "it is the same one");
    publish(&store, &clock, 3..6).await;
    assert_eq!(take(&store, guest, 2).await, [3, 4]);
    store.settle().await.expect("it settles");
    // The power is cut: what was told is on the disk.
    let disk = disk.after_power_cut(Unsynced::Lost);
    drop(store);
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    publish(&store, &clock, 6..8).await;
    let (guest, ledger) = only(&store).await;
    assert_eq!((guest.address().as_str(), guest.topic.as_str()), ("friends:suggest", "ledger"));
    assert_eq!((ledger.published, ledger.done, ledger.pending), (5, 2, 3));
    assert_eq!(attach(&store, "suggest", None).await, guest.index);
    assert_eq!(take(&store, guest.index, 3).await, [5, 6, 7]);
    assert_eq!(take(&store, SubscriptionIndex(0), 8).await, (0..8).collect::<Vec<_>>());
    store.close().await.expect("it closes");
    assert_eq!(verify::inspect_disk(&*disk, NOON).expect("it can be read").problems, []);
}

#[tokio::test]
async fn a_new_guest_begins_where_it_says_and_gets_of_that_what_passes() {
    let earlier = Start::Ago(less_model::quantity::Span::from_secs(60));
    for (start, from) in [(Start::Earliest, 0), (earlier, 10), (Start::Now, 20)] {
        let (disk, clock) = fresh();
        let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
        publish(&store, &clock, 0..10).await;
        clock.advance(Duration::from_secs(120));
        publish(&store, &clock, 10..20).await;
        let guest = store.attach(TopicIndex(0), wanted("suggest", start, Some(even()))).await;
        let guest = guest.expect("it is attached");
        publish(&store, &clock, 20..24).await;
        let (_, ledger) = only(&store).await;
        let half = (24 - from) / 2;
        assert_eq!((ledger.published, ledger.pending, filtered(&ledger)), (24 - from, half, half));
        let expected: Vec<u64> = (from..24).filter(|n| n.is_multiple_of(2)).collect();
        assert_eq!(take(&store, guest, expected.len()).await, expected);
    }
}

#[tokio::test]
async fn a_guests_filter_holds_while_its_app_is_down_and_until_another_one_is_told() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    attach(&store, "suggest", Some(even())).await;
    publish(&store, &clock, 0..4).await;
    let disk = disk.after_power_cut(Unsynced::Lost);
    drop(store);
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    publish(&store, &clock, 4..8).await;
    let odd = Some(filter(Scope::Body, &json!({ "even": [false] })));
    let guest = attach(&store, "suggest", odd.clone()).await;
    publish(&store, &clock, 8..12).await;
    store.close().await.expect("it closes");
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    publish(&store, &clock, 12..16).await;
    assert_eq!(take(&store, guest, 8).await, [0, 2, 4, 6, 9, 11, 13, 15]);
    assert_eq!(store.replay(guest, Replay::All).await.expect("a replay"), 8, "what passes the last one");
    assert_eq!(attach(&store, "suggest", None).await, guest);
    publish(&store, &clock, 16..18).await;
    let (_, ledger) = only(&store).await;
    assert_eq!((ledger.pending, ledger.done, filtered(&ledger), ledger.replay.pending), (2, 8, 8, 8));
}

#[tokio::test]
async fn what_a_publisher_judged_before_a_guest_came_is_judged_again() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    // Both are on their way to the writer before it has looked at either, in this order.
    let attached = store.attach(TopicIndex(0), wanted("suggest", Start::Now, Some(even())));
    let (guest, ()) = tokio::join!(attached, publish(&store, &clock, 0..10));
    let (_, ledger) = only(&store).await;
    assert_eq!(filtered(&ledger) * 2, ledger.published, "{ledger:?}");
    let expected: Vec<u64> = (10 - ledger.published..10).filter(|n| n.is_multiple_of(2)).collect();
    assert_eq!(take(&store, guest.expect("it is attached"), expected.len()).await, expected);
}

#[tokio::test]
async fn a_subscriber_without_a_folder_keeps_getting_messages_by_its_filter_until_the_folder_is_back() {
    let (disk, clock) = fresh();
    let mut both = layout(&["own", "even"]);
    both.subscriptions[1].filter = Some(even());
    let store = open(&disk, &both, &clock).expect("it opens");
    publish(&store, &clock, 0..4).await;
    assert_eq!(store.guests().await.expect("guests"), []);
    store.close().await.expect("it closes");
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    publish(&store, &clock, 4..8).await;
    let (orphan, ledger) = only(&store).await;
    assert_eq!((orphan.address().as_str(), orphan.app), ("even", None));
    assert_eq!((ledger.published, ledger.pending, filtered(&ledger)), (8, 4, 4));
    store.close().await.expect("it closes");
    let store = open(&disk, &both, &clock).expect("it opens");
    assert_eq!(store.guests().await.expect("guests"), []);
    assert_eq!(take(&store, SubscriptionIndex(1), 4).await, [0, 2, 4, 6]);
}

#[tokio::test]
async fn a_guest_has_dead_letters_and_replays_like_everyone() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    let guest = attach(&store, "suggest", None).await;
    publish(&store, &clock, 0..3).await;
    let consumer = store.consumer(guest).await.expect("a consumer");
    for delivery in lease(&*consumer, 3).await {
        let error = AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: NOON };
        delivery.dead_letter(DeadReason::Rejected, error).await.expect("a dead letter");
    }
    drop(consumer);
    let dead = store.dead_letters(guest, None, 10).await.expect("dead letters");
    assert_eq!(dead.len(), 3);
    let one = Selection::Ids(vec![dead[0].message.id]);
    assert_eq!(store.release(guest, one).await.expect("a release"), 1);
    assert_eq!(store.purge(guest, Selection::All).await.expect("a purge"), 2);
    assert_eq!(take(&store, guest, 1).await, [0]);
    assert_eq!(store.replay(guest, Replay::All).await.expect("a replay"), 3);
    assert_eq!(take(&store, guest, 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_dropped_subscription_is_gone_with_what_it_held_and_begins_anew() {
    let (disk, clock) = fresh();
    let mut layout = layout(&["own"]);
    layout.topics[0].retention = less_model::quantity::Span::from_secs(0);
    let store = open(&disk, &layout, &clock).expect("it opens");
    let guest = attach(&store, "suggest", Some(even())).await;
    publish(&store, &clock, 0..200).await;
    assert_eq!(take(&store, SubscriptionIndex(0), 200).await.len(), 200);
    let kept = logs(&disk);
    assert!(kept > 5, "what the guest has not finished is kept: {kept} files");
    let consumer = store.consumer(guest).await.expect("a consumer");
    assert!(matches!(store.drop_guest(guest).await, Err(TransportError::Busy)));
    let held = lease(&*consumer, 1).await;
    drop(consumer);
    let ledger = store.drop_guest(guest).await.expect("it is dropped");
    assert_eq!((ledger.published, ledger.in_flight + ledger.pending, filtered(&ledger)), (200, 100, 100));
    assert!(logs(&disk) < kept / 2, "its messages are kept no longer");
    assert_eq!(store.guests().await.expect("guests"), []);
    for result in [
        store.consumer(guest).await.map(drop),
        store.replay(guest, Replay::All).await.map(drop),
        store.drop_guest(guest).await.map(drop),
    ] {
        assert!(matches!(result, Err(TransportError::Dropped)), "{result:?}");
    }
    // An ending that comes too late changes nothing.
    for delivery in held {
        delivery.ack().await.expect("an ack");
    }
    let again = attach(&store, "suggest", None).await;
    assert_ne!(again, guest);
    publish(&store, &clock, 200..202).await;
    let disk = disk.after_power_cut(Unsynced::Lost);
    drop(store);
    assert_eq!(verify::inspect_disk(&*disk, NOON).expect("it can be read").problems, []);
    let store = open(&disk, &layout, &clock).expect("it opens");
    let (guest, ledger) = only(&store).await;
    assert_eq!((guest.index, ledger.published, ledger.pending), (again, 2, 2));
    assert_eq!(take(&store, again, 2).await, [200, 201]);
}

#[tokio::test]
async fn what_the_app_has_a_folder_for_is_not_dropped() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    let result = store.drop_guest(SubscriptionIndex(0)).await;
    assert!(matches!(result, Err(TransportError::Unsupported { .. })), "{result:?}");
}

#[tokio::test]
async fn a_topic_without_a_folder_goes_with_its_last_subscription() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["a", "b"]), &clock).expect("it opens");
    publish(&store, &clock, 0..200).await;
    store.close().await.expect("it closes");
    let store = open(&disk, &Layout::default(), &clock).expect("it opens");
    let guests = store.guests().await.expect("guests");
    let names: Vec<String> = guests.iter().map(|(guest, _)| guest.address()).collect();
    assert_eq!(names, ["a", "b"]);
    let all = logs(&disk);
    assert!(all > 5, "{all}");
    store.drop_guest(guests[0].0.index).await.expect("it is dropped");
    assert_eq!(logs(&disk), all);
    store.drop_guest(guests[1].0.index).await.expect("it is dropped");
    assert!(logs(&disk) <= 2, "{}", logs(&disk));
}

#[tokio::test]
async fn a_lease_that_waits_when_its_subscription_is_dropped_ends() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    let guest = attach(&store, "suggest", None).await;
    let queue = guest.0 - SubscriptionIndex::GUESTS;
    let consumer = store.consumer(guest).await.expect("a consumer");
    // As where whoever asked for it went away before the store came to it, and a consumer came in between.
    let (reply, answer) = tokio::sync::oneshot::channel();
    let dropping = async {
        tokio::task::yield_now().await;
        store.commands.send(super::super::command::Command::Drop { queue, reply }).expect("it is open");
        answer.await.expect("an answer")
    };
    let (leased, ledger) = tokio::join!(consumer.lease(1), dropping);
    assert!(matches!(leased, Err(TransportError::Dropped)));
    assert!(ledger.is_some());
    assert!(matches!(consumer.lease(1).await, Err(TransportError::Dropped)));
}

#[tokio::test]
async fn what_is_settled_survives_a_power_cut() {
    let (disk, clock) = fresh();
    let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
    publish(&store, &clock, 0..50).await;
    assert_eq!(take(&store, SubscriptionIndex(0), 30).await.len(), 30);
    let (first, second) = tokio::join!(store.settle(), store.settle());
    first.and(second).expect("it settles");
    let left = disk.after_power_cut(Unsynced::Lost);
    drop(store);
    let store = open(&left, &layout(&["own"]), &clock).expect("it opens");
    let ledger = store.ledgers().await.expect("ledgers").remove(0);
    assert_eq!((ledger.done, ledger.pending), (30, 20));
    store.close().await.expect("it closes");
    assert!(matches!(store.settle().await, Err(TransportError::Closed)));
}

/// How far a workload came before the fault.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    #[default]
    Begun,
    Attached,
    Dropping,
    Dropped,
    Again,
}

async fn work(
    store: &Embedded,
    clock: &ManualClock,
    (step, published): (&mut Step, &mut u64),
) -> Result<(), TransportError> {
    let guest = store.attach(TopicIndex(0), wanted("suggest", Start::Earliest, Some(even()))).await?;
    *step = Step::Attached;
    for n in 0..20 {
        let body = json!({ "n": n, "even": n % 2 == 0 }).to_string();
        let result = store.publish(TopicIndex(0), vec![message(clock, &body)].into()).await.remove(0);
        result.map_err(|_| TransportError::Closed)?;
        *published += 1;
    }
    let odd = Some(filter(Scope::Body, &json!({ "even": [false] })));
    store.attach(TopicIndex(0), wanted("suggest", Start::Earliest, odd)).await?;
    *step = Step::Dropping;
    store.drop_guest(guest).await?;
    *step = Step::Dropped;
    store.attach(TopicIndex(0), wanted("suggest", Start::Earliest, None)).await?;
    *step = Step::Again;
    store.close().await
}

#[tokio::test]
async fn a_fault_at_any_call_leaves_a_guest_as_it_was_told() {
    for (fault, unsynced) in [
        (Fault::PowerCut, Unsynced::Lost),
        (Fault::PowerCut, Unsynced::Kept),
        (Fault::PowerCut, Unsynced::Torn),
        (Fault::PowerCut, Unsynced::Reordered),
        (Fault::Error, Unsynced::Lost),
    ] {
        let mut at = 1;
        loop {
            let (disk, clock) = fresh();
            let (mut step, mut published) = (Step::Begun, 0);
            let store = open(&disk, &layout(&["own"]), &clock).expect("it opens");
            disk.fail(at, fault);
            let result = work(&store, &clock, (&mut step, &mut published)).await;
            let reached = disk.calls() >= at;
            let left = disk.after_power_cut(unsynced);
            drop(store);
            let what = format!("{fault:?} at call {at}, {unsynced:?}: {step:?}, {published}, {result:?}");
            let store =
                open(&left, &layout(&["own"]), &clock).unwrap_or_else(|error| panic!("{what}: {error}"));
            let guests = store.guests().await.expect("guests");
            let ledger = guests.first().map(|(_, ledger)| ledger);
            assert!(ledger.is_none_or(Ledger::balanced), "{what}: {ledger:?}");
            match (ledger, step) {
                (None, Step::Begun | Step::Dropping | Step::Dropped) => {}
                (None, Step::Attached | Step::Again) => panic!("{what}: it is gone"),
                (Some(ledger), Step::Begun | Step::Attached) => {
                    assert!(ledger.published >= published, "{what}: {ledger:?}");
                    // Its filter is as durable as itself.
                    assert_eq!(filtered(ledger), ledger.published / 2, "{what}: {ledger:?}");
                }
                // Still there, or there again.
                (Some(ledger), Step::Dropping) => assert_eq!(ledger.published, 20, "{what}: {ledger:?}"),
                (Some(ledger), Step::Dropped | Step::Again) => {
                    assert_eq!((ledger.published, filtered(ledger)), (20, 0), "{what}: {ledger:?}");
                }
            }
            store.close().await.expect("it closes");
            assert_eq!(verify::inspect_disk(&*left, NOON).expect("it can be read").problems, [], "{what}");
            if !reached {
                assert!(result.is_ok(), "{what}");
                break;
            }
            at += 1;
        }
        assert!(at > 20, "the workload makes too few calls to mean anything: {at}");
    }
}
