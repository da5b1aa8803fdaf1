//! The proxy between the SDK and LocalStack: what the SDK makes of each fault, and that calls which meet none are not changed.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sns::error::ProvideErrorMetadata as _;
use aws_sdk_sns::types::PublishBatchRequestEntry;
use aws_sdk_sqs::config::Credentials;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, SendMessageBatchRequestEntry};
use less_aws_proxy::{Entries, Fault, Proxy, Refusal, When};

/// A topic and a queue that it delivers to, in an account of their own, reached through a proxy.
struct Place {
    proxy: Proxy,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
    topic: String,
    queue: String,
}

/// The account is the test's own; each call is tried so many times.
async fn place(account: &str, tries: u32) -> Place {
    let server = std::env::var("LESS_TEST_LOCALSTACK").expect(
        "LESS_TEST_LOCALSTACK says where LocalStack is; hint: tests/aws/servers.sh cargo test -p less-aws-proxy",
    );
    let proxy = Proxy::start(&server, 1).await.unwrap();
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(5)).build();
    let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(proxy.url())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::for_tests_in(account))
        .retry_config(
            RetryConfig::standard().with_max_attempts(tries).with_initial_backoff(Duration::from_millis(10)),
        )
        .timeout_config(timeouts)
        .load()
        .await;
    let (sns, sqs) = (aws_sdk_sns::Client::new(&sdk), aws_sdk_sqs::Client::new(&sdk));
    let topic = sns.create_topic().name("t").send().await.unwrap().topic_arn.unwrap();
    let queue = sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let arn = topic.replace(":sns:", ":sqs:").replace(":t", ":q");
    let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
    subscribe.attributes("RawMessageDelivery", "true").send().await.unwrap();
    Place { proxy, sns, sqs, topic, queue }
}

/// Credentials without a meaning but the account.
trait ForTests {
    fn for_tests_in(account: &str) -> Self;
}

impl ForTests for Credentials {
    fn for_tests_in(account: &str) -> Self {
        Self::new(account, "secret", None, None, "test")
    }
}

impl Place {
    async fn publish(&self, message: &str) -> Result<(), aws_sdk_sns::Error> {
        self.sns.publish().topic_arn(&self.topic).message(message).send().await?;
        Ok(())
    }

    /// Messages of one receive, which waits at most 3 seconds for the first.
    async fn receive(&self) -> Vec<Message> {
        let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
        receive.wait_time_seconds(3).send().await.unwrap().messages.unwrap_or_default()
    }

    /// Bodies of all messages, once so many are there, sorted.
    async fn bodies(&self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let messages = self.receive().await;
            assert!(!messages.is_empty(), "{bodies:?}");
            bodies.extend(messages.into_iter().filter_map(|message| message.body));
        }
        bodies.sort();
        bodies
    }

    async fn send(&self, bodies: &[&str]) {
        let entries = bodies.iter().map(|body| {
            SendMessageBatchRequestEntry::builder().id(*body).message_body(*body).build().unwrap()
        });
        let send = self.sqs.send_message_batch().queue_url(&self.queue).set_entries(Some(entries.collect()));
        assert!(send.send().await.unwrap().failed.is_empty());
    }
}

#[tokio::test]
async fn calls_pass_unchanged_and_are_counted() {
    let place = place("510000000001", 1).await;
    place.publish("ä & <b> 🦀").await.unwrap();
    place.send(&["two"]).await;
    assert_eq!(place.bodies(2).await, ["two", "ä & <b> 🦀"]);
    let calls = place.proxy.calls();
    assert_eq!((calls["Publish"], calls["SendMessageBatch"], calls["CreateQueue"]), (1, 1, 1));
    assert!(place.proxy.injected().is_empty());
}

#[tokio::test]
async fn a_refusal_arrives_as_the_services_own_error() {
    let place = place("510000000002", 1).await;
    for (refusal, code) in [
        (Refusal::THROTTLED, "Throttled"),
        (Refusal::THROTTLING, "ThrottlingException"),
        (Refusal::INTERNAL, "InternalFailure"),
        (Refusal::DENIED, "AccessDenied"),
    ] {
        place.proxy.inject("Publish", When::First(1), Fault::Refuse(refusal));
        assert_eq!(place.publish("x").await.unwrap_err().code(), Some(code));
        place.proxy.calm();
    }
    for (refusal, code) in [
        (Refusal::REQUEST_THROTTLED, "RequestThrottled"),
        (Refusal::UNAVAILABLE, "ServiceUnavailable"),
        (Refusal::STALE_RECEIPT, "ReceiptHandleIsInvalid"),
        (Refusal::NOT_IN_FLIGHT, "MessageNotInflight"),
    ] {
        place.proxy.inject("ChangeMessageVisibility", When::First(1), Fault::Refuse(refusal));
        let change = place.sqs.change_message_visibility().queue_url(&place.queue).receipt_handle("x");
        let error = change.visibility_timeout(1).send().await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        place.proxy.calm();
    }
    assert_eq!(place.proxy.calls_of("Publish"), 4);
}

