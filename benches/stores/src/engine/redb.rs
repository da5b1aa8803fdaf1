//! redb: a copy-on-write B-tree in one file. Its default durability syncs at every commit.

use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::Engine;

const MESSAGES: TableDefinition<u64, &[u8]> = TableDefinition::new("messages");

/// The database, with its defaults.
pub(crate) struct Redb {
    database: Database,
    next: u64,
}

impl Redb {
    /// Opens the database, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let database = Database::create(folder.join("messages.redb"))?;
        let write = database.begin_write()?;
        // The table is there from now on.
        drop(write.open_table(MESSAGES)?);
        write.commit()?;
        let table = database.begin_read()?.open_table(MESSAGES)?;
        let next = table.last()?.map_or(0, |(last, _)| last.value() + 1);
        Ok(Self { database, next })
    }
}

impl Engine for Redb {
    fn next(&self) -> u64 {
        self.next
    }

    fn append(&mut self, bodies: &[Bytes]) -> Result<()> {
        let write = self.database.begin_write()?;
        let mut table = write.open_table(MESSAGES)?;
        for (number, body) in (self.next..).zip(bodies) {
            table.insert(number, &body[..])?;
        }
        drop(table);
        write.commit()?;
        self.next += bodies.len() as u64;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
