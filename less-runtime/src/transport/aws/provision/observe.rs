//! What there is on AWS of an app and a stage.
//!
//! Whatever is needed is read by its computed name. What is there beside it is found by the prefix of its name, and is ours only where its tags say so: app
//! `a-b` in stage `c` has the same prefix as app `a` in stage `b-c`.

use std::collections::BTreeMap;

use aws_sdk_sns::operation::get_subscription_attributes::GetSubscriptionAttributesError;
use aws_sdk_sns::operation::get_topic_attributes::GetTopicAttributesError;
use aws_sdk_sns::operation::list_subscriptions_by_topic::ListSubscriptionsByTopicError;
use aws_sdk_sns::operation::list_tags_for_resource::ListTagsForResourceError;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::operation::list_queue_tags::ListQueueTagsError;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use less_model::name::{AppName, StageName};
use serde::Serialize;

use super::error::failed;
use super::external::{self, ObservedExternal};
use super::{Desired, PARALLEL, ProvisionError, TAG_APP, TAG_STAGE, Tags};
use crate::transport::aws::Connection;

/// What there is, by physical name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// SNS topics.
    pub topics: BTreeMap<String, ObservedTopic>,
    /// SQS queues.
    pub queues: BTreeMap<String, ObservedQueue>,
    /// Other apps' SNS topics, by ARN.
    pub external: BTreeMap<String, ObservedExternal>,
}

/// An SNS topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedTopic {
    /// Its ARN.
    pub arn: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its tags.
    pub tags: Tags,
    /// Its subscriptions, whoever made them.
    pub subscriptions: Vec<ObservedSubscription>,
}

/// A subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedSubscription {
    /// Its ARN.
    pub arn: String,
    /// Where it leads: of a queue the ARN.
    pub endpoint: String,
    /// Its attributes, where it leads to a queue in the same account whose name has the app's and the stage's prefix.
    pub attributes: BTreeMap<String, String>,
}

/// An SQS queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedQueue {
    /// Its URL.
    pub url: String,
    /// Its attributes, and its numbers of messages.
    pub attributes: BTreeMap<String, String>,
    /// Its tags.
    pub tags: Tags,
}

/// How many messages a queue holds. SQS counts approximately: the numbers are right a minute after the last change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// To be received.
    pub visible: u64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: u64,
    /// Not to be received yet.
    pub delayed: u64,
}

