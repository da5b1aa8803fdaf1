//! Publishers and subscribers at the same time, until the process is ended from outside or the store fails.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use less_runtime::clock::Clock;
use less_runtime::message::MessageId;
use less_runtime::transport::{SubscriptionIndex, Transport};
use rand::RngExt as _;
use tokio::task::JoinSet;

use super::{Care, Ending, TOPIC_OF, care, end, lease, message, publish};

/// Publishers of the busy topic; each has its own ordering key.
const PUBLISHERS: u32 = 4;
/// Dead letters that are left lying.
const LETTERS: usize = 20;

/// Runs it.
pub(super) async fn run(store: Arc<dyn Transport>, lie: bool) -> Result<()> {
    let mut tasks = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        tasks.spawn(busy_publisher(Arc::clone(&store), publisher + 1, lie));
    }
    tasks.spawn(quiet_publisher(Arc::clone(&store), lie));
    for subscription in 0..TOPIC_OF.len() {
        tasks.spawn(subscriber(Arc::clone(&store), u32::try_from(subscription)?));
    }
    // They end when the store fails, and not before.
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

async fn busy_publisher(store: Arc<dyn Transport>, own_key: u32, lie: bool) {
    loop {
        let batch = (0..rand::random_range(1..6)).map(|_| {
            let body = format!("\"{}\"", "x".repeat(rand::random_range(10..600)));
            let key = if rand::random_ratio(1, 4) { own_key } else { 0 };
            let delay = rand::random_ratio(1, 20).then(|| rand::random_range(1..10));
            message(body, key, delay.map(|delay: u64| Clock::System.now() + delay))
        });
        let batch = batch.collect();
        if !publish(&*store, 0, batch, lie).await {
            return;
        }
    }
}

/// Few messages that are retained for long: their segments are compacted.
async fn quiet_publisher(store: Arc<dyn Transport>, lie: bool) {
    while publish(&*store, 1, vec![message("\"a note\"".to_owned(), 0, None)], lie).await {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Handles one batch after the other, so that what is told of a message is told in its order.
async fn subscriber(store: Arc<dyn Transport>, subscription: u32) {
    let Ok(consumer) = store.consumer(SubscriptionIndex(subscription)).await else { return };
    let mut last: Option<MessageId> = None;
    loop {
        let Some(deliveries) = lease(&*consumer, subscription, 16).await else { return };
        for delivery in deliveries {
            let id = delivery.message().id;
            let ending = match rand::rng().random_range(0..1000) {
                0..900 => Ending::Ack,
                900..950 => Ending::Retry(Duration::from_millis(rand::random_range(0..10))),
                950..970 => Ending::Dead,
                970..990 => Ending::HandBack,
                _ => Ending::Drop,
            };
            if !end(delivery, subscription, ending).await {
                return;
            }
            if ending == Ending::Ack {
                last = Some(id);
            }
        }
        if rand::random_ratio(1, 20) && !look_after(&*store, subscription, last.take()).await {
            return;
        }
    }
}

/// Releases and purges dead letters that are too many, and replays a message that was done.
async fn look_after(store: &dyn Transport, subscription: u32, done: Option<MessageId>) -> bool {
    if let Some(id) = done.filter(|_| rand::random_ratio(1, 4))
        && care(store, subscription, id, Care::Replay).await.is_none()
    {
        return false;
    }
    let Ok(letters) = store.dead_letters(SubscriptionIndex(subscription), None, 100).await else {
        return false;
    };
    for letter in letters.iter().skip(LETTERS) {
        let what = if rand::random_ratio(1, 2) { Care::Release } else { Care::Purge };
        if care(store, subscription, letter.message.id, what).await.is_none() {
            return false;
        }
    }
    true
}
