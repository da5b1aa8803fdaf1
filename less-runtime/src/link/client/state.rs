//! What a link knows: what was asked for, what is held, what has ended and is not confirmed.

use std::collections::{BTreeMap, HashMap};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::protocol::{Answer, Delivered, DeliveryId, Ending, Place, RequestId};
use super::Sender;
use crate::message::StoredMessage;
use crate::transport::{Ledger, TransportError};

/// A delivery as it came: its message, and its number in the session.
pub(super) struct Came {
    pub(super) session: u64,
    pub(super) id: DeliveryId,
    pub(super) attempt: u32,
    pub(super) message: StoredMessage,
}

/// A lease that waits, or whose answer was not fetched yet.
pub(super) struct Wanted {
    pub(super) of: Place,
    pub(super) max: u32,
    pub(super) came: Vec<Came>,
    /// Told when all has come; gone then.
    pub(super) reply: Option<oneshot::Sender<()>>,
}

/// A delivery that is held, or whose ending is not confirmed.
#[derive(Default)]
pub(super) struct Held {
    pub(super) ending: Option<Ending>,
    pub(super) reply: Option<oneshot::Sender<Result<(), TransportError>>>,
}

/// The answer to a question, with the bodies behind it.
pub(super) type Answered = (Answer, bytes::Bytes);

pub(super) struct State {
    /// Where frames go; none without a connection.
    pub(super) sender: Option<Sender>,
    /// The session, once there is one.
    pub(super) session: Option<u64>,
    /// Since when there is no connection.
    pub(super) down: Option<Instant>,
    pub(super) closed: bool,
    /// By subscription, whether it has its consumer.
    pub(super) consumed: Vec<bool>,
    pub(super) next: RequestId,
    pub(super) wanted: BTreeMap<RequestId, Wanted>,
    pub(super) held: BTreeMap<DeliveryId, Held>,
    /// Endings that were not sent yet.
    pub(super) outbox: Vec<(DeliveryId, Ending)>,
    /// Deliveries of the session whose handlers run, with their subscription.
    pub(super) running: HashMap<DeliveryId, Place>,
    /// The same, of deliveries that belong to somebody else by now; since when.
    pub(super) ghosts: HashMap<(u64, DeliveryId), (Place, Instant)>,
    pub(super) asked: HashMap<RequestId, oneshot::Sender<Answered>>,
    /// The number of the last confirmation.
    pub(super) seen: u64,
    pub(super) url: Option<String>,
    pub(super) error: Option<String>,
    /// Why subscriptions are refused.
    pub(super) refused: Vec<(Place, String)>,
    /// The books as they were when they were asked for last.
    pub(super) ledgers: Vec<Ledger>,
    /// Whether they were ever told.
    pub(super) known: bool,
}

impl State {
    pub(super) fn new(subscriptions: usize) -> Self {
        Self {
            sender: None,
            session: None,
            down: None,
            closed: false,
            consumed: vec![false; subscriptions],
            next: 0,
            wanted: BTreeMap::new(),
            held: BTreeMap::new(),
            outbox: Vec::new(),
            running: HashMap::new(),
            ghosts: HashMap::new(),
            asked: HashMap::new(),
            seen: 0,
            url: None,
            error: None,
            refused: Vec::new(),
            ledgers: vec![Ledger::default(); subscriptions],
            known: false,
        }
    }

    pub(super) fn request(&mut self) -> RequestId {
        self.next += 1;
        self.next
    }

    /// Why not all is well.
    pub(super) fn problem(&self) -> Option<String> {
        let refused = self.refused.iter().map(|(_, error)| error.as_str());
        let mut all: Vec<&str> = self.error.as_deref().into_iter().chain(refused).collect();
        // Subscribers of one topic are refused with the same words.
        all.dedup();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Whether this delivery is still the app's own.
    pub(super) fn holds(&self, session: u64, id: DeliveryId) -> bool {
        self.session == Some(session) && self.held.contains_key(&id)
    }

    /// These deliveries belong to somebody else by now.
    pub(super) fn lose(&mut self, ids: impl IntoIterator<Item = DeliveryId>) {
        let Some(session) = self.session else { return };
        for id in ids {
            if let Some(Held { reply: Some(reply), .. }) = self.held.remove(&id) {
                let _ = reply.send(Err(TransportError::LeaseLost));
            }
            if let Some(place) = self.running.remove(&id) {
                self.ghosts.insert((session, id), (place, Instant::now()));
            }
        }
        for wanted in self.wanted.values_mut() {
            wanted.came.retain(|came| self.held.contains_key(&came.id));
        }
    }

    /// The session is over, and all that it held is lost. Questions get no answer.
    pub(super) fn lose_all(&mut self) {
        let ids: Vec<DeliveryId> = self.held.keys().copied().collect();
        self.lose(ids);
        self.session = None;
        self.seen = 0;
        self.outbox.clear();
        self.asked.clear();
    }

    /// Tells an ending, once there is a connection.
    pub(super) fn ended(&mut self, id: DeliveryId, ending: Ending) {
        if let Some(held) = self.held.get_mut(&id) {
            held.ending = Some(ending.clone());
            self.outbox.push((id, ending));
        }
    }

    /// All endings that are not confirmed are to be told again.
    pub(super) fn tell_again(&mut self) {
        let ended = self.held.iter();
        self.outbox = ended.filter_map(|(id, held)| Some((*id, held.ending.clone()?))).collect();
    }

    /// Endings are confirmed, or came too late.
    pub(super) fn confirmed(&mut self, done: Vec<DeliveryId>, late: Vec<DeliveryId>) {
        for (ids, late) in [(done, false), (late, true)] {
            for id in ids {
                if let Some(Held { reply: Some(reply), .. }) = self.held.remove(&id) {
                    let _ = reply.send(if late { Err(TransportError::LeaseLost) } else { Ok(()) });
                }
            }
        }
    }

    /// Messages have come for a lease. Those that nobody waits for go back.
    pub(super) fn came(
        &mut self,
        request: RequestId,
        deliveries: Vec<(Delivered, StoredMessage)>,
        more: bool,
    ) {
        let Some(session) = self.session else { return };
        let came = deliveries.into_iter().map(|(Delivered { id, attempt, .. }, message)| Came {
            session,
            id,
            attempt,
            message,
        });
        let came: Vec<Came> = came.collect();
        self.held.extend(came.iter().map(|came| (came.id, Held::default())));
        match self.wanted.get_mut(&request) {
            Some(wanted) => {
                wanted.came.extend(came);
                if !more && let Some(reply) = wanted.reply.take() {
                    // Who does not wait any more takes the lease out, and hands back what came.
                    let _ = reply.send(());
                }
            }
            None => came.into_iter().for_each(|came| self.ended(came.id, Ending::HandedBack)),
        }
    }
}
