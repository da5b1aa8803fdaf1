//! Dead letters are renewed before SQS deletes them, and nobody sees a difference.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName};
use less_aws_proxy::{Fault, Proxy, Refusal, When};
use less_model::topology::Topology;
use less_runtime::clock::{Clock, ManualClock};
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{self, Aws, Connection, Keeping, Purpose};
use less_runtime::transport::conformance::layout;
use less_runtime::transport::{
    DeadLetter, DeadReason, Layout, Selection, SubscriptionIndex, TopicIndex, Transport,
};
use tokio::sync::oneshot;
use tracing::level_filters::LevelFilter;

use crate::log::Log;
use crate::rig::{PATIENCE, error, message, options};
use crate::stage::{PREFIX, account, connection, server, topology};

const SERVERS: [&str; 2] = ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"];
const ONLY: SubscriptionIndex = SubscriptionIndex(0);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a look ends, in the log.
const NONE: &str = "no dead letter had to be renewed";
const RENEWED: &str = "dead letters were renewed";
const FAILED: &str = "trying again";
const DENIED: &str = "`less iam worker --stage test`";

/// A stage behind a proxy, with a clock of its own.
struct Kept {
    proxy: Proxy,
    log: Log,
    layout: Layout,
    topology: Topology,
    direct: Connection,
    faulty: Connection,
    clock: ManualClock,
    app: Arc<Aws>,
}

impl Kept {
    async fn new(variable: &str, layout: Layout) -> Self {
        let log = Log::of_an_app(LevelFilter::TRACE);
        let (server, account) = (server(variable), account());
        let direct = connection(&server, account.clone(), Purpose::Deploy).await;
        let topology = topology(PREFIX, &layout);
        ensure_all(&direct, &Desired::of(&topology, &direct.site, None)).await.expect("it is deployed");
        let proxy = Proxy::start(&server, 1).await.expect("a port is free");
        let faulty = connection(proxy.url(), account, Purpose::Run).await;
        let clock = ManualClock::new(Clock::System.now());
        let app = open(&faulty, &topology, &layout, Clock::Manual(clock.clone())).await;
        Self { proxy, log, layout, topology, direct, faulty, clock, app }
    }

    async fn plain(variable: &str) -> Self {
        Self::new(variable, layout(&["a"])).await
    }

    async fn ordered(variable: &str) -> Self {
        let mut layout = layout(&["a"]);
        layout.topics[0].ordered = true;
        Self::new(variable, layout).await
    }

    /// Another process of the app.
    async fn another(&self, clock: Clock) -> Arc<Aws> {
        open(&self.faulty, &self.topology, &self.layout, clock).await
    }

    /// Messages that the subscriber has rejected.
    async fn reject(&self, count: usize) {
        let ordered = self.layout.topics[0].ordered;
        let news = (0..count).map(|n| {
            let mut new = message(&n.to_string(), ordered.then_some("k"));
            // As many as there is room for: one of them travels in the envelope.
            Arc::make_mut(&mut new.message).attributes =
                (0..n.min(10)).map(|n| (format!("a{n}"), n.to_string())).collect();
            new
        });
        for result in self.app.publish(TopicIndex(0), news.collect()).await {
            result.expect("it is accepted");
        }
        let consumer = self.app.consumer(ONLY).await.expect("a consumer");
        let mut died = 0;
        while died < count {
            let leased =
                tokio::time::timeout(PATIENCE, consumer.lease(count)).await.expect("messages in time");
            for delivery in leased.expect("a lease") {
                delivery.dead_letter(DeadReason::Rejected, error()).await.expect("a dead letter");
                died += 1;
            }
        }
    }

    async fn dead_url(&self) -> String {
        let name = &self.topology.topics[0].subscribers[0].dead_letters;
        self.direct.sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap()
    }

