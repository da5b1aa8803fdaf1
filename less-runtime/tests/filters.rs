//! The table of cases for filters, against servers that do what SNS does: a topic and two queues for each policy, one of them behind the filter.
//!
//! `LESS_TEST_LOCALSTACK` and `LESS_TEST_MINISTACK` say where they are (URLs). A 12-digit access key is an account of its own there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sns::error::DisplayErrorContext;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use less_model::filter::Scope;
use less_model::filter::cases::{Case, all};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Longest that a message may take from the topic to the queue.
const PATIENCE: Duration = Duration::from_secs(20);
/// The attribute by which a message is known here.
const NUMBER: &str = "less_test_number";

struct Server {
    name: &'static str,
    sns: aws_sdk_sns::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Server {
    /// The server that a variable names.
    async fn new(name: &'static str, variable: &str) -> Self {
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} is not set\nhint: start {name}, and say where it is: {variable}=http://127.0.0.1:PORT")
        });
        let account = format!("{:012}", u64::from(std::process::id()) + 400_000_000_000);
        let credentials = aws_sdk_sns::config::Credentials::new(account, "x", None, None, "tests");
        let sdk: SdkConfig = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .endpoint_url(url)
            .region(Region::new("eu-west-1"))
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .load()
            .await;
        Self { name, sns: aws_sdk_sns::Client::new(&sdk), sqs: aws_sdk_sqs::Client::new(&sdk) }
    }

    async fn queue(&self, name: &str) -> (String, String) {
        let queue = self.sqs.create_queue().queue_name(name).send().await.expect("a queue");
        let queue = queue.queue_url.expect("the queue's URL");
        let asked = self.sqs.get_queue_attributes().queue_url(&queue);
        let asked =
            asked.attribute_names(QueueAttributeName::QueueArn).send().await.expect("the queue's attributes");
        let arn = asked.attributes.expect("its attributes")[&QueueAttributeName::QueueArn].clone();
        (queue, arn)
    }

    /// Makes a topic and two queues, one behind the case's filter, and tells what is judged otherwise than the table says.
    async fn differences(&self, number: usize, case: &Case) -> Vec<String> {
        let topic = self.sns.create_topic().name(format!("case-{number}")).send().await.expect("a topic");
        let topic = topic.topic_arn.expect("the topic's ARN");
        let (all, all_arn) = self.queue(&format!("all-{number}")).await;
        let (some, some_arn) = self.queue(&format!("some-{number}")).await;
        let subscribe = |arn| {
            let call = self.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn);
            call.attributes("RawMessageDelivery", "true")
        };
        subscribe(all_arn).send().await.expect("a subscription");
        let policy = serde_json::to_string(&case.policy).expect("the policy as JSON");
        let filtered = subscribe(some_arn).attributes("FilterPolicyScope", case.scope.sns());
        let subscribed = filtered.attributes("FilterPolicy", policy).send().await;
        let differs = case.differs.contains_key(self.name);
        if (subscribed.is_err() != case.refused.is_empty()) == differs {
            return vec![match (differs, subscribed) {
                (true, _) => "the policy is judged as the table says, though it says otherwise".to_owned(),
                (false, Err(refusal)) => format!("the policy is refused: {}", DisplayErrorContext(refusal)),
                (false, Ok(_)) => "the policy is not refused".to_owned(),
            }];
        }
        if differs { Vec::new() } else { self.messages(case, &topic, &all, &some).await }
    }

    async fn messages(&self, case: &Case, topic: &str, all: &str, some: &str) -> Vec<String> {
        let mut accepted = BTreeSet::new();
        for (number, message) in case.messages.iter().enumerate() {
            // As messages of Less do, each has one attribute that is nobody's.
            let text = match case.scope {
                Scope::Body => message.text(),
                Scope::Attributes => "{}".to_owned(),
            };
            let mut attributes = BTreeMap::from([(NUMBER.to_owned(), number.to_string())]);
            attributes.extend(message.attributes.clone());
            let attributes = attributes.into_iter().map(|(name, value)| {
                let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
                (name, value.expect("an attribute"))
            });
            let publish = self.sns.publish().topic_arn(topic).message(text);
            // LocalStack fails on some, after those without a filter had them.
            if publish.set_message_attributes(Some(attributes.collect())).send().await.is_ok() {
                accepted.insert(number);
            }
        }
        let began = Instant::now();
        let mut everything = BTreeSet::new();
        while !everything.is_superset(&accepted) {
            assert!(
                began.elapsed() < PATIENCE,
                "{}: {accepted:?} were accepted, {everything:?} came",
                case.name
            );
            everything.append(&mut self.receive(all).await);
        }
        let mut delivered = BTreeSet::new();
        loop {
            let mut more = self.receive(some).await;
            if more.is_empty() {
                break;
            }
            delivered.append(&mut more);
        }
        let messages = case.messages.iter().enumerate().filter_map(|(number, message)| {
            let (passes, differs) = (delivered.contains(&number), message.differs.contains_key(self.name));
            let though = if differs { ", though the table says otherwise" } else { "" };
            let what = format!("{} {:?} passes: {passes}{though}", message.text(), message.attributes);
            ((passes == message.passes) == differs).then_some(what)
        });
        messages.collect()
    }

    /// Takes what is there, waiting a second for it: the messages' numbers.
    async fn receive(&self, queue: &str) -> BTreeSet<usize> {
        let call =
            self.sqs.receive_message().queue_url(queue).max_number_of_messages(10).wait_time_seconds(1);
        let received = call.message_attribute_names("All").send().await.expect("an answer");
        let mut numbers = BTreeSet::new();
        for message in received.messages.unwrap_or_default() {
            let number = message.message_attributes.and_then(|all| all.get(NUMBER)?.string_value.clone());
            numbers.insert(number.and_then(|number| number.parse().ok()).expect("the message's number"));
            let handle = message.receipt_handle.expect("a handle");
            let delete = self.sqs.delete_message().queue_url(queue).receipt_handle(handle);
            delete.send().await.expect("the message goes");
        }
        numbers
    }
}

/// Runs the whole table, some cases at a time.
async fn judge(name: &'static str, variable: &str) {
    let (server, turns) = (Arc::new(Server::new(name, variable).await), Arc::new(Semaphore::new(8)));
    let mut running = JoinSet::new();
    for (number, case) in all().into_iter().enumerate() {
        let (server, turns) = (Arc::clone(&server), Arc::clone(&turns));
        running.spawn(async move {
            let _turn = turns.acquire_owned().await.expect("it is never closed");
            let differences = server.differences(number, &case).await;
            differences.into_iter().map(|what| format!("{}: {what}", case.name)).collect::<Vec<_>>()
        });
    }
    let mut wrong: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn localstack_judges_every_case_as_the_table_says() {
    judge("localstack", "LESS_TEST_LOCALSTACK").await;
}

#[tokio::test]
async fn ministack_judges_every_case_as_the_table_says() {
    judge("ministack", "LESS_TEST_MINISTACK").await;
}
