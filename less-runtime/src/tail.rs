//! Tails: who watches a topic's messages as they are accepted.
//!
//! Publishing never waits for one: each has a bounded buffer, and what does not fit into it is counted. While nobody watches, all that this
//! costs is the look at one number.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::message::{MessageId, StoredMessage, shown};
use crate::publish::{PublishError, Receipt};
use crate::transport::{NewMessage, TopicIndex};

/// Most tails at the same time.
pub(crate) const MAX_TAILS: usize = 16;
/// Most messages that wait for a tail's reader.
const MOST_WAITING: usize = 1000;
/// Most bytes of them; a single message may have more.
const MOST_BYTES: usize = 4 << 20;

/// A line of a tail: exactly one of these, as a JSON object with that one member.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TailLine {
    /// A message was accepted.
    Message(ShownMessage),
    /// So many messages were accepted here, and not kept for a reader that was too slow.
    Missed(u64),
    /// Nothing follows, for this reason: `shutdown`.
    End(String),
}

/// A message, as it is shown when it was accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShownMessage {
    /// The message's id.
    pub message_id: MessageId,
    /// When it was published, in milliseconds since the Unix epoch.
    pub published_at: u64,
    /// Before when it is not delivered, likewise; left out where it is delivered at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
    /// Its ordering key.
    pub key: Option<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its body, on one line.
    pub body: Box<RawValue>,
    /// Whether the body is no JSON, and `body` a string with its text; left out where it is JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_json: bool,
}

/// A message that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) message: Arc<StoredMessage>,
    pub(crate) due: Option<Timestamp>,
}

/// What waits for a reader.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Seen),
    Missed(u64),
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
}

#[derive(Debug)]
struct Buffer {
    topic: TopicIndex,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Watchers {
    /// How many there are: looked at for every publish.
    count: AtomicUsize,
    buffers: Mutex<Vec<Arc<Buffer>>>,
}

/// An app's tails.
#[derive(Debug, Default)]
pub(crate) struct Tails(Arc<Watchers>);

/// One who watches. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Tail {
    watchers: Arc<Watchers>,
    buffer: Arc<Buffer>,
}

/// Messages that are about to be stored, and who will see them.
pub(crate) struct Watched {
    seen: Vec<Seen>,
    buffers: Vec<Arc<Buffer>>,
}

impl Tails {
    /// Watches a topic; `None` where too many watch already.
    pub(crate) fn open(&self, topic: TopicIndex) -> Option<Tail> {
        let mut buffers = self.0.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() >= MAX_TAILS {
            return None;
        }
        let buffer = Arc::new(Buffer { topic, waiting: Mutex::default(), filled: Notify::new() });
        buffers.push(Arc::clone(&buffer));
        self.0.count.store(buffers.len(), Ordering::SeqCst);
        Some(Tail { watchers: Arc::clone(&self.0), buffer })
    }

    /// Keeps these messages for those who watch the topic; `None` where nobody does.
    pub(crate) fn watch(&self, topic: TopicIndex, messages: &[NewMessage]) -> Option<Watched> {
        if self.0.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let buffers = self.0.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        let buffers: Vec<_> = buffers.iter().filter(|buffer| buffer.topic == topic).cloned().collect();
        if buffers.is_empty() {
            return None;
        }
        let seen = messages.iter().map(|new| Seen { message: Arc::clone(&new.message), due: new.due });
        Some(Watched { seen: seen.collect(), buffers })
    }
}

impl Watched {
    /// Shows those messages that were accepted now, and not before under the same idempotency key.
    pub(crate) fn show(self, results: &[Result<Receipt, PublishError>]) {
        for (seen, result) in self.seen.into_iter().zip(results) {
            if result.as_ref().is_ok_and(|receipt| !receipt.duplicate) {
                for buffer in &self.buffers {
                    buffer.push(seen.clone());
                }
            }
        }
    }
}

impl Buffer {
    fn push(&self, seen: Seen) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = seen.message.size();
        let fits = waiting.events.len() < MOST_WAITING && waiting.bytes + bytes <= MOST_BYTES;
        if fits || waiting.events.is_empty() {
            waiting.bytes += bytes;
            waiting.events.push_back(Event::Message(seen));
        } else if let Some(Event::Missed(count)) = waiting.events.back_mut() {
            *count += 1;
        } else {
            waiting.events.push_back(Event::Missed(1));
        }
        drop(waiting);
        self.filled.notify_one();
    }
}

impl Tail {
    /// The next event, waiting until there is one. Dropping the future loses none.
    pub(crate) async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            self.buffer.filled.notified().await;
        }
    }

    /// The next event, if one waits.
    pub(crate) fn take(&self) -> Option<Event> {
        let mut waiting = self.buffer.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let event = waiting.events.pop_front()?;
        match &event {
            Event::Message(seen) => waiting.bytes -= seen.message.size(),
            Event::Missed(_) => {}
        }
        Some(event)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut buffers = self.watchers.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.retain(|buffer| !Arc::ptr_eq(buffer, &self.buffer));
        self.watchers.count.store(buffers.len(), Ordering::SeqCst);
    }
}

