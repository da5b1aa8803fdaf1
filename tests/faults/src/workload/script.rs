//! A short sequence that passes through everything that the store writes for: one thing after the other, so that every call has one cause.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use less_runtime::clock::Clock;
use less_runtime::message::MessageId;
use less_runtime::transport::{Consumer, Delivery, Ledger, SubscriptionIndex, Transport};

use super::{Care, Ending, care, end, failed, lease, message, publish};
use crate::event::{What, tell};

/// Longest that a step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A subscription, and how many messages it has to come.
struct Reader {
    subscription: u32,
    consumer: Box<dyn Consumer>,
    open: u64,
}

/// Runs it. After an error it goes on: nothing that follows may be acknowledged then.
///
/// The first half of the rounds has failures, dead letters, a release and a purge; the second only finishes what there is, so that segments are left
/// that hold little that is needed, and are compacted.
/// Fails when a message does not come that the store has.
pub(super) async fn run(store: &dyn Transport, rounds: u32) -> Result<()> {
    let mut readers = Vec::new();
    let ledgers = match store.ledgers().await {
        Ok(ledgers) => ledgers,
        Err(error) => {
            failed("read the books", &error);
            return Ok(());
        }
    };
    for (subscription, ledger) in (0..).zip(ledgers) {
        let Ledger { replay, .. } = &ledger;
        let open = ledger.pending + ledger.scheduled + replay.pending + replay.scheduled;
        match store.consumer(SubscriptionIndex(subscription)).await {
            Ok(consumer) => readers.push(Reader { subscription, consumer, open }),
            Err(error) => {
                failed("open a consumer", &error);
                return Ok(());
            }
        }
    }
    let [ship, bill, keep] = &mut readers[..] else { bail!("there are three subscriptions") };
    let mut letters: Vec<MessageId> = Vec::new();
    let mut kept: Vec<MessageId> = Vec::new();
    for round in 0..rounds {
        let body = |n: u32| format!("\"{round}-{n}-{}\"", "x".repeat(200));
        let due = Some(Clock::System.now() + 2).filter(|_| round % 3 == 2);
        let orders = vec![message(body(0), 1, None), message(body(1), 0, None), message(body(2), 0, due)];
        if publish(store, 0, orders, false).await {
            ship.open += 3;
            bill.open += 3;
        }
        if publish(store, 1, vec![message(format!("\"{round}\""), 0, None)], false).await {
            keep.open += 1;
        }
        let fails = round < rounds / 2;
        for turn in 0..2 {
            for (n, delivery) in ship.some().await?.into_iter().enumerate() {
                let id = delivery.message().id;
                let ending = match n + turn {
                    1 if fails => Ending::Dead,
                    2 if fails => Ending::Retry(Duration::from_millis(1)),
                    3 if fails => Ending::HandBack,
                    _ => Ending::Ack,
                };
                if end(delivery, 0, ending).await && ending == Ending::Dead {
                    letters.push(id);
                    ship.open -= 1;
                } else if ending == Ending::Ack {
                    ship.open -= 1;
                }
            }
        }
        for _ in 0..2 {
            bill.finish().await?;
        }
        kept.append(&mut keep.finish().await?);
        let letter = letters.first().copied().filter(|_| round % 2 == 1);
        if let Some(id) = letter {
            letters.remove(0);
            let what = if round % 4 == 1 { Care::Release } else { Care::Purge };
            if care(store, 0, id, what).await == Some(1) && what == Care::Release {
                ship.open += 1;
            }
        }
        if let Some(id) = kept.first().filter(|_| round == rounds / 2)
            && care(store, 2, *id, Care::Replay).await == Some(1)
        {
            keep.open += 1;
        }
    }
    Ok(())
}

impl Reader {
    /// Leases what is due, and waits for it if there is something to come.
    async fn some(&mut self) -> Result<Vec<Box<dyn Delivery>>> {
        if self.open == 0 {
            return Ok(Vec::new());
        }
        let leased = tokio::time::timeout(PATIENCE, lease(&*self.consumer, self.subscription, 4)).await;
        Ok(leased.context("nothing came")?.unwrap_or_default())
    }

    /// Leases what is due, and acks it.
    async fn finish(&mut self) -> Result<Vec<MessageId>> {
        let mut done = Vec::new();
        for delivery in self.some().await? {
            done.push(delivery.message().id);
            end(delivery, self.subscription, Ending::Ack).await;
            self.open -= 1;
        }
        Ok(done)
    }
}

/// Closes the store, and tells.
pub(super) async fn close(store: &dyn Transport) {
    match store.close().await {
        Ok(()) => tell(What::Closed, 0, None, 0),
        Err(error) => failed("close", &error),
    }
}
