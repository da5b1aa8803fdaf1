//! Storage engines, each behind the same three verbs.

pub(crate) mod fjall;
pub(crate) mod log;
pub(crate) mod redb;
pub(crate) mod sqlite;

use anyhow::Result;
use bytes::Bytes;

/// Stores bodies under consecutive numbers.
pub(crate) trait Engine: Send {
    /// The number that the next body gets.
    fn next(&self) -> u64;

    /// Stores bodies; when this returns they are on stable storage.
    fn append(&mut self, bodies: &[Bytes]) -> Result<()>;

    /// Closes it in good order.
    fn close(self: Box<Self>) -> Result<()>;
}
