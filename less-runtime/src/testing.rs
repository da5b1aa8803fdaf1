//! Tests of a user's own code: `#[less::test]` records what is published instead of sending it.

use std::cell::RefCell;
use std::future::Future;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::message::MessageId;
use crate::publish::{Publish, PublishError, Receipt};
use crate::transport::Few;

thread_local! {
    static RECORDER: RefCell<Option<Vec<Recorded>>> = const { RefCell::new(None) };
}

/// A message that a test published.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// Its topic.
    pub topic: String,
    /// Its body, as JSON text.
    pub body: Bytes,
    /// How it was published.
    pub options: Publish,
}

/// Runs a test's body on this thread, with publishing recorded. `#[less::test]` calls it.
///
/// # Panics
/// When no tokio runtime can be made.
pub fn run<F: Future>(test: F) -> F::Output {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            RECORDER.with_borrow_mut(|recorder| *recorder = None);
        }
    }
    RECORDER.with_borrow_mut(|recorder| *recorder = Some(Vec::new()));
    let _reset = Reset;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a tokio runtime can be made").block_on(test)
}

/// What this test has published to a topic so far, as the topic's message type.
///
/// # Panics
/// Outside `#[less::test]`, and when a message is no `M`.
pub fn published<M: DeserializeOwned>(topic: &str) -> Vec<M> {
    recorded(topic)
        .iter()
        .map(|message| serde_json::from_slice(&message.body).expect("the message is of the type asked for"))
        .collect()
}

/// What this test has published to a topic so far, with its options.
///
/// # Panics
/// Outside `#[less::test]`.
pub fn recorded(topic: &str) -> Vec<Recorded> {
    RECORDER.with_borrow(|recorder| {
        let recorder = recorder.as_ref().expect("called inside `#[less::test]`");
        recorder.iter().filter(|message| message.topic == topic).cloned().collect()
    })
}

pub(crate) fn record(
    topic: &str,
    messages: &[(Bytes, Publish)],
) -> Option<Few<Result<Receipt, PublishError>>> {
    RECORDER.with_borrow_mut(|recorder| {
        let recorder = recorder.as_mut()?;
        recorder.extend(messages.iter().map(|(body, options)| Recorded {
            topic: topic.to_owned(),
            body: body.clone(),
            options: options.clone(),
        }));
        Some(messages.iter().map(|_| Ok(Receipt::new(MessageId::generate(), false))).collect())
    })
}

#[cfg(test)]
mod tests {
    use crate::{Publish, Topic, Value};

    const PINGS: Topic<Value> = Topic::__new("app", "ping");

    #[less::test]
    async fn a_test_records_what_is_published_and_sends_nothing() {
        PINGS.publish(&Value::from(1)).await.unwrap();
        PINGS.publish_with(&Value::from(2), Publish::new().key("k")).await.unwrap();
        assert_eq!(PINGS.publish_many(&[Value::from(3), Value::from(4)]).await.unwrap().len(), 2);
        assert_eq!(super::published::<u32>("ping"), [1, 2, 3, 4]);
        assert_eq!(super::recorded("ping")[1].options.key.as_deref(), Some("k"));
        assert!(super::published::<u32>("pong").is_empty());
    }
}
