//! What is promised of retained messages: late subscribers and replays.

use std::time::Duration;

use less_model::manifest::Start;

use super::{Bench, Harness, body, error, layout, lease, lease_one};
use crate::message::MessageId;
use crate::transport::{DeadReason, Replay, ReplayLedger, SubscriptionIndex, TransportError};

/// Whether the transport keeps nothing that is done, as it is set up here: then it says so, and `less plan` refuses an earlier start.
async fn refuses(bench: &Bench<'_>) -> bool {
    if bench.can().retains {
        return false;
    }
    let refused = bench.transport.replay(SubscriptionIndex(0), Replay::All).await;
    let Err(TransportError::Replay(why)) = refused else { panic!("{refused:?}") };
    assert!(why.is_lasting(), "{why}");
    true
}

/// Promise: `start` says where a new subscriber begins.
pub async fn a_new_subscriber_starts_now_or_with_the_earliest(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    if refuses(&bench).await {
        return;
    }
    bench.say("\"old\"").await;
    let mut late = layout(&["a", "late", "earliest"]).subscriptions;
    late[2].policy.start = Start::Earliest;
    bench.layout.subscriptions = late;
    bench.restart().await;
    bench.say("\"new\"").await;
    let now = bench.consumer(1).await;
    assert_eq!(body(&*lease_one(&*now).await), "\"new\"");
    let earliest = bench.consumer(2).await;
    assert_eq!(body(&*lease_one(&*earliest).await), "\"old\"");
    assert_eq!((bench.ledger(1).await.published, bench.ledger(2).await.published), (1, 2));
}

/// Promise: `start` may be a time ago.
pub async fn a_new_subscriber_can_start_some_time_ago(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    if refuses(&bench).await {
        return;
    }
    for hour in ["\"0\"", "\"1\"", "\"2\""] {
        bench.say(hour).await;
        harness.pass(Duration::from_secs(3600)).await;
    }
    bench.layout.subscriptions = layout(&["a", "late"]).subscriptions;
    bench.layout.subscriptions[1].policy.start = Start::Ago(less_model::quantity::Span::from_secs(2 * 3600));
    bench.restart().await;
    let late = bench.consumer(1).await;
    assert_eq!(body(&*lease_one(&*late).await), "\"1\"");
    assert_eq!(bench.ledger(1).await.published, 2);
}

/// Promise: a replay hands finished messages out once more, in their order, dead letters excepted; the ledger itself stays as it was.
pub async fn a_replay_delivers_finished_messages_once_more_and_counts_apart(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a", "b"]).await;
    if refuses(&bench).await {
        return;
    }
    for body in ["1", "2", "3", "4"] {
        bench.say(body).await;
    }
    let consumer = bench.consumer(0).await;
    for n in 0..3 {
        let delivery = lease_one(&*consumer).await;
        if n == 1 {
            delivery.dead_letter(DeadReason::Rejected, error("no")).await.expect("a dead letter");
        } else {
            delivery.ack().await.expect("an ack");
        }
    }
    let before = bench.ledger(0).await;
    assert_eq!((before.done, before.dead, before.pending), (2, 1, 1));
    let replay = |which| bench.transport.replay(SubscriptionIndex(0), which);
    assert_eq!(replay(Replay::All).await.expect("a replay"), 2);
    assert_eq!(replay(Replay::All).await.expect("a replay"), 0, "they are being replayed already");
    assert_eq!(bench.ledger(0).await.replay.pending, 2);
    let mut seen = Vec::new();
    for n in 0..3 {
        let delivery = lease_one(&*consumer).await;
        assert_eq!(delivery.attempt(), 1);
        seen.push(body(&*delivery).to_owned());
        if n == 2 {
            delivery.dead_letter(DeadReason::Rejected, error("no")).await.expect("a dead letter");
        } else {
            delivery.ack().await.expect("an ack");
        }
    }
    assert_eq!(seen, ["4", "1", "3"]);
    let after = bench.ledger(0).await;
    assert_eq!((after.done, after.dead, after.pending), (3, 1, 0));
    assert_eq!(after.replay, ReplayLedger { requested: 2, done: 1, dead: 1, ..ReplayLedger::default() });
    assert_eq!(bench.ledger(1).await.pending, 4, "the other subscriber is not concerned");
}

/// Promise: a replay can be narrowed to a time or to a message.
pub async fn a_replay_since_a_time_or_of_one_message_takes_no_other(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    if refuses(&bench).await {
        return;
    }
    let mut ids = Vec::new();
    for body in ["1", "2", "3"] {
        ids.push(bench.say(body).await);
        harness.pass(Duration::from_secs(60)).await;
    }
    let consumer = bench.consumer(0).await;
    for _ in 0..3 {
        lease_one(&*consumer).await.ack().await.expect("an ack");
    }
    let now = harness.clock().now();
    let replay = |which| bench.transport.replay(SubscriptionIndex(0), which);
    assert_eq!(replay(Replay::Since(now - 60_000)).await.expect("a replay"), 1);
    let delivery = lease_one(&*consumer).await;
    assert_eq!(body(&*delivery), "3");
    delivery.ack().await.expect("an ack");
    assert_eq!(replay(Replay::Since(now)).await.expect("a replay"), 0);
    assert_eq!(replay(Replay::Id(MessageId::generate())).await.expect("a replay"), 0);
    assert_eq!(replay(Replay::Id(ids[1])).await.expect("a replay"), 1);
    let delivery = lease_one(&*consumer).await;
    assert_eq!(delivery.message().id, ids[1]);
    delivery.ack().await.expect("an ack");
    assert_eq!(bench.ledger(0).await.replay.done, 2);
}

/// Promise: what a replay has not handed out yet is handed out after a restart.
pub async fn a_replay_goes_on_after_a_restart(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    if refuses(&bench).await {
        return;
    }
    bench.publish((0..5).map(|n| bench.message(&n.to_string())).collect()).await;
    {
        let consumer = bench.consumer(0).await;
        for _ in 0..5 {
            lease_one(&*consumer).await.ack().await.expect("an ack");
        }
        assert_eq!(bench.transport.replay(SubscriptionIndex(0), Replay::All).await.expect("a replay"), 5);
        lease_one(&*consumer).await.ack().await.expect("an ack");
        let held = lease_one(&*consumer).await;
        held.retry_after(Duration::from_secs(1), error("later")).await.expect("a retry");
    }
    bench.restart().await;
    let ledger = bench.ledger(0).await;
    assert_eq!((ledger.replay.done, ledger.replay.scheduled, ledger.replay.pending), (1, 1, 3));
    harness.pass(Duration::from_secs(1)).await;
    let consumer = bench.consumer(0).await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        for delivery in lease(&*consumer, 10).await {
            seen.push((body(&*delivery).to_owned(), delivery.attempt()));
            delivery.ack().await.expect("an ack");
        }
    }
    seen.sort();
    let text = |n: &str| n.to_owned();
    assert_eq!(seen, [(text("1"), 2), (text("2"), 1), (text("3"), 1), (text("4"), 1)]);
    assert_eq!(bench.ledger(0).await.replay.done, 5);
}
