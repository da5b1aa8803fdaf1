//! What a Less app links.
//!
//! A user's code meets the re-exports of this page through the generated crate `less`; the generated code itself enters by [`codegen`] alone.
//! Rooms: [`topic`], [`mod@message`], [`handler`], [`context`] and [`error`] are what users touch; `worker` runs handlers and owns the retry
//! policy; [`transport`] stores and delivers; `http` is the endpoint; [`client`] speaks to a running app from another process.

// The expansion of `#[less::message]` says `::less`, which is the generated crate; here it is this one.
#[cfg(test)]
extern crate self as less;

pub mod app;
pub mod client;
pub mod clock;
pub mod codegen;
pub mod context;
mod dial;
pub mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
pub mod handler;
mod host;
pub mod hosting;
mod http;
mod limits;
mod link;
pub mod message;
mod metrics;
mod output;
pub mod publish;
pub mod registry;
mod shutdown;
mod tail;
mod telemetry;
pub mod testing;
mod tls;
pub mod topic;
pub mod transport;
mod worker;

pub use context::Context;
pub use error::{Error, Result, reject, retry_after};
pub use less_macros::{message, test};
pub use message::{Message, Value};
pub use publish::{Publish, PublishError, PublishManyError, Receipt};
pub use topic::Topic;

#[doc(hidden)]
pub mod __private {
    //! What the expansion of `#[less::message]` names, and the handlers' `println!`.
    pub use crate::telemetry::print;

    /// What an app prints at this level, into `writer`.
    #[cfg(feature = "conformance")]
    pub fn log_into<W>(
        level: tracing::level_filters::LevelFilter,
        writer: W,
    ) -> impl tracing::Subscriber + Send + Sync + use<W>
    where
        W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
    {
        crate::telemetry::subscriber(level, writer, false, false)
    }
    #[cfg(feature = "schema")]
    pub use schemars;
    pub use serde;
}
