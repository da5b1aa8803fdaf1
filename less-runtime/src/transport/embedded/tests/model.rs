//! The broker beside a model: random publishes, leases, endings, releases, purges, replays, steps of the clock, restarts and power cuts. Whatever the
//! model says must happen does, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use less_model::filter::Scope;
use less_model::manifest::Start;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::fault_disk::{FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::{Clock, ManualClock};
use crate::message::MessageId;
use crate::transport::conformance::{filter, layout, message};
use crate::transport::embedded::Embedded;
use crate::transport::embedded::command::Command;
use crate::transport::embedded::consume::Ack;
use crate::transport::{
    Attachment, AttemptError, AttemptErrorKind, Consumer, DeadReason, Delivery, Layout, Ledger, Replay,
    Selection, SubscriptionIndex, TopicIndex, Transport as _,
};

const SUBSCRIBERS: [&str; 3] = ["a", "b", "even"];
/// The one whose filter every second message passes.
const FILTERED: usize = 2;
/// Another app's, behind those of the layout.
const GUEST: usize = SUBSCRIBERS.len();
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a lease is waited for that the model holds possible, but not certain.
const GLANCE: Duration = Duration::from_millis(4);

#[derive(Debug, Clone)]
enum Step {
    Publish {
        count: u8,
        key: Option<u8>,
        delay: Option<u16>,
    },
    Lease {
        subscriber: usize,
        max: u8,
    },
    End {
        which: u8,
        how: Ending,
    },
    Release {
        subscriber: usize,
        all: bool,
    },
    Purge {
        subscriber: usize,
        all: bool,
    },
    Replay {
        subscriber: usize,
    },
    Late {
        subscriber: usize,
        seq: u8,
    },
    /// The guest is dropped with everything in it, and comes back.
    Drop,
    Advance(u16),
    Restart,
    PowerCut(u8),
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Ack,
    Retry(u16),
    Dead,
    HandBack,
}

fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![
        4 => Just(Ending::Ack),
        2 => (0..2_000_u16).prop_map(Ending::Retry),
        1 => Just(Ending::Dead),
        1 => Just(Ending::HandBack),
    ];
    let subscriber = 0..=GUEST;
    prop_oneof![
        5 => (1..5_u8, prop::option::weighted(0.4, 0..3_u8), prop::option::weighted(0.2, 1..2_000_u16))
            .prop_map(|(count, key, delay)| Step::Publish { count, key, delay }),
        6 => (subscriber.clone(), 1..6_u8).prop_map(|(subscriber, max)| Step::Lease { subscriber, max }),
        8 => (any::<u8>(), ending).prop_map(|(which, how)| Step::End { which, how }),
        1 => (subscriber.clone(), any::<bool>()).prop_map(|(subscriber, all)| Step::Release { subscriber, all }),
        1 => (subscriber.clone(), any::<bool>()).prop_map(|(subscriber, all)| Step::Purge { subscriber, all }),
        1 => subscriber.clone().prop_map(|subscriber| Step::Replay { subscriber }),
        1 => (subscriber, any::<u8>()).prop_map(|(subscriber, seq)| Step::Late { subscriber, seq }),
        1 => Just(Step::Drop),
        2 => (1..3_000_u16).prop_map(Step::Advance),
        1 => Just(Step::Restart),
        1 => (0..4_u8).prop_map(Step::PowerCut),
    ]
}

/// What the model knows of a message of a subscriber.
#[derive(Debug, Clone, Default)]
struct Known {
    key: Option<u8>,
    due: u64,
    /// Attempts that were charged: at least and at most. They differ where a power cut may have taken an ending back.
    attempts: (u32, u32),
    /// Power cuts in a row that came while it was handled, likewise: from two on it is leased alone among such.
    crashes: (u32, u32),
    state: State,
    /// An ack that no sync has confirmed yet.
    unsure: bool,
    /// It came back from the dead letters or by a replay: it is out of its key's order.
    again: bool,
    replay: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Waits,
    Leased,
    Done,
    /// Done, unless a power cut took that back.
    MaybeDone,
    Dead,
    Purged,
    /// Its filter kept it away.
    Filtered,
}

fn subscriptions() -> Layout {
    let mut layout = layout(&SUBSCRIBERS);
    layout.subscriptions[FILTERED].filter = Some(filter(Scope::Body, &serde_json::json!({ "even": [true] })));
    layout
}

