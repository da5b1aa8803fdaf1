//! Sending messages to a subscriber's queue once more: as if they were new.

use std::sync::Arc;
use std::time::Duration;

use super::BATCH;
use crate::message::MessageId;
use crate::transport::aws::batch::Failure;
use crate::transport::aws::calls::{self, Letter};
use crate::transport::aws::envelope::Received;
use crate::transport::aws::publish::group;
use crate::transport::aws::queue::{MOST_BYTES, Queue, letter};
use crate::transport::{ReplayError, TransportError};

/// Messages that are on their way at the same time, where no order is to be kept.
const WINDOW: usize = 320;
/// Times that messages of an ordered topic are sent, with growing pauses: their ids keep SQS from taking one twice.
const TRIES: u32 = 5;

/// Sends messages in this order. Returns how many.
pub(super) async fn send(queue: &Arc<Queue>, chosen: &[&Received]) -> Result<u64, TransportError> {
    let mut sent = 0;
    let result = if queue.address.fifo {
        in_order(queue, chosen, &mut sent).await
    } else {
        at_once(queue, chosen, &mut sent).await
    };
    match result {
        Ok(()) => Ok(sent),
        Err(failure) => {
            let name = queue.address.name.clone();
            let cause = failure.to_string();
            Err(ReplayError::Partly { queue: name, sent, chosen: chosen.len() as u64, cause }.into())
        }
    }
}

async fn at_once(queue: &Arc<Queue>, chosen: &[&Received], sent: &mut u64) -> Result<(), Failure> {
    for some in chosen.chunks(WINDOW) {
        let answers: Vec<_> = some
            .iter()
            .map(|received| {
                let letter = anew(received, None);
                let size = letter.parcel.size();
                queue.copies.push(letter, size)
            })
            .collect();
        let mut failed = None;
        for answer in answers {
            match answer.await {
                Ok(()) => *sent += 1,
                Err(failure) => failed = Some(failure),
            }
        }
        failed.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// One call after the other: the next one goes when all of this one were taken.
async fn in_order(queue: &Arc<Queue>, chosen: &[&Received], sent: &mut u64) -> Result<(), Failure> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for received in chosen {
        let letter = anew(received, Some(line(received)));
        let size = letter.parcel.size();
        if !batch.is_empty() && !fits(batch.len(), bytes, size) {
            taken(queue, &batch).await?;
            *sent += batch.len() as u64;
            (batch, bytes) = (Vec::new(), 0);
        }
        bytes += size;
        batch.push(letter);
    }
    if !batch.is_empty() {
        taken(queue, &batch).await?;
        *sent += batch.len() as u64;
    }
    Ok(())
}

/// Whether one more of this size goes into a call.
fn fits(count: usize, bytes: usize, size: usize) -> bool {
    count < BATCH && bytes + size <= MOST_BYTES
}

/// Sends a batch until all of it is taken.
async fn taken(queue: &Arc<Queue>, batch: &[Letter]) -> Result<(), Failure> {
    let mut attempt = 0;
    loop {
        let answers = calls::send(&queue.sqs, &queue.address.url, batch).await;
        let Some(failure) = answers.into_iter().find_map(Result::err) else { return Ok(()) };
        attempt += 1;
        if attempt >= TRIES || matches!(failure, Failure::Entry { sender: true, .. } | Failure::Closed) {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
    }
}

/// A message as it was published: attempts are counted anew.
fn anew(received: &Received, fifo: Option<(String, String)>) -> Letter {
    let mut envelope = received.envelope.clone();
    envelope.due = None;
    envelope.attempts = 0;
    envelope.history = Vec::new();
    envelope.dead = None;
    letter(&received.message, &envelope, 0, fifo)
}

/// The line that a message of an ordered topic waits in, and an id by which SQS has not seen it yet.
fn line(received: &Received) -> (String, String) {
    let message = &received.message;
    let own = message.key.as_deref().map(group).or_else(|| received.group.clone());
    (own.unwrap_or_else(|| message.id.to_string()), MessageId::generate().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_holds_ten_messages_and_256_kib_at_most() {
        assert!(fits(9, 0, MOST_BYTES) && !fits(10, 0, 1));
        assert!(fits(1, MOST_BYTES - 5, 5) && !fits(1, MOST_BYTES - 5, 6));
    }
}
