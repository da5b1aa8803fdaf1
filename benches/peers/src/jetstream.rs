//! NATS JetStream: one stream on files, a durable pull consumer with explicit acknowledgement for each subscriber.
//!
//! Choices that its documentation calls fast: asynchronous publishing, many acknowledgements outstanding; the pull consumer's continuous stream
//! with batches of 256, which asks for more before it has run dry. One connection publishes: several were no faster.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, anyhow};
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::pull::{Config as PullConfig, Stream as Messages};
use async_nats::jetstream::stream::{Config as StreamConfig, StorageType};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt as _;
use load::Tally;

use crate::peer::{Consumers, Peer, Publisher, handle};

/// Connections that the subscribers share.
const CONNECTIONS: usize = 4;
const BATCH: usize = 256;

/// A connected NATS server.
pub(crate) struct JetStream {
    publishing: Context,
    consuming: Vec<Context>,
    topics: AtomicU64,
}

/// A stream; its name is its subject.
#[derive(Clone)]
pub(crate) struct Stream {
    name: String,
    context: Context,
}

impl JetStream {
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Self> {
        let connect = async || anyhow::Ok(jetstream::new(async_nats::connect(address).await?));
        let publishing = connect().await?;
        let mut consuming = Vec::new();
        for _ in 0..CONNECTIONS {
            consuming.push(connect().await?);
        }
        Ok(Self { publishing, consuming, topics: AtomicU64::new(0) })
    }
}

impl Peer for JetStream {
    type Publisher = Stream;

    async fn open(&self, subscribers: usize, tally: &'static Tally) -> anyhow::Result<(Stream, Consumers)> {
        let name = format!("topic{}", self.topics.fetch_add(1, Ordering::Relaxed));
        let config = StreamConfig {
            name: name.clone(),
            subjects: vec![name.clone()],
            storage: StorageType::File,
            ..StreamConfig::default()
        };
        self.publishing.create_stream(config).await?;
        let mut consumers = Consumers::new();
        for subscriber in 0..subscribers {
            let config = PullConfig {
                durable_name: Some(format!("subscriber{subscriber}")),
                ack_policy: AckPolicy::Explicit,
                ..PullConfig::default()
            };
            let context = &self.consuming[subscriber % CONNECTIONS];
            let consumer = context.create_consumer_on_stream(config, name.clone()).await?;
            let messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
            consumers.spawn(subscribe(messages, subscriber, tally));
        }
        Ok((Stream { name, context: self.publishing.clone() }, consumers))
    }

    async fn close(&self, stream: Stream, _: usize) -> anyhow::Result<()> {
        self.publishing.delete_stream(stream.name).await?;
        Ok(())
    }
}

async fn subscribe(mut messages: Messages, subscriber: usize, tally: &'static Tally) -> anyhow::Result<()> {
    while let Some(message) = messages.next().await {
        let message = message?;
        handle(tally, &message.payload)?;
        message.ack().await.map_err(|error| anyhow!("can't acknowledge: {error}"))?;
        tally.done(subscriber, 1);
    }
    anyhow::bail!("a consumer was deleted")
}

impl Publisher for Stream {
    fn batch(_: usize) -> usize {
        1
    }

    async fn publish(&self, _: usize, bodies: Vec<Vec<u8>>) -> anyhow::Result<()> {
        for body in bodies {
            let sent = self.context.publish(self.name.clone(), body.into()).await.context("publishing")?;
            sent.await.context("waiting for an acknowledgement")?;
        }
        Ok(())
    }
}
