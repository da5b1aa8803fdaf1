//! Watching a topic: a queue for a while, that removes itself.
//!
//! It is tagged with the time, and tagged anew while it is watched. One whose tag has become old belongs to a process that was killed, and goes when
//! the topic is watched the next time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sns::error::SdkError;
use aws_sdk_sns::operation::subscribe::SubscribeError;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName};
use less_model::filter::Filter;
use less_model::topology::{MAX_NAME, PlacedTopic, Topology};
use serde_json::json;

use super::calls::failed;
use super::connect::{BEYOND, LONGEST_POLL};
use super::envelope::read;
use super::provision::{
    ProvisionError, TAG_APP, TAG_STAGE, TAG_TAIL, TAG_TOPIC, delete_queue, is_ours, queue_policy, unsubscribe,
};
use super::queue::seconds;
use super::{Connection, Site};
use crate::clock::{Clock, Timestamp};
use crate::message::{MessageId, StoredMessage};
use crate::transport::TransportError;

/// How long SQS keeps what is not looked at.
const RETENTION: Duration = Duration::from_secs(300);
/// How often the queue's tag is set to the present time.
const ALIVE: Duration = Duration::from_secs(900);
/// How old the tag of a queue is that nobody watches any more.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Messages that are remembered, so that what SQS delivers twice is shown once.
const REMEMBERED: usize = 1000;
/// Most entries of a batch.
const BATCH: i32 = 10;

/// A queue that gets a topic's messages while it is watched. It is removed by [`Watch::close`] alone.
pub struct Watch {
    connection: Connection,
    topic: String,
    url: String,
    subscription: String,
    clock: Clock,
    tagged_at: Timestamp,
    seen: HashSet<MessageId>,
    order: VecDeque<MessageId>,
}

/// A message that was published, and before when it is not delivered.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The message.
    pub message: Arc<StoredMessage>,
    /// When it is due, where it was published with a delay.
    pub due: Option<Timestamp>,
}

impl Watch {
    /// Begins to watch a topic: everything, or what passes a filter. Queues that others have left behind are removed first.
    pub async fn open(
        connection: &Connection,
        topology: &Topology,
        topic: &PlacedTopic,
        filter: Option<&Filter>,
        kms_key: Option<&str>,
        clock: Clock,
    ) -> Result<Self, TransportError> {
        let prefix = prefix(topic);
        sweep(connection, topology, &prefix, clock.now()).await;
        let end = if topic.ordered { ".fifo" } else { "" };
        let name = format!("{prefix}{:012x}{end}", rand::random::<u64>() >> 16);
        let topic_arn = connection.site.topic_arn(&topic.physical);
        let queue_arn = connection.site.queue_arn(&name);
        let url = create(connection, topology, topic, &name, kms_key, clock.now()).await?;
        let mut subscribe = connection.sns.subscribe().topic_arn(&topic_arn).protocol("sqs");
        subscribe = subscribe.endpoint(&queue_arn).return_subscription_arn(true);
        subscribe = subscribe.attributes("RawMessageDelivery", "true");
        if let Some(filter) = filter {
            subscribe = subscribe.attributes("FilterPolicyScope", filter.scope.sns());
            subscribe = subscribe.attributes("FilterPolicy", json!(filter.policy).to_string());
        }
        let subscription = match subscribe.send().await {
            Ok(answer) => answer.subscription_arn.unwrap_or_default(),
            Err(error) => {
                let error = refused(&connection.site, topology, topic, &error);
                // What can't be used must not stay; that it can't be removed either is the smaller part of the news.
                let _ = delete_queue(connection, &url).await;
                return Err(error);
            }
        };
        Ok(Self {
            connection: connection.clone(),
            topic: topic.physical.clone(),
            url,
            subscription,
            tagged_at: clock.now(),
            clock,
            seen: HashSet::new(),
            order: VecDeque::new(),
        })
    }

