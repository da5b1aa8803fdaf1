//! What the embedded broker promises of filters beyond what every transport does: the books, and what was published before.

use std::sync::Arc;
use std::time::Duration;

use less_model::filter::{Filter, Scope};
use less_model::manifest::Start;
use serde_json::json;

use super::fault_disk::{Fault, FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{filter, layout, lease, message};
use crate::transport::embedded::Embedded;
use crate::transport::embedded::verify::{self, Event, EventKind};
use crate::transport::{Layout, Ledger, Replay, SubscriptionIndex, TopicIndex, Transport as _};

fn even() -> Filter {
    filter(Scope::Body, &json!({ "even": [true] }))
}

/// Subscriber `all`, and `even` with a filter.
fn both() -> Layout {
    let mut layout = layout(&["all", "even"]);
    layout.subscriptions[1].filter = Some(even());
    layout
}

async fn publish(store: &Embedded, clock: &ManualClock, numbers: std::ops::Range<u32>) {
    let messages =
        numbers.map(|n| message(clock, &json!({ "n": n, "even": n % 2 == 0 }).to_string())).collect();
    for result in store.publish(TopicIndex(0), messages).await {
        result.expect("it is accepted");
    }
}

async fn ledger(store: &Embedded, subscription: usize) -> Ledger {
    let ledger = store.ledgers().await.expect("ledgers").swap_remove(subscription);
    assert!(ledger.balanced(), "{ledger:?}");
    ledger
}

fn filtered(ledger: &Ledger) -> u64 {
    ledger.discarded.get("filtered").copied().unwrap_or(0)
}

/// Takes and acks this many messages. Returns their numbers.
async fn take(store: &Embedded, subscription: u32, count: usize) -> Vec<u64> {
    let consumer = store.consumer(SubscriptionIndex(subscription)).await.expect("a consumer");
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

#[tokio::test]
async fn a_filtered_message_is_published_and_discarded_at_once_and_stays_so() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &both(), &clock).expect("it opens");
    publish(&store, &clock, 0..100).await;
    let books = ledger(&store, 1).await;
    assert_eq!((books.published, books.pending, filtered(&books)), (100, 50, 50));
    assert_eq!(ledger(&store, 0).await.pending, 100);
    let evens: Vec<u64> = (0..50).map(|n| n * 2).collect();
    assert_eq!(take(&store, 1, 30).await, evens[..30]);
    // What was acknowledged is on the disk, the judgement with it.
    let left = disk.after_power_cut(Unsynced::Lost);
    drop(store);
    let store = open(&left, &both(), &clock).expect("it opens");
    let books = ledger(&store, 1).await;
    assert_eq!((books.published, filtered(&books)), (100, 50));
    let waits = usize::try_from(books.pending + books.scheduled).expect("few");
    assert!((20..=50).contains(&waits), "{books:?}");
    assert_eq!(take(&store, 1, waits).await.last(), Some(&98));
    store.close().await.expect("it closes");
    let inspection = verify::inspect_disk(&*left, NOON).expect("it can be read");
    assert_eq!(inspection.problems, []);
    let store = open(&left, &both(), &clock).expect("it opens");
    let books = ledger(&store, 1).await;
    assert_eq!((books.done, filtered(&books), books.pending), (50, 50, 0));
}

#[tokio::test]
async fn no_power_cut_leaves_a_message_without_what_its_filter_said() {
    for at in 1..5 {
        for kind in [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn, Unsynced::Reordered] {
            let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
            let store = open(&disk, &both(), &clock).expect("it opens");
            publish(&store, &clock, 0..3).await;
            // The power goes while these are written or synced: any number of them may be on the disk.
            disk.fail(at, Fault::PowerCut);
            let odd = |n: u32| message(&clock, &json!({ "n": n * 2 + 1, "even": false }).to_string());
            let _ = store.publish(TopicIndex(0), (2..7).map(odd).collect()).await;
            let left = disk.after_power_cut(kind);
            drop(store);
            let store = open(&left, &both(), &clock).expect("it opens");
            let books = ledger(&store, 1).await;
            assert_eq!(books.pending, 2, "call {at}, {kind:?}: {books:?}");
            assert_eq!(filtered(&books), books.published - 2, "call {at}, {kind:?}: {books:?}");
        }
    }
}

