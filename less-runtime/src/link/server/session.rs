//! A session: what one process of another app subscribes to and holds, whatever happens to its connections.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use less_model::name::AppName;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::super::frame::{BODIES, Frame, encode};
use super::super::protocol::{Delivered, DeliveryId, Ending, Head, Place, RequestId, ToSubscriber};
use crate::clock::Clock;
use crate::message::StoredMessage;
use crate::shutdown::Shutdown;
use crate::transport::{
    AttemptError, AttemptErrorKind, Consumer, Delivery, Leases, SubscriptionIndex, Transport, TransportError,
};

/// Most messages that are leased at once: the greatest `concurrency`.
const MOST: u32 = 10_000;

/// A subscription that is served.
pub(super) struct Subscribed {
    pub(super) index: SubscriptionIndex,
    pub(super) consumer: Arc<dyn Consumer>,
}

/// What came of going on.
pub(super) struct Resumed {
    /// The connection's number.
    pub(super) connection: u64,
    /// What was subscribed to before.
    pub(super) released: Vec<Subscribed>,
    /// Deliveries that never reached the subscriber; dropping them hands them back.
    pub(super) never: Vec<Box<dyn Delivery>>,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// What it holds was not begun, or was given back on purpose.
    HandBack,
    /// Its process has ended.
    Crashed,
    /// Nothing was heard of it.
    Lost,
}

pub(super) struct Session {
    pub(super) id: u64,
    pub(super) app: AppName,
    pub(super) instance: String,
    pub(super) boot: String,
    clock: Clock,
    state: Mutex<State>,
    /// Told when it holds nothing any more, when it is over, and when a connection takes the place of another.
    changed: Notify,
}

#[derive(Default)]
struct State {
    subscribed: Vec<Option<Subscribed>>,
    connection: Option<mpsc::UnboundedSender<Frame>>,
    /// The number of the connection that came last.
    connections: u64,
    over: bool,
    /// Ids that were given out.
    given: DeliveryId,
    held: BTreeMap<DeliveryId, Box<dyn Delivery>>,
    /// Their endings are being stored.
    ending: HashSet<DeliveryId>,
    /// What was confirmed, by the confirmation's number, until the subscriber is known to have seen it.
    confirmed: VecDeque<(u64, Vec<DeliveryId>)>,
    number: u64,
    /// Leases that wait; dropping one cancels it.
    leases: HashMap<RequestId, oneshot::Sender<()>>,
}

impl State {
    fn was_confirmed(&self, id: DeliveryId) -> bool {
        self.confirmed.iter().any(|(_, ids)| ids.contains(&id))
    }

    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.ending.is_empty()
    }
}

