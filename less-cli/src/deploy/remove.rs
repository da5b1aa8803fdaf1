//! Removing what is not needed: as far as it is empty, or all of it.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use less_runtime::transport::aws::Connection;
use less_runtime::transport::aws::provision::{
    Backlog, PARALLEL, ProvisionError, delete_queue, delete_topic, has_messages, read_backlog, unsubscribe,
};

use super::orphan::{OrphanQueue, OrphanSubscriber, Orphans};
use super::progress::Progress;

/// What happens to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// What has any stays.
    Keep,
    /// They go with their queues.
    Drop,
}

/// What came of removing.
#[derive(Debug, Default)]
pub struct Removed {
    /// Labels of subscribers that still have messages, and how many.
    pub kept: Vec<(String, u64)>,
    /// What went wrong.
    pub errors: Vec<ProvisionError>,
}

/// Removes subscribers, then the topics of which none is left.
pub async fn remove(
    connection: &Connection,
    orphans: &Orphans,
    messages: Messages,
    progress: &Progress,
) -> Removed {
    let mut removed = Removed::default();
    let mut stay = BTreeSet::new();
    let work = orphans
        .subscribers
        .iter()
        .map(|orphan| async move { (orphan, subscriber(connection, orphan, messages).await) });
    let mut results = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some((orphan, result)) = results.next().await {
        match result {
            Ok(0) if orphan.tail => progress.removed(&format!("tail of {}", orphan.topic)),
            Ok(0) => progress.removed(&format!("subscriber {}", orphan.label())),
            Ok(many) => {
                removed.kept.push((orphan.label(), many));
                stay.insert(&*orphan.topic);
            }
            Err(error) => {
                removed.errors.push(error);
                stay.insert(&*orphan.topic);
            }
        }
    }
    // A topic goes last: as long as it is there, so is what publishes to it.
    let work = orphans.topics.iter().filter(|orphan| !stay.contains(&*orphan.topic));
    let work = work.map(|orphan| async move { (orphan, delete_topic(connection, &orphan.name).await) });
    let mut results = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some((orphan, result)) = results.next().await {
        match result {
            Ok(()) => progress.removed(&format!("topic {}", orphan.topic)),
            Err(error) => removed.errors.push(error),
        }
    }
    removed.kept.sort();
    removed
}

/// Removes a subscriber. Returns how many messages it has, where it has to stay for them.
async fn subscriber(
    connection: &Connection,
    orphan: &OrphanSubscriber,
    messages: Messages,
) -> Result<u64, ProvisionError> {
    let queues: Vec<&OrphanQueue> = orphan.queue.iter().chain(&orphan.dead_letters).collect();
    // What a tail looked at waits for nobody.
    let messages = if orphan.tail { Messages::Drop } else { messages };
    if messages == Messages::Keep {
        let mut held = 0;
        for queue in &queues {
            held += read_backlog(connection, &queue.url).await?.map_or(0, Backlog::total);
        }
        if held > 0 {
            return Ok(held);
        }
    }
    for arn in &orphan.subscriptions {
        unsubscribe(connection, arn).await?;
    }
    if messages == Messages::Keep {
        // Nothing comes in any longer, so that what is empty now stays so.
        let looks = queues.iter().map(|queue| has_messages(connection, &queue.url));
        let mut held = 0;
        for look in futures_util::future::join_all(looks).await {
            held += look?.map_or(0, |backlog| backlog.total().max(1));
        }
        if held > 0 {
            return Ok(held);
        }
    }
    for queue in queues {
        delete_queue(connection, &queue.url).await?;
    }
    Ok(0)
}