#[tokio::test]
async fn a_new_subscriber_that_begins_earlier_gets_what_passes_of_what_is_retained() {
    for (start, published) in
        [(Start::Earliest, 20), (Start::Ago(less_model::quantity::Span::from_secs(60)), 10)]
    {
        let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
        let store = open(&disk, &layout(&["all"]), &clock).expect("it opens");
        publish(&store, &clock, 0..10).await;
        clock.advance(Duration::from_secs(120));
        publish(&store, &clock, 10..20).await;
        store.close().await.expect("it closes");
        let mut layout = both();
        layout.subscriptions[1].policy.start = start;
        drop(open(&disk, &layout, &clock).expect("it opens"));
        // That it begins so is as durable as the queue itself.
        let disk = disk.after_power_cut(Unsynced::Lost);
        let store = open(&disk, &layout, &clock).expect("it opens");
        let books = ledger(&store, 1).await;
        assert_eq!(
            (books.published, books.pending, filtered(&books)),
            (published, published / 2, published / 2)
        );
        let count = usize::try_from(published / 2).expect("few");
        let evens: Vec<u64> = (20 - published..20).filter(|n| n % 2 == 0).collect();
        assert_eq!(take(&store, 1, count).await, evens);
        store.close().await.expect("it closes");
        assert_eq!(verify::inspect_disk(&*disk, NOON).expect("it can be read").problems, []);
    }
}

#[tokio::test]
async fn a_replay_delivers_what_passes_and_counts_no_more() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &both(), &clock).expect("it opens");
    publish(&store, &clock, 0..10).await;
    clock.advance(Duration::from_secs(60));
    publish(&store, &clock, 10..20).await;
    assert_eq!(take(&store, 1, 10).await.len(), 10);
    let even = SubscriptionIndex(1);
    assert_eq!(store.replay(even, Replay::Since(NOON + 60_000)).await.expect("a replay"), 5);
    assert_eq!(take(&store, 1, 5).await, [10, 12, 14, 16, 18]);
    assert_eq!(store.replay(even, Replay::All).await.expect("a replay"), 10);
    assert_eq!(store.replay(even, Replay::All).await.expect("a replay"), 0, "they are being replayed");
    assert_eq!(take(&store, 1, 10).await, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    let books = ledger(&store, 1).await;
    assert_eq!((books.published, books.done, filtered(&books)), (20, 10, 10));
    assert_eq!((books.replay.requested, books.replay.done), (15, 15));
    let all = take(&store, 0, 20).await;
    assert_eq!(all.len(), 20);
    let odd = store.publish(TopicIndex(0), vec![message(&clock, r#"{"n":21,"even":false}"#)].into()).await;
    let id = odd[0].as_ref().expect("it is accepted").message_id;
    assert_eq!(store.replay(even, Replay::Id(id)).await.expect("a replay"), 0, "its filter keeps it away");
    assert_eq!(take(&store, 0, 1).await, [21]);
    assert_eq!(store.replay(SubscriptionIndex(0), Replay::Id(id)).await.expect("a replay"), 1);
}

#[tokio::test]
async fn a_filter_that_changed_holds_for_what_is_published_and_replayed_from_then_on() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &both(), &clock).expect("it opens");
    publish(&store, &clock, 0..4).await;
    store.close().await.expect("it closes");
    let mut layout = both();
    layout.subscriptions[1].filter = Some(filter(Scope::Body, &json!({ "even": [false] })));
    let store = open(&disk, &layout, &clock).expect("it opens");
    publish(&store, &clock, 4..8).await;
    assert_eq!(take(&store, 1, 4).await, [0, 2, 5, 7], "what waited passed the filter of its time");
    assert_eq!(store.replay(SubscriptionIndex(1), Replay::All).await.expect("a replay"), 4);
    assert_eq!(take(&store, 1, 4).await, [1, 3, 5, 7]);
    let books = ledger(&store, 1).await;
    assert_eq!((books.published, books.done, filtered(&books), books.replay.done), (8, 4, 4, 4));
}

#[tokio::test]
async fn an_idempotency_key_a_key_and_a_delay_mean_the_same_on_a_message_that_is_filtered() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &both(), &clock).expect("it opens");
    let odd = |key: &str| {
        let mut new = message(&clock, r#"{"n":1,"even":false}"#);
        Arc::make_mut(&mut new.message).key = Some("k".to_owned());
        new.idempotency_key = Some(key.to_owned());
        new.due = Some(NOON + 1_000);
        new
    };
    let mut even = message(&clock, r#"{"n":2,"even":true}"#);
    Arc::make_mut(&mut even.message).key = Some("k".to_owned());
    let results = store.publish(TopicIndex(0), vec![odd("x"), odd("x"), even].into()).await;
    let duplicates: Vec<bool> =
        results.iter().map(|result| result.as_ref().expect("a receipt").duplicate).collect();
    assert_eq!(duplicates, [false, true, false]);
    assert_eq!(take(&store, 1, 1).await, [2], "a message that is not there is not waited for");
    let books = ledger(&store, 0).await;
    assert_eq!((books.published, books.scheduled), (2, 1));
    let books = ledger(&store, 1).await;
    assert_eq!((books.published, books.done, filtered(&books), books.scheduled), (2, 1, 1, 0));
}

#[tokio::test]
async fn a_filter_that_sns_would_refuse_is_an_error_when_the_store_is_opened() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let mut layout = both();
    let policy = json!({ "even": true }).as_object().expect("an object").clone();
    layout.subscriptions[1].filter = Some(Filter { scope: Scope::Body, policy });
    let error = open(&disk, &layout, &clock).err().expect("it does not open");
    assert_eq!(
        error.to_string(),
        "the filter of `ledger/even` is wrong: `/even`: a key has a list of what passes, not a truth value\n\
         hint: run `less check`, and build anew"
    );
}

