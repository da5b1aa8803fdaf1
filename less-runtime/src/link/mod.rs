//! The link between two apps: one subscribes to topics that the other one stores.
//!
//! The publisher's broker keeps the subscriber's queue and its dead letters, whether the subscriber runs or not. The subscriber opens one
//! connection (an HTTP upgrade at `/_less/link`), asks for as many messages as it can start, and tells what became of each. It is told back when that
//! is on stable storage.
//!
//! What a subscriber holds belongs to its session, not to the connection: a connection that breaks is opened again, and handlers go on meanwhile.
//! A session ends when its process says so, when a later process of the same data folder comes, or when nothing was heard of it for [`Timing::lease`].

mod client;
mod frame;
mod linked;
mod protocol;
mod server;
#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;

use std::time::Duration;

pub(crate) use self::client::{Address, Find, Link, LinkOptions};
pub use self::client::{LinkState, LinkStatus};
pub(crate) use self::linked::Linked;
pub(crate) use self::protocol::{Subscription, VERSION};
pub(crate) use self::server::Server;

/// How patient both sides are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// How often each side says that it is there.
    pub(crate) heartbeat: Duration,
    /// After how long without a byte a connection counts as broken.
    pub(crate) silence: Duration,
    /// How long a subscriber without a connection keeps what it holds.
    pub(crate) lease: Duration,
    /// Shortest wait before a connection is tried again; doubled up to the longest.
    pub(crate) retry: Duration,
    /// Longest such wait.
    pub(crate) longest_retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            lease: Duration::from_secs(30),
            retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(5),
        }
    }
}