struct Held {
    subscriber: usize,
    delivery: Box<dyn Delivery>,
}

/// A store and its model.
struct Bench {
    disk: Arc<FaultDisk>,
    clock: ManualClock,
    store: Option<Embedded>,
    consumers: Vec<Box<dyn Consumer>>,
    guest: SubscriptionIndex,
    held: Vec<Held>,
    ids: Vec<MessageId>,
    model: Vec<BTreeMap<usize, Known>>,
}

fn failure(clock: &ManualClock) -> AttemptError {
    let at = Clock::Manual(clock.clone()).now();
    AttemptError { kind: AttemptErrorKind::Error, message: "no".to_owned(), at }
}

impl Bench {
    async fn new() -> Self {
        let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
        let model = vec![BTreeMap::new(); GUEST + 1];
        let mut bench = Self {
            disk,
            clock,
            store: None,
            consumers: Vec::new(),
            guest: SubscriptionIndex(0),
            held: Vec::new(),
            ids: Vec::new(),
            model,
        };
        bench.open().await;
        bench
    }

    async fn open(&mut self) {
        let store = open(&self.disk, &subscriptions(), &self.clock).expect("it opens");
        self.store = Some(store);
        for subscriber in 0..=GUEST {
            self.consume(subscriber).await;
        }
    }

    async fn consume(&mut self, subscriber: usize) {
        if subscriber == GUEST {
            let (app, subscriber) = ("shop".parse().expect("a name"), "guest".parse().expect("a name"));
            let wanted = Attachment { app, subscriber, start: Start::Now, filter: None };
            self.guest = self.store().attach(TopicIndex(0), wanted).await.expect("it is attached");
        }
        let consumer = self.store().consumer(self.index(subscriber)).await.expect("a consumer");
        self.consumers.push(consumer);
    }

    fn index(&self, subscriber: usize) -> SubscriptionIndex {
        if subscriber == GUEST {
            self.guest
        } else {
            SubscriptionIndex(u32::try_from(subscriber).expect("few"))
        }
    }

    /// Drops the guest while some of its messages are handled, and attaches it again: it begins anew.
    async fn drop_guest(&mut self) -> Result<(), TestCaseError> {
        let (dropped, held) = std::mem::take(&mut self.held).into_iter().partition(|h| h.subscriber == GUEST);
        self.held = held;
        drop(self.consumers.pop());
        let before = self.store().guests().await.expect("guests").remove(0).1;
        let last = self.store().drop_guest(self.guest).await.expect("it is dropped");
        prop_assert_eq!(Ledger { oldest_pending_ms: None, ..before }, last);
        // Their endings come too late.
        let late: Vec<Held> = dropped;
        drop(late);
        self.model[GUEST].clear();
        self.synced();
        self.consume(GUEST).await;
        Ok(())
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().expect("it is open")
    }

    fn now(&self) -> u64 {
        Clock::Manual(self.clock.clone()).now()
    }

    /// Everything that was told before is on the disk now.
    fn synced(&mut self) {
        for known in self.model.iter_mut().flat_map(BTreeMap::values_mut) {
            known.unsure = false;
        }
    }

    /// The messages that may be leased now, and those that certainly can be.
    fn leasable(&self, subscriber: usize) -> (Vec<usize>, Vec<usize>) {
        let (mut may, mut must) = (Vec::new(), Vec::new());
        let model = &self.model[subscriber];
        for (n, known) in model {
            let waits = known.state == State::Waits && known.due <= self.now();
            if !waits && known.state != State::MaybeDone {
                continue;
            }
            let suspect = |leased: bool| {
                self.model.iter().flat_map(BTreeMap::values).any(|other| {
                    let crashes = if leased { other.crashes.0 } else { other.crashes.1 };
                    crashes >= 2 && other.state == State::Leased
                })
            };
            if known.crashes.0 >= 2 && suspect(true) {
                continue;
            }
            let alone = known.crashes.1 >= 2 && suspect(false);
            let open = |other: &Known| matches!(other.state, State::Waits | State::Leased | State::MaybeDone);
            let same = |(other, with): &(&usize, &Known)| {
                known.key.is_some() && with.key == known.key && other != &n
            };
            // Behind an earlier one of its key, or behind one that came back while this waits.
            let in_the_way = |(other, with): &(&usize, &Known)| {
                open(with) && (*other < n || with.state == State::Leased || with.again || known.again)
            };
            if !model.iter().filter(same).any(|other| in_the_way(&other)) && waits && !alone {
                must.push(*n);
            }
            let certain = |(other, with): &(&usize, &Known)| {
                with.state == State::Leased
                    || (*other < n && with.state == State::Waits && !with.again && !known.again)
            };
            if !model.iter().filter(same).any(|other| certain(&other)) {
                may.push(*n);
            }
        }
        (may, must)
    }

