//! Keeps dead letters: SQS deletes a message 14 days after it was sent, and a dead letter is to stay until someone releases or purges it.
//!
//! So a running app looks through its dead-letter queues now and then, and a copy takes the place of each that is old. The copy comes first: cut off
//! in between, there are two with one id, which are listed, released and purged as one, and of which a later look deletes one. SQS hides what is
//! looked at, from others who look and from `less dlq`: it is shown again when the look is over. Nothing here knows what a message says.

mod seen;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use tokio::time::Instant;

use self::seen::{Letter, Rank, Seen, Verdict};
use super::admin::{self, BATCH, HIDDEN, WAIT};
use super::batch::Failure;
use super::calls;
use super::envelope::{Received, read};
use super::queue::{Queue, letter};
use crate::clock::{Timestamp, millis};
use crate::message::MessageId;
use crate::shutdown::Shutdown;
use crate::transport::TransportError;

/// Longest that letters are held: they are shown again before SQS does it, and they would come twice.
const ROUND: Duration = Duration::from_secs(40);
/// Most letters that are held. SQS hides 120,000 of a queue at a time and then hands out none, to `less dlq` neither.
const MOST_HELD: usize = 20_000;
/// How long the last act may take when the app stops: what is not shown by then is, by SQS, within a minute.
const LAST: Duration = Duration::from_secs(1);
/// The wait after a look that failed; doubled with each that fails in a row.
const BACKOFF: Duration = Duration::from_secs(60);
/// Most messages whose copy is known and which could not be deleted.
const MOST_COPIED: usize = 10_000;

/// When a running app looks after its dead letters. The default suits every app: SQS keeps a message for 14 days.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Keeping {
    /// The first look is at a random moment of this time, so that what starts together does not look together. Default 1 h.
    pub first: Duration,
    /// Between looks; up to a tenth more or less, at random. Default 12 h.
    pub every: Duration,
    /// Those that were sent longer ago are renewed. Default 7 days.
    pub older: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self { first: hours(1), every: hours(12), older: hours(7 * 24) }
    }
}

/// Looks after a queue's dead letters until the app stops. `denied` is set by the first queue of the app that says that this is not allowed.
pub(super) fn keep(
    queue: Arc<Queue>,
    keeping: Keeping,
    denied: Arc<AtomicBool>,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send + 'static {
    // Time counts from here, not from when somebody gets to it.
    let first = queue.clock.now() + millis(keeping.first.mul_f64(rand::random()));
    async move { keep_on(&queue, keeping, first, &denied, shutdown).await }
}

async fn keep_on(queue: &Queue, keeping: Keeping, first: Timestamp, denied: &AtomicBool, shutdown: Shutdown) {
    let mut next = first;
    let mut keeper = Keeper { queue, older: keeping.older, copied: HashSet::new(), shutdown };
    let mut failures = 0_u32;
    loop {
        tokio::select! {
            biased;
            () = keeper.shutdown.stopping() => return,
            () = queue.clock.sleep_until(next) => {}
        }
        let looked = keeper.look().await;
        let name = &queue.address.dead_name;
        match looked {
            Ok(0) => tracing::debug!(queue = %name, "no dead letter had to be renewed"),
            Ok(renewed) => {
                tracing::info!(queue = %name, renewed, "dead letters were renewed, before SQS deletes them");
            }
            // Whoever receives from the queue says so.
            Err(TransportError::QueueGone { .. }) => {}
            Err(error) if is_denied(&error) => {
                if !denied.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        queue = %name,
                        "dead letters can't be renewed, and SQS deletes each 14 days after it was sent: {error}; `less iam worker --stage {}` prints what has to be allowed",
                        queue.address.stage
                    );
                }
            }
            Err(error) => {
                failures += 1;
                // At first, and then ever more seldom.
                if failures.is_power_of_two() {
                    tracing::warn!(queue = %name, failures, "dead letters can't be renewed: {error}; trying again");
                }
                next = queue.clock.now() + millis(backoff(failures, keeping.every, rand::random()));
                continue;
            }
        }
        failures = 0;
        next = queue.clock.now() + millis(pause(keeping.every, rand::random()));
    }
}

/// The wait between looks; `chance` is 0 to 1.
fn pause(every: Duration, chance: f64) -> Duration {
    every.mul_f64(0.9 + chance / 5.0)
}

/// The wait after so many looks that failed in a row.
fn backoff(failures: u32, every: Duration, chance: f64) -> Duration {
    let full = BACKOFF.saturating_mul(2_u32.saturating_pow(failures.min(16) - 1)).min(every);
    full.mul_f64(0.5 + chance / 2.0)
}

