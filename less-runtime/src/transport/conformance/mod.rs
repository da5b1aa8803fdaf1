//! What every transport promises, as tests that take any transport.
//!
//! Whoever writes a transport implements [`Harness`] and writes `conformance::suite!(harness());` in a test module: a test per promise.

#![expect(clippy::missing_panics_doc, reason = "these are tests: panicking is how they fail")]

mod filtered;
mod keyed;
mod retained;
mod together;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::filtered::a_filter_keeps_what_does_not_match_away;
#[cfg(test)]
pub(crate) use self::filtered::filter;
pub use self::keyed::{
    an_idempotency_key_publishes_once_within_its_window, messages_of_a_key_come_one_after_the_other,
};
pub use self::retained::{
    a_new_subscriber_can_start_some_time_ago, a_new_subscriber_starts_now_or_with_the_earliest,
    a_replay_delivers_finished_messages_once_more_and_counts_apart, a_replay_goes_on_after_a_restart,
    a_replay_since_a_time_or_of_one_message_takes_no_other,
};
pub use self::together::what_is_leased_together_ends_one_by_one;
use super::{
    AttemptError, AttemptErrorKind, Capabilities, Consumer, DeadReason, Delivery, Layout, Ledger, NewMessage,
    Selection, SubscriptionIndex, SubscriptionSpec, TopicIndex, TopicSpec, Transport,
};
use crate::clock::{Clock, ManualClock};
use crate::message::{MessageId, StoredMessage};

/// Longest that a promise may take to be kept; reaching it fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest that a transport which does not count may lag behind; SQS says 60 s.
const LAG: Duration = Duration::from_secs(90);

/// Makes transports for the suite.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the transport on this harness's storage; what an earlier one stored there is still there. The clock is [`Harness::clock`].
    async fn open(&self, layout: &Layout) -> Arc<dyn Transport>;

    /// The transports' clock.
    fn clock(&self) -> Clock;

    /// Lets this much time pass on that clock.
    async fn pass(&self, time: Duration);

    /// Removes what was stored, after a promise was kept. Nothing has to be done where that goes by itself.
    async fn clean(&self) {}

    /// A delay that the suite can wait for: long where time is moved by hand, short where it passes by itself.
    fn delay(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// So much of a delay that it is not over for certain.
    fn most_of(&self, delay: Duration) -> Duration {
        delay.saturating_sub(Duration::from_millis(1))
    }
}

/// A harness whose clock is moved by hand.
#[async_trait]
pub trait ByHand: Send + Sync {
    /// See [`Harness::open`].
    async fn open(&self, layout: &Layout) -> Arc<dyn Transport>;

    /// The clock.
    fn clock(&self) -> &ManualClock;
}

#[async_trait]
impl<H: ByHand> Harness for H {
    async fn open(&self, layout: &Layout) -> Arc<dyn Transport> {
        ByHand::open(self, layout).await
    }

    fn clock(&self) -> Clock {
        Clock::Manual(ByHand::clock(self).clone())
    }

    async fn pass(&self, time: Duration) {
        ByHand::clock(self).advance(time);
    }
}

/// A test per promise, for one transport.
#[macro_export]
macro_rules! suite {
    ($harness:expr) => {
        $crate::suite! { @ $harness;
            every_subscriber_gets_every_message_unchanged
            a_subscriber_that_takes_nothing_delays_nobody
            attempts_count_from_one_and_survive_a_restart
            a_retry_waits_for_its_delay
            a_dead_letter_keeps_reason_and_history_and_can_be_released
            purged_dead_letters_are_counted_as_discarded
            selected_dead_letters_alone_are_released
            handing_back_charges_no_attempt
            a_dropped_delivery_is_handed_back
            a_lease_takes_no_more_than_asked_for
            a_dropped_lease_takes_nothing
            leases_that_wait_together_are_served_one_after_the_other
            what_is_leased_together_ends_one_by_one
            an_idempotency_key_publishes_once_within_its_window
            a_delayed_message_is_not_early
            messages_of_a_key_come_one_after_the_other
            a_new_subscriber_starts_now_or_with_the_earliest
            a_new_subscriber_can_start_some_time_ago
            a_replay_delivers_finished_messages_once_more_and_counts_apart
            a_replay_since_a_time_or_of_one_message_takes_no_other
            a_replay_goes_on_after_a_restart
            a_filter_keeps_what_does_not_match_away
            an_ending_counts_once
            a_closed_transport_accepts_nothing
            what_was_accepted_is_there_after_a_restart
        }
    };
    (@ $harness:expr; $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let harness = $harness;
                $crate::transport::conformance::$name(&harness).await;
                $crate::transport::conformance::Harness::clean(&harness).await;
            }
        )*
    };
}

