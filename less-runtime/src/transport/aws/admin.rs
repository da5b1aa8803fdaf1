//! Administration: depths, and dead letters.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::task::JoinSet;

use super::batch::Failure;
use super::calls;
use super::envelope::{Dead, Received, read};
use super::queue::{Queue, letter};
use crate::message::MessageId;
use crate::transport::{
    AttemptError, AttemptErrorKind, DeadLetter, DeadReason, Ledger, Selection, TransportError,
};

/// How long dead letters are hidden from others while they are looked through: they are shown again at once, and after this where this process is
/// cut off.
pub(super) const HIDDEN: Duration = Duration::from_secs(60);
/// How long an empty dead-letter queue is asked: without a wait SQS asks only some of its servers.
pub(super) const WAIT: Duration = Duration::from_secs(1);
/// Most entries of a batch call.
pub(super) const BATCH: usize = 10;

/// A message of the dead-letter queue: every copy's handle.
struct Found {
    received: Received,
    handles: Vec<String>,
}

/// What SQS knows of a subscription. It counts what is there, not what was: `published` is what is there, and `done` stays 0.
pub(super) async fn ledger(queue: &Queue) -> Result<Ledger, TransportError> {
    let (own, dead) = tokio::join!(depth(queue, &queue.address.url), depth(queue, &queue.address.dead_url));
    let (own, dead) = (own?, dead?);
    let [pending, in_flight, scheduled] = own;
    let dead = dead.iter().sum();
    Ok(Ledger {
        published: pending + in_flight + scheduled + dead,
        pending,
        scheduled,
        in_flight,
        dead,
        ..Ledger::default()
    })
}

/// Visible, hidden, delayed.
pub(super) async fn depth(queue: &Queue, url: &str) -> Result<[u64; 3], TransportError> {
    let names = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    ];
    let request = queue.sqs.get_queue_attributes().queue_url(url);
    let answer = request.set_attribute_names(Some(names.to_vec())).send().await;
    let answer = answer.map_err(|error| {
        if error.as_service_error().is_some_and(GetQueueAttributesError::is_queue_does_not_exist) {
            return queue.address.gone(url);
        }
        calls::failed("read a queue's depth", queue.address.name_of(url), &error)
    })?;
    let number = |name| answer.attributes().and_then(|found| found.get(&name)?.parse().ok()).unwrap_or(0);
    Ok(names.map(number))
}

