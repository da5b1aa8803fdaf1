//! The one module that generated code calls. No promise of stability: both sides are made by the same version of Less.

use std::collections::HashMap;
use std::future::Future;
use std::process::ExitCode;

use crate::app::{Check, check};
use crate::context::Context;
use crate::error::Result;
use crate::handler::{Handler, typed};
use crate::message::Message;

/// What the generated `app` crate registers: one function per topic fills it.
#[derive(Default)]
pub struct Registry {
    pub(crate) checks: HashMap<String, Check>,
    pub(crate) handlers: HashMap<(String, String), Handler>,
}

/// A topic that is being registered.
pub struct TopicRegistration<'a, M> {
    registry: &'a mut Registry,
    name: &'static str,
    message: std::marker::PhantomData<fn(M)>,
}

impl Registry {
    /// Registers a topic.
    pub fn topic<M: Message>(&mut self, name: &'static str) -> TopicRegistration<'_, M> {
        self.checks.insert(name.to_owned(), check::<M>);
        TopicRegistration { registry: self, name, message: std::marker::PhantomData }
    }
}

impl<M: Message> TopicRegistration<'_, M> {
    /// Registers a subscriber of the topic.
    #[must_use]
    pub fn subscriber<F, Fut>(self, name: &'static str, process: F) -> Self
    where
        F: Fn(M, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.registry.handlers.insert((self.name.to_owned(), name.to_owned()), typed(process));
        self
    }

    /// Ends the registration.
    pub fn done(self) {}
}

/// Runs the app: the generated `main`. `manifest` is the JSON text that `less build` wrote.
pub fn main(manifest: &str, topics: &[fn(&mut Registry)]) -> ExitCode {
    crate::host::main(manifest, topics, std::env::args_os())
}
