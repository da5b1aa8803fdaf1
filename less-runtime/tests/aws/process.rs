//! Several processes of one app, what becomes of a killed one's messages, and what others have sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use less_runtime::clock::Clock;
use less_runtime::message::{MessageId, StoredMessage};
use less_runtime::transport::aws::Options;
use less_runtime::transport::conformance::layout;
use less_runtime::transport::{
    AttemptError, AttemptErrorKind, DeadReason, Delivery, Layout, NewMessage, Selection, SubscriptionIndex,
    TopicIndex, Transport, TransportError,
};

use tracing::level_filters::LevelFilter;

use crate::log::Log;
use crate::stage::{Stage, quick};

const SERVERS: [&str; 2] = ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"];
/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);
const ONLY: SubscriptionIndex = SubscriptionIndex(0);

fn message(body: &str) -> NewMessage {
    NewMessage {
        message: Arc::new(StoredMessage {
            id: MessageId::generate(),
            published_at: Clock::System.now(),
            key: None,
            attributes: std::collections::BTreeMap::new(),
            traceparent: None,
            body: body.to_owned().into(),
        }),
        due: None,
        idempotency_key: None,
    }
}

async fn publish(process: &Arc<dyn Transport>, message: NewMessage) -> MessageId {
    let mut results = process.publish(TopicIndex(0), vec![message].into()).await;
    results.remove(0).expect("it is accepted").message_id
}

/// The next message of a process; its consumer is gone afterwards.
async fn next(process: &Arc<dyn Transport>) -> Box<dyn Delivery> {
    let consumer = process.consumer(ONLY).await.expect("a consumer");
    let leased = tokio::time::timeout(PATIENCE, consumer.lease(1)).await.expect("a message in time");
    leased.expect("a lease").pop().expect("a message")
}

fn error(message: &str) -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Error, message: message.to_owned(), at: 1 }
}

/// A stage with one subscriber, and processes of it.
async fn stage(server: &str) -> (Stage, Layout) {
    let (stage, layout) = (Stage::on(server), layout(&["a"]));
    stage.deploy(&layout).await;
    (stage, layout)
}

async fn process(stage: &Stage, layout: &Layout, options: Options) -> Arc<dyn Transport> {
    stage.process(layout, options).await.expect("it opens")
}

fn brief_leases() -> Options {
    let mut options = quick();
    options.visibility = Duration::from_secs(2);
    options
}

#[tokio::test]
async fn a_renewed_lease_lasts_and_a_killed_process_s_message_goes_to_another_one() {
    for server in SERVERS {
        let (stage, layout) = stage(server).await;
        let first = process(&stage, &layout, brief_leases()).await;
        let second = process(&stage, &layout, brief_leases()).await;
        let id = publish(&first, message("1")).await;
        let held = next(&first).await;
        let other = second.consumer(ONLY).await.expect("a consumer");
        let began = Instant::now();
        let mut taken = std::pin::pin!(other.lease(1));
        while began.elapsed() < Duration::from_secs(5) {
            tokio::select! {
                leased = &mut taken => panic!("a renewed lease was given away: {:?}", leased.map(|got| got.len())),
                () = tokio::time::sleep(Duration::from_millis(500)) => held.renew().await.expect("a renewal"),
            }
        }
        // Never told how it ended: as if the process had been killed.
        std::mem::forget(held);
        let leased = tokio::time::timeout(PATIENCE, taken).await.expect("it comes again").expect("a lease");
        assert_eq!(leased.first().map(|(message, attempt)| (message.id, attempt)), Some((id, 2)), "{server}");
    }
}

#[tokio::test]
async fn attempts_are_counted_over_processes() {
    for server in SERVERS {
        let (stage, layout) = stage(server).await;
        publish(&process(&stage, &layout, quick()).await, message("1")).await;
        for attempt in 1..=3 {
            let process = process(&stage, &layout, quick()).await;
            let delivery = next(&process).await;
            assert_eq!(delivery.attempt(), attempt, "{server}");
            delivery.retry_after(Duration::ZERO, error("no")).await.expect("a retry");
        }
        let last = process(&stage, &layout, quick()).await;
        next(&last).await.dead_letter(DeadReason::MaxAttempts, error("last")).await.expect("a dead letter");
        let dead = last.dead_letters(ONLY, None, 10).await.expect("dead letters");
        assert_eq!((dead.len(), dead[0].attempts, dead[0].reason), (1, 4, DeadReason::MaxAttempts));
        // The others were seen by processes that have gone.
        assert_eq!(dead[0].history, [error("last")]);
        // Looking at dead letters hides none.
        assert_eq!(last.dead_letters(ONLY, None, 10).await.expect("dead letters"), dead);
    }
}

