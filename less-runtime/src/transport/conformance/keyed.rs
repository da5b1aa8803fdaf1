//! What is promised of keys: order, and publishing once.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, Harness, assert_nothing_ready, body, error, lease, lease_one};
use crate::publish::PublishError;
use crate::transport::{NewMessage, TopicIndex};

/// Promise: an idempotency key publishes once; where that can't be promised it is refused.
pub async fn an_idempotency_key_publishes_once_within_its_window(harness: &dyn Harness) {
    let mut bench = Bench::ordered(harness, &["a"]).await;
    let keyed =
        |bench: &Bench<'_>| NewMessage { idempotency_key: Some("order-1".to_owned()), ..bench.message("1") };
    let results = bench.transport.publish(TopicIndex(0), vec![keyed(&bench), keyed(&bench)].into()).await;
    let receipts: Vec<_> = results.into_iter().map(|result| result.expect("a receipt")).collect();
    assert_eq!(receipts[0].message_id, receipts[1].message_id);
    if !bench.can().plain_keys {
        let consumer = bench.consumer(0).await;
        let delivery = lease_one(&*consumer).await;
        assert_eq!(delivery.message().id, receipts[0].message_id);
        assert_nothing_ready(&bench, &*consumer).await;
        drop((delivery, consumer));
        let plain = Bench::new(harness, &["a"]).await;
        let results = plain.transport.publish(TopicIndex(0), vec![keyed(&plain)].into()).await;
        assert!(matches!(results[..], [Err(PublishError::Unsupported { .. })]), "{results:?}");
        return;
    }
    assert_eq!((receipts[0].duplicate, receipts[1].duplicate), (false, true));
    bench.restart().await;
    harness.pass(Duration::from_secs(23 * 3600)).await;
    assert_eq!(bench.publish(vec![keyed(&bench)]).await[0], receipts[0].message_id);
    assert_eq!(bench.ledger(0).await.published, 1);
    harness.pass(Duration::from_secs(2 * 3600)).await;
    assert_ne!(bench.publish(vec![keyed(&bench)]).await[0], receipts[0].message_id);
}

/// Promise: messages of one key are handled in publish order, one at a time; other keys go on.
pub async fn messages_of_a_key_come_one_after_the_other(harness: &dyn Harness) {
    let mut bench = Bench::ordered(harness, &["a"]).await;
    let keyed = |key: &str, body: &str| {
        let mut new = bench.message(body);
        Arc::make_mut(&mut new.message).key = Some(key.to_owned());
        new
    };
    let all = vec![keyed("x", "1"), keyed("x", "2"), keyed("y", "3"), keyed("x", "4")];
    bench.publish(all).await;
    let delay = harness.delay();
    {
        let consumer = bench.consumer(0).await;
        let mut held = Vec::new();
        while held.len() < 2 {
            held.extend(lease(&*consumer, 10).await);
        }
        held.sort_by_key(|delivery| body(&**delivery).to_owned());
        assert_eq!(held.iter().map(|d| body(&**d)).collect::<Vec<_>>(), ["1", "3"]);
        let first = held.remove(0);
        first.retry_after(delay, error("no")).await.expect("a retry");
        held.remove(0).ack().await.expect("an ack");
        assert_nothing_ready(&bench, &*consumer).await;
    }
    bench.restart().await;
    let consumer = bench.consumer(0).await;
    assert_nothing_ready(&bench, &*consumer).await;
    harness.pass(delay).await;
    for expected in ["1", "2", "4"] {
        let mut held = lease(&*consumer, 10).await;
        assert_eq!(held.len(), 1);
        let delivery = held.remove(0);
        assert_eq!((body(&*delivery), delivery.message().key.as_deref()), (expected, Some("x")));
        delivery.ack().await.expect("an ack");
    }
}