/// Dead letters, oldest first.
pub(super) async fn dead_letters(
    queue: &Queue,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, TransportError> {
    let found = dig(queue).await?;
    show(queue, found.values().flat_map(|found| &found.handles)).await;
    let later =
        found.into_values().filter(|found| after.is_none_or(|after| found.received.message.id > after));
    Ok(later.take(limit).map(|found| shown(found.received)).collect())
}

/// Sends dead letters back to their queue, with attempts counted anew. A copy first, then the dead letter goes: cut off in between, the message
/// is handled, and still a dead letter.
pub(super) async fn release(queue: &Queue, which: &Selection) -> Result<u64, TransportError> {
    let chosen = choose(queue, which).await?;
    let mut released = 0;
    for some in chosen.chunks(BATCH) {
        let letters: Vec<_> =
            some.iter().map(|found| returned(&found.received, queue.address.fifo)).collect();
        let answers = calls::send(&queue.sqs, &queue.address.url, &letters).await;
        let mut failed = None;
        let mut done: Vec<&Found> = Vec::new();
        for (found, answer) in some.iter().zip(answers) {
            match answer {
                Ok(()) => done.push(found),
                Err(failure) => failed = Some(queue.error("release a dead letter", &failure)),
            }
        }
        remove(queue, &done).await?;
        released += done.len() as u64;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(released)
}

/// A dead letter as it goes back to its queue, and to its group.
pub(super) fn returned(received: &Received, fifo: bool) -> calls::Letter {
    let Received { message, envelope, group, .. } = received;
    let mut envelope = envelope.clone();
    envelope.dead = None;
    envelope.attempts = 0;
    envelope.history = Vec::new();
    let kept = envelope.group.take();
    let fifo = fifo.then(|| {
        let own = message.key.as_deref().map(super::publish::group);
        let group = own.or(kept).or(group.clone()).unwrap_or_else(|| message.id.to_string());
        (group, MessageId::generate().to_string())
    });
    letter(message, &envelope, 0, fifo)
}

/// Deletes dead letters.
pub(super) async fn purge(queue: &Queue, which: &Selection) -> Result<u64, TransportError> {
    let chosen = choose(queue, which).await?;
    let chosen: Vec<&Found> = chosen.iter().collect();
    for some in chosen.chunks(BATCH) {
        remove(queue, some).await?;
    }
    Ok(chosen.len() as u64)
}

/// The dead letters that were chosen; the others are shown again.
async fn choose(queue: &Queue, which: &Selection) -> Result<Vec<Found>, TransportError> {
    let found = dig(queue).await?;
    let wanted: Option<HashSet<MessageId>> = match which {
        Selection::All => None,
        Selection::Ids(ids) => Some(ids.iter().copied().collect()),
    };
    let (chosen, others): (Vec<_>, Vec<_>) = found
        .into_values()
        .partition(|found| wanted.as_ref().is_none_or(|wanted| wanted.contains(&found.received.message.id)));
    show(queue, others.iter().flat_map(|found| &found.handles)).await;
    Ok(chosen)
}

/// Receives everything that is in the dead-letter queue, by id.
async fn dig(queue: &Queue) -> Result<BTreeMap<MessageId, Found>, TransportError> {
    let mut found: BTreeMap<MessageId, Found> = BTreeMap::new();
    loop {
        let messages = queue.receive(&queue.address.dead_url, BATCH, WAIT, HIDDEN).await?;
        if messages.is_empty() {
            return Ok(found);
        }
        for message in &messages {
            let Some(handle) = message.receipt_handle() else { continue };
            let received = read(message);
            let died = |received: &Received| received.envelope.dead.map(|dead| dead.at);
            let entry = found
                .entry(received.message.id)
                .or_insert_with(|| Found { received: received.clone(), handles: Vec::new() });
            entry.handles.push(handle.to_owned());
            if died(&received) > died(&entry.received) {
                entry.received = received;
            }
        }
    }
}

/// Shows messages again at once, and tells where that fails.
async fn show(queue: &Queue, handles: impl Iterator<Item = &String>) {
    if let Some(failure) = reveal(queue, handles).await {
        let name = &queue.address.dead_name;
        tracing::warn!(queue = %name, "dead letters are hidden for up to {} s more: {failure}", HIDDEN.as_secs());
    }
}

/// Shows messages again at once; the last failure, where there is one.
pub(super) async fn reveal(queue: &Queue, handles: impl Iterator<Item = &String>) -> Option<Failure> {
    let handles: Vec<(String, i32)> = handles.map(|handle| (handle.clone(), 0)).collect();
    let mut calls = JoinSet::new();
    let mut failed = None;
    for some in handles.chunks(BATCH) {
        let (sqs, url, some) = (queue.sqs.clone(), queue.address.dead_url.clone(), some.to_vec());
        calls.spawn(async move {
            let answers = calls::change(&sqs, &url, &some).await;
            answers.into_iter().find_map(Result::err)
        });
        if calls.len() >= 16
            && let Some(Ok(Some(failure))) = calls.join_next().await
        {
            failed = Some(failure);
        }
    }
    while let Some(joined) = calls.join_next().await {
        failed = joined.ok().flatten().or(failed);
    }
    failed
}

/// Deletes dead letters, every copy of them.
async fn remove(queue: &Queue, found: &[&Found]) -> Result<(), TransportError> {
    let handles: Vec<String> = found.iter().flat_map(|found| found.handles.iter().cloned()).collect();
    for some in handles.chunks(BATCH) {
        for answer in calls::delete(&queue.sqs, &queue.address.dead_url, some).await {
            answer.map_err(|failure| queue.error("delete a dead letter", &failure))?;
        }
    }
    Ok(())
}

/// Why and when a message became a dead letter, and how its attempts failed.
pub(super) fn fate(received: &Received) -> (Dead, Vec<AttemptError>) {
    let Received { message, envelope, sent_at, .. } = received;
    let mut history = envelope.history.clone();
    if let Some(dead) = envelope.dead {
        return (dead, history);
    }
    // One that SQS or SNS has put there: this process was not asked.
    if let Some(text) = message.attributes.get("ErrorMessage") {
        let code = message.attributes.get("ErrorCode").map_or("", String::as_str);
        let text = format!("SNS could not deliver it: {code} {text}");
        history.push(AttemptError { kind: AttemptErrorKind::Error, message: text, at: *sent_at });
    }
    (Dead { reason: DeadReason::Redrive, at: *sent_at }, history)
}

fn shown(received: Received) -> DeadLetter {
    let (Dead { reason, at: died_at }, history) = fate(&received);
    let Received { message, envelope, .. } = received;
    DeadLetter { message, reason, died_at, attempts: envelope.attempts, history }
}