#[tokio::test]
async fn a_delay_that_sqs_has_no_room_for_is_held_again_and_again() {
    for server in SERVERS {
        let (stage, layout) = stage(server).await;
        let mut options = quick();
        options.hold = Duration::from_secs(1);
        let process = process(&stage, &layout, options).await;
        let due = Clock::System.now() + 4_000;
        let id = publish(&process, NewMessage { due: Some(due), ..message("1") }).await;
        let delivery = next(&process).await;
        assert!(Clock::System.now() >= due, "{server}");
        assert_eq!((delivery.message().id, delivery.attempt()), (id, 1), "holding is no attempt");
        delivery.ack().await.expect("an ack");
        process.close().await.expect("it closes");
    }
}

#[tokio::test]
async fn a_backoff_beyond_what_sqs_hides_is_held_and_counts_on() {
    let (stage, layout) = stage(SERVERS[0]).await;
    let process = process(&stage, &layout, quick()).await;
    publish(&process, message("1")).await;
    let delivery = next(&process).await;
    delivery.retry_after(Duration::from_secs(13 * 3600), error("much later")).await.expect("a retry");
    let ledger = &process.ledgers().await.expect("ledgers")[0];
    assert_eq!((ledger.scheduled, ledger.pending, ledger.in_flight), (1, 0, 0), "{ledger:?}");
}

#[tokio::test]
async fn ten_attributes_arrive() {
    for server in SERVERS {
        let (stage, layout) = stage(server).await;
        let process = process(&stage, &layout, quick()).await;
        let mut sent = message("1");
        Arc::make_mut(&mut sent.message).attributes =
            (0..10).map(|n| (format!("a{n}"), format!("ä\"{n}"))).collect();
        Arc::make_mut(&mut sent.message).traceparent = Some("00-1".to_owned());
        let expected = sent.message.clone();
        publish(&process, sent).await;
        assert_eq!(*next(&process).await.message(), expected, "{server}");
    }
}

#[tokio::test]
async fn what_others_publish_is_delivered_and_what_aws_gave_up_is_a_dead_letter() {
    for server in SERVERS {
        let (stage, layout) = stage(server).await;
        let process = process(&stage, &layout, quick()).await;
        let connection = stage.connection().await;
        let arn = connection.site.topic_arn("app-test-ledger");
        connection
            .sns
            .publish()
            .topic_arn(arn)
            .message("{\"by\":\"others\"}")
            .send()
            .await
            .expect("SNS takes it");
        let delivery = next(&process).await;
        assert_eq!((&delivery.message().body[..], delivery.attempt()), (&b"{\"by\":\"others\"}"[..], 1));
        delivery.ack().await.expect("an ack");

        let url = connection.sqs.get_queue_url().queue_name("app-test-ledger-a-dlq").send().await;
        let url = url.expect("there is one").queue_url.expect("it has a URL");
        connection.sqs.send_message().queue_url(url).message_body("2").send().await.expect("SQS takes it");
        let dead = process.dead_letters(ONLY, None, 10).await.expect("dead letters");
        assert_eq!(dead.iter().map(|dead| dead.reason).collect::<Vec<_>>(), [DeadReason::Redrive]);
        let chosen = Selection::Ids(vec![dead[0].message.id]);
        assert_eq!(process.release(ONLY, chosen).await.expect("a release"), 1);
        assert_eq!(next(&process).await.message().id, dead[0].message.id, "{server}");
    }
}

#[tokio::test]
async fn a_stage_that_is_not_deployed_says_what_is_missing() {
    for server in SERVERS {
        let stage = Stage::on(server);
        let Err(error) = stage.process(&layout(&["a", "b"]), quick()).await else { panic!("it opens") };
        let TransportError::NotDeployed { missing, .. } = &error else { panic!("{error}") };
        let names =
            ["app-test-ledger-a", "app-test-ledger-a-dlq", "app-test-ledger-b", "app-test-ledger-b-dlq"];
        assert_eq!(*missing, names);
        assert!(error.to_string().ends_with("and 1 more\nhint: `less deploy --stage test`"), "{error}");
    }
}

