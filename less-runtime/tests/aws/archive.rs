//! Replays from archives, on both servers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use less_aws_proxy::{Entries, Fault, Proxy, Refusal, When};
use less_model::filter::{Filter, Scope};
use less_model::quantity::Span;
use less_model::topology::{PlacedArchive, Topology};
use less_runtime::clock::Clock;
use less_runtime::message::MessageId;
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{Aws, Connection, Purpose, open};
use less_runtime::transport::conformance::layout;
use less_runtime::transport::{
    Consumer, Layout, NewMessage, Replay, ReplayError, SubscriptionIndex, TopicIndex, Transport,
    TransportError,
};
use tokio::sync::OnceCell;

use crate::rig::{PATIENCE, message};
use crate::stage::{PREFIX, account, connection, quick, server, topology};

const SERVERS: [&str; 2] = ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"];
const A: SubscriptionIndex = SubscriptionIndex(0);
const B: SubscriptionIndex = SubscriptionIndex(1);

/// A topic with an archive.
struct Kept {
    proxy: Proxy,
    direct: Connection,
    topology: Topology,
    layout: Layout,
    account: String,
    transport: Arc<Aws>,
    /// Those of both subscribers, as long as the test: a long poll that is cut off may take what a replay sends, and charge it.
    consumers: [OnceCell<Box<dyn Consumer>>; 2],
}

/// The topology of a layout, with archives.
fn archived(layout: &Layout) -> Topology {
    let mut topology = topology(PREFIX, layout);
    for topic in &mut topology.topics {
        let queue = format!("{PREFIX}-{}-_archive", topic.name);
        topic.archive = Some(PlacedArchive { queue, retention: Span::from_secs(86_400) });
    }
    topology
}

impl Kept {
    async fn on(variable: &str, layout: Layout) -> Self {
        let (url, account, topology) = (server(variable), account(), archived(&layout));
        let direct = connection(&url, account.clone(), Purpose::Deploy).await;
        let desired = Desired::of(&topology, &direct.site, None);
        ensure_all(&direct, &desired).await.expect("it is deployed");
        let proxy = Proxy::start(&url, 1).await.expect("a port is free");
        let transport = process(&proxy, &account, &topology, &layout).await;
        Self { proxy, direct, topology, layout, account, transport, consumers: Default::default() }
    }

    async fn publish(&self, messages: Vec<NewMessage>) -> Vec<MessageId> {
        let count = messages.len();
        let before = self.kept().await[0];
        let results = self.transport.publish(TopicIndex(0), messages.into()).await;
        let ids = results.into_iter().map(|result| result.expect("it is accepted").message_id).collect();
        self.until_kept(before + count as u64).await;
        ids
    }

    async fn url(&self) -> String {
        let name = &self.topology.topics[0].archive.as_ref().expect("an archive").queue;
        let found = self.direct.sqs.get_queue_url().queue_name(name).send().await;
        found.expect("it exists").queue_url.expect("a URL")
    }

    /// How many messages of the archive can be seen, and how many are hidden.
    async fn kept(&self) -> [u64; 2] {
        let asked = self.direct.sqs.get_queue_attributes().queue_url(self.url().await);
        let found = asked.attribute_names(QueueAttributeName::All).send().await.expect("it exists");
        [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ]
        .map(|name| found.attributes().expect("attributes")[&name].parse().expect("a number"))
    }

