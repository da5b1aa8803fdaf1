//! Data folders that were written once: every later version must open them, or say that it converts them. `tests/format-1/` is of the time before
//! filters were stored and other apps had queues; `tests/format-1-guests/` is of this version.
//!
//! `UPDATE=1 cargo test -p less-runtime --all-features --lib golden` writes the latter anew; that is a change of the format.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use less_model::filter::{Filter, Scope};
use less_model::manifest::Start;

use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{filter, layout, lease, message};
use crate::transport::embedded::{Embedded, Options, open, verify};
use crate::transport::{
    Attachment, AttemptError, AttemptErrorKind, DeadReason, Replay, Selection, SubscriptionIndex, TopicIndex,
    Transport as _,
};

const HOUR: Duration = Duration::from_secs(3600);

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn acme() -> Filter {
    filter(Scope::Attributes, &serde_json::json!({ "tenant": ["acme"] }))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("it can be read") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
        }
    }
}

/// Subscribers `a` and `b`, `acme` with a filter from the beginning, and `late` with one from the fourth message on.
fn opened(folder: &Path, subscribers: usize, clock: &ManualClock) -> Embedded {
    let options = Options { segment_size: 3_000, reserve: 0, ..Options::default() };
    let mut layout = layout(&["a", "b", "acme", "late"][..subscribers]);
    for subscription in &mut layout.subscriptions[2..] {
        subscription.filter = Some(acme());
        subscription.policy.start = Start::Earliest;
    }
    open(folder, &layout, options, Clock::Manual(clock.clone())).expect("it opens")
}

fn failure() -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Error, message: "no".to_owned(), at: super::NOON }
}

/// Every kind of record, in segments before and behind a checkpoint, left without closing.
async fn write(folder: &Path) {
    let clock = ManualClock::new(super::NOON);
    let mut store = opened(folder, 3, &clock);
    let mut consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    for round in 0..10 {
        if round == 1 {
            drop(consumer);
            store.close().await.expect("it closes");
            store = opened(folder, 4, &clock);
            consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
        }
        let mut messages: Vec<_> =
            (0..4).map(|n| message(&clock, &format!("\"{round}-{n}-{}\"", "x".repeat(90)))).collect();
        Arc::make_mut(&mut messages[0].message).attributes.insert("tenant".to_owned(), "acme".to_owned());
        Arc::make_mut(&mut messages[1].message).key = Some(format!("key {}", round % 3));
        messages[2].idempotency_key = Some(format!("once {round}"));
        if round == 9 {
            messages[3].due = Some(super::NOON + 1_000 * HOUR.as_secs());
        }
        for result in store.publish(TopicIndex(0), messages.into()).await {
            result.expect("it is accepted");
        }
        for (n, delivery) in lease(&*consumer, 3).await.into_iter().enumerate() {
            match n {
                0 => delivery.ack().await.expect("an ack"),
                1 => delivery.dead_letter(DeadReason::Rejected, failure()).await.expect("a dead letter"),
                _ => delivery.retry_after(HOUR, failure()).await.expect("a retry"),
            }
        }
    }
    let dead = store.dead_letters(SubscriptionIndex(0), None, 3).await.expect("dead letters");
    let ids = |n: usize| Selection::Ids(vec![dead[n].message.id]);
    store.release(SubscriptionIndex(0), ids(0)).await.expect("a release");
    store.purge(SubscriptionIndex(0), ids(1)).await.expect("a purge");
    assert!(store.replay(SubscriptionIndex(0), Replay::All).await.expect("a replay") > 0);
    let attach = async |subscriber: &str, filter| {
        let (app, subscriber) = ("friends".parse().expect("a name"), subscriber.parse().expect("a name"));
        let wanted = Attachment { app, subscriber, start: Start::Earliest, filter };
        store.attach(TopicIndex(0), wanted).await.expect("it is attached")
    };
    attach("suggest", Some(acme())).await;
    let gone = attach("gone", Some(acme())).await;
    assert_eq!(attach("gone", None).await, gone);
    store.drop_guest(gone).await.expect("it is dropped");
    copy(folder, &kept("format-1-guests"));
}

#[tokio::test]
async fn a_folder_of_before_there_were_guests_opens_with_everything_that_is_in_it() {
    let (_folder, store) = holds_everything("format-1").await;
    assert_eq!(store.guests().await.expect("guests"), []);
    store.close().await.expect("it closes");
}

#[tokio::test]
async fn a_folder_of_this_version_opens_with_everything_that_is_in_it() {
    if std::env::var_os("UPDATE").is_some() {
        let folder = tempfile::tempdir().expect("a folder");
        // What was there belongs to another writing.
        let _ = std::fs::remove_dir_all(kept("format-1-guests"));
        write(folder.path()).await;
    }
    let (_folder, store) = holds_everything("format-1-guests").await;
    let guests = store.guests().await.expect("guests");
    let [(guest, ledger)] = &guests[..] else { panic!("{guests:?}") };
    assert_eq!((guest.address().as_str(), &guest.filter), ("friends:suggest", &Some(acme())));
    assert_eq!((ledger.pending, ledger.discarded.get("filtered")), (10, Some(&30)));
    store.close().await.expect("it closes");
}

/// Opens a copy of a folder, and finds in it what was written.
async fn holds_everything(name: &str) -> (tempfile::TempDir, Embedded) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&kept(name), folder.path());
    let clock = ManualClock::new(super::NOON);
    let inspection = verify::inspect(folder.path(), super::NOON).expect("it can be read");
    assert_eq!((inspection.problems.as_slice(), inspection.messages), (&[][..], 40));
    let store = opened(folder.path(), 4, &clock);
    let ledgers = store.ledgers().await.expect("ledgers");
    let [a, b, acme, late] = &ledgers[..] else { panic!("{ledgers:?}") };
    assert!(a.balanced() && b.balanced(), "{ledgers:?}");
    assert_eq!((a.published, a.done, a.dead, a.discarded.get("purged")), (40, 10, 8, Some(&1)), "{a:?}");
    assert_eq!((a.scheduled, a.pending, a.replay.pending), (11, 10, 11), "{a:?}");
    assert_eq!((b.published, b.pending, b.scheduled), (40, 39, 1), "{b:?}");
    for ledger in [acme, late] {
        assert!(ledger.balanced(), "{ledger:?}");
        assert_eq!((ledger.published, ledger.pending, ledger.discarded.get("filtered")), (40, 10, Some(&30)));
    }
    clock.advance(HOUR + Duration::from_secs(1));
    let consumer = store.consumer(SubscriptionIndex(1)).await.expect("a consumer");
    let mut seen = Vec::new();
    while seen.len() < 40 {
        for delivery in lease(&*consumer, 100).await {
            seen.push(String::from_utf8_lossy(&delivery.message().body[1..4]).into_owned());
            delivery.ack().await.expect("an ack");
        }
    }
    seen.sort();
    let all = (0..10).flat_map(|round| (0..4).map(move |n| format!("{round}-{n}")));
    assert!(seen.iter().cloned().eq(all), "{seen:?}");
    let first = message(&clock, "\"again\"");
    let again = crate::transport::NewMessage { idempotency_key: Some("once 9".into()), ..first };
    let receipt = store.publish(TopicIndex(0), vec![again].into()).await.remove(0).expect("it is accepted");
    assert!(receipt.duplicate, "idempotency keys are kept");
    (folder, store)
}
