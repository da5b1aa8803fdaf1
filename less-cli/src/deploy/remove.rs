//! Removing what is not needed: as far as it is empty, or all of it.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use less_runtime::transport::aws::Connection;
use less_runtime::transport::aws::provision::{
    Backlog, PARALLEL, ProvisionError, delete_queue, delete_topic, has_messages, read_backlog, unsubscribe,
};

use super::orphan::{OrphanQueue, Orphans};
use super::progress::Progress;

/// What happens to messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Messages {
    /// What has any stays.
    Keep,
    /// Who has any stays, but for archives: theirs are copies, and nobody waits for them.
    DropCopies,
    /// They go with their queues.
    Drop,
}

/// What came of removing.
#[derive(Debug, Default)]
pub struct Removed {
    /// What still has messages, such as `subscriber order/mail`, and how many.
    pub kept: Vec<(String, u64)>,
    /// What went wrong.
    pub errors: Vec<ProvisionError>,
}

/// Removes subscribers and archives, then the topics of which none is left.
pub async fn remove(
    connection: &Connection,
    orphans: &Orphans,
    messages: Messages,
    progress: &Progress,
) -> Removed {
    let mut removed = Removed::default();
    let mut stay = BTreeSet::new();
    let work = parts(orphans).into_iter().map(|part| async move {
        let removed = queues(connection, &part, messages).await;
        (part, removed)
    });
    let mut results = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some((part, result)) = results.next().await {
        match result {
            Ok(0) => progress.removed(&part.label),
            Ok(many) => {
                removed.kept.push((part.label, many));
                stay.insert(part.topic);
            }
            Err(error) => {
                removed.errors.push(error);
                stay.insert(part.topic);
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

/// What goes as a whole: queues, and what leads to them.
struct Part<'a> {
    label: String,
    topic: &'a str,
    subscriptions: &'a [String],
    queues: Vec<&'a OrphanQueue>,
    holds: Holds,
}

/// What messages in it are.
#[derive(Clone, Copy)]
enum Holds {
    /// Somebody's.
    Messages,
    /// Copies for replays.
    Copies,
    /// Copies that somebody has looked at.
    Nothing,
}

fn parts(orphans: &Orphans) -> Vec<Part<'_>> {
    let subscribers = orphans.subscribers.iter().map(|orphan| Part {
        label: if orphan.tail {
            format!("tail of {}", orphan.topic)
        } else {
            format!("subscriber {}", orphan.label())
        },
        topic: &orphan.topic,
        subscriptions: &orphan.subscriptions,
        queues: orphan.queue.iter().chain(&orphan.dead_letters).collect(),
        holds: if orphan.tail { Holds::Nothing } else { Holds::Messages },
    });
    let archives = orphans.archives.iter().map(|orphan| Part {
        label: format!("archive of {}", orphan.topic),
        topic: &orphan.topic,
        subscriptions: &orphan.subscriptions,
        queues: vec![&orphan.queue],
        holds: Holds::Copies,
    });
    subscribers.chain(archives).collect()
}

/// Removes queues, and what leads to them. Returns how many messages are in them, where they have to stay for those.
async fn queues(connection: &Connection, part: &Part<'_>, messages: Messages) -> Result<u64, ProvisionError> {
    let keep = match part.holds {
        Holds::Messages => messages != Messages::Drop,
        Holds::Copies => messages == Messages::Keep,
        Holds::Nothing => false,
    };
    if keep {
        let mut held = 0;
        for queue in &part.queues {
            held += read_backlog(connection, &queue.url).await?.map_or(0, Backlog::total);
        }
        if held > 0 {
            return Ok(held);
        }
    }
    for arn in part.subscriptions {
        unsubscribe(connection, arn).await?;
    }
    if keep {
        // Nothing comes in any longer, so that what is empty now stays so.
        let looks = part.queues.iter().map(|queue| has_messages(connection, &queue.url));
        let mut held = 0;
        for look in futures_util::future::join_all(looks).await {
            held += look?.map_or(0, |backlog| backlog.total().max(1));
        }
        if held > 0 {
            return Ok(held);
        }
    }
    for queue in &part.queues {
        delete_queue(connection, &queue.url).await?;
    }
    Ok(0)
}
