//! Subscribers that are behind read once for all of them, and keep no more of it than they may.

use std::sync::Arc;

use super::super::provision::open_disk;
use super::super::{Embedded, Options};
use super::NOON;
use super::fault_disk::FaultDisk;
use crate::clock::{Clock, ManualClock};
use crate::message::StoredMessage;
use crate::transport::conformance::{layout, lease, message};
use crate::transport::{Consumer, SubscriptionIndex, TopicIndex, Transport as _};

/// Bodies of 64 KiB: the cache holds the last 127 of them, and an eighth of that is for what was read.
const SIZE: usize = 64 << 10;
const MESSAGES: usize = 200;
const CACHE: usize = 8 << 20;

async fn filled(subscribers: &[&str]) -> Embedded {
    let clock = ManualClock::new(NOON);
    let disk = Arc::new(FaultDisk::default());
    let options = Options { segment_size: 64 << 20, cache: CACHE, reserve: 0 };
    let store =
        open_disk(disk, &layout(subscribers), options, Clock::Manual(clock.clone()), None).expect("it opens");
    let body = format!("\"{}\"", "x".repeat(SIZE));
    let messages = (0..MESSAGES).map(|_| message(&clock, &body)).collect();
    for result in store.publish(TopicIndex(0), messages).await {
        result.expect("it is accepted");
    }
    store
}

async fn take(consumer: &dyn Consumer, count: usize) -> Vec<Arc<StoredMessage>> {
    let mut taken = Vec::new();
    while taken.len() < count {
        for delivery in lease(consumer, count - taken.len()).await {
            taken.push(Arc::clone(delivery.message()));
            delivery.ack().await.expect("an ack");
        }
    }
    taken
}

#[tokio::test]
async fn what_one_subscriber_has_read_the_others_that_are_behind_do_not_read_again() {
    let store = filled(&["a", "b", "late"]).await;
    let consumer = async |index| store.consumer(SubscriptionIndex(index)).await.expect("a consumer");
    let (a, b, late) = (consumer(0).await, consumer(1).await, consumer(2).await);
    let mut first = Vec::new();
    for _ in 0..12 {
        let (one, other) = (take(&*a, 4).await, take(&*b, 4).await);
        assert_eq!(ids(&one), ids(&other));
        assert!(one.iter().zip(&other).all(|(one, other)| Arc::ptr_eq(one, other)), "read once for both");
        first.extend(one);
    }
    // By now that much was read that the first of it is kept no more.
    let again = take(&*late, 4).await;
    assert_eq!(ids(&again), ids(&first[..4]));
    assert!(!Arc::ptr_eq(&again[0], &first[0]), "what was read is not kept for ever");
}

fn ids(messages: &[Arc<StoredMessage>]) -> Vec<crate::message::MessageId> {
    messages.iter().map(|message| message.id).collect()
}
