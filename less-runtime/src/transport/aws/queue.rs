//! A subscription's queue and its dead-letter queue: what is asked of them, and what this process remembers of their messages.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageError;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Options;
use super::batch::{Batcher, Failure, Rules};
use super::calls::{self, Letter};
use super::connect::BEYOND;
use super::envelope::Envelope;
use crate::clock::Clock;
use crate::message::{MessageId, StoredMessage};
use crate::transport::{AttemptError, TransportError};

/// Most bytes of a call that sends.
pub(super) const MOST_BYTES: usize = 256 * 1024;
/// Calls of a kind at the same time, for each queue.
const CALLS: u32 = 32;
/// Messages whose past this process remembers, for each queue.
const REMEMBERED: usize = 10_000;
/// Failed attempts that are kept of a message.
const HISTORY: usize = 20;
/// Largest message of a queue, in bytes: what a dead letter, with its history, may have.
const LARGEST: usize = 1024 * 1024;

/// Where a queue is.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// The stage that it was deployed for.
    pub(super) stage: String,
    /// Its physical name.
    pub(super) name: String,
    /// Its URL.
    pub(super) url: String,
    /// Its dead-letter queue's physical name.
    pub(super) dead_name: String,
    /// Its dead-letter queue's URL.
    pub(super) dead_url: String,
    /// Whether both are FIFO.
    pub(super) fifo: bool,
}

impl Address {
    /// The name of the one of the two queues that has this URL.
    pub(super) fn name_of(&self, url: &str) -> &str {
        if url == self.dead_url { &self.dead_name } else { &self.name }
    }

    /// The error of a call to the one of the two queues that has this URL, and does not exist any more.
    pub(super) fn gone(&self, url: &str) -> TransportError {
        TransportError::QueueGone { stage: self.stage.clone(), queue: self.name_of(url).to_owned() }
    }
}

/// A subscription's queue.
pub(super) struct Queue {
    pub(super) sqs: Client,
    pub(super) address: Address,
    pub(super) options: Options,
    pub(super) clock: Clock,
    pub(super) home: Handle,
    pub(super) deletes: Batcher<String>,
    pub(super) changes: Batcher<(String, i32)>,
    /// Copies to the queue itself.
    pub(super) copies: Batcher<Letter>,
    /// Dead letters.
    pub(super) burials: Batcher<Letter>,
    /// Whether it has a consumer.
    pub(super) taken: AtomicBool,
    past: Mutex<Past>,
    /// How many tasks still have something to tell.
    tasks: watch::Sender<usize>,
}

/// A task that is counted until it has ended, however that is.
struct Running(watch::Sender<usize>);

impl Running {
    fn one_more(tasks: &watch::Sender<usize>) -> Self {
        tasks.send_modify(|running| *running += 1);
        Self(tasks.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

/// What this process remembers of messages that it has failed or handed back: SQS itself keeps only how often it handed them out.
#[derive(Default)]
struct Past {
    messages: HashMap<MessageId, Remembered>,
    order: VecDeque<MessageId>,
}

/// What is remembered of a message.
#[derive(Debug, Clone, Default)]
pub(super) struct Remembered {
    /// How attempts in this process failed, oldest first.
    pub(super) history: Vec<AttemptError>,
    /// Receives that were no attempts.
    pub(super) uncharged: u32,
}

impl Queue {
    pub(super) fn new(sqs: Client, address: Address, options: Options, clock: Clock) -> Self {
        let rules = |linger| Rules { linger, bytes: MOST_BYTES, calls: CALLS };
        let at_once = rules(options.linger.min(Duration::from_millis(5)));
        // The next message of a FIFO queue's group comes when this one is deleted: it does not wait for others.
        let gathered = if address.fifo { at_once } else { rules(options.linger) };
        let url = || (sqs.clone(), address.url.clone());
        let (client, to) = url();
        let deletes = Batcher::new(gathered, move |handles: Vec<String>| {
            let (client, to) = (client.clone(), to.clone());
            async move { calls::delete(&client, &to, &handles).await }
        });
        let (client, to) = url();
        let changes = Batcher::new(gathered, move |changes: Vec<(String, i32)>| {
            let (client, to) = (client.clone(), to.clone());
            async move { calls::change(&client, &to, &changes).await }
        });
        let sender = |to: &str| {
            let (client, to) = (sqs.clone(), to.to_owned());
            Batcher::new(at_once, move |letters: Vec<Letter>| {
                let (client, to) = (client.clone(), to.clone());
                async move { calls::send(&client, &to, &letters).await }
            })
        };
        let (copies, burials) = (sender(&address.url), sender(&address.dead_url));
        Self {
            sqs,
            address,
            options,
            clock,
            home: Handle::current(),
            deletes,
            changes,
            copies,
            burials,
            taken: AtomicBool::new(false),
            past: Mutex::default(),
            tasks: watch::Sender::new(0),
        }
    }

    /// Receives up to `max` (1 to 10) messages from a URL of this queue, waiting up to `wait` for the first, and hides them for `hidden`. It is
    /// tried once: an answer that got lost has hidden its messages already.
    pub(super) async fn receive(
        &self,
        url: &str,
        max: usize,
        wait: Duration,
        hidden: Duration,
    ) -> Result<Vec<Message>, TransportError> {
        let attempt = TimeoutConfig::builder().operation_attempt_timeout(wait + BEYOND).build();
        let once = aws_sdk_sqs::config::retry::RetryConfig::disabled();
        let config = aws_sdk_sqs::config::Builder::new().retry_config(once).timeout_config(attempt);
        let request = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max).unwrap_or(10))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(hidden))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_attribute_names("All");
        let answer = request.customize().config_override(config).send().await;
        let answer = answer.map_err(|error| {
            if error.as_service_error().is_some_and(ReceiveMessageError::is_queue_does_not_exist) {
                return self.address.gone(url);
            }
            calls::failed("receive messages", self.address.name_of(url), &error)
        })?;
        Ok(answer.messages.unwrap_or_default())
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a message.
    pub(super) fn remembered(&self, id: MessageId) -> Remembered {
        self.past().messages.get(&id).cloned().unwrap_or_default()
    }

    /// Remembers more of a message.
    pub(super) fn remember(&self, id: MessageId, change: impl FnOnce(&mut Remembered)) {
        let past = &mut *self.past();
        let entry = past.messages.entry(id).or_insert_with(|| {
            past.order.push_back(id);
            Remembered::default()
        });
        change(entry);
        let much = entry.history.len().saturating_sub(HISTORY);
        entry.history.drain(..much);
        while past.order.len() > REMEMBERED {
            if let Some(oldest) = past.order.pop_front() {
                past.messages.remove(&oldest);
            }
        }
    }

    /// Forgets a message that has ended here.
    pub(super) fn forget(&self, id: MessageId) {
        let past = &mut *self.past();
        if past.messages.remove(&id).is_some() {
            past.order.retain(|other| *other != id);
        }
    }

    /// Does something that is waited for when this is closed, also where it is begun by something that is waited for.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::one_more(&self.tasks);
        self.home.spawn(async move {
            task.await;
            drop(running);
        });
    }

