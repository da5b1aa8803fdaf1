//! Workers: one per subscription. Each leases what it can start now, runs the handler, and tells the transport the outcome.

mod attempt;
pub(crate) mod retry;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use less_model::manifest::Policy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::handler::Handler;
use crate::shutdown::Shutdown;
use crate::transport::{Consumer, Delivery, TransportError};

/// Told of each attempt: topic, subscriber, outcome, how long it took.
pub(crate) type Observer = Arc<dyn Fn(&str, &str, &'static str, Duration) + Send + Sync>;

/// What a worker needs to know of its subscription.
pub(crate) struct Worker {
    pub(crate) topic: Arc<str>,
    pub(crate) subscriber: Arc<str>,
    /// What log lines of the handler begin with.
    pub(crate) label: Arc<str>,
    pub(crate) policy: Policy,
    pub(crate) handler: Handler,
    /// Where handlers run: apart from HTTP and the workers, so that a handler that blocks its thread delays neither.
    pub(crate) handlers: tokio::runtime::Handle,
    pub(crate) clock: Clock,
    pub(crate) observer: Observer,
    pub(crate) shutdown: Shutdown,
}

/// Works until the shutdown, then until what it leased has ended. An error means that the transport can't go on.
pub(crate) async fn run(worker: Arc<Worker>, mut consumer: Box<dyn Consumer>) -> Result<(), TransportError> {
    let slots = Arc::new(Semaphore::new(worker.policy.concurrency as usize));
    let mut attempts = JoinSet::new();
    let ended = loop {
        let leased = tokio::select! {
            biased;
            () = worker.shutdown.stopping() => break Ok(()),
            leased = lease(&slots, &mut *consumer) => leased,
        };
        match leased {
            Ok(leased) => {
                for (delivery, slot) in leased {
                    attempts.spawn(attempt::run(Arc::clone(&worker), delivery, slot));
                }
            }
            Err(error) => break Err(error),
        }
        while attempts.try_join_next().is_some() {}
    };
    while attempts.join_next().await.is_some() {}
    ended
}

/// Leases at most as many messages as there are free slots.
async fn lease(
    slots: &Arc<Semaphore>,
    consumer: &mut dyn Consumer,
) -> Result<Vec<(Box<dyn Delivery>, OwnedSemaphorePermit)>, TransportError> {
    let Ok(first) = Arc::clone(slots).acquire_owned().await else { return Err(TransportError::Closed) };
    let mut free = vec![first];
    while let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
        free.push(slot);
    }
    let deliveries = consumer.lease(free.len()).await?;
    Ok(deliveries.into_iter().zip(free).collect())
}