#[tokio::test]
async fn a_stage_that_is_deployed_in_part_says_what_is_missing() {
    for server in SERVERS {
        let (stage, _) = stage(server).await;
        delete(&stage, "app-test-ledger-a").await;
        // Deployed by a version that had one subscriber, of which a queue is gone; this one has two.
        let Err(error) = stage.process(&layout(&["a", "b"]), quick()).await else { panic!("it opens") };
        let TransportError::NotDeployed { missing, .. } = &error else { panic!("{error}") };
        assert_eq!(*missing, ["app-test-ledger-a", "app-test-ledger-b", "app-test-ledger-b-dlq"], "{server}");
    }
}

async fn delete(stage: &Stage, queue: &str) {
    let sqs = stage.connection().await.sqs;
    let url = sqs.get_queue_url().queue_name(queue).send().await.expect("there is one").queue_url;
    sqs.delete_queue().queue_url(url.expect("it has a URL")).send().await.expect("it is deleted");
}

#[tokio::test]
async fn a_queue_that_is_deleted_under_an_app_is_told_and_used_again_once_it_is_deployed_again() {
    for server in SERVERS {
        let log = Log::of_an_app(LevelFilter::WARN);
        let (stage, layout) = stage(server).await;
        let process = process(&stage, &layout, quick()).await;
        delete(&stage, "app-test-ledger-a").await;
        let consumer = process.consumer(ONLY).await.expect("a consumer");
        let told = "the queue does not exist any more: nothing is received until `less deploy --stage test` makes it again";
        let began = Instant::now();
        while !log.text().contains(told) {
            assert!(began.elapsed() < PATIENCE, "{server}: {}", log.text());
            let leased = tokio::time::timeout(Duration::from_millis(100), consumer.lease(1)).await;
            assert!(leased.is_err(), "{server}: it waits for the queue");
        }
        let error = process.ledgers().await.expect_err("one queue is gone").to_string();
        let hint = "queue app-test-ledger-a does not exist any more\nhint: `less deploy --stage test` makes it again";
        assert_eq!(error, hint, "{server}");
        stage.deploy(&layout).await;
        let id = publish(&process, message("1")).await;
        let leased = tokio::time::timeout(PATIENCE, consumer.lease(1)).await.expect("a message in time");
        let delivery = leased.expect("a lease").pop().expect("a message");
        assert_eq!(delivery.message().id, id, "{server}");
        delivery.ack().await.expect("an ack");
    }
}

#[tokio::test]
async fn many_dead_letters_are_listed_page_by_page_and_released() {
    for server in SERVERS {
        let (stage, layout) = stage(server).await;
        let process = process(&stage, &layout, quick()).await;
        let all = process.publish(TopicIndex(0), (0..45).map(|n| message(&n.to_string())).collect()).await;
        assert!(all.iter().all(Result::is_ok));
        let consumer = process.consumer(ONLY).await.expect("a consumer");
        let mut died = 0;
        while died < 45 {
            let leased = tokio::time::timeout(PATIENCE, consumer.lease(45)).await.expect("messages in time");
            for delivery in leased.expect("a lease") {
                delivery.dead_letter(DeadReason::Rejected, error("no")).await.expect("a dead letter");
                died += 1;
            }
        }
        let mut ids: Vec<MessageId> = Vec::new();
        loop {
            let page = process.dead_letters(ONLY, ids.last().copied(), 20).await.expect("a page");
            if page.is_empty() {
                break;
            }
            ids.extend(page.iter().map(|dead| dead.message.id));
        }
        let mut expected: Vec<MessageId> =
            all.into_iter().flatten().map(|receipt| receipt.message_id).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected, "{server}");
        assert_eq!(process.purge(ONLY, Selection::Ids(ids[..5].to_vec())).await.expect("a purge"), 5);
        assert_eq!(process.release(ONLY, Selection::All).await.expect("a release"), 40);
        assert!(process.dead_letters(ONLY, None, 10).await.expect("dead letters").is_empty());
        let mut again = 0;
        while again < 40 {
            let leased = tokio::time::timeout(PATIENCE, consumer.lease(40)).await.expect("messages in time");
            for delivery in leased.expect("a lease") {
                assert_eq!(delivery.attempt(), 1);
                delivery.ack().await.expect("an ack");
                again += 1;
            }
        }
    }
}
