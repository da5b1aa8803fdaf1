//! Workers on the real broker: every way in which an attempt ends, and what becomes of the message.

#![cfg(feature = "embedded")]

mod lanes;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use less_model::manifest::Policy;
use less_model::quantity::Span;

use super::{Compiled, Worker};
use crate::clock::{Clock, ManualClock};
use crate::context::{Context, Source};
use crate::error::{Error, Result, reject, retry_after};
use crate::handler::{Handler, typed};
use crate::message::Value;
use crate::shutdown::{self, ShutdownSwitch};
use crate::transport::conformance::{layout, message};
use crate::transport::embedded::{Embedded, Options, open};
use crate::transport::{
    AttemptError, AttemptErrorKind, DeadLetter, DeadReason, Delivery, Leases, Ledger, Renewal,
    SubscriptionIndex, TopicIndex, Transport, TransportError,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A broker with a worker for each handler.
struct Bench {
    store: Arc<Embedded>,
    switch: ShutdownSwitch,
    workers: tokio::task::JoinSet<Result<(), crate::transport::TransportError>>,
    outcomes: Arc<Mutex<Vec<&'static str>>>,
    _folder: tempfile::TempDir,
}

fn policy() -> Policy {
    Policy {
        max_attempts: 3,
        min_backoff: Span::from_millis(1),
        max_backoff: Span::from_millis(2),
        timeout: Span::from_secs(20),
        ..Policy::default()
    }
}

fn compiled(handler: Handler) -> Compiled {
    let handlers = Arc::new(super::Handlers::on(tokio::runtime::Handle::current()));
    Compiled { handler, handlers, watchdog: super::Watchdog::start() }
}

async fn bench(policy: Policy, handlers: Vec<Handler>) -> Bench {
    bench_of(policy, handlers.into_iter().map(compiled).collect()).await
}

async fn bench_of(policy: Policy, handlers: Vec<Compiled>) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["a", "b"];
    let layout = layout(&names[..handlers.len()]);
    let store = Arc::new(open(folder.path(), &layout, Options::default(), Clock::System).expect("it opens"));
    let (switch, shutdown) = shutdown::channel();
    let outcomes: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let mut workers = tokio::task::JoinSet::new();
    for (index, handler) in (0..).zip(handlers) {
        let seen = Arc::clone(&outcomes);
        let worker = Worker {
            source: Arc::new(Source { topic: "ledger".into(), subscriber: names[index as usize].into() }),
            label: names[index as usize].into(),
            policy,
            home: tokio::runtime::Handle::current(),
            clock: Clock::System,
            observer: Arc::new(move |outcome, count, _| {
                let mut seen = seen.lock().expect("no holder panics");
                seen.extend((0..count).map(|_| outcome));
            }),
            shutdown: shutdown.clone(),
        };
        let consumer = store.consumer(SubscriptionIndex(index)).await.expect("a consumer");
        workers.spawn(super::run(Arc::new(worker), handler, consumer));
    }
    Bench { store, switch, workers, outcomes, _folder: folder }
}

impl Bench {
    async fn publish(&self, bodies: &[&str]) {
        let clock = ManualClock::new(Clock::System.now());
        let messages = bodies.iter().map(|body| message(&clock, body)).collect();
        for result in self.store.publish(TopicIndex(0), messages).await {
            result.expect("it is accepted");
        }
    }