/// Whether AWS says that this may not be done.
fn is_denied(error: &TransportError) -> bool {
    let TransportError::Aws { cause, .. } = error else { return false };
    cause.split(':').next().is_some_and(|code| code.contains("AccessDenied"))
}

/// The copy that takes a dead letter's place: all that is known of it is in its envelope, as SQS would know the copy's time alone.
fn renewed(received: &Received, fifo: bool) -> calls::Letter {
    let (dead, history) = admin::fate(received);
    let mut envelope = received.envelope.clone();
    envelope.dead = Some(dead);
    envelope.history = history;
    let fifo = fifo.then(|| {
        let id = received.message.id.to_string();
        envelope.group = envelope.group.take().or(received.group.clone()).filter(|group| *group != id);
        // A group of its own, as other dead letters have: of what SQS or SNS has put into one group, ten at most can be looked at. Never
        // deduplicated: SQS still knows the one that it is a copy of.
        (id, MessageId::generate().to_string())
    });
    letter(&received.message, &envelope, 0, fifo)
}

/// Who looks after a queue's dead letters.
struct Keeper<'a> {
    queue: &'a Queue,
    older: Duration,
    /// Messages whose copy is there, and which could not be deleted, by SQS's ids: they are not copied again.
    copied: HashSet<String>,
    shutdown: Shutdown,
}

/// A letter that is to be renewed.
struct Old {
    received: Received,
    sqs_id: String,
    handle: String,
}

/// How a round ended.
struct Round {
    renewed: u64,
    /// Whether nothing was left to receive.
    all: bool,
}