    async fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish { count, key, delay } => self.publish(*count, *key, *delay).await,
            Step::Lease { subscriber, max } => self.lease(*subscriber, usize::from(*max)).await?,
            Step::End { which, how } => self.end(usize::from(*which), *how).await,
            Step::Release { subscriber, all } => self.dead(*subscriber, *all, true).await?,
            Step::Purge { subscriber, all } => self.dead(*subscriber, *all, false).await?,
            Step::Replay { subscriber } => self.replay(*subscriber).await?,
            Step::Late { subscriber, seq } => {
                // An ending of an attempt that never was, or is over.
                let queue = self.store().queue(self.index(*subscriber)).expect("it is there");
                let ack = Ack { queue, first: u64::from(*seq) % 40, count: 1, attempt: 77 };
                let _ = self.store().acks.push(queue, &[ack]);
                self.store().commands.send(Command::Acks).expect("it is open");
            }
            Step::Drop => self.drop_guest().await?,
            Step::Advance(by) => self.clock.advance(Duration::from_millis(u64::from(*by))),
            Step::Restart => self.restart().await,
            Step::PowerCut(kind) => self.power_cut(*kind).await,
        }
        self.balanced().await
    }

    async fn publish(&mut self, count: u8, key: Option<u8>, delay: Option<u16>) {
        let due = delay.map(|delay| self.now() + u64::from(delay));
        let first = self.ids.len();
        let messages = (0..usize::from(count)).map(|n| {
            let even = (first + n).is_multiple_of(2);
            let mut new = message(&self.clock, &format!("{{\"even\":{even}}}"));
            Arc::make_mut(&mut new.message).key = key.map(|key| key.to_string());
            new.due = due;
            new
        });
        let results = self.store().publish(TopicIndex(0), messages.collect()).await;
        for result in results {
            let n = self.ids.len();
            self.ids.push(result.expect("it is accepted").message_id);
            for (subscriber, model) in self.model.iter_mut().enumerate() {
                let filtered = subscriber == FILTERED && !n.is_multiple_of(2);
                let state = if filtered { State::Filtered } else { State::Waits };
                model.insert(n, Known { key, due: due.unwrap_or(0), state, ..Known::default() });
            }
        }
        self.synced();
    }

    async fn lease(&mut self, subscriber: usize, max: usize) -> Result<(), TestCaseError> {
        let (may, must) = self.leasable(subscriber);
        let patience = if must.is_empty() { GLANCE } else { PATIENCE };
        let leased = tokio::time::timeout(patience, self.consumers[subscriber].lease(max)).await;
        let Ok(leased) = leased else {
            prop_assert!(must.is_empty(), "nothing is leased, though {must:?} wait");
            // The store may have leased some just then: it takes them back, which no sync confirms, and a power cut may forget.
            self.ledgers().await;
            self.ledgers().await;
            for n in may {
                self.model[subscriber].get_mut(&n).expect("it is known").unsure = true;
            }
            return Ok(());
        };
        for delivery in leased.expect("a lease") {
            let n = self.ids.iter().position(|id| *id == delivery.message().id);
            let n = n.ok_or_else(|| TestCaseError::fail("a message that was never published"))?;
            prop_assert!(may.contains(&n), "message {n} is leased, but only {may:?} may be");
            let known = self.model[subscriber].get_mut(&n).expect("it is known");
            let (fewest, highest) = known.attempts;
            let attempt = delivery.attempt();
            prop_assert!(
                (fewest + 1..=highest + 1).contains(&attempt),
                "message {n}: attempt {attempt} after {fewest}..={highest}"
            );
            known.attempts = (attempt, attempt);
            known.state = State::Leased;
            known.due = 0;
            self.held.push(Held { subscriber, delivery });
        }
        self.synced();
        Ok(())
    }

    async fn end(&mut self, which: usize, how: Ending) {
        if self.held.is_empty() {
            return;
        }
        let Held { subscriber, delivery } = self.held.swap_remove(which % self.held.len());
        let n = self.ids.iter().position(|id| *id == delivery.message().id).expect("it is known");
        let (now, error) = (self.now(), failure(&self.clock));
        let known = self.model[subscriber].get_mut(&n).expect("it is known");
        let synced = match how {
            Ending::Ack => {
                (known.state, known.unsure) = (State::Done, true);
                delivery.ack().await.expect("an ack");
                false
            }
            Ending::Retry(delay) => {
                (known.state, known.due, known.crashes) = (State::Waits, now + u64::from(delay), (0, 0));
                let delay = Duration::from_millis(u64::from(delay));
                delivery.retry_after(delay, error).await.expect("a retry");
                true
            }
            Ending::Dead => {
                known.state = State::Dead;
                delivery.dead_letter(DeadReason::Rejected, error).await.expect("a dead letter");
                true
            }
            Ending::HandBack => {
                known.state = State::Waits;
                known.attempts = (known.attempts.0 - 1, known.attempts.1 - 1);
                known.unsure = true;
                delivery.hand_back().await.expect("handed back");
                false
            }
        };
        if synced {
            self.synced();
        }
    }

    /// Releases or purges all dead letters, or the first.
    async fn dead(&mut self, subscriber: usize, all: bool, release: bool) -> Result<(), TestCaseError> {
        let index = self.index(subscriber);
        let listed = self.store().dead_letters(index, None, 1000).await.expect("dead letters");
        let listed: Vec<MessageId> = listed.into_iter().map(|letter| letter.message.id).collect();
        let dead = self.model[subscriber].iter().filter(|(_, known)| known.state == State::Dead);
        let dead: Vec<usize> = dead.map(|(n, _)| *n).collect();
        prop_assert_eq!(&listed, &dead.iter().map(|n| self.ids[*n]).collect::<Vec<_>>());
        let chosen = if all { dead } else { dead.into_iter().take(1).collect() };
        let which =
            if all { Selection::All } else { Selection::Ids(chosen.iter().map(|n| self.ids[*n]).collect()) };
        let count = if release {
            self.store().release(index, which).await
        } else {
            self.store().purge(index, which).await
        };
        prop_assert_eq!(count.expect("it is done"), chosen.len() as u64);
        for n in chosen {
            let known = self.model[subscriber].get_mut(&n).expect("it is known");
            if release {
                (known.state, known.attempts, known.due, known.again) = (State::Waits, (0, 0), 0, true);
                known.crashes = (0, 0);
            } else {
                known.state = State::Purged;
            }
        }
        self.synced();
        Ok(())
    }

    async fn replay(&mut self, subscriber: usize) -> Result<(), TestCaseError> {
        // What may or may not be done would make the count uncertain.
        if self.model[subscriber].values().any(|known| known.state == State::MaybeDone) {
            return Ok(());
        }
        let index = self.index(subscriber);
        let count = self.store().replay(index, Replay::All).await.expect("a replay");
        let finished = |known: &&mut Known| matches!(known.state, State::Done | State::Purged);
        let mut expected = 0;
        for known in self.model[subscriber].values_mut().filter(finished) {
            (known.state, known.attempts, known.due, known.again, known.replay) =
                (State::Waits, (0, 0), 0, true, true);
            known.crashes = (0, 0);
            expected += 1;
        }
        prop_assert_eq!(count, expected);
        if count > 0 {
            self.synced();
        }
        Ok(())
    }

    async fn restart(&mut self) {
        // What is held is handed back.
        for Held { subscriber, delivery } in std::mem::take(&mut self.held) {
            let n = self.ids.iter().position(|id| *id == delivery.message().id).expect("it is known");
            let known = self.model[subscriber].get_mut(&n).expect("it is known");
            known.state = State::Waits;
            known.attempts = (known.attempts.0 - 1, known.attempts.1 - 1);
            drop(delivery);
        }
        self.consumers.clear();
        let store = self.store.take().expect("it is open");
        store.close().await.expect("it closes");
        self.synced();
        self.open().await;
    }

    async fn power_cut(&mut self, kind: u8) {
        let unsynced =
            [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn, Unsynced::Reordered][usize::from(kind) % 4];
        let left = self.disk.after_power_cut(unsynced);
        for Held { subscriber, delivery } in std::mem::take(&mut self.held) {
            let n = self.ids.iter().position(|id| *id == delivery.message().id).expect("it is known");
            // Its attempt was durable, and is charged.
            let known = self.model[subscriber].get_mut(&n).expect("it is known");
            known.state = State::Waits;
            known.crashes = (known.crashes.0 + 1, known.crashes.1 + 1);
            std::mem::forget(delivery);
        }
        self.consumers.clear();
        drop(self.store.take());
        for known in self.model.iter_mut().flat_map(BTreeMap::values_mut).filter(|known| known.unsure) {
            match known.state {
                State::Done => known.state = State::MaybeDone,
                // Handed back, and that may be forgotten: then the attempt is charged.
                _ => known.attempts.1 += 1,
            }
            known.crashes.1 += 1;
            known.unsure = false;
        }
        self.disk = left;
        self.open().await;
    }

    async fn ledgers(&self) -> Vec<Ledger> {
        let mut ledgers = self.store().ledgers().await.expect("ledgers");
        ledgers.extend(self.store().guests().await.expect("guests").into_iter().map(|(_, ledger)| ledger));
        ledgers
    }

    /// The books balance, and say what the model says.
    async fn balanced(&self) -> Result<(), TestCaseError> {
        for (ledger, model) in self.ledgers().await.iter().zip(&self.model) {
            prop_assert!(ledger.balanced(), "{ledger:?}");
            let count = |state| model.values().filter(|known| known.state == state).count() as u64;
            let maybe = count(State::MaybeDone);
            let waits = ledger.pending + ledger.scheduled + ledger.replay.pending + ledger.replay.scheduled;
            let waiting = count(State::Waits);
            prop_assert!(
                (waiting..=waiting + maybe).contains(&waits),
                "{waits} wait, {waiting} should: {ledger:?}"
            );
            prop_assert_eq!(ledger.in_flight + ledger.replay.in_flight, count(State::Leased));
            prop_assert_eq!(ledger.dead + ledger.replay.dead, count(State::Dead));
            prop_assert_eq!(ledger.published, model.len() as u64);
            prop_assert_eq!(ledger.discarded.get("filtered").copied().unwrap_or(0), count(State::Filtered));
        }
        Ok(())
    }

    /// Everything that is open is handed out in the end, and nothing else.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        while !self.held.is_empty() {
            self.end(0, Ending::Ack).await;
        }
        self.clock.advance(Duration::from_secs(3600));
        for subscriber in 0..=GUEST {
            while !self.leasable(subscriber).1.is_empty() {
                self.lease(subscriber, 100).await?;
                while !self.held.is_empty() {
                    self.end(0, Ending::Ack).await;
                }
            }
            // What may be done and is not comes too.
            let began = std::time::Instant::now();
            loop {
                let ledger = &self.ledgers().await[subscriber];
                if ledger.pending + ledger.scheduled + ledger.replay.pending + ledger.replay.scheduled == 0 {
                    break;
                }
                prop_assert!(began.elapsed() < PATIENCE, "these are not handed out: {ledger:?}");
                self.lease(subscriber, 100).await?;
                while !self.held.is_empty() {
                    self.end(0, Ending::Ack).await;
                }
            }
        }
        for (ledger, model) in self.ledgers().await.iter().zip(&self.model) {
            prop_assert!(ledger.balanced(), "{ledger:?}");
            let dead = model.values().filter(|known| known.state == State::Dead).count() as u64;
            prop_assert_eq!(ledger.dead + ledger.replay.dead, dead);
            prop_assert_eq!(ledger.pending + ledger.scheduled + ledger.in_flight, 0, "{:?}", ledger);
            let open = ledger.replay.pending + ledger.replay.scheduled + ledger.replay.in_flight;
            prop_assert_eq!(open, 0, "{:?}", ledger);
        }
        Ok(())
    }
}

/// How many runs: more of them with `LESS_MODEL_CASES`.
fn cases() -> u32 {
    std::env::var("LESS_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_broker_does_what_the_model_does(steps in prop::collection::vec(step(), 1..70)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut bench = Bench::new().await;
            for step in &steps {
                bench.run(step).await?;
            }
            bench.drain().await
        })?;
    }
}
