//! Tests of a user's own code: `#[less::test]` records what is published instead of sending it.

use std::cell::RefCell;
use std::future::Future;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::message::MessageId;
use crate::publish::{Publish, PublishError, Receipt};

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
) -> Option<Vec<Result<Receipt, PublishError>>> {
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
