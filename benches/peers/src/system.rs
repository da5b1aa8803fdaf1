//! The systems that are measured.

use anyhow::bail;

/// A system in one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum System {
    /// The whole product path of an app.
    Less,
    /// Nothing but write and sync.
    Bare,
    /// Durable classic queues, persistent messages, confirms.
    RabbitClassic,
    /// Quorum queues, confirms.
    RabbitQuorum,
    /// File storage, which is synced every two minutes.
    JetStreamDefault,
    /// File storage, synced at each message.
    JetStreamAlways,
    /// The append-only file, synced once a second.
    RedisEverysec,
    /// The append-only file, synced before each reply.
    RedisAlways,
}

impl System {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 8] = [
        Self::Less,
        Self::RabbitClassic,
        Self::RabbitQuorum,
        Self::JetStreamDefault,
        Self::JetStreamAlways,
        Self::RedisEverysec,
        Self::RedisAlways,
        Self::Bare,
    ];

    /// Its name on the command line and in records.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::Bare => "bare",
            Self::RabbitClassic => "rabbitmq-classic",
            Self::RabbitQuorum => "rabbitmq-quorum",
            Self::JetStreamDefault => "jetstream-default",
            Self::JetStreamAlways => "jetstream-always",
            Self::RedisEverysec => "redis-everysec",
            Self::RedisAlways => "redis-always",
        }
    }

    /// Its name for readers.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Less => "Less",
            Self::Bare => "bare write + fdatasync",
            Self::RabbitClassic => "RabbitMQ classic",
            Self::RabbitQuorum => "RabbitMQ quorum",
            Self::JetStreamDefault => "JetStream default (unsynced)",
            Self::JetStreamAlways => "JetStream sync always",
            Self::RedisEverysec => "Redis everysec (unsynced)",
            Self::RedisAlways => "Redis always",
        }
    }

    /// Whether it confirms a message only after syncing it.
    pub(crate) fn syncs(self) -> bool {
        match self {
            Self::Less
            | Self::Bare
            | Self::RabbitClassic
            | Self::RabbitQuorum
            | Self::JetStreamAlways
            | Self::RedisAlways => true,
            Self::JetStreamDefault | Self::RedisEverysec => false,
        }
    }

    /// The system of this name.
    pub(crate) fn parse(id: &str) -> anyhow::Result<Self> {
        let Some(found) = Self::ALL.into_iter().find(|system| system.id() == id) else {
            let all = Self::ALL.map(Self::id).join(", ");
            bail!("unknown system `{id}`\nhint: there are {all}");
        };
        Ok(found)
    }
}
