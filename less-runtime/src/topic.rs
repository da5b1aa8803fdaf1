//! Topics, as users publish to them.

use std::cell::RefCell;
use std::marker::PhantomData;

use bytes::Bytes;
use smallvec::smallvec;

use crate::app;
use crate::message::Message;
use crate::publish::{Publish, PublishError, PublishManyError, Receipt};
use crate::transport::Few;

/// A topic that carries messages of type `M`. The generated crate has one for each folder under `less/topics`.
pub struct Topic<M> {
    app: &'static str,
    name: &'static str,
    message: PhantomData<fn(M)>,
}

impl<M: Message> Topic<M> {
    #[doc(hidden)]
    pub const fn __new(app: &'static str, name: &'static str) -> Self {
        Self { app, name, message: PhantomData }
    }

    /// The topic's id.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Publishes a message, and returns once it is on stable storage.
    ///
    /// Inside the app the message goes straight to its transport; in any other process it goes over HTTP to the running app, found by
    /// `LESS_URL` or the app's address file. Fails as [`PublishError`] says; nothing is retried here.
    pub async fn publish(&self, message: &M) -> Result<Receipt, PublishError> {
        self.publish_with(message, Publish::new()).await
    }

    /// Publishes a message with options.
    pub async fn publish_with(&self, message: &M, options: Publish) -> Result<Receipt, PublishError> {
        let body = encode(message)?;
        let mut results = app::publish_raw(self.app, self.name, smallvec![(body, options)]).await;
        results
            .pop()
            .unwrap_or_else(|| Err(PublishError::Unavailable("the transport gave no result".to_owned())))
    }

    /// Publishes messages in their order, in as few syncs as possible. All are tried; the receipts are in the same order.
    ///
    /// The batch is not atomic: on an error [`PublishManyError::results`] says which were accepted.
    pub async fn publish_many(&self, messages: &[M]) -> Result<Vec<Receipt>, PublishManyError> {
        let all = |error: PublishError| PublishManyError {
            results: messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let bodies: Result<Few<_>, _> =
            messages.iter().map(|message| encode(message).map(|body| (body, Publish::new()))).collect();
        let results = app::publish_raw(self.app, self.name, bodies.map_err(all)?).await;
        if results.iter().all(Result::is_ok) {
            Ok(results.into_iter().flatten().collect())
        } else {
            Err(PublishManyError { results: results.into_vec() })
        }
    }
}

thread_local! {
    /// Where this thread writes messages, so that a body is allocated once, in its size.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that has grown beyond this is not kept.
const KEPT: usize = 16 << 10;

fn encode<M: Message>(message: &M) -> Result<Bytes, PublishError> {
    // Taken out: whatever the message's `Serialize` does, it finds another one.
    let mut buffer = BUFFER.take();
    buffer.clear();
    serde_json::to_writer(&mut buffer, message)
        .map_err(|error| PublishError::Serialize(error.to_string()))?;
    let body = Bytes::copy_from_slice(&buffer);
    if buffer.capacity() <= KEPT {
        BUFFER.set(buffer);
    }
    Ok(body)
}
