//! Workers: one per subscription. Each leases what it can start now, runs the handler, and tells the transport the outcome.
//!
//! Most handlers end at once. A lane therefore polls handlers one after the other, each one time, on the handlers' runtime: whoever is done by
//! then cost no task and no timer. Who waits goes on as a task of its own, with its timeout and its lease renewed (`attempt`). Who blocks the lane's
//! thread is noticed by the watchdog: the messages behind it go on elsewhere, and its timeout ends it like any other.
//!
//! Handlers that are not compiled in run in processes of their own (`foreign`).

mod attempt;
mod batch;
pub(crate) mod foreign;
mod handlers;
mod lane;
pub(crate) mod retry;
#[cfg(test)]
mod tests;
mod watchdog;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use less_model::manifest::Policy;
use tokio::sync::{Semaphore, mpsc};

pub(crate) use self::handlers::Handlers;
pub(crate) use self::lane::Lanes;
pub(crate) use self::watchdog::Watchdog;
use crate::clock::Clock;
use crate::context::Source;
use crate::handler::Handler;
use crate::shutdown::Shutdown;
use crate::transport::{Consumer, Taker, TransportError};

/// Told of attempts: their outcome, how many there were, how long they took together. Only those of less than [`QUICK`] are told of together.
pub(crate) type Observer = Arc<dyn Fn(&'static str, u64, Duration) + Send + Sync>;

/// What takes less than this is quick: how quick exactly is of no interest.
pub(crate) const QUICK: Duration = Duration::from_micros(100);

/// What a worker needs to know of its subscription.
pub(crate) struct Worker {
    pub(crate) source: Arc<Source>,
    /// What log lines of the handler begin with.
    pub(crate) label: Arc<str>,
    pub(crate) policy: Policy,
    /// Where the worker itself runs: outcomes are told from here.
    pub(crate) home: tokio::runtime::Handle,
    pub(crate) clock: Clock,
    pub(crate) observer: Observer,
    pub(crate) shutdown: Shutdown,
}

/// A handler that is compiled in.
pub(crate) struct Compiled {
    pub(crate) handler: Handler,
    /// Where handlers run: apart from HTTP and the workers, so that a handler that blocks its thread delays neither.
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) watchdog: Arc<Watchdog>,
}

/// Works until the shutdown, then until what it leased has ended. An error means that the transport can't go on.
pub(crate) async fn run(
    worker: Arc<Worker>,
    compiled: Compiled,
    consumer: Box<dyn Consumer>,
) -> Result<(), TransportError> {
    let slots = Arc::new(Semaphore::new(worker.policy.concurrency as usize));
    // Every attempt holds a sender until its outcome was told.
    let (alive, mut ended) = mpsc::channel(1);
    let lanes = Lanes::new(Arc::clone(&worker), compiled, (slots, alive.clone()));
    let taker: Arc<dyn Taker> = Arc::<Lanes>::clone(&lanes);
    let mut stopping = pin!(worker.shutdown.stopping());
    let result = loop {
        let leased = tokio::select! {
            biased;
            () = &mut stopping => break Ok(()),
            leased = lease(&*consumer, &lanes, &taker) => leased,
        };
        if let Err(error) = leased {
            break Err(error);
        }
    };
    drop(alive);
    lanes.close();
    ended.recv().await;
    result
}

/// Leases at most as many messages as there are free slots, for the lanes.
async fn lease(
    consumer: &dyn Consumer,
    lanes: &Arc<Lanes>,
    taker: &Arc<dyn Taker>,
) -> Result<(), TransportError> {
    lanes.free().await?;
    let leases = if lanes.is_wary() {
        Some(consumer.lease(lanes.room().max(1)).await?)
    } else {
        consumer.lease_to(taker).await?
    };
    if let Some(leases) = leases {
        lanes.push(leases);
    }
    Ok(())
}
