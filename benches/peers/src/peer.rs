//! What a broker has to be able to do to be measured.

use anyhow::Context as _;
use load::Tally;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// A subscriber's loop each. One that ends has failed.
pub(crate) type Consumers = JoinSet<anyhow::Result<()>>;

/// A broker with a connection to it.
pub(crate) trait Peer {
    type Publisher: Publisher;

    /// Makes a topic with subscribers that run and tell the tally what they have done: seen when the handler has it, done when it is
    /// acknowledged.
    async fn open(
        &self,
        subscribers: usize,
        tally: &'static Tally,
    ) -> anyhow::Result<(Self::Publisher, Consumers)>;

    /// Removes the topic and what it holds. Its subscribers have ended.
    async fn close(&self, publisher: Self::Publisher, subscribers: usize) -> anyhow::Result<()>;
}

/// Publishes to one topic.
pub(crate) trait Publisher: Clone + Send + Sync + 'static {
    /// How many messages one call takes when so many may be unconfirmed in all.
    fn batch(in_flight: usize) -> usize;

    /// Returns when all are confirmed. Slots are numbered from 0.
    fn publish(&self, slot: usize, bodies: Vec<Vec<u8>>) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A message's body. Written and read as JSON, because that is what the app's topics carry.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) sent: u64,
    pub(crate) pad: String,
}

impl Body {
    /// A body with this time and pad.
    pub(crate) fn encode(sent: u64, pad: &str) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Self { sent, pad: pad.to_owned() })?)
    }
}

/// The handler.
pub(crate) fn handle(tally: &Tally, body: &[u8]) -> anyhow::Result<()> {
    let body: Body = serde_json::from_slice(body).context("a message came that was not sent")?;
    tally.seen(body.sent);
    Ok(())
}