    /// The next messages: none where none came for 20 seconds.
    pub async fn next(&mut self) -> Result<Vec<Watched>, TransportError> {
        self.stay_alive().await;
        let attempt = TimeoutConfig::builder().operation_attempt_timeout(LONGEST_POLL + BEYOND).build();
        let config = aws_sdk_sqs::config::Builder::new();
        let config = config.retry_config(RetryConfig::disabled()).timeout_config(attempt);
        let request = self.connection.sqs.receive_message().queue_url(&self.url);
        let request = request
            .max_number_of_messages(BATCH)
            .wait_time_seconds(seconds(LONGEST_POLL))
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("All");
        let answer = request.customize().config_override(config).send().await;
        let answer = answer.map_err(|error| failed("receive messages of the topic", &self.topic, &error))?;
        let messages = answer.messages.unwrap_or_default();
        let entries: Vec<_> = (0..)
            .zip(&messages)
            .filter_map(|(place, message): (usize, _)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string());
                entry.receipt_handle(message.receipt_handle()?).build().ok()
            })
            .collect();
        if !entries.is_empty() {
            let delete = self.connection.sqs.delete_message_batch().queue_url(&self.url);
            // What stays comes once more, and is known then.
            let _ = delete.set_entries(Some(entries)).send().await;
        }
        let watched = messages.iter().map(|message| {
            let received = read(message);
            Watched { message: received.message, due: received.envelope.due }
        });
        let mut fresh = Vec::with_capacity(messages.len());
        for watched in watched.collect::<Vec<_>>() {
            if self.is_new(watched.message.id) {
                fresh.push(watched);
            }
        }
        Ok(fresh)
    }

    fn is_new(&mut self, id: MessageId) -> bool {
        if !self.seen.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }

    async fn stay_alive(&mut self) {
        let now = self.clock.now();
        if now.saturating_sub(self.tagged_at) < crate::clock::millis(ALIVE) {
            return;
        }
        let tag = self.connection.sqs.tag_queue().queue_url(&self.url).tags(TAG_TAIL, stamp(now));
        // One that fails is made up for by the next: there are several within the hour.
        if tag.send().await.is_ok() {
            self.tagged_at = now;
        }
    }

    /// Ends it: nothing of it is left on AWS.
    pub async fn close(self) -> Result<(), ProvisionError> {
        // Both are tried, whatever becomes of the first.
        let ended = unsubscribe(&self.connection, &self.subscription).await;
        delete_queue(&self.connection, &self.url).await.and(ended)
    }
}

/// Why a topic can't be subscribed to: most likely it is not there.
fn refused<R: std::fmt::Debug + 'static>(
    site: &Site,
    topology: &Topology,
    topic: &PlacedTopic,
    error: &SdkError<SubscribeError, R>,
) -> TransportError {
    if error.as_service_error().is_some_and(SubscribeError::is_not_found_exception) {
        return TransportError::NoTopic {
            stage: topology.stage.to_string(),
            region: site.region.clone(),
            account: site.account.clone(),
            topic: topic.physical.clone(),
        };
    }
    failed("subscribe to the topic", &topic.physical, error)
}