impl Keeper<'_> {
    /// Looks through the queue once; tells how many were renewed. A round ends when nothing comes any more, or when letters can't be held longer. A
    /// queue has no order that could be relied on, so rounds go on while they find old ones: each leaves fewer.
    async fn look(&mut self) -> Result<u64, TransportError> {
        let [visible, ..] = admin::depth(self.queue, &self.queue.address.dead_url).await?;
        if visible == 0 {
            return Ok(0);
        }
        let before = self.queue.clock.now().saturating_sub(millis(self.older));
        let mut seen = Seen::new(before);
        let mut all = 0;
        while !self.shutdown.is_stopping() {
            let round = self.round(&mut seen).await?;
            all += round.renewed;
            if round.all || round.renewed == 0 {
                break;
            }
        }
        Ok(all)
    }

    async fn round(&mut self, seen: &mut Seen) -> Result<Round, TransportError> {
        let mut failed = Vec::new();
        let mut round = Round { renewed: 0, all: false };
        let result = self.receive_all(seen, &mut failed, &mut round).await;
        failed.append(&mut seen.let_go());
        let shown = admin::reveal(self.queue, failed.iter());
        let failure = if self.shutdown.is_stopping() {
            tokio::time::timeout(LAST, shown).await.unwrap_or_default()
        } else {
            shown.await
        };
        result?;
        match failure.map(|failure| self.queue.error("show dead letters again", &failure)) {
            // What someone else has is not this one's to show.
            None | Some(TransportError::LeaseLost) => Ok(round),
            Some(error) => Err(error),
        }
    }

    /// Receives while there is something to receive. Handles of what could not be renewed are added to `failed`; the first error is told at the end.
    async fn receive_all(
        &mut self,
        seen: &mut Seen,
        failed: &mut Vec<String>,
        round: &mut Round,
    ) -> Result<(), TransportError> {
        let began = Instant::now();
        let mut first = Ok(());
        while began.elapsed() < ROUND && seen.held() < MOST_HELD {
            let received = self.queue.receive(&self.queue.address.dead_url, BATCH, WAIT, HIDDEN);
            let messages = tokio::select! {
                biased;
                () = self.shutdown.stopping() => return first,
                received = received => received?,
            };
            if messages.is_empty() {
                round.all = true;
                return first;
            }
            let (old, extra) = judge(seen, &messages);
            let renewed = self.renew(old, failed).await;
            let deleted = self.delete(&extra).await;
            match renewed {
                Ok(renewed) => round.renewed += renewed,
                Err(End::Call(error)) => return Err(error),
                Err(End::Entry(renewed, error)) => {
                    round.renewed += renewed;
                    first = first.and(Err(error));
                }
            }
            deleted.into_iter().find_map(Result::err).map_or(Ok(()), Err)?;
        }
        first
    }

    /// Copies letters, and deletes those whose copy is there.
    async fn renew(&mut self, old: Vec<Old>, failed: &mut Vec<String>) -> Result<u64, End> {
        let queue = self.queue;
        let sent: Vec<_> = old
            .into_iter()
            .map(|old| {
                // All are on their way before the first answer is waited for.
                let sent = (!self.copied.contains(&old.sqs_id)).then(|| {
                    let copy = renewed(&old.received, queue.address.fifo);
                    let size = copy.parcel.size();
                    queue.burials.push(copy, size)
                });
                (old.sqs_id, old.handle, sent)
            })
            .collect();
        let mut end = None;
        let mut done: Vec<(String, String)> = Vec::new();
        for (sqs_id, handle, sent) in sent {
            let answer = match sent {
                Some(sent) => sent.await,
                None => Ok(()),
            };
            match answer {
                Ok(()) => done.push((sqs_id, handle)),
                Err(failure) => {
                    failed.push(handle);
                    end.get_or_insert_with(|| self.end("renew a dead letter", &failure));
                }
            }
        }
        let handles: Vec<String> = done.iter().map(|(_, handle)| handle.clone()).collect();
        let mut renewed = 0;
        for ((sqs_id, handle), answer) in done.into_iter().zip(self.delete(&handles).await) {
            match answer {
                Ok(()) => {
                    self.copied.remove(&sqs_id);
                    renewed += 1;
                }
                Err(error) => {
                    if self.copied.len() < MOST_COPIED {
                        self.copied.insert(sqs_id);
                    }
                    failed.push(handle);
                    // Whatever it is: no more copies that can't take the place of anything.
                    end = Some(End::Call(error));
                }
            }
        }
        match end {
            None => Ok(renewed),
            Some(End::Entry(_, error)) => Err(End::Entry(renewed, error)),
            Some(end) => Err(end),
        }
    }

    /// Deletes letters; one that someone else has by now is theirs.
    async fn delete(&self, handles: &[String]) -> Vec<Result<(), TransportError>> {
        let queue = self.queue;
        let mut answers = Vec::with_capacity(handles.len());
        for some in handles.chunks(BATCH) {
            for answer in calls::delete(&queue.sqs, &queue.address.dead_url, some).await {
                let answer = answer.map_err(|failure| queue.error("delete a renewed dead letter", &failure));
                answers.push(match answer {
                    Err(TransportError::LeaseLost) => Ok(()),
                    answer => answer,
                });
            }
        }
        answers
    }

    fn end(&self, action: &'static str, failure: &Failure) -> End {
        let error = self.queue.error(action, failure);
        match failure {
            Failure::Entry { .. } if !is_denied(&error) => End::Entry(0, error),
            Failure::Entry { .. } | Failure::Call(_) | Failure::Closed => End::Call(error),
        }
    }
}

/// Why letters were not renewed.
enum End {
    /// Those are at fault: others may be renewed, as so many were.
    Entry(u64, TransportError),
    /// The next ones would fare no better.
    Call(TransportError),
}

