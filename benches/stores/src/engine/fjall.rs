//! fjall: a log-structured merge tree with a journal. Its default does not sync, so every batch asks for it.

use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Engine;

/// The database, with its defaults.
pub(crate) struct Fjall {
    database: Database,
    messages: Keyspace,
    next: u64,
}

impl Fjall {
    /// Opens the database, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let database = Database::builder(folder.join("messages.fjall")).open()?;
        let messages = database.keyspace("messages", KeyspaceCreateOptions::default)?;
        let next = match messages.last_key_value() {
            None => 0,
            Some(last) => {
                let key = last.key()?;
                u64::from_be_bytes(*key.first_chunk().context("a key is too short")?) + 1
            }
        };
        Ok(Self { database, messages, next })
    }
}

impl Engine for Fjall {
    fn next(&self) -> u64 {
        self.next
    }

    fn append(&mut self, bodies: &[Bytes]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (number, body) in (self.next..).zip(bodies) {
            batch.insert(&self.messages, number.to_be_bytes(), &body[..]);
        }
        batch.commit()?;
        self.next += bodies.len() as u64;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.database.persist(PersistMode::SyncAll)?;
        Ok(())
    }
}