async fn create(
    connection: &Connection,
    topology: &Topology,
    topic: &PlacedTopic,
    name: &str,
    kms_key: Option<&str>,
    now: Timestamp,
) -> Result<String, TransportError> {
    let policy = queue_policy(&connection.site.queue_arn(name), &connection.site.topic_arn(&topic.physical));
    let mut attributes = HashMap::from([
        (QueueAttributeName::Policy, policy.to_string()),
        (QueueAttributeName::MessageRetentionPeriod, RETENTION.as_secs().to_string()),
        (QueueAttributeName::MaximumMessageSize, (1 << 20).to_string()),
    ]);
    match kms_key {
        Some(key) => attributes.insert(QueueAttributeName::KmsMasterKeyId, key.to_owned()),
        None => attributes.insert(QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
    };
    if topic.ordered {
        attributes.insert(QueueAttributeName::FifoQueue, "true".to_owned());
    }
    let tags = HashMap::from([
        (TAG_APP.to_owned(), topology.app.to_string()),
        (TAG_STAGE.to_owned(), topology.stage.to_string()),
        (TAG_TOPIC.to_owned(), topic.name.to_string()),
        (TAG_TAIL.to_owned(), stamp(now)),
    ]);
    let create = connection.sqs.create_queue().queue_name(name);
    let made = create.set_attributes(Some(attributes)).set_tags(Some(tags)).send().await;
    let made = made.map_err(|error| failed("make a queue for the tail", name, &error))?;
    Ok(made.queue_url.unwrap_or_default())
}

/// What the names of a topic's tail queues begin with.
fn prefix(topic: &PlacedTopic) -> String {
    const REST: usize = "-tail-".len() + 12 + ".fifo".len();
    let base = topic.physical.trim_end_matches(".fifo");
    format!("{}-tail-", &base[..base.len().min(MAX_NAME - REST)])
}

/// Seconds since 1970.
fn stamp(now: Timestamp) -> String {
    (now / 1000).to_string()
}

/// Whether a queue's tags say that nobody watches it any more.
fn is_abandoned(tag: Option<&String>, now: Timestamp) -> bool {
    let alive = tag.and_then(|text| text.parse::<u64>().ok());
    alive.is_some_and(|alive| (now / 1000).saturating_sub(alive) > ABANDONED.as_secs())
}

/// Removes queues that were left behind, and what leads to them. What does not succeed is left to the next one.
async fn sweep(connection: &Connection, topology: &Topology, prefix: &str, now: Timestamp) {
    let listed = connection.sqs.list_queues().queue_name_prefix(prefix).send().await;
    let urls = listed.ok().and_then(|listed| listed.queue_urls).unwrap_or_default();
    let mut gone = HashSet::new();
    for url in urls {
        let Some(name) = url.rsplit('/').next() else { continue };
        let tags = connection.sqs.list_queue_tags().queue_url(&url).send().await;
        let tags: super::provision::Tags =
            tags.ok().and_then(|found| found.tags).unwrap_or_default().into_iter().collect();
        let ours = is_ours(&topology.app, &topology.stage, &tags);
        if ours && is_abandoned(tags.get(TAG_TAIL), now) && delete_queue(connection, &url).await.is_ok() {
            gone.insert(connection.site.queue_arn(name));
            if let Some(topic) = tags.get(TAG_TOPIC) {
                end_subscriptions(connection, topology, topic, &gone).await;
            }
        }
    }
}

async fn end_subscriptions(
    connection: &Connection,
    topology: &Topology,
    topic: &str,
    queues: &HashSet<String>,
) {
    let Some(topic) = topology.topics.iter().find(|placed| placed.name.as_str() == topic) else { return };
    let arn = connection.site.topic_arn(&topic.physical);
    let mut pages = connection.sns.list_subscriptions_by_topic().topic_arn(arn).into_paginator().send();
    while let Some(Ok(page)) = pages.next().await {
        for found in page.subscriptions() {
            let leads_nowhere = found.endpoint().is_some_and(|endpoint| queues.contains(endpoint));
            if let Some(arn) = found.subscription_arn().filter(|_| leads_nowhere) {
                let _ = unsubscribe(connection, arn).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sns::error::ErrorMetadata;
    use aws_sdk_sns::types::error::NotFoundException;
    use less_model::manifest::DEFAULT_MAX_MESSAGE;

    use super::*;

    fn topic(physical: String, ordered: bool) -> PlacedTopic {
        let name = "order".parse().unwrap();
        let (max_message, subscribers) = (DEFAULT_MAX_MESSAGE, Vec::new());
        PlacedTopic { name, physical, ordered, max_message, archive: None, subscribers }
    }

    #[test]
    fn names_are_those_of_the_topic_and_fit() {
        assert_eq!(prefix(&topic("shop-prod-order".to_owned(), false)), "shop-prod-order-tail-");
        assert_eq!(prefix(&topic("shop-prod-order.fifo".to_owned(), true)), "shop-prod-order-tail-");
        let long = prefix(&topic("x".repeat(80), false));
        assert_eq!(long.len() + 12 + ".fifo".len(), MAX_NAME);
    }

    #[test]
    fn a_topic_that_is_not_there_is_told_with_how_it_gets_there() {
        let site = Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() };
        let topology = Topology {
            app: "shop".parse().unwrap(),
            stage: "prod".parse().unwrap(),
            topics: Vec::new(),
            external: Vec::new(),
        };
        let missing = SubscribeError::NotFoundException(NotFoundException::builder().build());
        let other = SubscribeError::generic(ErrorMetadata::builder().code("Throttled").build());
        let topic = topic("shop-prod-order".to_owned(), false);
        let said = |error| refused(&site, &topology, &topic, &SdkError::service_error(error, ())).to_string();
        assert_eq!(
            said(missing),
            "stage `prod` is not deployed in eu-west-1, account 111122223333: topic shop-prod-order is missing\nhint: `less deploy --stage prod`"
        );
        assert_eq!(said(other), "can't subscribe to the topic (shop-prod-order): Throttled");
    }

    #[test]
    fn only_what_has_not_been_watched_for_an_hour_is_abandoned() {
        let now = 10_000_000_000;
        let tag = |age: u64| stamp(now - age * 1000);
        assert!(is_abandoned(Some(&tag(3601)), now));
        assert!(!is_abandoned(Some(&tag(3600)), now));
        assert!(!is_abandoned(Some(&tag(0)), now));
        assert!(!is_abandoned(Some(&"?".to_owned()), now), "what can't be read is nobody's to remove");
        assert!(!is_abandoned(None, now));
    }
}