/// Letters to renew, and handles of copies to delete.
fn judge(seen: &mut Seen, messages: &[Message]) -> (Vec<Old>, Vec<String>) {
    let (mut old, mut extra) = (Vec::new(), Vec::new());
    for message in messages {
        let Some(handle) = message.receipt_handle().map(str::to_owned) else { continue };
        let received = read(message);
        let sqs_id = message.message_id().unwrap_or_default().to_owned();
        let died_at = admin::fate(&received).0.at;
        let rank = Rank { died_at, sent_at: received.sent_at, sqs_id: sqs_id.clone() };
        let letter = Letter { id: received.message.id, rank, handle: handle.clone() };
        let (verdict, other) = seen.judge(letter);
        extra.extend(other);
        match verdict {
            Verdict::Renew => old.push(Old { received, sqs_id, handle }),
            Verdict::Hold => {}
            Verdict::Delete => extra.push(handle),
        }
    }
    (old, extra)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName};

    use super::*;
    use crate::transport::aws::envelope::{OWN, STRING};
    use crate::transport::{AttemptErrorKind, DeadReason};

    fn message(attributes: &[(&str, &str)], sent_at: u64, group: &str) -> Message {
        let value = |text: &str| {
            MessageAttributeValue::builder().data_type(STRING).string_value(text).build().unwrap()
        };
        let sqs = Message::builder()
            .message_id("8a7f3c1e-0000-4000-8000-0123456789ab")
            .receipt_handle("handle")
            .body("{}")
            .attributes(MessageSystemAttributeName::SentTimestamp, sent_at.to_string())
            .attributes(MessageSystemAttributeName::MessageGroupId, group);
        attributes.iter().fold(sqs, |sqs, (name, text)| sqs.message_attributes(*name, value(text))).build()
    }

    /// A copy as SQS would hand it out.
    fn received(letter: &calls::Letter) -> Received {
        let attributes = &letter.parcel.attributes;
        let attributes: Vec<_> =
            attributes.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let group = letter.fifo.as_ref().map_or("", |(group, _)| group);
        read(&message(&attributes, 99_000, group))
    }

    #[test]
    fn a_copy_of_what_sns_could_not_deliver_says_what_the_original_said() {
        let attributes = [("ErrorCode", "AccessDenied"), ("ErrorMessage", "no"), ("a", "1")];
        let original = read(&message(&attributes, 7_000, "g"));
        for copies in 1..=2 {
            let mut copy = original.clone();
            for _ in 0..copies {
                copy = received(&renewed(&copy, false));
            }
            assert_eq!((copy.sent_at, &copy.message), (99_000, &original.message));
            let (dead, history) = admin::fate(&copy);
            assert_eq!((dead.reason, dead.at), (DeadReason::Redrive, 7_000));
            assert_eq!(history.len(), 1);
            assert_eq!((history[0].kind, history[0].at), (AttemptErrorKind::Error, 7_000));
            assert_eq!((dead, history), admin::fate(&original), "{copies}");
        }
    }

    #[test]
    fn a_copy_of_what_the_subscriber_gave_up_keeps_reason_time_attempts_and_history() {
        let own = r#"{"id":"8a7f3c1e-0000-4000-8000-000000000001","at":5,"attempts":3,
            "history":[{"kind":"Error","message":"no","at":6}],"dead":{"reason":"Rejected","at":7}}"#;
        let own = own.replace("Error\",", &format!("{}\",", kind())).replace("Rejected", &reason());
        let original = read(&message(&[(OWN, &own)], 7_000, "g"));
        assert_eq!((original.envelope.attempts, original.message.published_at), (3, 5));
        let copy = received(&renewed(&original, false));
        assert_eq!((&copy.message, &copy.envelope), (&original.message, &original.envelope));
    }

    /// As they are written.
    fn kind() -> String {
        serde_json::to_string(&AttemptErrorKind::Error).unwrap().trim_matches('"').to_owned()
    }

    fn reason() -> String {
        serde_json::to_string(&DeadReason::Rejected).unwrap().trim_matches('"').to_owned()
    }

    #[test]
    fn in_a_fifo_queue_a_copy_has_its_own_group_and_is_released_to_the_original_s() {
        let mut copy = read(&message(&[], 7_000, "g"));
        let id = copy.message.id.to_string();
        for _ in 0..2 {
            let letter = renewed(&copy, true);
            let (group, deduplication) = letter.fifo.clone().unwrap();
            assert_eq!(group, id);
            assert_ne!(deduplication, id);
            copy = received(&letter);
        }
        let released = admin::returned(&copy, true);
        assert_eq!(released.fifo.as_ref().unwrap().0, "g");
        assert_eq!(received(&released).envelope.group, None);
        let released = admin::returned(&read(&message(&[], 7_000, "h")), true);
        assert_eq!(released.fifo.unwrap().0, "h", "one that was never renewed");
    }

    #[test]
    fn waits_keep_to_their_bounds() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(pause(hours(10), 0.0), hours(9));
        assert_eq!(pause(hours(10), 1.0), hours(11));
        let full = |failures| backoff(failures, hours(12), 1.0).as_secs();
        assert_eq!([full(1), full(2), full(3), full(1000)], [60, 120, 240, 12 * 3600]);
        assert_eq!(backoff(1, hours(12), 0.0).as_secs(), 30);
    }

    #[test]
    fn what_is_not_allowed_is_told_from_what_fails() {
        let of = |cause: &str| TransportError::Aws {
            action: "receive messages",
            target: String::new(),
            cause: cause.to_owned(),
        };
        assert!(is_denied(&of("AccessDenied: no")));
        assert!(is_denied(&of("AccessDeniedException: no")));
        assert!(is_denied(&of("KMS.AccessDeniedException")));
        assert!(!is_denied(&of("InternalFailure: AccessDenied")));
        assert!(!is_denied(&TransportError::Closed));
    }
}