/// A layout with one topic and these subscribers.
pub fn layout(subscribers: &[&str]) -> Layout {
    let subscription = |name: &&str| SubscriptionSpec::new(TopicIndex(0), name.parse().expect("a name"));
    Layout {
        topics: vec![TopicSpec::new("ledger".parse().expect("a name"))],
        subscriptions: subscribers.iter().map(subscription).collect(),
    }
}

/// A message with this body.
pub fn message(clock: &ManualClock, body: &str) -> NewMessage {
    message_at(&Clock::Manual(clock.clone()), body)
}

fn message_at(clock: &Clock, body: &str) -> NewMessage {
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: clock.now(),
            key: None,
            attributes: BTreeMap::new(),
            traceparent: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }),
        due: None,
        idempotency_key: None,
    }
}

fn error(message: &str) -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Error, message: message.to_owned(), at: 1 }
}

/// The bench that each promise is tried on.
struct Bench<'a> {
    harness: &'a dyn Harness,
    layout: Layout,
    transport: Arc<dyn Transport>,
}

impl<'a> Bench<'a> {
    async fn new(harness: &'a dyn Harness, subscribers: &[&str]) -> Self {
        Self::on(harness, layout(subscribers)).await
    }

    async fn on(harness: &'a dyn Harness, layout: Layout) -> Self {
        let transport = harness.open(&layout).await;
        Self { harness, layout, transport }
    }

    /// Whose topic is declared as ordered.
    async fn ordered(harness: &'a dyn Harness, subscribers: &[&str]) -> Self {
        let mut layout = layout(subscribers);
        layout.topics[0].ordered = true;
        Self::on(harness, layout).await
    }

    fn can(&self) -> Capabilities {
        self.transport.capabilities()
    }

    async fn restart(&mut self) {
        self.transport.close().await.expect("it closes");
        self.transport = self.harness.open(&self.layout).await;
    }

    fn message(&self, body: &str) -> NewMessage {
        message_at(&self.harness.clock(), body)
    }

    async fn publish(&self, messages: Vec<NewMessage>) -> Vec<MessageId> {
        let results = self.transport.publish(TopicIndex(0), messages.into()).await;
        results.into_iter().map(|result| result.expect("it is accepted").message_id).collect()
    }

    async fn say(&self, body: &str) -> MessageId {
        self.publish(vec![self.message(body)]).await[0]
    }

    async fn consumer(&self, index: u32) -> Box<dyn Consumer> {
        self.transport.consumer(SubscriptionIndex(index)).await.expect("a consumer")
    }