    /// Puts something into the dead-letter queue, as SNS does with what it can't deliver.
    async fn redrive(&self, body: &str) {
        let text = |text: &str| {
            MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap()
        };
        let send = self.direct.sqs.send_message().queue_url(self.dead_url().await).message_body(body);
        let mut send = send
            .message_attributes("ErrorCode", text("AccessDenied"))
            .message_attributes("ErrorMessage", text("the policy says no"));
        if self.layout.topics[0].ordered {
            send = send.message_group_id("g").message_deduplication_id(body);
        }
        send.send().await.expect("SQS takes it");
    }

    /// What `less dlq list` prints.
    async fn list(&self) -> Vec<DeadLetter> {
        self.app.dead_letters(ONLY, None, 1000).await.expect("dead letters")
    }

    /// What is in the dead-letter queue, by SQS's own ids.
    async fn sqs_ids(&self) -> BTreeSet<String> {
        let (sqs, url) = (&self.direct.sqs, self.dead_url().await);
        // What was read last may still be hidden.
        let began = Instant::now();
        loop {
            let asked = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
            let found = asked.send().await.unwrap().attributes.unwrap();
            let hidden = &found[&QueueAttributeName::ApproximateNumberOfMessagesNotVisible];
            if hidden == "0" {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{hidden} stay hidden");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (mut ids, mut handles) = (BTreeSet::new(), Vec::new());
        loop {
            let receive =
                sqs.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
            let receive = receive.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
            let messages = receive.visibility_timeout(30).send().await.unwrap().messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            for message in messages {
                ids.insert(message.message_id.unwrap());
                handles.push(message.receipt_handle.unwrap());
            }
        }
        for handle in handles {
            let show = sqs.change_message_visibility().queue_url(&url).receipt_handle(handle);
            show.visibility_timeout(0).send().await.unwrap();
        }
        ids
    }

    /// Lets time pass until a look has ended so, once more than before.
    async fn look(&self, pass: Duration, ending: &str) {
        let count = || self.log.text().matches(ending).count();
        let before = count();
        self.clock.advance(pass);
        let began = Instant::now();
        while count() == before {
            assert!(began.elapsed() < PATIENCE, "no look ended with `{ending}`:\n{}", self.log.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets days pass until there were so many calls.
    async fn until_called(&self, operation: &str, calls: u64) {
        self.until(|| self.proxy.calls_of(operation) >= calls).await;
    }

    /// Lets days pass until the log says so.
    async fn until_told(&self, words: &str) {
        self.until(|| self.log.text().contains(words)).await;
    }

    /// Of a look that says nothing nobody knows when it is over, and it notes when the next one is after that.
    async fn until(&self, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "it never is:\n{}", self.log.text());
            self.clock.advance(14 * HOUR);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Releases everything; the bodies of what comes then.
    async fn release(&self) -> (u64, Vec<String>) {
        let released = self.app.release(ONLY, Selection::All).await.expect("a release");
        let consumer = self.app.consumer(ONLY).await.expect("a consumer");
        let mut bodies = Vec::new();
        // Nothing more comes when the queue has been asked for longer than a poll.
        while let Ok(leased) = tokio::time::timeout(Duration::from_secs(3), consumer.lease(20)).await {
            for delivery in leased.expect("a lease") {
                bodies.push(String::from_utf8(delivery.message().body.to_vec()).unwrap());
                delivery.ack().await.expect("an ack");
            }
        }
        bodies.sort();
        (released, bodies)
    }
}

async fn open(connection: &Connection, topology: &Topology, layout: &Layout, clock: Clock) -> Arc<Aws> {
    aws::open(connection, topology, layout, options(), clock).await.expect("it opens")
}

#[tokio::test]
async fn dead_letters_that_are_old_are_renewed_and_look_as_before() {
    for variable in SERVERS {
        for ordered in [false, true] {
            let kept = if ordered { Kept::ordered(variable).await } else { Kept::plain(variable).await };
            kept.reject(12).await;
            kept.redrive("\"canary-one\"").await;
            kept.redrive("\"canary-two\"").await;
            let (listed, ids) = (kept.list().await, kept.sqs_ids().await);
            assert_eq!((listed.len(), ids.len()), (14, 14), "{variable}");
            let redriven = listed.iter().find(|dead| dead.reason == DeadReason::Redrive).unwrap();
            assert!(redriven.history[0].message.ends_with("AccessDenied the policy says no"));

            kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
            // Within the first hour; nothing is old then.
            kept.look(HOUR, NONE).await;
            assert_eq!(kept.sqs_ids().await, ids, "{variable}: nothing was old");
            assert_eq!(kept.list().await, listed, "{variable}");

            kept.look(8 * DAY, RENEWED).await;
            let copies = kept.sqs_ids().await;
            assert!(copies.is_disjoint(&ids), "{variable}: some were left");
            assert_eq!(copies.len(), 14, "{variable}");
            assert_eq!(kept.list().await, listed, "{variable}, ordered: {ordered}");
            assert!(kept.log.text().contains("renewed=14"), "{}", kept.log.text());
            assert!(!kept.log.text().contains("] warn:"), "{}", kept.log.text());
            assert!(!kept.log.text().contains("canary"), "a payload in the log");
            kept.app.close().await.expect("it closes");
        }
    }
}

#[tokio::test]
async fn what_is_renewed_is_released_once_to_where_it_came_from() {
    for ordered in [false, true] {
        let kept = if ordered { Kept::ordered(SERVERS[0]).await } else { Kept::plain(SERVERS[0]).await };
        kept.reject(3).await;
        kept.redrive("\"one\"").await;
        kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
        kept.look(9 * DAY, RENEWED).await;
        assert_eq!(kept.release().await, (4, ["\"one\"", "0", "1", "2"].map(str::to_owned).to_vec()));
        assert_eq!(kept.list().await, []);
    }
}

#[tokio::test]
async fn those_that_are_not_old_are_left() {
    for variable in SERVERS {
        let kept = Kept::plain(variable).await;
        for n in 0..3 {
            kept.redrive(&format!("\"old {n}\"")).await;
        }
        let old = kept.sqs_ids().await;
        let limit = Clock::System.now();
        // Times are told in milliseconds, and by some servers in whole seconds.
        while Clock::System.now() / 1000 < limit / 1000 + 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for n in 0..3 {
            kept.redrive(&format!("\"young {n}\"")).await;
        }
        let young: BTreeSet<String> = kept.sqs_ids().await.difference(&old).cloned().collect();
        let listed = kept.list().await;
        let mut keeping = Keeping::default();
        keeping.first = Duration::ZERO;
        let now = limit + 1000 + u64::try_from(keeping.older.as_millis()).unwrap();
        kept.clock.advance(Duration::from_millis(now - Clock::Manual(kept.clock.clone()).now()));
        kept.app.keep_dead_letters(keeping, std::future::pending());
        kept.look(Duration::ZERO, RENEWED).await;
        let found = kept.sqs_ids().await;
        assert!(found.is_superset(&young) && found.is_disjoint(&old), "{variable}");
        assert_eq!((found.len(), kept.list().await), (6, listed), "{variable}");
    }
}

#[tokio::test]
async fn all_of_a_fifo_queue_s_group_are_renewed_with_one_look() {
    for variable in SERVERS {
        let kept = Kept::ordered(variable).await;
        for n in 0..25 {
            kept.redrive(&format!("\"{n}\"")).await;
        }
        // SQS hands out ten of a group until they are deleted: `less dlq` sees no more of them.
        let listed = kept.list().await;
        assert_eq!(listed.len(), 10, "{variable}");
        kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
        kept.look(8 * DAY, RENEWED).await;
        assert!(kept.log.text().contains("renewed=25"), "{}", kept.log.text());
        // Copies have groups of their own.
        let all = kept.list().await;
        assert_eq!((all.len(), kept.sqs_ids().await.len()), (25, 25), "{variable}");
        assert!(listed.iter().all(|dead| all.contains(dead)), "{variable}: {all:?}");
    }
}

#[tokio::test]
async fn a_look_that_is_cut_off_between_copy_and_deletion_leaves_one_entry_and_the_next_one_copy() {
    for variable in SERVERS {
        let kept = Kept::plain(variable).await;
        kept.reject(5).await;
        let (listed, ids) = (kept.list().await, kept.sqs_ids().await);
        kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
        kept.proxy.inject("DeleteMessageBatch", When::Always, Fault::Drop);
        kept.look(8 * DAY, FAILED).await;
        let both = kept.sqs_ids().await;
        assert!(both.is_superset(&ids) && both.len() == 10, "{variable}: {both:?}");
        assert_eq!(kept.list().await, listed, "{variable}");

        // This process knows that the copies are there. Of their own the clock says as well that they are old, so they may be renewed.
        kept.proxy.calm();
        kept.look(HOUR, RENEWED).await;
        let left = kept.sqs_ids().await;
        assert!(left.is_disjoint(&ids) && left.len() == 5, "{variable}: {left:?}");
        assert_eq!(kept.list().await, listed, "{variable}");
    }
}

#[tokio::test]
async fn copies_that_a_killed_process_left_are_one_after_the_look_of_another() {
    for variable in SERVERS {
        let kept = Kept::plain(variable).await;
        kept.reject(5).await;
        let (listed, ids) = (kept.list().await, kept.sqs_ids().await);
        let killed = kept.another(Clock::Manual(kept.clock.clone())).await;
        killed.keep_dead_letters(Keeping::default(), std::future::pending());
        kept.proxy.inject("DeleteMessageBatch", When::Always, Fault::Drop);
        kept.look(8 * DAY, FAILED).await;
        drop(killed);
        kept.proxy.calm();
        assert_eq!(kept.sqs_ids().await.len(), 10, "{variable}");

        kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
        kept.look(HOUR, RENEWED).await;
        let left = kept.sqs_ids().await;
        assert!(left.is_disjoint(&ids) && left.len() == 5, "{variable}: {left:?}");
        assert_eq!(kept.list().await, listed, "{variable}");
    }
}

#[tokio::test]
async fn copies_that_a_killed_process_left_are_released_and_purged_as_one() {
    for variable in SERVERS {
        let kept = Kept::plain(variable).await;
        kept.reject(5).await;
        let (end, ended) = oneshot::channel::<()>();
        kept.app.keep_dead_letters(Keeping::default(), async move {
            // Sent or dropped, it is the end.
            let _ = ended.await;
        });
        kept.proxy.inject("DeleteMessageBatch", When::Always, Fault::Drop);
        kept.look(8 * DAY, FAILED).await;
        drop(end);
        kept.proxy.calm();
        assert_eq!(kept.sqs_ids().await.len(), 10, "{variable}");
        let first = kept.list().await[0].message.clone();
        let body = String::from_utf8(first.body.to_vec()).unwrap();
        assert_eq!(kept.app.purge(ONLY, Selection::Ids(vec![first.id])).await.expect("a purge"), 1);
        assert_eq!(kept.sqs_ids().await.len(), 8, "{variable}");
        let rest = (0..5).map(|n| n.to_string()).filter(|one| *one != body).collect();
        assert_eq!(kept.release().await, (4, rest), "{variable}");
        assert_eq!(kept.list().await, [], "{variable}");
    }
}

/// By the machine's clock, so that a copy is young for both.
#[tokio::test]
async fn two_processes_that_look_at_once_renew_each_dead_letter_once() {
    for variable in SERVERS {
        let kept = Kept::plain(variable).await;
        kept.reject(40).await;
        let (listed, ids) = (kept.list().await, kept.sqs_ids().await);
        let mut keeping = Keeping::default();
        (keeping.first, keeping.older) = (Duration::ZERO, Duration::from_secs(10));
        let old = Clock::System.now() + 11_000;
        Clock::System.sleep_until(old).await;
        let sent = kept.proxy.calls_of("SendMessageBatch");
        let processes = [kept.another(Clock::System).await, kept.another(Clock::System).await];
        for process in &processes {
            process.keep_dead_letters(keeping, std::future::pending());
        }
        let began = Instant::now();
        let ended = || kept.log.text().matches(RENEWED).count() + kept.log.text().matches(NONE).count();
        while ended() < 2 {
            assert!(began.elapsed() < PATIENCE, "{}", kept.log.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let copies = kept.sqs_ids().await;
        assert!(copies.is_disjoint(&ids) && copies.len() == 40, "{variable}: {}", copies.len());
        assert!(kept.proxy.calls_of("SendMessageBatch") > sent);
        assert_eq!(kept.list().await, listed, "{variable}");
    }
}

#[tokio::test]
async fn where_it_is_not_allowed_this_is_said_once_and_nothing_else_changes() {
    for operation in
        ["ReceiveMessage", "DeleteMessageBatch", "GetQueueAttributes", "ChangeMessageVisibilityBatch"]
    {
        let kept = Kept::new(SERVERS[0], layout(&["a", "b"])).await;
        kept.reject(3).await;
        let listed = kept.list().await;
        let other = kept.app.consumer(SubscriptionIndex(1)).await.expect("a consumer");
        let leased = tokio::time::timeout(PATIENCE, other.lease(1)).await.expect("a message in time");
        let delivery = leased.expect("a lease").pop().expect("a message");
        delivery.dead_letter(DeadReason::Rejected, error()).await.expect("a dead letter");
        drop(other);

        kept.proxy.inject(operation, When::Always, Fault::Refuse(Refusal::DENIED));
        kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
        if operation == "ChangeMessageVisibilityBatch" {
            // What could not be shown again stays hidden for a minute: there is no more than the first look of both.
            kept.look(HOUR, DENIED).await;
            kept.proxy.arrived(operation, 2).await;
        } else {
            kept.look(8 * DAY, DENIED).await;
            kept.until_called(operation, kept.proxy.calls_of(operation) + 4).await;
            kept.proxy.calm();
            kept.until_told(RENEWED).await;
            assert_eq!(kept.list().await, listed, "{operation}");
        }
        let told = kept.log.text();
        assert_eq!(told.matches(DENIED).count(), 1, "{operation}: {told}");
        assert_eq!(told.matches("] warn:").count(), 1, "{operation}: {told}");
        kept.app.close().await.expect("it closes");
    }
}

#[tokio::test]
async fn a_look_that_fails_is_told_ever_more_seldom() {
    let kept = Kept::plain(SERVERS[0]).await;
    kept.reject(1).await;
    kept.proxy.inject("ReceiveMessage", When::Always, Fault::Refuse(Refusal::INTERNAL));
    kept.app.keep_dead_letters(Keeping::default(), std::future::pending());
    let before = kept.proxy.calls_of("ReceiveMessage");
    for look in 1..=5 {
        kept.until_called("ReceiveMessage", before + look).await;
        let began = Instant::now();
        // The first, the second, the fourth.
        let wanted = [0, 1, 2, 2, 3, 3][usize::try_from(look).unwrap()];
        while kept.log.text().matches(FAILED).count() < wanted {
            assert!(began.elapsed() < PATIENCE, "{}", kept.log.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(kept.log.text().matches(FAILED).count(), wanted, "{}", kept.log.text());
    }
}

#[tokio::test]
async fn an_app_that_stops_does_not_wait_for_a_look() {
    let kept = Kept::plain(SERVERS[0]).await;
    kept.reject(3).await;
    let (end, ended) = oneshot::channel::<()>();
    kept.app.keep_dead_letters(Keeping::default(), async move {
        let _ = ended.await;
    });
    let calls = kept.proxy.calls_of("ReceiveMessage");
    // The first brings what is there, the second is never answered.
    kept.proxy.inject("ReceiveMessage", When::Nth(2), Fault::Hang);
    kept.clock.advance(HOUR);
    kept.proxy.arrived("ReceiveMessage", calls + 2).await;
    drop(end);
    // The receive would go on for 11 s.
    tokio::time::timeout(Duration::from_secs(5), kept.app.close())
        .await
        .expect("it closes")
        .expect("in peace");
    assert_eq!(kept.sqs_ids().await.len(), 3, "what was held is shown again");
}
