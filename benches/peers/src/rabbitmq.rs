//! RabbitMQ: a fanout exchange, a durable queue for each subscriber, persistent messages, confirms.
//!
//! Choices that its documentation calls fast: publishing and consuming on connections of their own; confirms awaited asynchronously; prefetch
//! 256; one acknowledgement with `multiple` for all deliveries that are there already. Queues are as they come, with version 1 of the classic
//! queue's storage, which is 3.10's default.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, ensure};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ExchangeKind,
};
use load::Tally;

use crate::peer::{Consumers, Peer, Publisher, handle};

/// Channels that share the publishing, each of them a process of its own in the broker.
const CHANNELS: usize = 4;
/// Connections that the subscribers share.
const CONNECTIONS: usize = 4;
const PREFETCH: u16 = 256;
/// Most deliveries that one acknowledgement covers: a quarter of the prefetch, so that the broker always has some to send.
const ACK_EVERY: u64 = 64;
/// Written to disk, as the AMQP specification numbers it.
const PERSISTENT: u8 = 2;

/// A connected RabbitMQ.
pub(crate) struct Rabbit {
    publishing: Connection,
    consuming: Vec<Connection>,
    queue_type: &'static str,
    topics: AtomicU64,
}

/// A fanout exchange.
#[derive(Clone)]
pub(crate) struct Exchange {
    name: String,
    channels: Vec<Channel>,
    /// The subscribers' channels: closed in order, where dropping them would close them at some time, under the next run's feet.
    subscribed: Vec<Channel>,
}

impl Rabbit {
    pub(crate) async fn connect(address: &str, queue_type: &'static str) -> anyhow::Result<Self> {
        let uri = format!("amqp://{address}/%2f");
        let connect = || Connection::connect(&uri, ConnectionProperties::default());
        let publishing = connect().await?;
        let mut consuming = Vec::new();
        for _ in 0..CONNECTIONS {
            consuming.push(connect().await?);
        }
        Ok(Self { publishing, consuming, queue_type, topics: AtomicU64::new(0) })
    }
}

fn queue_name(exchange: &str, subscriber: usize) -> String {
    format!("{exchange}.{subscriber}")
}

impl Peer for Rabbit {
    type Publisher = Exchange;

    async fn open(&self, subscribers: usize, tally: &'static Tally) -> anyhow::Result<(Exchange, Consumers)> {
        let name = format!("topic{}", self.topics.fetch_add(1, Ordering::Relaxed));
        let mut channels = Vec::new();
        for _ in 0..CHANNELS {
            let channel = self.publishing.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channels.push(channel);
        }
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channels[0]
            .exchange_declare(name.as_str().into(), ExchangeKind::Fanout, durable, FieldTable::default())
            .await?;
        let (mut consumers, mut subscribed) = (Consumers::new(), Vec::new());
        for subscriber in 0..subscribers {
            let channel = self.consuming[subscriber % CONNECTIONS].create_channel().await?;
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
            let queue = queue_name(&name, subscriber);
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString(self.queue_type.into()));
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(queue.as_str().into(), durable, arguments).await?;
            let (bind, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.as_str().into(), name.as_str().into(), "".into(), bind, none).await?;
            let (consume, none) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel.basic_consume(queue.as_str().into(), "".into(), consume, none).await?;
            consumers.spawn(subscribe(consumer, subscriber, tally));
            subscribed.push(channel);
        }
        Ok((Exchange { name, channels, subscribed }, consumers))
    }

    async fn close(&self, exchange: Exchange, subscribers: usize) -> anyhow::Result<()> {
        for channel in exchange.subscribed {
            channel.close(200, "".into()).await?;
        }
        let channel = &exchange.channels[0];
        for subscriber in 0..subscribers {
            let queue = queue_name(&exchange.name, subscriber);
            channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
        }
        channel.exchange_delete(exchange.name.as_str().into(), ExchangeDeleteOptions::default()).await?;
        for channel in exchange.channels {
            channel.close(200, "".into()).await?;
        }
        Ok(())
    }
}

async fn subscribe(mut consumer: Consumer, subscriber: usize, tally: &'static Tally) -> anyhow::Result<()> {
    while let Some(delivery) = consumer.next().await {
        let mut last = delivery?;
        let mut count = 1;
        handle(tally, &last.data)?;
        while count < ACK_EVERY
            && let Some(Some(delivery)) = consumer.next().now_or_never()
        {
            last = delivery?;
            count += 1;
            handle(tally, &last.data)?;
        }
        last.acker.ack(BasicAckOptions { multiple: count > 1 }).await?;
        tally.done(subscriber, count);
    }
    anyhow::bail!("a consumer was cancelled")
}

impl Publisher for Exchange {
    fn batch(_: usize) -> usize {
        1
    }

    async fn publish(&self, slot: usize, bodies: Vec<Vec<u8>>) -> anyhow::Result<()> {
        let channel = &self.channels[slot % CHANNELS];
        for body in bodies {
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let options = BasicPublishOptions::default();
            let confirmed = channel
                .basic_publish(self.name.as_str().into(), "".into(), options, &body, properties)
                .await
                .context("publishing")?
                .await
                .context("waiting for a confirm")?;
            ensure!(matches!(confirmed, Confirmation::Ack(None)), "not confirmed: {confirmed:?}");
        }
        Ok(())
    }
}
