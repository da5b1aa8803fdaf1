//! A short sequence that passes through everything that the store writes for: one thing after the other, so that every call has one cause.

use std::time::Duration;

use less_runtime::clock::Clock;
use less_runtime::message::MessageId;
use less_runtime::transport::{Consumer, SubscriptionIndex, Transport};

use super::{Care, Ending, care, end, failed, lease, message, publish};
use crate::event::{What, tell};

/// Longest that a step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it. After an error it goes on: nothing that follows may be acknowledged then.
pub(super) async fn run(store: &dyn Transport, rounds: u32) {
    let mut consumers = Vec::new();
    for subscription in 0..3 {
        match store.consumer(SubscriptionIndex(subscription)).await {
            Ok(consumer) => consumers.push(consumer),
            Err(error) => return failed("open a consumer", &error),
        }
    }
    let [ship, bill, keep] = &mut consumers[..] else { return };
    let mut letters: Vec<MessageId> = Vec::new();
    let mut kept: Vec<MessageId> = Vec::new();
    for round in 0..rounds {
        let body = |n: u32| format!("\"{round}-{n}-{}\"", "x".repeat(150));
        let due = Some(Clock::System.now() + 2).filter(|_| round % 3 == 2);
        publish(
            store,
            0,
            vec![message(body(0), 1, None), message(body(1), 1, None), message(body(2), 0, due)],
            false,
        )
        .await;
        publish(store, 1, vec![message(body(3), 0, None)], false).await;
        for (n, delivery) in some(&mut **ship, 0).await.into_iter().enumerate() {
            let id = delivery.message().id;
            let ending = match (u32::try_from(n).unwrap_or(0) + round) % 4 {
                0 => Ending::Ack,
                1 => Ending::Dead,
                2 => Ending::Retry(Duration::from_millis(1)),
                _ => Ending::HandBack,
            };
            if end(delivery, 0, ending).await && ending == Ending::Dead {
                letters.push(id);
            }
        }
        for delivery in some(&mut **bill, 1).await {
            end(delivery, 1, Ending::Ack).await;
        }
        for delivery in some(&mut **keep, 2).await {
            kept.push(delivery.message().id);
            end(delivery, 2, Ending::Ack).await;
        }
        match round % 4 {
            1 => {
                if let Some(id) = letters.pop() {
                    care(store, 0, id, Care::Release).await;
                }
            }
            2 => {
                if let Some(id) = letters.pop() {
                    care(store, 0, id, Care::Purge).await;
                }
            }
            3 => {
                if let Some(id) = kept.first() {
                    care(store, 2, *id, Care::Replay).await;
                }
            }
            _ => {}
        }
    }
}

/// Leases what there is. There is something: it was just published, and nothing that is not due was all of it.
async fn some(
    consumer: &mut dyn Consumer,
    subscription: u32,
) -> Vec<Box<dyn less_runtime::transport::Delivery>> {
    match tokio::time::timeout(PATIENCE, lease(consumer, subscription, 4)).await {
        Ok(leased) => leased.unwrap_or_default(),
        Err(_) => {
            failed("lease", &"nothing came");
            Vec::new()
        }
    }
}

/// Closes the store, and tells.
pub(super) async fn close(store: &dyn Transport) {
    match store.close().await {
        Ok(()) => tell(What::Closed, 0, None, 0),
        Err(error) => failed("close", &error),
    }
}
