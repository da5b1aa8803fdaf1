//! `SQLite`, with a write-ahead log that is synced at every commit.

use std::path::Path;

use anyhow::{Result, ensure};
use bytes::Bytes;
use rusqlite::Connection;

use super::Engine;

/// The database.
pub(crate) struct Sqlite {
    connection: Connection,
    /// Its integers are signed.
    next: i64,
}

impl Sqlite {
    /// Opens the database, or makes one.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let connection = Connection::open(folder.join("messages.sqlite"))?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        ensure!(mode == "wal", "the journal is `{mode}`");
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, body BLOB NOT NULL);",
        )?;
        let last: Option<i64> =
            connection.query_row("SELECT max(number) FROM messages", [], |row| row.get(0))?;
        Ok(Self { connection, next: last.map_or(0, |last| last + 1) })
    }
}

impl Engine for Sqlite {
    fn next(&self) -> u64 {
        self.next.cast_unsigned()
    }

    fn append(&mut self, bodies: &[Bytes]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO messages (number, body) VALUES (?1, ?2)")?;
            for (number, body) in (self.next..).zip(bodies) {
                insert.execute((number, &body[..]))?;
            }
        }
        transaction.commit()?;
        self.next += i64::try_from(bodies.len())?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.connection.close().map_err(|(_, error)| error.into())
    }
}