impl Backlog {
    /// All of them.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

impl ObservedQueue {
    /// How many messages it holds.
    pub fn backlog(&self) -> Backlog {
        let number =
            |name| self.attributes.get(name).and_then(|text: &String| text.parse().ok()).unwrap_or(0);
        Backlog {
            visible: number("ApproximateNumberOfMessages"),
            in_flight: number("ApproximateNumberOfMessagesNotVisible"),
            delayed: number("ApproximateNumberOfMessagesDelayed"),
        }
    }
}

/// Whether these are the tags of something of this app and stage.
pub fn is_ours(app: &AppName, stage: &StageName, tags: &Tags) -> bool {
    let is = |key: &str, value: &str| tags.get(key).is_some_and(|found| found == value);
    is(TAG_APP, app.as_str()) && is(TAG_STAGE, stage.as_str())
}

/// Reads what there is of what is needed.
pub async fn observe(connection: &Connection, desired: &Desired) -> Result<Observed, Vec<ProvisionError>> {
    let look = Look { connection, prefix: prefix(desired) };
    let mut found = look.read(needed(desired)).await?;
    external::add(connection, desired, &mut found).await?;
    Ok(found)
}

/// Reads what there is of what is needed, and whatever else is this app's and stage's.
pub async fn observe_all(
    connection: &Connection,
    desired: &Desired,
) -> Result<Observed, Vec<ProvisionError>> {
    let look = Look { connection, prefix: prefix(desired) };
    let (topics, queues) = tokio::join!(look.list_topics(), look.list_queues());
    let mut names = needed(desired);
    let mut errors = Vec::new();
    let (needed_topics, needed_queues) = (names.topics.clone(), names.queues.clone());
    match topics {
        Ok(found) => names.topics.extend(found),
        Err(error) => errors.push(error),
    }
    match queues {
        Ok(found) => names.queues.extend(found),
        Err(error) => errors.push(error),
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    for list in [&mut names.topics, &mut names.queues] {
        list.sort();
        list.dedup();
    }
    let mut found = look.read(names).await?;
    let ours = |tags: &Tags| is_ours(&desired.app, &desired.stage, tags);
    found.topics.retain(|name, topic| needed_topics.contains(name) || ours(&topic.tags));
    found.queues.retain(|name, queue| needed_queues.contains(name) || ours(&queue.tags));
    external::add(connection, desired, &mut found).await?;
    Ok(found)
}

/// How many messages a queue holds now; `None` where it is gone.
pub async fn read_backlog(connection: &Connection, url: &str) -> Result<Option<Backlog>, ProvisionError> {
    let attributes = queue_attributes(connection, url).await?;
    Ok(attributes.map(|attributes| ObservedQueue { attributes, ..ObservedQueue::default() }.backlog()))
}

/// Names of what is to be read.
struct Names {
    topics: Vec<String>,
    queues: Vec<String>,
}

fn needed(desired: &Desired) -> Names {
    let queues = desired
        .subscribers()
        .flat_map(|(_, subscriber)| [subscriber.queue.name.clone(), subscriber.dead_letters.name.clone()]);
    let archives = desired.archives().map(|(_, archive)| archive.queue.name.clone());
    Names {
        topics: desired.topics.iter().map(|topic| topic.name.clone()).collect(),
        queues: queues.chain(archives).collect(),
    }
}

/// What all names of an app and a stage begin with, as far as they are not cut: a long name keeps its first 54 characters.
fn prefix(desired: &Desired) -> String {
    let mut prefix = format!("{}-{}-", desired.app, desired.stage);
    prefix.truncate(54);
    prefix
}

struct Look<'a> {
    connection: &'a Connection,
    prefix: String,
}

impl Look<'_> {
    async fn read(&self, names: Names) -> Result<Observed, Vec<ProvisionError>> {
        let topics = names.topics.into_iter().map(|name| {
            let read = async move {
                let topic = read_topic(self.connection, &name, &self.prefix).await?;
                Ok(topic.map(|topic| (name, topic)))
            };
            read.boxed()
        });
        let queues = names.queues.into_iter().map(|name| {
            let read = async move {
                let queue = read_queue(self.connection, &name).await?;
                Ok(queue.map(|queue| (name, queue)))
            };
            read.boxed()
        });
        let (topics, queues) = (gather(topics.collect()), gather(queues.collect()));
        // One after the other, so that no more than `PARALLEL` calls are under way.
        match (topics.await, queues.await) {
            (Ok(topics), Ok(queues)) => Ok(Observed {
                topics: topics.into_iter().flatten().collect(),
                queues: queues.into_iter().flatten().collect(),
                external: BTreeMap::new(),
            }),
            (topics, queues) => Err([topics.err(), queues.err()].into_iter().flatten().flatten().collect()),
        }
    }

    async fn list_queues(&self) -> Result<Vec<String>, ProvisionError> {
        let mut names = Vec::new();
        let pages = self.connection.sqs.list_queues().queue_name_prefix(&self.prefix).max_results(1000);
        let mut pages = pages.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("list queues", &self.prefix))?;
            names.extend(page.queue_urls().iter().filter_map(|url| Some(url.rsplit_once('/')?.1.to_owned())));
        }
        Ok(names)
    }

    async fn list_topics(&self) -> Result<Vec<String>, ProvisionError> {
        let mut names = Vec::new();
        let mut pages = self.connection.sns.list_topics().into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("list topics", &self.prefix))?;
            let found = page
                .topics()
                .iter()
                .filter_map(|topic| Some(topic.topic_arn()?.rsplit_once(':')?.1.to_owned()));
            names.extend(found.filter(|name| name.starts_with(&self.prefix)));
        }
        Ok(names)
    }
}

