//! Renewing what a pool has leased: asked for together, and answered while the pool goes on.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::message::MessageId;
use crate::transport::{Renewal, TransportError};
use crate::worker::attempt::Attempt;

/// Renewals that are under way.
pub(super) struct Renewing {
    asked: Vec<(MessageId, Renewal)>,
    done: Renewed,
}

/// How they went.
#[derive(Default)]
pub(super) struct Renewed {
    /// When to do so again.
    pub(super) again: Option<Instant>,
    failed: Vec<(MessageId, TransportError)>,
}

impl Renewing {
    /// Asks for all of them.
    pub(super) fn begin<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Self {
        let mut renewing = Self { asked: Vec::new(), done: Renewed::default() };
        for attempt in attempts {
            let Some(lease) = attempt.delivery.lease() else { continue };
            renewing.done.again = Some(Instant::now() + lease / 3);
            renewing.asked.push((attempt.delivery.message().id, attempt.delivery.renew()));
        }
        renewing
    }
}

impl Renewed {
    /// Says what failed; returns whose leases were lost.
    pub(super) fn told(&self, label: &str) -> HashSet<MessageId> {
        let mut lost = HashSet::new();
        for (id, error) in &self.failed {
            if matches!(error, TransportError::LeaseLost) {
                tracing::warn!(subscriber = label, message_id = %id, "{error}; its handler is cancelled");
                lost.insert(*id);
            } else {
                tracing::warn!(subscriber = label, message_id = %id, "can't renew a lease, will try again: {error}");
            }
        }
        lost
    }
}

/// Waits for the answers. Nothing is lost where this is dropped in between.
pub(super) async fn answered(renewing: &mut Option<Renewing>) -> Renewed {
    let Some(Renewing { asked, done }) = renewing else { return std::future::pending().await };
    while let Some((id, renewal)) = asked.last_mut() {
        let result = renewal.await;
        if let Err(error) = result {
            done.failed.push((*id, error));
        }
        asked.pop();
    }
    std::mem::take(done)
}

/// When leases of this length have to be renewed: at a third of it, so that two renewals may fail before one is lost.
pub(super) fn renewal(lease: Option<Duration>) -> Option<Instant> {
    lease.map(|lease| Instant::now() + lease / 3)
}
