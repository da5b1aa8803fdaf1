//! Handlers, as the worker sees them: a function from a stored message to a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::app::Fits;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::message::Message;

/// What a handler returns to the worker.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A handler; the message is part of the context.
pub type Handler = Arc<dyn Fn(Context) -> HandlerFuture + Send + Sync>;

/// Wraps a typed function. The wrapper is thin on purpose: everything that does not depend on `M` lives in the worker.
pub(crate) fn typed<M, F, Fut>(process: F) -> Handler
where
    M: Message,
    F: Fn(M, Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    Arc::new(move |context| match decode::<M>(context.body()) {
        Ok(value) => Box::pin(process(value, context)),
        // It fitted when it was accepted, so the type has changed since: no attempt can succeed.
        Err(error) => Box::pin(std::future::ready(Err(Error::schema(error)))),
    })
}

/// The handler of a topic whose schema says more than a Rust type can: what no longer fits never reaches it.
pub(crate) fn checked(handler: Handler, fits: Fits) -> Handler {
    Arc::new(move |context| match fits(context.body()) {
        Ok(()) => handler(context),
        Err(problem) => Box::pin(std::future::ready(Err(Error::schema(problem)))),
    })
}

fn decode<M: Message>(body: &[u8]) -> serde_json::Result<M> {
    match std::str::from_utf8(body) {
        // At once, not for each of its strings.
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    }
}