impl StoredMessage {
    /// About how much memory it takes, in bytes.
    fn size(&self) -> usize {
        let attributes: usize = self.attributes.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.body.len() + attributes + self.key.as_ref().map_or(0, String::len) + size_of::<Self>()
    }
}

impl ShownMessage {
    /// How a message is shown. A body that is no JSON, which nothing of Less publishes, is shown as a string.
    pub fn new(message: &StoredMessage, due: Option<Timestamp>) -> Self {
        let (body, not_json) = shown(&message.body);
        // JSON has line breaks between its tokens only, never within one.
        let body = RawValue::from_string(body.get().replace(['\n', '\r'], " ")).unwrap_or(body);
        Self {
            message_id: message.id,
            published_at: message.published_at,
            due,
            key: message.key.clone(),
            attributes: message.attributes.clone(),
            body,
            not_json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicIndex = TopicIndex(0);

    fn new(body: &str) -> NewMessage {
        let message = StoredMessage {
            id: MessageId::generate(),
            published_at: 1,
            key: None,
            attributes: BTreeMap::new(),
            traceparent: None,
            body: body.to_owned().into(),
        };
        NewMessage { message: Arc::new(message), due: None, idempotency_key: None }
    }

    fn publish(tails: &Tails, body: &str, duplicate: bool) {
        let new = new(body);
        let receipt = Receipt::new(new.message.id, duplicate);
        if let Some(watched) = tails.watch(TOPIC, &[new]) {
            watched.show(&[Ok(receipt)]);
        }
    }

    fn taken(tail: &Tail) -> Vec<String> {
        std::iter::from_fn(|| tail.take())
            .map(|event| match event {
                Event::Message(seen) => String::from_utf8_lossy(&seen.message.body).into_owned(),
                Event::Missed(count) => format!("missed {count}"),
            })
            .collect()
    }

    #[test]
    fn what_nobody_watches_is_not_even_copied() {
        let tails = Tails::default();
        assert!(tails.watch(TOPIC, &[new("1")]).is_none());
        let tail = tails.open(TOPIC).unwrap();
        assert!(tails.watch(TopicIndex(1), &[new("1")]).is_none());
        assert!(tails.watch(TOPIC, &[new("1")]).is_some());
        drop(tail);
        assert!(tails.watch(TOPIC, &[new("1")]).is_none());
    }

    #[test]
    fn only_what_was_accepted_for_the_first_time_is_shown() {
        let tails = Tails::default();
        let tail = tails.open(TOPIC).unwrap();
        publish(&tails, "1", false);
        publish(&tails, "2", true);
        tails.watch(TOPIC, &[new("3")]).unwrap().show(&[Err(PublishError::ShuttingDown)]);
        assert_eq!(taken(&tail), ["1"]);
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_where_how_many_are_missing() {
        let tails = Tails::default();
        let tail = tails.open(TOPIC).unwrap();
        for n in 0..MOST_WAITING + 3 {
            publish(&tails, &n.to_string(), false);
        }
        let all = taken(&tail);
        assert_eq!((all.len(), all[MOST_WAITING - 1].as_str()), (MOST_WAITING + 1, "999"));
        assert_eq!(all[MOST_WAITING], "missed 3");
        publish(&tails, "later", false);
        assert_eq!(taken(&tail), ["later"]);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_a_message_of_any_size_is_shown() {
        let tails = Tails::default();
        let tail = tails.open(TOPIC).unwrap();
        let large = "x".repeat(MOST_BYTES + 1);
        publish(&tails, &large, false);
        publish(&tails, "1", false);
        assert_eq!(taken(&tail), [large.as_str(), "missed 1"]);
        publish(&tails, "2", false);
        assert_eq!(taken(&tail), ["2"]);
    }

    #[test]
    fn there_are_only_so_many_tails() {
        let tails = Tails::default();
        let mut open: Vec<Tail> = (0..MAX_TAILS).map(|_| tails.open(TOPIC).unwrap()).collect();
        assert!(tails.open(TOPIC).is_none());
        open.pop();
        assert!(tails.open(TOPIC).is_some());
    }

    #[test]
    fn a_body_is_shown_on_one_line_and_otherwise_as_it_was_published() {
        let new = new("{\r\n  \"b\": 12345678901234567890123,\n  \"a\": \"x\\ny\"\n}");
        let shown = ShownMessage::new(&new.message, Some(7));
        assert_eq!(shown.body.get(), "{    \"b\": 12345678901234567890123,   \"a\": \"x\\ny\" }");
        let line = serde_json::to_string(&TailLine::Message(shown)).unwrap();
        assert!(!line.contains('\n') && line.starts_with("{\"message\":{\"message_id\":"), "{line}");
        let TailLine::Message(read) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        assert_eq!((read.message_id, read.due), (new.message.id, Some(7)));
    }
}