    /// Servers deliver after they have answered.
    async fn until_kept(&self, count: u64) {
        let began = Instant::now();
        while self.kept().await != [count, 0] {
            assert!(began.elapsed() < PATIENCE, "{:?} instead of {count} and none hidden", self.kept().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Handles so many messages of a subscription: their bodies, in that order.
    async fn handle(&self, subscription: SubscriptionIndex, count: usize) -> Vec<String> {
        let open = async || self.transport.consumer(subscription).await.expect("a consumer");
        let consumer = self.consumers[subscription.0 as usize].get_or_init(open).await;
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let leased = tokio::time::timeout(PATIENCE, consumer.lease(10)).await;
            for delivery in leased.unwrap_or_else(|_| panic!("only {bodies:?}")).expect("a lease") {
                assert_eq!(delivery.attempt(), 1);
                bodies.push(String::from_utf8(delivery.message().body.to_vec()).expect("text"));
                delivery.ack().await.expect("an ack");
            }
        }
        bodies
    }

    /// What still waits for a subscription.
    async fn waiting(&self, subscription: SubscriptionIndex) -> u64 {
        let ledgers = self.transport.ledgers().await.expect("ledgers");
        let ledger = &ledgers[subscription.0 as usize];
        ledger.pending + ledger.in_flight
    }

    async fn replay(&self, subscription: SubscriptionIndex, which: Replay) -> u64 {
        self.transport.replay(subscription, which).await.expect("a replay")
    }

    async fn refused(&self) -> ReplayError {
        match self.transport.replay(A, Replay::All).await {
            Err(TransportError::Replay(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

async fn process(proxy: &Proxy, account: &str, topology: &Topology, layout: &Layout) -> Arc<Aws> {
    let connection = connection(proxy.url(), account.to_owned(), Purpose::Run).await;
    open(&connection, topology, layout, quick(), Clock::System).await.expect("it opens")
}

fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort();
    bodies
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn messages(bodies: &[String]) -> Vec<NewMessage> {
    bodies.iter().map(|body| message(body, None)).collect()
}

#[tokio::test]
async fn a_replay_goes_to_one_subscriber_and_leaves_the_archive_as_it_was() {
    for variable in SERVERS {
        let kept = Kept::on(variable, layout(&["a", "b"])).await;
        assert!(kept.transport.capabilities().retains);
        let bodies = sorted(numbers(10..35));
        kept.publish(messages(&bodies)).await;
        for subscription in [A, B] {
            assert_eq!(sorted(kept.handle(subscription, 25).await), bodies);
        }
        for _ in 0..2 {
            assert_eq!(kept.replay(A, Replay::All).await, 25);
            assert_eq!(kept.kept().await, [25, 0], "{variable}");
            assert_eq!(sorted(kept.handle(A, 25).await), bodies);
            assert_eq!((kept.waiting(A).await, kept.waiting(B).await), (0, 0), "{variable}");
        }
        // Both with one reading.
        let found = kept.proxy.calls_of("GetQueueUrl");
        assert_eq!(kept.transport.replay_to(&[A, B], Replay::All).await.expect("a replay"), [25, 25]);
        assert_eq!(kept.proxy.calls_of("GetQueueUrl"), found + 1);
        assert_eq!(sorted(kept.handle(B, 25).await), bodies);
    }
}

#[tokio::test]
async fn a_replay_is_narrowed_to_a_time_to_a_message_and_to_what_passes_the_filter() {
    for variable in SERVERS {
        let mut layout = layout(&["a", "b"]);
        let policy = serde_json::json!({"n": [{"numeric": [">", 5]}]}).as_object().expect("a table").clone();
        layout.subscriptions[1].filter = Some(Filter { scope: Scope::Body, policy });
        let kept = Kept::on(variable, layout).await;
        let body = |n: u32| format!("{{\"n\":{n}}}");
        let old = kept.publish(vec![message(&body(1), None), message(&body(7), None)]).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let since = Clock::System.now();
        kept.publish(vec![message(&body(2), None), message(&body(8), None)]).await;
        let mut later = message(&body(9), None);
        later.due = Some(Clock::System.now() + 600_000);
        kept.publish(vec![later]).await;
        assert_eq!(kept.handle(A, 4).await.len(), 4);
        assert_eq!(sorted(kept.handle(B, 2).await), [body(7), body(8)]);
        assert_eq!(kept.replay(A, Replay::Since(since)).await, 2, "{variable}");
        assert_eq!(sorted(kept.handle(A, 2).await), [body(2), body(8)]);
        assert_eq!(kept.replay(A, Replay::Id(old[0])).await, 1);
        assert_eq!(kept.handle(A, 1).await, [body(1)]);
        assert_eq!(kept.replay(A, Replay::Id(MessageId::generate())).await, 0);
        assert_eq!(kept.replay(B, Replay::All).await, 2);
        assert_eq!(sorted(kept.handle(B, 2).await), [body(7), body(8)]);
        assert_eq!(kept.kept().await, [5, 0]);
    }
}

#[tokio::test]
async fn a_replay_of_an_ordered_topic_keeps_the_order_of_each_key_whatever_becomes_of_the_calls() {
    for variable in SERVERS {
        let mut layout = layout(&["a"]);
        layout.topics[0].ordered = true;
        let kept = Kept::on(variable, layout).await;
        let all = (0..40).map(|n| message(&n.to_string(), Some(if n % 2 == 0 { "even" } else { "odd" })));
        kept.publish(all.collect()).await;
        let in_order = |bodies: Vec<String>| {
            for parity in 0..2 {
                let found = bodies.iter().map(|body| body.parse::<u32>().expect("a number"));
                let found: Vec<u32> = found.filter(|n| n % 2 == parity).collect();
                let wanted: Vec<u32> = (0..40).filter(|n| n % 2 == parity).collect();
                assert_eq!(found, wanted, "{variable}");
            }
        };
        in_order(kept.handle(A, 40).await);
        kept.proxy.inject("ReceiveMessage", When::Always, Fault::Reorder);
        kept.proxy.inject("SendMessageBatch", When::Nth(2), Fault::Cut);
        kept.proxy.inject("SendMessageBatch", When::Nth(4), Fault::Refuse(Refusal::THROTTLING));
        for _ in 0..2 {
            assert_eq!(kept.replay(A, Replay::All).await, 40, "{variable}");
            in_order(kept.handle(A, 40).await);
            assert_eq!(kept.waiting(A).await, 0);
        }
        assert_eq!(kept.kept().await, [40, 0]);
    }
}

#[tokio::test]
async fn an_archive_that_somebody_reads_is_not_read() {
    for variable in SERVERS {
        let kept = Kept::on(variable, layout(&["a"])).await;
        kept.publish(messages(&numbers(0..3))).await;
        kept.handle(A, 3).await;
        let url = kept.url().await;
        let taken = kept.direct.sqs.receive_message().queue_url(&url).max_number_of_messages(1);
        let taken = taken.visibility_timeout(300).send().await.expect("an answer");
        let queue = format!("{PREFIX}-ledger-_archive");
        assert_eq!(kept.refused().await, ReplayError::Busy { queue, count: 1 }, "{variable}");
        let handle = taken.messages()[0].receipt_handle().expect("a handle");
        let shown = kept.direct.sqs.change_message_visibility().queue_url(&url).receipt_handle(handle);
        shown.visibility_timeout(0).send().await.expect("it is shown");
        assert_eq!(kept.replay(A, Replay::All).await, 3);
        assert_eq!(kept.waiting(A).await, 3, "of the refused one nothing was sent");
    }
}

#[tokio::test]
async fn whoever_reads_another_s_part_meanwhile_is_noticed_and_nothing_is_sent() {
    let kept = Kept::on("LESS_TEST_LOCALSTACK", layout(&["a"])).await;
    kept.publish(messages(&numbers(0..3))).await;
    kept.handle(A, 3).await;
    // Behind the first look, and before anything is read.
    let calls = kept.proxy.calls_of("ReceiveMessage");
    kept.proxy.inject("ReceiveMessage", When::First(1), Fault::Delay(Duration::from_secs(3)));
    let url = kept.url().await;
    let beside = async {
        while kept.proxy.calls_of("ReceiveMessage") == calls {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let taken = kept.direct.sqs.receive_message().queue_url(&url).max_number_of_messages(1);
        taken.visibility_timeout(30).send().await.expect("an answer").messages().len()
    };
    let (refused, taken) = tokio::join!(kept.refused(), beside);
    assert_eq!(taken, 1);
    assert_eq!(refused, ReplayError::Busy { queue: format!("{PREFIX}-ledger-_archive"), count: 1 });
    assert_eq!((kept.waiting(A).await, kept.kept().await), (0, [2, 1]));
}

#[tokio::test]
async fn a_replay_that_is_given_up_shows_the_archive_again() {
    for variable in SERVERS {
        let kept = Kept::on(variable, layout(&["a"])).await;
        kept.publish(messages(&numbers(0..25))).await;
        kept.handle(A, 25).await;
        let replay = kept.transport.replay(A, Replay::All);
        // Reading takes longer than this in any case: the last receives wait for a second each.
        assert!(tokio::time::timeout(Duration::from_millis(700), replay).await.is_err());
        kept.transport.close().await.expect("it closes");
        assert_eq!(kept.kept().await, [25, 0], "{variable}");
        let next = process(&kept.proxy, &kept.account, &kept.topology, &kept.layout).await;
        assert_eq!(next.replay(A, Replay::All).await.expect("a replay"), 25);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_while_an_archive_is_read_sends_nothing() {
    for fault in [Fault::Cut, Fault::Refuse(Refusal::THROTTLING)] {
        let kept = Kept::on("LESS_TEST_LOCALSTACK", layout(&["a"])).await;
        kept.publish(messages(&numbers(0..5))).await;
        kept.handle(A, 5).await;
        kept.proxy.inject("ReceiveMessage", When::First(1), fault);
        let failed = kept.transport.replay(A, Replay::All).await;
        assert!(matches!(failed, Err(TransportError::Aws { action: "read the archive", .. })), "{failed:?}");
        assert_eq!(kept.waiting(A).await, 0);
    }
}

#[tokio::test]
async fn what_sqs_fails_to_take_is_sent_again_and_what_it_refuses_is_told() {
    let kept = Kept::on("LESS_TEST_LOCALSTACK", layout(&["a"])).await;
    kept.publish(messages(&numbers(10..35))).await;
    kept.handle(A, 25).await;
    let fail = |refusal| Fault::FailEntries { which: Entries::At(vec![1]), refusal };
    kept.proxy.inject("SendMessageBatch", When::First(2), fail(Refusal::INTERNAL));
    assert_eq!(kept.replay(A, Replay::All).await, 25);
    assert_eq!(sorted(kept.handle(A, 25).await), numbers(10..35));
    kept.proxy.calm();
    kept.proxy.inject("SendMessageBatch", When::First(1), Fault::Refuse(Refusal::DENIED));
    let ReplayError::Partly { queue, sent, chosen, cause } = kept.refused().await else { panic!("partly") };
    assert_eq!((queue, chosen), (format!("{PREFIX}-ledger-a"), 25));
    assert!(sent < 25 && cause.contains("AccessDenied"), "{sent}: {cause}");
    kept.until_kept(25).await;
}

#[tokio::test]
async fn messages_of_many_sizes_are_sent_in_calls_that_sqs_takes() {
    for ordered in [false, true] {
        let mut layout = layout(&["a"]);
        layout.topics[0].ordered = ordered;
        let kept = Kept::on("LESS_TEST_LOCALSTACK", layout).await;
        let body = |n: usize| format!("\"{}\"", "x".repeat(n * 40_000));
        let bodies: Vec<String> = [6, 1, 1, 1, 5, 6, 3, 3, 1, 1, 1, 1, 1].map(body).into();
        kept.publish(messages(&bodies)).await;
        let first: BTreeSet<String> = kept.handle(A, bodies.len()).await.into_iter().collect();
        assert_eq!(kept.replay(A, Replay::All).await, bodies.len() as u64);
        assert_eq!(first, kept.handle(A, bodies.len()).await.into_iter().collect());
    }
}

#[tokio::test]
async fn an_archive_that_is_not_deployed_or_not_wanted_says_what_to_do() {
    let kept = Kept::on("LESS_TEST_LOCALSTACK", layout(&["a"])).await;
    let url = kept.url().await;
    kept.direct.sqs.delete_queue().queue_url(url).send().await.expect("it is deleted");
    assert_eq!(
        kept.refused().await.to_string(),
        "archive app-test-ledger-_archive does not exist: `archive = true` of stage `test` is not deployed yet\nhint: `less deploy --stage test` makes it: what is published after that can be replayed"
    );
    let plain = topology(PREFIX, &kept.layout);
    let transport = process(&kept.proxy, &kept.account, &plain, &kept.layout).await;
    assert!(!transport.capabilities().retains);
    let refused = transport.replay(A, Replay::All).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "stage `test` keeps no finished messages: SNS and SQS do not by themselves\nhint: write `archive = true` into [stages.test] and deploy: what is published after that can be replayed"
    );
}