    /// Waits until the ledger of a subscription is as wanted.
    async fn until(&self, index: usize, wanted: impl Fn(&Ledger) -> bool) -> Ledger {
        let began = std::time::Instant::now();
        loop {
            let ledger = self.store.ledgers().await.expect("ledgers").swap_remove(index);
            assert!(ledger.balanced(), "{ledger:?}");
            if wanted(&ledger) {
                return ledger;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain; last: {ledger:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn dead(&self) -> DeadLetter {
        self.until(0, |ledger| ledger.dead == 1).await;
        self.store.dead_letters(SubscriptionIndex(0), None, 1).await.expect("dead letters").remove(0)
    }

    fn outcomes(&self) -> Vec<&'static str> {
        self.outcomes.lock().expect("no holder panics").clone()
    }
}

/// A handler that does this on its first attempt, and succeeds on the second.
fn first_then_done(first: impl Fn() -> Result<()> + Send + Sync + Clone + 'static) -> Handler {
    typed(move |_: Value, context| {
        let first = first.clone();
        async move { if context.attempt() == 1 { first() } else { Ok(()) } }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_fails_is_attempted_again_until_it_is_done() {
    let bench = bench(policy(), vec![first_then_done(|| Err(Error::msg("not yet")))]).await;
    bench.publish(&["1"]).await;
    bench.until(0, |ledger| ledger.done == 1).await;
    assert_eq!(bench.outcomes(), ["error", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_always_fails_makes_a_dead_letter_after_the_last_attempt() {
    let bench = bench(policy(), vec![typed(async |_: Value, _| Err(Error::msg("never")))]).await;
    bench.publish(&["1"]).await;
    let dead = bench.dead().await;
    assert_eq!((dead.reason, dead.attempts, dead.history.len()), (DeadReason::MaxAttempts, 3, 3));
    assert!(
        dead.history.iter().all(|error| error.message == "never" && error.kind == AttemptErrorKind::Error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_error_like_any_other() {
    let bench = bench(policy(), vec![first_then_done(|| panic!("boom"))]).await;
    bench.publish(&["1"]).await;
    bench.until(0, |ledger| ledger.done == 1).await;
    assert_eq!(bench.outcomes(), ["panic", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_hangs_is_ended_by_its_timeout() {
    let policy = Policy { timeout: Span::from_millis(20), max_attempts: 1, ..policy() };
    let bench = bench(policy, vec![typed(async |_: Value, _| std::future::pending().await)]).await;
    bench.publish(&["1"]).await;
    let dead = bench.dead().await;
    assert_eq!(dead.history[0].kind, AttemptErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_time_is_over_has_let_go_of_everything_when_the_next_one_begins() {
    static HELD: AtomicBool = AtomicBool::new(false);
    /// What a handler holds, and takes its time to give back.
    struct Held;
    impl Drop for Held {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(50));
            HELD.store(false, Ordering::SeqCst);
        }
    }
    let handler = typed(async |_: Value, context: Context| {
        if context.attempt() > 1 {
            let held = HELD.load(Ordering::SeqCst);
            return if held { Err(reject("the first attempt still holds it")) } else { Ok(()) };
        }
        HELD.store(true, Ordering::SeqCst);
        let _held = Held;
        std::future::pending().await
    });
    let policy = Policy { timeout: Span::from_millis(20), ..policy() };
    let bench = bench(policy, vec![handler]).await;
    bench.publish(&["1"]).await;
    bench.until(0, |ledger| ledger.done + ledger.dead == 1).await;
    assert_eq!(bench.outcomes(), ["timeout", "done"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reject_makes_a_dead_letter_at_once_and_so_does_a_message_that_no_longer_fits() {
    let bench = bench(policy(), vec![typed(async |_: Value, _| Err(reject("no such user")))]).await;
    bench.publish(&["1"]).await;
    let dead = bench.dead().await;
    assert_eq!(
        (dead.reason, dead.attempts, dead.history[0].message.as_str()),
        (DeadReason::Rejected, 1, "no such user")
    );

    let narrow = typed(async |_: Number, _| Ok(()));
    let bench = self::bench(policy(), vec![narrow]).await;
    bench.publish(&["\"text\""]).await;
    let dead = bench.dead().await;
    // It was delivered once, and no attempt at handling it is recorded beside that.
    assert_eq!((dead.reason, dead.attempts, dead.history.len()), (DeadReason::Schema, 1, 1));
    assert_eq!(bench.outcomes(), ["schema"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_fits_a_schema_never_reaches_a_handler_whose_type_would_take_it() {
    let any = typed(async |_: Value, _| panic!("it was begun"));
    let refuse = Arc::new(|_: &[u8]| Err("`/a`: expected at most 1 character, found 2".to_owned()));
    let bench = bench(policy(), vec![crate::handler::checked(any, refuse)]).await;
    bench.publish(&["{\"a\": \"xy\"}"]).await;
    let dead = bench.dead().await;
    assert_eq!((dead.reason, dead.attempts), (DeadReason::Schema, 1));
    assert_eq!(dead.history[0].message, "`/a`: expected at most 1 character, found 2");
}

/// A message type that is narrower than what the topic holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Number(u64);

impl crate::Message for Number {
    const NAME: Option<&'static str> = Some("Number");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_names_the_delay() {
    let bench = bench(policy(), vec![first_then_done(|| Err(retry_after(Duration::from_secs(3600))))]).await;
    bench.publish(&["1"]).await;
    let ledger = bench.until(0, |ledger| ledger.scheduled == 1).await;
    assert_eq!(ledger.done, 0);
    assert_eq!(bench.outcomes(), ["retry_after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_handlers_run_at_once_than_the_concurrency_says() {
    let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let handler = typed(move |_: Value, _| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let bench = bench(Policy { concurrency: 3, ..policy() }, vec![handler]).await;
    bench.publish(&["1"; 30]).await;
    bench.until(0, |ledger| ledger.done == 30).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_whose_handlers_hang_delays_no_other() {
    let stuck = typed(async |_: Value, _| std::future::pending().await);
    let bench = bench(policy(), vec![stuck, typed(async |_: Value, _| Ok(()))]).await;
    bench.publish(&["1"; 100]).await;
    bench.until(1, |ledger| ledger.done == 100).await;
    let stuck = bench.until(0, |ledger| ledger.in_flight == 10).await;
    assert_eq!(stuck.pending, 90);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_block_their_threads_delay_neither_each_other_nor_other_subscribers() {
    let (gate, entered) = (Arc::new(std::sync::Barrier::new(11)), Arc::new(AtomicU32::new(0)));
    let (wait, count) = (Arc::clone(&gate), Arc::clone(&entered));
    let blocks = typed(move |_: Value, _| {
        let (wait, count) = (Arc::clone(&wait), Arc::clone(&count));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            wait.wait();
            Ok(())
        }
    });
    let bench = bench(policy(), vec![blocks, typed(async |_: Value, _| Ok(()))]).await;
    bench.publish(&["1"; 10]).await;
    // All ten are in their handlers at the same time, or the barrier is never passed.
    bench.until(1, |ledger| ledger.done == 10).await;
    let began = std::time::Instant::now();
    while entered.load(Ordering::SeqCst) < 10 {
        assert!(began.elapsed() < PATIENCE, "only {} of 10 handlers began", entered.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::task::spawn_blocking(move || gate.wait()).await.expect("it passes");
    bench.until(0, |ledger| ledger.done == 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_blocks_its_thread_is_ended_by_its_timeout_and_keeps_its_slot_until_it_returns() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let handler = typed(move |_: Value, _| {
        let blocked = Arc::clone(&blocked);
        async move {
            // Returns when the test lets go of the other end.
            let _ = blocked.lock().expect("no holder panics").recv();
            Ok(())
        }
    });
    let policy = Policy { timeout: Span::from_secs(2), max_attempts: 1, concurrency: 1, ..policy() };
    let bench = bench(policy, vec![handler]).await;
    bench.publish(&["1", "2"]).await;
    assert_eq!(bench.dead().await.history[0].kind, AttemptErrorKind::Timeout);
    assert_eq!(bench.until(0, |ledger| ledger.dead == 1).await.pending, 1, "its slot is not free");
    drop(release);
    bench.until(0, |ledger| ledger.done == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_that_never_return_do_not_keep_their_slots_for_ever_and_others_go_on() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let handler = typed(move |body: Value, _| {
        let blocked = Arc::clone(&blocked);
        async move {
            if body == "never" {
                // Returns when the test is over.
                let _ = blocked.lock().expect("no holder panics").recv();
            }
            Ok(())
        }
    });
    let policy = Policy { timeout: Span::from_millis(50), max_attempts: 2, concurrency: 2, ..policy() };
    // Apart from the workers' own, as in an app.
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let handlers = Arc::new(super::Handlers::new(Box::new(make)).expect("threads"));
    let compiled = Compiled { handlers: Arc::clone(&handlers), ..compiled(handler) };
    let bench = bench_of(policy, vec![compiled]).await;
    // More of them than there are slots, threads, and messages that run apart for a while.
    let fine = ["\"fine\""; 100];
    for _ in 0..3 {
        bench.publish(&["\"never\""]).await;
        bench.publish(&fine).await;
    }
    let ledger = bench.until(0, |ledger| ledger.dead == 3 && ledger.done == 300).await;
    assert_eq!((ledger.pending, ledger.in_flight), (0, 0));
    drop(release);
    handlers.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_handlers_finish_and_hands_back_the_rest_without_charging_an_attempt() {
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let gate = Arc::clone(&go);
    let handler = typed(move |body: Value, _| {
        let (gate, begun) = (Arc::clone(&gate), begun.clone());
        async move {
            begun.send(()).expect("the test waits");
            if body == "slow" {
                std::future::pending::<()>().await;
            }
            gate.acquire().await.expect("it is open").forget();
            Ok(())
        }
    });
    let mut bench = bench(policy(), vec![handler]).await;
    bench.publish(&["\"slow\"", "\"quick\""]).await;
    // Leased is not enough: what was leased and not begun when the stop comes is handed back.
    for _ in 0..2 {
        begins.recv().await.expect("both handlers begin");
    }
    bench.switch.stop();
    go.add_permits(1);
    bench.until(0, |ledger| ledger.done == 1).await;
    bench.publish(&["\"late\""]).await;
    bench.switch.expire();
    while let Some(worker) = bench.workers.join_next().await {
        worker.expect("the worker ends").expect("and ends well");
    }
    let ledger = bench.until(0, |ledger| ledger.in_flight == 0).await;
    assert_eq!((ledger.done, ledger.pending), (1, 2), "what came after the stop was not begun");
    let consumer = bench.store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    for delivery in consumer.lease(2).await.expect("a lease") {
        assert_eq!(delivery.attempt(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lane_took_and_gave_back_is_handled_once_and_keeps_the_worker_until_it_is() {
    let count = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&count);
    // Longer than a lane keeps what it took.
    let handler = typed(move |_: Value, _| {
        std::thread::sleep(Duration::from_millis(2));
        seen.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    let policy = Policy { concurrency: 50, ..policy() };
    let mut bench = bench(policy, vec![handler]).await;
    bench.publish(&["1"; 50]).await;
    bench.until(0, |ledger| ledger.done > 0).await;
    bench.switch.stop();
    while let Some(worker) = bench.workers.join_next().await {
        worker.expect("the worker ends").expect("and ends well");
    }
    let ledger = bench.until(0, |ledger| ledger.in_flight == 0).await;
    assert_eq!((ledger.done, ledger.pending), (u64::from(count.load(Ordering::SeqCst)), 50 - ledger.done));
    assert_eq!(bench.outcomes().len() as u64, ledger.done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_process_died_in_every_attempt_is_a_dead_letter_and_is_not_begun_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), &layout(&["a"]), Options::default(), Clock::System).expect("it opens");
    let clock = ManualClock::new(Clock::System.now());
    store.publish(TopicIndex(0), vec![message(&clock, "1")].into()).await.remove(0).expect("a receipt");
    drop(store);
    for _ in 0..3 {
        // A process that leases and dies: what it leased is never given back.
        let store = reopen(folder.path()).await;
        let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
        std::mem::forget(consumer.lease(1).await.expect("a lease"));
        store.close().await.expect("it closes");
    }
    let store = Arc::new(reopen(folder.path()).await);
    let (_switch, shutdown) = shutdown::channel();
    let worker = Worker {
        source: Arc::new(Source { topic: "ledger".into(), subscriber: "a".into() }),
        label: "a".into(),
        policy: policy(),
        home: tokio::runtime::Handle::current(),
        clock: Clock::System,
        observer: Arc::new(|outcome, _, _| panic!("an attempt was made: {outcome}")),
        shutdown,
    };
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let compiled = compiled(typed(async |_: Value, _| panic!("it must not be begun")));
    let _worker = tokio::spawn(super::run(Arc::new(worker), compiled, consumer));
    let began = std::time::Instant::now();
    let dead = loop {
        let dead = store.dead_letters(SubscriptionIndex(0), None, 1).await.expect("dead letters");
        if let Some(dead) = dead.into_iter().next() {
            break dead;
        }
        assert!(began.elapsed() < PATIENCE, "it did not become a dead letter");
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert_eq!((dead.reason, dead.attempts), (DeadReason::MaxAttempts, 3));
    assert!(dead.history.iter().all(|error| error.kind == AttemptErrorKind::Crash));
    assert_eq!(dead.history.len(), 3);
}

/// Opens a folder whose last owner may still be closing it.
async fn reopen(folder: &std::path::Path) -> Embedded {
    let began = std::time::Instant::now();
    loop {
        match open(folder, &layout(&["a"]), Options::default(), Clock::System) {
            Ok(store) => return store,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A queue with one message, which is handed out again whenever its lease of 30 s runs out.
#[derive(Default)]
struct Visibility {
    until: Mutex<Option<tokio::time::Instant>>,
    leases: AtomicU32,
    renewals: AtomicU32,
    acked: tokio::sync::Notify,
}

impl Visibility {
    const LEASE: Duration = Duration::from_secs(30);

    fn until(&self) -> std::sync::MutexGuard<'_, Option<tokio::time::Instant>> {
        self.until.lock().expect("no holder panics")
    }

    fn begin(&self) {
        *self.until() = Some(tokio::time::Instant::now() + Self::LEASE);
    }
}

struct Visible(Arc<Visibility>, u32, Arc<crate::message::StoredMessage>);

#[async_trait::async_trait]
impl crate::transport::Consumer for Visible {
    async fn lease(&self, _: usize) -> std::result::Result<Box<dyn Leases>, TransportError> {
        let leased = *self.0.until();
        if let Some(until) = leased {
            // Renewed meanwhile, it is not free then either.
            let mut until = until;
            loop {
                tokio::time::sleep_until(until).await;
                match *self.0.until() {
                    Some(later) if later > until => until = later,
                    _ => break,
                }
            }
        }
        self.0.begin();
        let attempt = self.0.leases.fetch_add(1, Ordering::SeqCst) + 1;
        let leased =
            Box::new(Visible(Arc::clone(&self.0), attempt, Arc::clone(&self.2))) as Box<dyn Delivery>;
        Ok(Box::new(VecDeque::from([leased])))
    }
}

#[async_trait::async_trait]
impl Delivery for Visible {
    fn message(&self) -> &Arc<crate::message::StoredMessage> {
        &self.2
    }

    fn attempt(&self) -> u32 {
        self.1
    }

    fn lease(&self) -> Option<Duration> {
        Some(Visibility::LEASE)
    }

    fn renew(&self) -> Renewal {
        self.0.renewals.fetch_add(1, Ordering::SeqCst);
        self.0.begin();
        Box::pin(std::future::ready(Ok(())))
    }

    async fn ack(self: Box<Self>) -> std::result::Result<(), TransportError> {
        // Gone for ever.
        *self.0.until() = Some(tokio::time::Instant::now() + Duration::from_secs(86_400));
        self.0.acked.notify_one();
        Ok(())
    }

    async fn retry_after(
        self: Box<Self>,
        _: Duration,
        error: AttemptError,
    ) -> std::result::Result<(), TransportError> {
        panic!("{error:?}")
    }

    async fn dead_letter(
        self: Box<Self>,
        _: DeadReason,
        error: AttemptError,
    ) -> std::result::Result<(), TransportError> {
        panic!("{error:?}")
    }

    async fn hand_back(self: Box<Self>) -> std::result::Result<(), TransportError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_ten_minutes_with_a_lease_of_half_a_minute_is_begun_once() {
    let (queue, count) = (Arc::<Visibility>::default(), Arc::new(AtomicU32::new(0)));
    let (_switch, shutdown) = shutdown::channel();
    let counted = Arc::clone(&count);
    let worker = Worker {
        source: Arc::new(Source { topic: "ledger".into(), subscriber: "a".into() }),
        label: "a".into(),
        policy: Policy { timeout: Span::from_secs(900), ..policy() },
        home: tokio::runtime::Handle::current(),
        clock: Clock::System,
        observer: Arc::new(|_, _, _| {}),
        shutdown,
    };
    let start = tokio::time::Instant::now();
    let body = message(&ManualClock::new(0), "1").message;
    let consumer = Box::new(Visible(Arc::clone(&queue), 0, body));
    let compiled = compiled(typed(move |_: Value, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok(())
        }
    }));
    let _worker = tokio::spawn(super::run(Arc::new(worker), compiled, consumer));
    queue.acked.notified().await;
    assert!(start.elapsed() >= Duration::from_secs(600));
    assert_eq!((count.load(Ordering::SeqCst), queue.leases.load(Ordering::SeqCst)), (1, 1));
    assert!(queue.renewals.load(Ordering::SeqCst) >= 600 / 30, "the lease was not renewed in time");
}