    /// What a ledger shows of what is there now. Transports that do not count say it a while later.
    async fn there<T: PartialEq + std::fmt::Debug>(
        &self,
        index: usize,
        expected: T,
        look: impl Fn(&Ledger) -> T,
    ) {
        let began = std::time::Instant::now();
        loop {
            let ledger = self.ledger(index).await;
            let found = look(&ledger);
            if found == expected {
                return;
            }
            let waits = !self.can().counts && began.elapsed() < LAG;
            assert!(waits, "{found:?} instead of {expected:?}: {ledger:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What a ledger shows of what has been; transports that do not count can't say it.
    async fn counted<T: PartialEq + std::fmt::Debug>(
        &self,
        index: usize,
        expected: T,
        look: impl Fn(&Ledger) -> T,
    ) {
        if self.can().counts {
            assert_eq!(look(&self.ledger(index).await), expected);
        }
    }

    /// The ledger of a subscription, which must balance.
    async fn ledger(&self, index: usize) -> Ledger {
        let ledger = self.transport.ledgers().await.expect("ledgers").swap_remove(index);
        assert!(ledger.balanced(), "{ledger:?}");
        ledger
    }

    async fn dead(&self, index: u32) -> Vec<super::DeadLetter> {
        self.transport.dead_letters(SubscriptionIndex(index), None, 100).await.expect("dead letters")
    }
}

/// Leases something, within the suite's patience.
pub(crate) async fn lease(consumer: &dyn Consumer, max: usize) -> Vec<Box<dyn Delivery>> {
    let leased =
        tokio::time::timeout(PATIENCE, consumer.lease(max)).await.expect("something to lease in time");
    leased.expect("a lease").collect()
}

async fn lease_one(consumer: &dyn Consumer) -> Box<dyn Delivery> {
    let mut leased = lease(consumer, 1).await;
    assert_eq!(leased.len(), 1);
    leased.remove(0)
}

/// Nothing is ready: what is published now is the next thing that comes.
async fn assert_nothing_ready(bench: &Bench<'_>, consumer: &dyn Consumer) {
    let marker = bench.say("\"marker\"").await;
    let next = lease_one(consumer).await;
    assert_eq!(next.message().id, marker, "something else was ready");
    next.ack().await.expect("an ack");
}

fn body(delivery: &dyn Delivery) -> &str {
    std::str::from_utf8(&delivery.message().body).expect("UTF-8")
}

/// Promise: at least once, to every subscriber, unchanged.
pub async fn every_subscriber_gets_every_message_unchanged(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a", "b"]).await;
    let large = format!("\"{}\"", "x".repeat(200_000));
    let mut odd = bench.message("\"größe \\u0000 🦀\"");
    Arc::make_mut(&mut odd.message).attributes.insert("tenant".to_owned(), "ä".to_owned());
    Arc::make_mut(&mut odd.message).traceparent = Some("00-1-2-01".to_owned());
    let mut expected =
        vec![odd.message.clone(), bench.message(&large).message, bench.message("null").message];
    let news = expected.iter().map(|m| NewMessage { message: m.clone(), due: None, idempotency_key: None });
    let ids = bench.publish(news.collect()).await;
    assert_eq!(ids, expected.iter().map(|m| m.id).collect::<Vec<_>>(), "receipts are in the messages' order");
    expected.sort_by_key(|message| message.id);
    for index in 0..2 {
        let consumer = bench.consumer(index).await;
        let mut got = Vec::new();
        while got.len() < expected.len() {
            for delivery in lease(&*consumer, 10).await {
                got.push(Arc::clone(delivery.message()));
                delivery.ack().await.expect("an ack");
            }
        }
        got.sort_by_key(|message| message.id);
        assert_eq!(got, expected);
    }
    bench.counted(0, 3, |ledger| ledger.published).await;
}

/// Promise: a slow subscriber delays nobody.
pub async fn a_subscriber_that_takes_nothing_delays_nobody(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a", "b"]).await;
    let stuck = bench.consumer(0).await;
    let other = bench.consumer(1).await;
    bench.say("0").await;
    let held = lease_one(&*stuck).await;
    for n in 1..100 {
        bench.say(&n.to_string()).await;
    }
    let mut done = 0;
    while done < 100 {
        for delivery in lease(&*other, 10).await {
            delivery.ack().await.expect("an ack");
            done += 1;
        }
    }
    bench.there(0, (1, 99), |ledger| (ledger.in_flight, ledger.pending)).await;
    held.ack().await.expect("an ack");
}

/// Promise: the attempt number starts at 1, and is durable before the handler starts.
pub async fn attempts_count_from_one_and_survive_a_restart(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    bench.say("1").await;
    {
        let consumer = bench.consumer(0).await;
        let delivery = lease_one(&*consumer).await;
        assert_eq!(delivery.attempt(), 1);
        delivery.retry_after(Duration::ZERO, error("first")).await.expect("a retry");
        let delivery = lease_one(&*consumer).await;
        assert_eq!(delivery.attempt(), 2);
        delivery.retry_after(Duration::ZERO, error("second")).await.expect("a retry");
    }
    bench.restart().await;
    let consumer = bench.consumer(0).await;
    assert_eq!(lease_one(&*consumer).await.attempt(), 3);
}

/// Promise: a retry is not early.
pub async fn a_retry_waits_for_its_delay(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    let id = bench.say("1").await;
    let consumer = bench.consumer(0).await;
    let delivery = lease_one(&*consumer).await;
    let delay = harness.delay();
    delivery.retry_after(delay, error("later")).await.expect("a retry");
    // SQS can't tell one from the other.
    bench.there(0, 1, |ledger| ledger.scheduled + ledger.in_flight).await;
    harness.pass(harness.most_of(delay)).await;
    assert_nothing_ready(&bench, &*consumer).await;
    harness.pass(delay.saturating_sub(harness.most_of(delay))).await;
    let delivery = lease_one(&*consumer).await;
    assert_eq!((delivery.message().id, delivery.attempt()), (id, 2));
}

/// Promise: dead letters are kept with reason and history, and go back to their subscriber alone.
pub async fn a_dead_letter_keeps_reason_and_history_and_can_be_released(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a", "b"]).await;
    let id = bench.say("{\"n\":1}").await;
    {
        let consumer = bench.consumer(0).await;
        let delivery = lease_one(&*consumer).await;
        delivery.retry_after(Duration::ZERO, error("one")).await.expect("a retry");
        let delivery = lease_one(&*consumer).await;
        delivery.dead_letter(DeadReason::MaxAttempts, error("two")).await.expect("a dead letter");
    }
    bench.restart().await;
    let dead = bench.dead(0).await;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].message.id, dead[0].reason, dead[0].attempts), (id, DeadReason::MaxAttempts, 2));
    let history: Vec<&str> = dead[0].history.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(history, ["one", "two"]);
    assert_eq!(&dead[0].message.body[..], b"{\"n\":1}");
    assert!(bench.dead(1).await.is_empty());
    bench.there(0, 1, |ledger| ledger.dead).await;
    assert_eq!(bench.transport.release(SubscriptionIndex(0), Selection::All).await.expect("a release"), 1);
    bench.there(0, 0, |ledger| ledger.dead).await;
    let consumer = bench.consumer(0).await;
    let delivery = lease_one(&*consumer).await;
    assert_eq!((delivery.message().id, delivery.attempt()), (id, 1), "attempts are counted anew");
    delivery.ack().await.expect("an ack");
    // The other subscriber's copy is as it was.
    bench.there(1, 1, |ledger| ledger.pending).await;
}