    /// Sends what is still to be sent, and takes nothing more.
    pub(super) async fn close(&self) {
        // An error means that the sender is gone, which is this.
        let _ = self.tasks.subscribe().wait_for(|running| *running == 0).await;
        tokio::join!(self.copies.close(), self.burials.close());
        tokio::join!(self.deletes.close(), self.changes.close());
    }

    /// An entry's failure, as a transport's error. A handle that SQS does not take any more is a lost lease.
    pub(super) fn error(&self, action: &'static str, failure: &Failure) -> TransportError {
        match failure {
            Failure::Closed => TransportError::Closed,
            Failure::Entry { code, message, .. } if is_lost(code, message) => TransportError::LeaseLost,
            failure => {
                TransportError::Aws { action, target: self.address.name.clone(), cause: failure.to_string() }
            }
        }
    }
}

/// A copy of a message for this queue or its dead-letter queue, as a letter. History is dropped, oldest first, where there is no room for it.
pub(super) fn letter(
    message: &StoredMessage,
    envelope: &Envelope,
    delay: i32,
    fifo: Option<(String, String)>,
) -> Letter {
    let mut envelope = envelope.clone();
    loop {
        let parcel = envelope.clone().pack(message, |_| true);
        if parcel.size() <= LARGEST || envelope.history.is_empty() {
            return Letter { parcel, delay, fifo };
        }
        envelope.history.remove(0);
    }
}

/// Whether SQS says that a receipt handle is no longer good.
fn is_lost(code: &str, message: &str) -> bool {
    code.ends_with("ReceiptHandleIsInvalid")
        || code.ends_with("MessageNotInflight")
        || (code.ends_with("InvalidParameterValue")
            && ["expired", "not available for visibility", "receipt handle"]
                .iter()
                .any(|words| message.contains(words)))
}

/// Whole seconds, rounded up: nothing is early.
pub(super) fn seconds(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

/// A queue by its place among the subscriptions.
pub(super) type Queues = Vec<Arc<Queue>>;

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use aws_sdk_sqs::config::{BehaviorVersion, Config};
    use tokio::sync::oneshot;

    use super::*;

    /// A queue that nobody is asked of.
    fn queue() -> Arc<Queue> {
        let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
        let address = Address {
            stage: "prod".to_owned(),
            name: "q".to_owned(),
            url: "http://127.0.0.1:1/q".to_owned(),
            dead_name: "q-dlq".to_owned(),
            dead_url: "http://127.0.0.1:1/q-dlq".to_owned(),
            fifo: false,
        };
        Arc::new(Queue::new(Client::from_conf(config), address, Options::default(), Clock::System))
    }

    #[tokio::test]
    async fn what_a_task_begins_after_the_end_has_begun_is_waited_for_as_well() {
        let (queue, (first, waits)) = (queue(), oneshot::channel::<()>());
        let (second, done) = (Arc::clone(&queue), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&done);
        queue.spawn(async move {
            let _ = waits.await;
            second.spawn(async move {
                tokio::task::yield_now().await;
                told.store(true, Ordering::SeqCst);
            });
        });
        let closing = Arc::clone(&queue);
        let closed = tokio::spawn(async move { closing.close().await });
        // It has begun to wait: nothing else runs on this thread before it does.
        tokio::task::yield_now().await;
        assert!(!closed.is_finished());
        first.send(()).expect("somebody waits");
        closed.await.expect("it closes");
        assert!(done.load(Ordering::SeqCst));
    }

    #[test]
    fn seconds_are_rounded_up() {
        let of = |millis| seconds(Duration::from_millis(millis));
        assert_eq!([of(0), of(1), of(1_000), of(1_001)], [0, 1, 1, 2]);
    }

    #[test]
    fn an_expired_handle_is_a_lost_lease_and_a_denied_call_is_none() {
        assert!(is_lost("ReceiptHandleIsInvalid", ""));
        assert!(is_lost(
            "InvalidParameterValue",
            "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
        ));
        assert!(is_lost(
            "InvalidParameterValue",
            "Message does not exist or is not available for visibility timeout change."
        ));
        assert!(!is_lost("InvalidParameterValue", "VisibilityTimeout exceeds the maximum"));
        assert!(!is_lost("AccessDenied", ""));
    }
}
