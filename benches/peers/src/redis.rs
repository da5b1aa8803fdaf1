//! Redis Streams: one stream, a consumer group for each subscriber.
//!
//! Choices that its documentation calls fast: XADD in pipelines, here four connections with up to 64 each, so that one is answered while
//! others are on their way; XREADGROUP with COUNT 256, and one XACK for all that it brought, sent in one go with the next XREADGROUP; `NODELAY`.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use load::Tally;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, Value};

use crate::peer::{Consumers, Peer, Publisher, handle};

/// Connections that share the publishing.
const CONNECTIONS: usize = 4;
const COUNT: usize = 256;

/// A running Redis.
pub(crate) struct Redis {
    client: Client,
    topics: AtomicU64,
}

/// A stream.
#[derive(Clone)]
pub(crate) struct Stream {
    name: String,
    connections: Vec<MultiplexedConnection>,
}

impl Redis {
    pub(crate) fn new(address: &str) -> anyhow::Result<Self> {
        let info = format!("redis://{address}/").into_connection_info()?;
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Self { client: Client::open(info)?, topics: AtomicU64::new(0) })
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        // A reader that blocks gets its answer when there is something to read.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        Ok(self.client.get_multiplexed_async_connection_with_config(&config).await?)
    }
}

impl Peer for Redis {
    type Publisher = Stream;

    async fn open(&self, subscribers: usize, tally: &'static Tally) -> anyhow::Result<(Stream, Consumers)> {
        let name = format!("topic{}", self.topics.fetch_add(1, Ordering::Relaxed));
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(self.connect().await?);
        }
        let mut consumers = Consumers::new();
        for subscriber in 0..subscribers {
            let mut connection = self.connect().await?;
            let group = format!("subscriber{subscriber}");
            let mut create = redis::cmd("XGROUP");
            create.arg("CREATE").arg(&name).arg(&group).arg("$").arg("MKSTREAM");
            create.query_async::<()>(&mut connection).await?;
            let reader = Reader { stream: name.clone(), group, connection };
            consumers.spawn(subscribe(reader, subscriber, tally));
        }
        Ok((Stream { name, connections }, consumers))
    }

    async fn close(&self, mut stream: Stream, _: usize) -> anyhow::Result<()> {
        // Freed in the background, as DEL would hold up the server for the next run's first messages.
        redis::cmd("UNLINK").arg(&stream.name).query_async::<()>(&mut stream.connections[0]).await?;
        Ok(())
    }
}

/// The one consumer of a group, on its own connection: XREADGROUP blocks it.
struct Reader {
    stream: String,
    group: String,
    connection: MultiplexedConnection,
}

impl Reader {
    async fn read(&self) -> anyhow::Result<Vec<Entry>> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(&self.group).arg("consumer").arg("COUNT").arg(COUNT);
        read.arg("BLOCK").arg(1000).arg("STREAMS").arg(&self.stream).arg(">");
        entries(read.query_async(&mut self.connection.clone()).await?)
            .context("an unknown answer to XREADGROUP")
    }

    async fn acknowledge(&self, entries: &[Entry]) -> anyhow::Result<()> {
        if !entries.is_empty() {
            let mut acknowledge = redis::cmd("XACK");
            acknowledge.arg(&self.stream).arg(&self.group);
            for entry in entries {
                acknowledge.arg(&entry.id);
            }
            acknowledge.query_async::<()>(&mut self.connection.clone()).await?;
        }
        Ok(())
    }
}

async fn subscribe(reader: Reader, subscriber: usize, tally: &'static Tally) -> anyhow::Result<()> {
    let mut handled: Vec<Entry> = Vec::new();
    loop {
        let acknowledge = async {
            reader.acknowledge(&handled).await?;
            tally.done(subscriber, handled.len() as u64);
            anyhow::Ok(())
        };
        // The acknowledgement first, so that it does not wait behind a read that blocks.
        let (acknowledged, entries) = tokio::join!(biased; acknowledge, reader.read());
        acknowledged?;
        handled = entries?;
        for entry in &handled {
            handle(tally, &entry.body)?;
        }
    }
}

/// A message of a stream.
struct Entry {
    id: Vec<u8>,
    body: Vec<u8>,
}

/// `[[stream, [[id, [field, body]], …]]]`, or nil where there was nothing to read. By hand, as the client's own type makes a map of each entry.
fn entries(reply: Value) -> anyhow::Result<Vec<Entry>> {
    let Some(streams) = array(reply)? else { return Ok(Vec::new()) };
    let mut found = Vec::with_capacity(COUNT);
    for stream in streams {
        let entries = array(stream)?.and_then(|mut pair| pair.pop());
        for entry in array(entries.context("a stream without entries")?)?.unwrap_or_default() {
            let mut pair = array(entry)?.context("a deleted entry")?;
            let body =
                array(pair.pop().context("an entry without fields")?)?.and_then(|mut fields| fields.pop());
            let id = pair.pop().context("an entry without an id")?;
            found.push(Entry { id: bytes(id)?, body: bytes(body.context("an entry without a body")?)? });
        }
    }
    Ok(found)
}

fn array(value: Value) -> anyhow::Result<Option<Vec<Value>>> {
    match value {
        Value::Array(values) => Ok(Some(values)),
        Value::Nil => Ok(None),
        other => bail!("no array: {other:?}"),
    }
}

fn bytes(value: Value) -> anyhow::Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        other => bail!("no string: {other:?}"),
    }
}

impl Publisher for Stream {
    fn batch(in_flight: usize) -> usize {
        in_flight.div_ceil(CONNECTIONS)
    }

    async fn publish(&self, slot: usize, bodies: Vec<Vec<u8>>) -> anyhow::Result<()> {
        let mut pipe = redis::pipe();
        for body in &bodies {
            pipe.cmd("XADD").arg(&self.name).arg("*").arg("body").arg(body).ignore();
        }
        let mut connection = self.connections[slot % CONNECTIONS].clone();
        pipe.query_async::<()>(&mut connection).await.context("publishing")
    }
}