/// Promise: nothing is dropped in silence.
pub async fn purged_dead_letters_are_counted_as_discarded(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    bench.say("1").await;
    {
        let consumer = bench.consumer(0).await;
        let delivery = lease_one(&*consumer).await;
        delivery.dead_letter(DeadReason::Rejected, error("no")).await.expect("a dead letter");
    }
    assert_eq!(bench.transport.purge(SubscriptionIndex(0), Selection::All).await.expect("a purge"), 1);
    assert_eq!(bench.transport.purge(SubscriptionIndex(0), Selection::All).await.expect("a purge"), 0);
    bench.restart().await;
    bench.there(0, 0, |ledger| ledger.dead).await;
    bench.counted(0, Some(1), |ledger| ledger.discarded.get("purged").copied()).await;
}

/// Promise: dead letters can be chosen one by one, and listed page by page.
pub async fn selected_dead_letters_alone_are_released(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    let mut ids = Vec::new();
    let consumer = bench.consumer(0).await;
    for n in 0..3 {
        ids.push(bench.say(&n.to_string()).await);
        let delivery = lease_one(&*consumer).await;
        delivery.dead_letter(DeadReason::Rejected, error("no")).await.expect("a dead letter");
    }
    let page = bench.transport.dead_letters(SubscriptionIndex(0), Some(ids[0]), 1).await.expect("a page");
    assert_eq!(page.iter().map(|dead| dead.message.id).collect::<Vec<_>>(), [ids[1]]);
    let which = Selection::Ids(vec![ids[1], MessageId::generate()]);
    assert_eq!(bench.transport.release(SubscriptionIndex(0), which).await.expect("a release"), 1);
    assert_eq!(lease_one(&*consumer).await.message().id, ids[1]);
    bench.there(0, 2, |ledger| ledger.dead).await;
}

/// Promise: a shutdown charges no attempt.
pub async fn handing_back_charges_no_attempt(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    bench.say("1").await;
    {
        let consumer = bench.consumer(0).await;
        lease_one(&*consumer).await.hand_back().await.expect("handing back");
        let again = lease_one(&*consumer).await;
        assert_eq!(again.attempt(), 1);
        again.hand_back().await.expect("handing back");
    }
    bench.restart().await;
    let consumer = bench.consumer(0).await;
    assert_eq!(lease_one(&*consumer).await.attempt(), 1);
}

/// Promise: what nobody holds is not lost.
pub async fn a_dropped_delivery_is_handed_back(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    let id = bench.say("1").await;
    let consumer = bench.consumer(0).await;
    drop(lease_one(&*consumer).await);
    let again = lease_one(&*consumer).await;
    assert_eq!((again.message().id, again.attempt()), (id, 1));
}

/// Promise: back-pressure.
pub async fn a_lease_takes_no_more_than_asked_for(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    bench.publish((0..10).map(|n| bench.message(&n.to_string())).collect()).await;
    let consumer = bench.consumer(0).await;
    let held = lease(&*consumer, 4).await;
    assert!(held.len() <= 4);
    let count = held.len() as u64;
    bench.there(0, (count, 10 - count), |ledger| (ledger.in_flight, ledger.pending)).await;
}

