//! Leasing over a link, and the endings of a delivery.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::protocol::{DeliveryId, Ending, Place, RequestId, ToPublisher};
use super::Shared;
use super::state::{Came, Wanted};
use crate::clock::millis;
use crate::message::StoredMessage;
use crate::transport::{AttemptError, Consumer, DeadReason, Delivery, Leases, Renewal, TransportError};

/// How long a lease is said to be: after a third of it a handler is asked whether it still holds its message, which costs nothing here.
const CHECK: Duration = Duration::from_secs(1);
/// Longest wait for handlers whose message belongs to somebody else by now, before their subscription leases anew.
const GHOSTS: Duration = Duration::from_secs(2);

/// A subscription's queue, which the other app keeps.
pub(super) struct LinkConsumer {
    shared: Arc<Shared>,
    place: Place,
}

impl LinkConsumer {
    pub(super) fn new(shared: Arc<Shared>, place: Place) -> Self {
        Self { shared, place }
    }

    /// Waits until no handler runs any more whose message was lost: it may be handed out again, and would be handled twice at the same time.
    async fn alone(&self) {
        loop {
            let notified = self.shared.gone.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let last = {
                let state = self.shared.state();
                let here = state.ghosts.values().filter(|(place, _)| *place == self.place);
                here.map(|(_, since)| *since).max()
            };
            let Some(until) = last.map(|since| since + GHOSTS).filter(|until| *until > Instant::now()) else {
                return;
            };
            tokio::select! {
                () = notified => {}
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    fn delivery(&self, Came { session, id, attempt, message }: Came) -> Box<dyn Delivery> {
        let shared = Arc::clone(&self.shared);
        Box::new(LinkDelivery { shared, session, id, attempt, message: Arc::new(message), ended: false })
    }
}

impl Drop for LinkConsumer {
    fn drop(&mut self) {
        if let Some(taken) = self.shared.state().consumed.get_mut(self.place as usize) {
            *taken = false;
        }
    }
}

/// A lease that waits; dropping it takes nothing.
struct Waiting<'a> {
    shared: &'a Shared,
    request: RequestId,
}

impl Waiting<'_> {
    /// What has come; it runs from now on.
    fn take(&self) -> Vec<Came> {
        let mut state = self.shared.state();
        let Some(wanted) = state.wanted.remove(&self.request) else { return Vec::new() };
        let came: Vec<Came> =
            wanted.came.into_iter().filter(|came| state.holds(came.session, came.id)).collect();
        state.running.extend(came.iter().map(|came| (came.id, wanted.of)));
        came
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // Taken otherwise.
        let Some(wanted) = state.wanted.remove(&self.request) else { return };
        if wanted.reply.is_some() {
            Shared::send(&state, &ToPublisher::Cancel { request: self.request });
        }
        wanted.came.into_iter().for_each(|came| state.ended(came.id, Ending::HandedBack));
        drop(state);
        self.shared.flush.notify_one();
    }
}

#[async_trait]
impl Consumer for LinkConsumer {
    async fn lease(&self, max: usize) -> Result<Box<dyn Leases>, TransportError> {
        let max = u32::try_from(max).unwrap_or(u32::MAX);
        loop {
            self.alone().await;
            let (reply, answer) = oneshot::channel();
            let waiting = {
                let mut state = self.shared.state();
                if state.closed {
                    return Err(TransportError::Closed);
                }
                let request = state.request();
                let wanted = Wanted { of: self.place, max, came: Vec::new(), reply: Some(reply) };
                state.wanted.insert(request, wanted);
                Shared::send(&state, &ToPublisher::Lease { request, of: self.place, max });
                Waiting { shared: &self.shared, request }
            };
            answer.await.map_err(|_| TransportError::Closed)?;
            // They may be what was lost while this waited.
            self.alone().await;
            let came = waiting.take();
            // They may have been lost on the way.
            if !came.is_empty() {
                let came: VecDeque<_> = came.into_iter().map(|came| self.delivery(came)).collect();
                return Ok(Box::new(came));
            }
        }
    }
}

struct LinkDelivery {
    shared: Arc<Shared>,
    session: u64,
    id: DeliveryId,
    attempt: u32,
    message: Arc<StoredMessage>,
    ended: bool,
}

impl Drop for LinkDelivery {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.shared.state();
        if state.ghosts.remove(&(self.session, self.id)).is_some() {
            drop(state);
            self.shared.gone.notify_waiters();
        } else if state.holds(self.session, self.id) {
            state.running.remove(&self.id);
            state.ended(self.id, Ending::HandedBack);
            drop(state);
            self.shared.flush.notify_one();
        }
    }
}

impl LinkDelivery {
    /// Tells the ending, and waits until the publisher has it on stable storage. That may take as long as the link is down.
    async fn end(mut self: Box<Self>, ending: Ending) -> Result<(), TransportError> {
        let confirmed = {
            let mut state = self.shared.state();
            if state.closed {
                return Err(TransportError::Closed);
            }
            if !state.holds(self.session, self.id) {
                drop(state);
                return Err(TransportError::LeaseLost);
            }
            state.running.remove(&self.id);
            let (reply, confirmed) = oneshot::channel();
            state.ended(self.id, ending);
            if let Some(held) = state.held.get_mut(&self.id) {
                held.reply = Some(reply);
            }
            confirmed
        };
        self.ended = true;
        self.shared.flush.notify_one();
        tokio::select! {
            confirmed = confirmed => confirmed.unwrap_or(Err(TransportError::Closed)),
            () = self.shared.given_up() => Err(TransportError::Closed),
        }
    }
}

#[async_trait]
impl Delivery for LinkDelivery {
    fn message(&self) -> &Arc<StoredMessage> {
        &self.message
    }

    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn lease(&self) -> Option<Duration> {
        Some(CHECK)
    }

    fn renew(&self) -> Renewal {
        // The session keeps it; whether that still does is known here.
        let holds = self.shared.state().holds(self.session, self.id);
        Box::pin(std::future::ready(if holds { Ok(()) } else { Err(TransportError::LeaseLost) }))
    }

    async fn ack(self: Box<Self>) -> Result<(), TransportError> {
        self.end(Ending::Done).await
    }

    async fn retry_after(
        self: Box<Self>,
        delay: Duration,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        self.end(Ending::Retry { after_ms: millis(delay), error }).await
    }

    async fn dead_letter(
        self: Box<Self>,
        reason: DeadReason,
        error: AttemptError,
    ) -> Result<(), TransportError> {
        self.end(Ending::Dead { reason, error }).await
    }

    async fn hand_back(self: Box<Self>) -> Result<(), TransportError> {
        // Dropping it does that; nobody has to wait until it is known there.
        Ok(())
    }
}