#[tokio::test]
async fn a_history_finds_no_fault_with_messages_that_a_filter_kept_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::new(NOON);
    let options =
        super::super::Options { segment_size: 2_000, reserve: 0, ..super::super::Options::default() };
    let store =
        crate::transport::embedded::open(folder.path(), &both(), options, Clock::Manual(clock.clone()));
    let store = store.expect("it opens");
    let consumer = store.consumer(SubscriptionIndex(1)).await.expect("a consumer");
    let mut events = Vec::new();
    let mut saw = |kind| events.push(Event { at: NOON, kind });
    for n in 0..60 {
        let mut new = message(&clock, &json!({ "n": n, "even": n % 2 == 0 }).to_string());
        Arc::make_mut(&mut new.message).key = Some("k".to_owned());
        let (topic, message) = ("ledger".to_owned(), new.message.id.to_string());
        saw(EventKind::Publishing { topic: topic.clone(), message: message.clone() });
        store.publish(TopicIndex(0), vec![new].into()).await.remove(0).expect("it is accepted");
        saw(EventKind::Published { topic: topic.clone(), message: message.clone() });
        if n % 2 == 0 {
            let delivery = lease(&*consumer, 1).await.remove(0);
            let (subscriber, key) = ("even".to_owned(), Some("k".to_owned()));
            let (t, s, m) = (topic.clone(), subscriber.clone(), message.clone());
            saw(EventKind::Started { topic: t, subscriber: s, message: m, attempt: 1, key });
            delivery.ack().await.expect("an ack");
            saw(EventKind::Ended { topic, subscriber, message, attempt: 1, done: true });
        }
    }
    store.close().await.expect("it closes");
    let rules = verify::Rules::default();
    let (inspection, findings) =
        verify::inspect_with(folder.path(), NOON, &events, &rules).expect("it can be read");
    assert_eq!((inspection.problems.as_slice(), findings.problems.as_slice()), (&[][..], &[][..]));
    // One that is gone and was no filter's is still told.
    events.retain(|event| !matches!(&event.kind, EventKind::Ended { .. }));
    let (_, findings) = verify::inspect_with(folder.path(), NOON, &events, &rules).expect("it can be read");
    assert!(findings.problems.iter().any(|problem| problem.contains("is gone unhandled")), "{findings:?}");
}