/// Runs all of them, at most [`PARALLEL`] at a time; every error is returned.
pub(super) async fn gather<T>(
    work: Vec<BoxFuture<'_, Result<T, ProvisionError>>>,
) -> Result<Vec<T>, Vec<ProvisionError>> {
    let results: Vec<_> = stream::iter(work).buffer_unordered(PARALLEL).collect().await;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => found.push(value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// `Ok(None)` where AWS says that there is no such thing.
pub(super) fn unless<T, E, R>(
    result: Result<T, SdkError<E, R>>,
    is_missing: fn(&E) -> bool,
    map: impl FnOnce(SdkError<E, R>) -> ProvisionError,
) -> Result<Option<T>, ProvisionError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.as_service_error().is_some_and(is_missing) => Ok(None),
        Err(error) => Err(map(error)),
    }
}

/// A topic; subscriptions to queues whose names begin with `prefix` are read whole.
pub(super) async fn read_topic(
    connection: &Connection,
    name: &str,
    prefix: &str,
) -> Result<Option<ObservedTopic>, ProvisionError> {
    let (sns, arn) = (&connection.sns, connection.site.topic_arn(name));
    let answer = sns.get_topic_attributes().topic_arn(&arn).send().await;
    let missing = GetTopicAttributesError::is_not_found_exception;
    let Some(answer) = unless(answer, missing, failed("read topic", name))? else { return Ok(None) };
    let tags = sns.list_tags_for_resource().resource_arn(&arn).send().await;
    let missing = ListTagsForResourceError::is_resource_not_found_exception;
    let Some(tags) = unless(tags, missing, failed("read the tags of topic", name))? else { return Ok(None) };
    let queues = connection.site.queue_arn(prefix);
    let mut subscriptions = Vec::new();
    let mut pages = sns.list_subscriptions_by_topic().topic_arn(&arn).into_paginator().send();
    while let Some(page) = pages.next().await {
        let missing = ListSubscriptionsByTopicError::is_not_found_exception;
        let Some(page) = unless(page, missing, failed("list the subscriptions of topic", name))? else {
            return Ok(None);
        };
        for found in page.subscriptions() {
            let (Some(arn), Some(endpoint)) = (found.subscription_arn(), found.endpoint()) else { continue };
            let mut attributes = BTreeMap::new();
            if endpoint.starts_with(&queues) {
                let read = sns.get_subscription_attributes().subscription_arn(arn).send().await;
                let missing = GetSubscriptionAttributesError::is_not_found_exception;
                // It ended meanwhile.
                let Some(read) = unless(read, missing, failed("read subscription", arn))? else { continue };
                attributes = read.attributes.unwrap_or_default().into_iter().collect();
            }
            subscriptions.push(ObservedSubscription {
                arn: arn.to_owned(),
                endpoint: endpoint.to_owned(),
                attributes,
            });
        }
    }
    Ok(Some(ObservedTopic {
        arn,
        attributes: answer.attributes.unwrap_or_default().into_iter().collect(),
        tags: tags.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
        subscriptions,
    }))
}

/// A queue.
pub(super) async fn read_queue(
    connection: &Connection,
    name: &str,
) -> Result<Option<ObservedQueue>, ProvisionError> {
    let sqs = &connection.sqs;
    let answer = sqs.get_queue_url().queue_name(name).send().await;
    let missing = GetQueueUrlError::is_queue_does_not_exist;
    let Some(answer) = unless(answer, missing, failed("read queue", name))? else { return Ok(None) };
    let url = answer.queue_url.unwrap_or_default();
    let Some(attributes) = queue_attributes(connection, &url).await? else { return Ok(None) };
    let tags = sqs.list_queue_tags().queue_url(&url).send().await;
    let missing = ListQueueTagsError::is_queue_does_not_exist;
    let Some(tags) = unless(tags, missing, failed("read the tags of queue", name))? else { return Ok(None) };
    Ok(Some(ObservedQueue { url, attributes, tags: tags.tags.unwrap_or_default().into_iter().collect() }))
}

async fn queue_attributes(
    connection: &Connection,
    url: &str,
) -> Result<Option<BTreeMap<String, String>>, ProvisionError> {
    let read = connection.sqs.get_queue_attributes().queue_url(url);
    let read = read.attribute_names(QueueAttributeName::All).send().await;
    let missing = GetQueueAttributesError::is_queue_does_not_exist;
    let found = unless(read, missing, failed("read queue", url))?;
    let text = |(name, value): (QueueAttributeName, String)| (name.as_str().to_owned(), value);
    Ok(found.map(|found| found.attributes.unwrap_or_default().into_iter().map(text).collect()))
}
