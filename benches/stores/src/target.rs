//! What is measured, and the one way in for publishers.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, bail};
use bytes::Bytes;

use crate::engine;
use crate::less::Less;
use crate::writer::GroupCommit;

/// A store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The segmented log, appending.
    Log,
    /// The same into segments that were filled with zeros before.
    Prefilled,
    /// redb.
    Redb,
    /// fjall, synced explicitly.
    Fjall,
    /// `SQLite`, WAL, `synchronous=FULL`.
    Sqlite,
    /// The embedded transport of Less, whole.
    Less,
}

impl Kind {
    /// Every store, in the order of the tables.
    pub(crate) const ALL: [Self; 6] =
        [Self::Log, Self::Prefilled, Self::Redb, Self::Fjall, Self::Sqlite, Self::Less];

    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Prefilled => "log, prefilled segments",
            Self::Redb => "redb",
            Self::Fjall => "fjall",
            Self::Sqlite => "SQLite WAL, FULL",
            Self::Less => "Less, embedded",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|kind| kind.name() == text) {
            Some(kind) => Ok(kind),
            None => bail!("no store is called `{text}`"),
        }
    }
}

/// An open store.
pub(crate) enum Target {
    /// An engine below the writer thread.
    Engine(GroupCommit),
    /// Less brings its own writer.
    Less(Less),
}

impl Target {
    /// Opens a store, made where it is missing, and waits until it knows how many messages it has.
    pub(crate) async fn open(kind: Kind, folder: &Path) -> Result<(Self, u64)> {
        let engine: Box<dyn engine::Engine> = match kind {
            Kind::Log => Box::new(engine::log::Log::open(folder, false)?),
            Kind::Prefilled => Box::new(engine::log::Log::open(folder, true)?),
            Kind::Redb => Box::new(engine::redb::Redb::open(folder)?),
            Kind::Fjall => Box::new(engine::fjall::Fjall::open(folder)?),
            Kind::Sqlite => Box::new(engine::sqlite::Sqlite::open(folder)?),
            Kind::Less => {
                let less = Less::open(folder)?;
                let count = less.count().await?;
                return Ok((Self::Less(less), count));
            }
        };
        let count = engine.next();
        Ok((Self::Engine(GroupCommit::start(engine)), count))
    }

    /// Publishes a body: it is on stable storage when this returns.
    pub(crate) async fn publish(&self, body: Bytes) -> Result<()> {
        match self {
            Self::Engine(writer) => writer.publish(body).await,
            Self::Less(less) => less.publish(body).await,
        }
    }

    /// Closes it in good order.
    pub(crate) async fn close(self) -> Result<()> {
        match self {
            Self::Engine(writer) => writer.close(),
            Self::Less(less) => less.close().await,
        }
    }
}
