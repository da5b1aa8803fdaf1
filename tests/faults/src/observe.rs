//! Opens a store after a fault and tells what is in it: damage, books, dead letters, and every message that it hands out.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use less_runtime::clock::Clock;
use less_runtime::transport::embedded::verify;
use less_runtime::transport::{SubscriptionIndex, Transport};

use crate::event::{What, tell, tell_books};
use crate::workload::{self, TOPIC_OF};

/// Longest wait for a message that the books say is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most messages of one lease.
const BATCH: usize = 256;

/// Runs it; every message that is handed out is acked. Without `close` the process ends as if it were killed, after its last ack.
pub(crate) fn run(folder: &Path, segment_size: u64, close: bool) -> Result<()> {
    workload::log();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        // A crash may have come before there was one.
        if folder.exists() {
            let inspection =
                verify::inspect(folder, Clock::System.now()).context("the store can't be looked at")?;
            let problems: Vec<String> = inspection.problems.iter().map(ToString::to_string).collect();
            ensure!(problems.is_empty(), "the store is damaged: {}", problems.join("; "));
        }
        let store = workload::open(folder, segment_size).context("the store can't be opened")?;
        tell(What::Opened, 0, None, 0);
        let ledgers = store.ledgers().await.context("no books")?;
        for (subscription, ledger) in (0..).zip(ledgers) {
            let open = ledger.pending + ledger.scheduled + ledger.replay.pending + ledger.replay.scheduled;
            tell_books(subscription, ledger);
            list(&*store, subscription).await?;
            drain(&*store, subscription, open).await?;
        }
        if close {
            store.close().await.context("it can't be closed")?;
            tell(What::Closed, 0, None, 0);
        }
        std::process::exit(0)
    })
}

async fn list(store: &dyn Transport, subscription: u32) -> Result<()> {
    let mut after = None;
    loop {
        let letters = store.dead_letters(SubscriptionIndex(subscription), after, 1000).await?;
        let Some(last) = letters.last() else { return Ok(()) };
        after = Some(last.message.id);
        for letter in &letters {
            tell(What::Listed, subscription, Some(letter.message.id), letter.attempts);
        }
    }
}

async fn drain(store: &dyn Transport, subscription: u32, open: u64) -> Result<()> {
    let consumer = store.consumer(SubscriptionIndex(subscription)).await?;
    let mut handed_out = 0;
    while handed_out < open {
        let leased = tokio::time::timeout(PATIENCE, consumer.lease(BATCH)).await;
        let topic = TOPIC_OF[subscription as usize];
        let leased = leased.ok().with_context(|| {
            format!("subscription {subscription} of topic {topic}: {handed_out} of {open} messages were handed out")
        })?;
        for delivery in leased? {
            let (id, attempt) = (Some(delivery.message().id), delivery.attempt());
            handed_out += 1;
            tell(What::Started, subscription, id, attempt);
            tell(What::Acking, subscription, id, attempt);
            delivery.ack().await?;
            tell(What::Acked, subscription, id, attempt);
        }
    }
    ensure!(
        handed_out == open,
        "subscription {subscription}: {handed_out} messages were handed out, {open} are open"
    );
    tell(What::Drained, subscription, None, 0);
    Ok(())
}