/// Promise: nothing is leased to nobody.
pub async fn a_dropped_lease_takes_nothing(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    let consumer = bench.consumer(0).await;
    {
        let waiting = consumer.lease(5);
        tokio::pin!(waiting);
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context))).await;
        assert!(polled.is_pending(), "there was nothing to lease");
    }
    let id = bench.say("1").await;
    let delivery = lease_one(&*consumer).await;
    assert_eq!((delivery.message().id, delivery.attempt()), (id, 1));
}

/// Promise: leases that wait at the same time never share a message, and one that is dropped keeps none from the others.
pub async fn leases_that_wait_together_are_served_one_after_the_other(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    let consumer = bench.consumer(0).await;
    let dropped = consumer.lease(1);
    tokio::pin!(dropped);
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(dropped.as_mut().poll(context))).await;
    assert!(polled.is_pending(), "there was nothing to lease");
    let both = async { tokio::join!(lease(&*consumer, 1), lease(&*consumer, 1), lease(&*consumer, 1)) };
    let published = async {
        dropped.set(consumer.lease(1));
        bench.publish(vec![bench.message("1"), bench.message("2"), bench.message("3")]).await
    };
    let ((first, second, third), ids) = tokio::join!(both, published);
    let mut leased: Vec<MessageId> =
        [first, second, third].iter().flatten().map(|delivery| delivery.message().id).collect();
    leased.sort_unstable();
    let mut ids = ids;
    ids.sort_unstable();
    assert_eq!(leased, ids);
}

/// Promise: a delay is kept, over a restart too.
pub async fn a_delayed_message_is_not_early(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    let delay = harness.delay();
    let due = harness.clock().now() + crate::clock::millis(delay);
    let id = bench.publish(vec![NewMessage { due: Some(due), ..bench.message("1") }]).await[0];
    bench.restart().await;
    let consumer = bench.consumer(0).await;
    harness.pass(harness.most_of(delay)).await;
    assert_nothing_ready(&bench, &*consumer).await;
    bench.there(0, 1, |ledger| ledger.pending + ledger.scheduled + ledger.in_flight).await;
    harness.pass(delay.saturating_sub(harness.most_of(delay))).await;
    let delivery = lease_one(&*consumer).await;
    assert_eq!((delivery.message().id, delivery.attempt()), (id, 1));
    assert!(harness.clock().now() >= due);
}

/// Promise: an attempt ends once. A delivery that was handed back and leased anew belongs to its new holder alone.
pub async fn an_ending_counts_once(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    bench.say("1").await;
    let consumer = bench.consumer(0).await;
    let first = lease_one(&*consumer).await;
    first.retry_after(Duration::ZERO, error("once more")).await.expect("a retry");
    harness.pass(Duration::from_millis(1)).await;
    let second = lease_one(&*consumer).await;
    assert_eq!(second.attempt(), 2);
    bench.there(0, 1, |ledger| ledger.in_flight).await;
    second.ack().await.expect("an ack");
    bench.there(0, (0, 0), |ledger| (ledger.in_flight, ledger.pending)).await;
    bench.counted(0, 1, |ledger| ledger.done).await;
}

/// Promise: nothing is accepted that could be lost.
pub async fn a_closed_transport_accepts_nothing(harness: &dyn Harness) {
    let bench = Bench::new(harness, &["a"]).await;
    bench.transport.close().await.expect("it closes");
    let results = bench.transport.publish(TopicIndex(0), vec![bench.message("1")].into()).await;
    assert!(matches!(results[..], [Err(_)]));
}

/// Promise: acknowledged means durable, and the ledger is as it was.
pub async fn what_was_accepted_is_there_after_a_restart(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a", "b"]).await;
    let mut ids = bench.publish((0..50).map(|n| bench.message(&n.to_string())).collect()).await;
    let mut got = Vec::new();
    {
        let consumer = bench.consumer(0).await;
        for _ in 0..20 {
            let delivery = lease_one(&*consumer).await;
            got.push(delivery.message().id);
            delivery.ack().await.expect("an ack");
        }
    }
    bench.restart().await;
    bench.counted(0, 20, |ledger| ledger.done).await;
    bench.there(1, 50, |ledger| ledger.pending).await;
    let consumer = bench.consumer(0).await;
    while got.len() < 50 {
        for delivery in lease(&*consumer, 7).await {
            got.push(delivery.message().id);
            delivery.ack().await.expect("an ack");
        }
    }
    got.sort_unstable();
    ids.sort_unstable();
    assert_eq!(got, ids);
}