#[tokio::test]
async fn the_sdk_tries_again_after_what_passes() {
    let place = place("510000000003", 4).await;
    for fault in [
        Fault::Refuse(Refusal::THROTTLING),
        Fault::Refuse(Refusal::INTERNAL),
        Fault::Refuse(Refusal::UNAVAILABLE),
        Fault::Drop,
    ] {
        place.proxy.inject("Publish", When::Nth(1), fault);
        place.publish("once").await.unwrap();
        place.proxy.calm();
    }
    assert_eq!(place.proxy.calls_of("Publish"), 8);
    // SNS's own word for it is in no list of the SDK: who wants to try again does so himself.
    place.proxy.inject("Publish", When::Nth(1), Fault::Refuse(Refusal::THROTTLED));
    assert_eq!(place.publish("never").await.unwrap_err().code(), Some("Throttled"));
    assert_eq!(place.proxy.calls_of("Publish"), 9);
    assert_eq!(place.bodies(4).await, ["once"; 4]);
    assert_eq!(place.receive().await, []);
}

#[tokio::test]
async fn a_lost_answer_doubles_the_message() {
    let place = place("510000000004", 2).await;
    for (fault, message) in [(Fault::Cut, "cut"), (Fault::Tear, "torn"), (Fault::HangAfter, "hung")] {
        place.proxy.inject("Publish", When::First(1), fault);
        place.publish(message).await.unwrap();
        place.proxy.calm();
    }
    assert_eq!(place.bodies(6).await, ["cut", "cut", "hung", "hung", "torn", "torn"]);
    let injected = place.proxy.injected();
    assert_eq!(injected.keys().collect::<Vec<_>>(), ["Publish cut", "Publish hung after", "Publish torn"]);
}

#[tokio::test]
async fn what_hangs_before_the_server_is_never_done() {
    let place = place("510000000005", 1).await;
    place.proxy.inject("Publish", When::Nth(1), Fault::Hang);
    let error = place.publish("lost").await.unwrap_err();
    assert!(format!("{error:?}").contains("TimeoutError"), "{error:?}");
    place.publish("kept").await.unwrap();
    assert_eq!(place.bodies(1).await, ["kept"]);
    assert_eq!(place.receive().await, []);
}

#[tokio::test]
async fn entries_of_batches_fail_alone() {
    let place = place("510000000006", 1).await;
    let entry = |id: &str| PublishBatchRequestEntry::builder().id(id).message(id).build().unwrap();
    let publish = async |ids: &[&str]| {
        let entries = ids.iter().map(|id| entry(id)).collect();
        let publish = place
            .sns
            .publish_batch()
            .topic_arn(&place.topic)
            .set_publish_batch_request_entries(Some(entries));
        let answer = publish.send().await.unwrap();
        let good: Vec<String> = answer.successful().iter().filter_map(|one| one.id.clone()).collect();
        let bad: Vec<_> =
            answer.failed().iter().map(|one| (one.id.clone(), one.code.clone(), one.sender_fault)).collect();
        (good, bad)
    };
    let some = Fault::FailEntries { which: Entries::At(vec![1]), refusal: Refusal::INTERNAL };
    place.proxy.inject("PublishBatch", When::Nth(1), some);
    let all = Fault::FailEntries { which: Entries::All, refusal: Refusal::DENIED };
    place.proxy.inject("PublishBatch", When::Nth(2), all);
    let failed = |id: &str, code: &str, sender| (id.to_owned(), code.to_owned(), sender);
    let (good, bad) = publish(&["a", "b", "c"]).await;
    assert_eq!((good, bad), (vec!["a".into(), "c".into()], vec![failed("b", "InternalFailure", false)]));
    let (good, bad) = publish(&["d"]).await;
    assert_eq!((good, bad), (vec![], vec![failed("d", "AccessDenied", true)]));
    assert_eq!(place.bodies(2).await, ["a", "c"]);

    place.send(&["x", "y"]).await;
    let received = place.receive().await;
    let entries = received.iter().enumerate().map(|(place, message)| {
        let handle = message.receipt_handle.clone().unwrap();
        DeleteMessageBatchRequestEntry::builder()
            .id(place.to_string())
            .receipt_handle(handle)
            .build()
            .unwrap()
    });
    let stale = Fault::FailEntries { which: Entries::At(vec![0]), refusal: Refusal::STALE_RECEIPT };
    place.proxy.inject("DeleteMessageBatch", When::Always, stale);
    let delete = place.sqs.delete_message_batch().queue_url(&place.queue);
    let answer = delete.set_entries(Some(entries.collect())).send().await.unwrap();
    assert_eq!(answer.failed.len(), 1);
    assert_eq!(answer.failed[0].code, "ReceiptHandleIsInvalid");
    assert_eq!(answer.successful.len(), received.len() - 1);
}

#[tokio::test]
async fn messages_come_twice() {
    let place = place("510000000007", 1).await;
    place.proxy.inject("ReceiveMessage", When::Nth(1), Fault::Duplicate);
    place.send(&["a"]).await;
    assert_eq!(place.bodies(2).await, ["a", "a"]);
}

#[tokio::test]
async fn late_calls_and_answers_arrive() {
    let place = place("510000000008", 1).await;
    place.proxy.inject("Publish", When::Nth(1), Fault::Delay(Duration::from_millis(50)));
    place.proxy.inject("Publish", When::Nth(2), Fault::Late(Duration::from_millis(50)));
    let began = std::time::Instant::now();
    place.publish("a").await.unwrap();
    place.publish("b").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(100));
    tokio::time::timeout(Duration::from_secs(5), place.proxy.arrived("Publish", 2)).await.unwrap();
    assert_eq!(place.bodies(2).await, ["a", "b"]);
}
