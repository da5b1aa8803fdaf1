//! The door for messages: `PublishBatch`, ten at a time.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batcher, Failure, Rules};
use super::calls::{self, Letter};
use super::envelope::Envelope;
use super::queue::MOST_BYTES;
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};
use crate::transport::{Few, NewMessage};

/// Calls at the same time, for a topic that keeps no order.
const CALLS: u32 = 32;
/// Lines that messages of an ordered topic queue up in, by key: one call at a time for each.
const LINES: usize = 16;
/// Longest that a message waits for others.
const LINGER: Duration = Duration::from_millis(5);

/// A topic to publish to.
pub(super) struct Topic {
    name: String,
    ordered: bool,
    /// Attributes that some subscriber filters by: they stay where SNS sees them.
    filtered: BTreeSet<String>,
    lines: Vec<Batcher<Letter>>,
}

impl Topic {
    pub(super) fn new(
        sns: &aws_sdk_sns::Client,
        arn: &str,
        ordered: bool,
        max_message: usize,
        filtered: BTreeSet<String>,
    ) -> Self {
        // SNS lets a batch have as many bytes as one message of its topic.
        let bytes = MOST_BYTES.max(max_message);
        let (count, calls) = if ordered { (LINES, 1) } else { (1, CALLS) };
        let line = |_| {
            let (sns, arn) = (sns.clone(), arn.to_owned());
            Batcher::new(Rules { linger: LINGER, bytes, calls }, move |letters: Vec<Letter>| {
                let (sns, arn) = (sns.clone(), arn.clone());
                async move { calls::publish(&sns, &arn, &letters).await }
            })
        };
        let name = arn.rsplit(':').next().unwrap_or(arn).to_owned();
        Self { name, ordered, filtered, lines: (0..count).map(line).collect() }
    }

    /// Publishes messages; one result each, in their order.
    pub(super) async fn publish(&self, messages: Few<NewMessage>) -> Few<Result<Receipt, PublishError>> {
        // All are on their way before the first answer is waited for.
        let sent: Vec<_> = messages.into_iter().map(|new| self.send(new)).collect();
        let mut results = Few::with_capacity(sent.len());
        for sent in sent {
            results.push(match sent {
                Ok((id, answer)) => {
                    answer.await.map(|()| Receipt::new(id, false)).map_err(|failure| self.error(&failure))
                }
                Err(error) => Err(error),
            });
        }
        results
    }

    fn send(
        &self,
        new: NewMessage,
    ) -> Result<(MessageId, impl Future<Output = Result<(), Failure>> + use<>), PublishError> {
        let NewMessage { mut message, due, idempotency_key } = new;
        let unsupported = |capability| PublishError::Unsupported { transport: super::NAME, capability };
        let (fifo, line) = if self.ordered {
            if due.is_some() {
                return Err(unsupported("delay a message of an ordered topic"));
            }
            if let Some(key) = &idempotency_key {
                // The same for the same key, so that a publish that is repeated gets the first one's id.
                Arc::make_mut(&mut message).id = MessageId::named(&format!("{}/{key}", self.name));
            }
            let group = message.key.as_deref().map_or_else(|| message.id.to_string(), group);
            let mut hasher = DefaultHasher::new();
            group.hash(&mut hasher);
            let line = usize::try_from(hasher.finish() % LINES as u64).unwrap_or(0);
            (Some((group, message.id.to_string())), line)
        } else {
            if idempotency_key.is_some() {
                return Err(unsupported("keep to an idempotency key, but for ordered topics"));
            }
            if message.key.is_some() {
                return Err(unsupported("keep the order of a key, but for ordered topics"));
            }
            (None, 0)
        };
        let parcel = Envelope::new(&message, due).pack(&message, |name| !self.filtered.contains(name));
        let size = parcel.size();
        let line = &self.lines[line];
        Ok((message.id, line.push(Letter { parcel, delay: 0, fifo }, size)))
    }

    fn error(&self, failure: &Failure) -> PublishError {
        match failure {
            Failure::Closed => PublishError::ShuttingDown,
            Failure::Entry { .. } | Failure::Call(_) => {
                let hint = if failure.to_string().starts_with("NotFound") {
                    "\nhint: `less deploy` makes it"
                } else {
                    ""
                };
                PublishError::Unavailable(format!("SNS topic {}: {failure}{hint}", self.name))
            }
        }
    }

    /// Sends what is on its way, and takes nothing more.
    pub(super) async fn close(&self) {
        for line in &self.lines {
            line.close().await;
        }
    }
}

/// A key as a message group id: as it is where SNS takes it (1 to 128 characters, letters, digits and punctuation), else a name made of it.
pub(super) fn group(key: &str) -> String {
    let plain = key.len() <= 128 && key.bytes().all(|byte| byte.is_ascii_graphic());
    if plain { key.to_owned() } else { MessageId::named(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_sns_would_refuse_gets_a_group_of_its_own() {
        assert_eq!(group("order-1"), "order-1");
        assert_ne!(group("größe"), group("grösse"));
        assert!(group("a b").bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