impl Session {
    pub(super) fn new(id: u64, app: AppName, instance: String, boot: String, clock: Clock) -> Self {
        Self { id, app, instance, boot, clock, state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.state().connection.is_some()
    }

    /// The queue of a subscription.
    pub(super) fn index(&self, of: Place) -> Option<SubscriptionIndex> {
        self.state().subscribed.get(of as usize)?.as_ref().map(|subscribed| subscribed.index)
    }

    /// The queues of all subscriptions.
    pub(super) fn indices(&self) -> Vec<Option<SubscriptionIndex>> {
        let state = self.state();
        state.subscribed.iter().map(|place| place.as_ref().map(|subscribed| subscribed.index)).collect()
    }

    /// Goes on over another connection, with these subscriptions: `holding` is what the subscriber says that it holds. `welcome` makes the first
    /// frame of what is not its own any more. All at once, so that nothing of an earlier connection comes in between. Gives the subscriptions back where
    /// the session is over.
    pub(super) fn resume(
        &self,
        places: Vec<Option<Subscribed>>,
        holding: &[DeliveryId],
        sender: &mpsc::UnboundedSender<Frame>,
        welcome: impl FnOnce(Vec<DeliveryId>) -> Frame,
    ) -> Result<Resumed, Vec<Option<Subscribed>>> {
        let mut state = self.state();
        if state.over {
            return Err(places);
        }
        state.connections += 1;
        state.leases.clear();
        let released = std::mem::replace(&mut state.subscribed, places).into_iter().flatten().collect();
        let known: HashSet<DeliveryId> = holding.iter().copied().collect();
        let lost = holding.iter().copied().filter(|id| {
            !state.held.contains_key(id) && !state.ending.contains(id) && !state.was_confirmed(*id)
        });
        let lost = lost.collect();
        let never: Vec<DeliveryId> = state.held.keys().copied().filter(|id| !known.contains(id)).collect();
        let never = never.into_iter().filter_map(|id| state.held.remove(&id)).collect();
        state.confirmed.retain_mut(|(_, ids)| {
            ids.retain(|id| known.contains(id));
            !ids.is_empty()
        });
        let _ = sender.send(welcome(lost));
        state.connection = Some(sender.clone());
        self.changed.notify_waiters();
        Ok(Resumed { connection: state.connections, released, never })
    }

    /// The connection is broken. False where another one has taken its place, or the session is over.
    pub(super) fn detach(&self, connection: u64) -> bool {
        let mut state = self.state();
        if state.connections != connection || state.over {
            return false;
        }
        state.connection = None;
        state.leases.clear();
        self.changed.notify_waiters();
        true
    }

    /// Whether no connection came after this one, which is broken.
    pub(super) fn is_detached(&self, connection: u64) -> bool {
        let state = self.state();
        state.connections == connection && state.connection.is_none()
    }

    pub(super) fn send(&self, head: &ToSubscriber, bodies: &[Arc<StoredMessage>]) {
        if let Some(connection) = &self.state().connection {
            // Without a reader this is dropped, and what has to be said again is asked for again.
            let _ = connection.send(encode(head, bodies));
        }
    }

    /// Leases for the subscriber, once there is something.
    pub(super) fn lease(
        self: &Arc<Self>,
        connection: u64,
        request: RequestId,
        of: Place,
        max: u32,
        shutdown: Shutdown,
    ) {
        let mut state = self.state();
        let found = state.subscribed.get(of as usize).and_then(Option::as_ref);
        let Some(consumer) = found.map(|subscribed| Arc::clone(&subscribed.consumer)) else { return };
        if max == 0 || state.over || state.connections != connection || shutdown.is_stopping() {
            return;
        }
        let max = max.min(MOST) as usize;
        let (cancel, cancelled) = oneshot::channel();
        state.leases.insert(request, cancel);
        drop(state);
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let leased = tokio::select! {
                biased;
                _ = cancelled => return,
                () = shutdown.stopping() => return,
                leased = consumer.lease(max) => leased,
            };
            drop(consumer);
            match leased {
                Ok(deliveries) => session.deliver(connection, request, deliveries).await,
                Err(error) => tracing::warn!("can't lease for app `{}`: {error}", session.app),
            }
        });
    }

    pub(super) fn cancel(&self, request: RequestId) {
        self.state().leases.remove(&request);
    }

    /// Hands deliveries over, in as many frames as it takes; between two of them others have their turn, so that a large lease is not taken for silence.
    /// Where their connection is broken by now, dropping them hands them back.
    async fn deliver(&self, connection: u64, request: RequestId, deliveries: Box<dyn Leases>) {
        if self.state().leases.remove(&request).is_none() {
            return;
        }
        let mut deliveries = deliveries.peekable();
        while deliveries.peek().is_some() && self.deliver_some(connection, request, &mut deliveries) {
            tokio::task::yield_now().await;
        }
    }

    /// Hands over what goes into one frame. False where the connection is broken.
    fn deliver_some(
        &self,
        connection: u64,
        request: RequestId,
        deliveries: &mut Peekable<Box<dyn Leases>>,
    ) -> bool {
        let mut state = self.state();
        if state.connections != connection || state.over {
            return false;
        }
        let Some(sender) = state.connection.clone() else { return false };
        let (mut heads, mut bodies, mut size) = (Vec::new(), Vec::new(), 0);
        while let Some(delivery) = deliveries.next_if(|_| size < BODIES) {
            state.given += 1;
            let id = state.given;
            let message = Arc::clone(delivery.message());
            let head = Head::of(&message);
            size += head.size();
            heads.push(Delivered { id, attempt: delivery.attempt(), head });
            bodies.push(message);
            state.held.insert(id, delivery);
        }
        let more = deliveries.peek().is_some();
        let frame = encode(&ToSubscriber::Deliver { request, deliveries: heads, more }, &bodies);
        // Where nobody reads any more, the subscriber does not know of them, and they are handed back when it comes again.
        let _ = sender.send(frame);
        true
    }

    /// The subscriber has seen confirmations up to this one.
    pub(super) fn seen(&self, seen: u64) {
        let mut state = self.state();
        while state.confirmed.front().is_some_and(|(number, _)| *number <= seen) {
            state.confirmed.pop_front();
        }
    }

    /// Stores endings, and confirms them once they are on stable storage.
    pub(super) fn end(self: &Arc<Self>, endings: Vec<(DeliveryId, Ending)>, transport: &Arc<dyn Transport>) {
        let (mut work, mut done, mut late) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut state = self.state();
            for (id, ending) in endings {
                if let Some(delivery) = state.held.remove(&id) {
                    state.ending.insert(id);
                    work.push((id, delivery, ending));
                } else if state.was_confirmed(id) {
                    done.push(id);
                } else if !state.ending.contains(&id) {
                    late.push(id);
                }
            }
        }
        let (session, transport) = (Arc::clone(self), Arc::clone(transport));
        tokio::spawn(async move {
            let ids: Vec<DeliveryId> = work.iter().map(|(id, _, _)| *id).collect();
            let mut stored = JoinSet::new();
            for (id, delivery, ending) in work {
                match ending {
                    // At once: their order is that of the subscriber.
                    Ending::Done => sort(id, delivery.ack().await, &mut done, &mut late),
                    Ending::HandedBack => sort(id, delivery.hand_back().await, &mut done, &mut late),
                    Ending::Retry { after_ms, error } => {
                        let after = Duration::from_millis(after_ms);
                        stored.spawn(async move { (id, delivery.retry_after(after, error).await) });
                    }
                    Ending::Dead { reason, error } => {
                        stored.spawn(async move { (id, delivery.dead_letter(reason, error).await) });
                    }
                }
            }
            for (id, result) in stored.join_all().await {
                sort(id, result, &mut done, &mut late);
            }
            if let Err(error) = transport.settle().await {
                tracing::error!("what app `{}` has finished could not be stored: {error}", session.app);
                // Not confirmed: the subscriber asks again, or is told that it came too late.
                session.forget(&ids);
                return;
            }
            session.confirm(&ids, done, late);
        });
    }

    fn forget(&self, ids: &[DeliveryId]) {
        let mut state = self.state();
        for id in ids {
            state.ending.remove(id);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn confirm(&self, ids: &[DeliveryId], done: Vec<DeliveryId>, late: Vec<DeliveryId>) {
        let mut state = self.state();
        for id in ids {
            state.ending.remove(id);
        }
        state.number += 1;
        let number = state.number;
        if !done.is_empty() {
            state.confirmed.push_back((number, done.clone()));
        }
        let idle = state.is_idle();
        if let Some(connection) = &state.connection {
            // Under the lock, so that numbers do not overtake each other.
            let _ = connection.send(encode(&ToSubscriber::Ended { number, done, late }, &[]));
        }
        drop(state);
        if idle {
            self.changed.notify_waiters();
        }
    }

    /// Nothing more is leased; the subscriber is told.
    pub(super) fn say_goodbye(&self) {
        self.state().leases.clear();
        self.send(&ToSubscriber::Bye, &[]);
    }

    /// Waits until it is over, or another connection has taken this one's place.
    pub(super) async fn ended(&self, connection: u64) {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            {
                let state = self.state();
                if state.over || state.connections != connection {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Waits until nothing is held, or nobody is there who could end it.
    pub(super) async fn idle(&self) {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            {
                let state = self.state();
                if state.is_idle() || state.connection.is_none() || state.over {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Ends it: what it holds goes back, and what was told before is stored when this returns. Returns what it subscribed to; nothing where it was
    /// ended before.
    pub(super) async fn finish(&self, over: Over) -> Vec<Subscribed> {
        let held = {
            let mut state = self.state();
            let first = !std::mem::replace(&mut state.over, true);
            state.connection = None;
            state.leases.clear();
            if first {
                // Until it is done, it is as if these were still being ended.
                let ids: Vec<DeliveryId> = state.held.keys().copied().collect();
                state.ending.extend(ids);
            }
            std::mem::take(&mut state.held)
        };
        self.changed.notify_waiters();
        let mut ends = JoinSet::new();
        for (id, delivery) in held {
            let error = self.error(over, delivery.attempt());
            ends.spawn(async move {
                let result = match error {
                    None => delivery.hand_back().await,
                    Some(error) => delivery.retry_after(Duration::ZERO, error).await,
                };
                (id, result)
            });
        }
        for (id, result) in ends.join_all().await {
            self.state().ending.remove(&id);
            if let Err(error) = result {
                tracing::debug!("what app `{}` held could not be given back: {error}", self.app);
            }
        }
        self.changed.notify_waiters();
        self.stored().await;
        std::mem::take(&mut self.state().subscribed).into_iter().flatten().collect()
    }

    /// Waits until no ending is being stored.
    async fn stored(&self) {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.state().ending.is_empty() {
                return;
            }
            notified.await;
        }
    }

    fn error(&self, over: Over, attempt: u32) -> Option<AttemptError> {
        let (kind, message) = match over {
            Over::HandBack => return None,
            Over::Crashed => (
                AttemptErrorKind::Crash,
                format!("the process of `{}` ended during attempt {attempt}", self.app),
            ),
            // Perhaps its process has ended, and will be another one: what ended it is to be attempted alone.
            Over::Lost => (
                AttemptErrorKind::Crash,
                format!(
                    "the link to `{}` was lost during attempt {attempt}, and did not come back",
                    self.app
                ),
            ),
        };
        Some(AttemptError { kind, message, at: self.clock.now() })
    }
}

fn sort(
    id: DeliveryId,
    result: Result<(), TransportError>,
    done: &mut Vec<DeliveryId>,
    late: &mut Vec<DeliveryId>,
) {
    match result {
        Ok(()) => done.push(id),
        Err(error) => {
            tracing::debug!("an ending was not taken: {error}");
            late.push(id);
        }
    }
}
