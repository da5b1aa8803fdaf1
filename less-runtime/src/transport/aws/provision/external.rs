//! What there is of other apps' topics, and which of their subscriptions are this app's.
//!
//! A topic in another account may be one that does not let this account look, and that is for a plan to tell: it is no failure. What subscribes this
//! app's queues is found all the same, because an account can always list its own subscriptions.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::get_subscription_attributes::GetSubscriptionAttributesError;
use aws_sdk_sns::operation::get_topic_attributes::GetTopicAttributesError;
use aws_sdk_sns::operation::list_subscriptions_by_topic::ListSubscriptionsByTopicError;
use aws_sdk_sns::types::Subscription;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::failed;
use super::observe::{gather, unless};
use super::policy::sources;
use super::{Desired, Observed, ObservedSubscription, ProvisionError, TAG_EXTERNAL, is_ours};
use crate::transport::aws::{Connection, Site};

/// Another app's topic, as this app sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherTopic {
    /// It is there.
    There,
    /// It is there with the other order: FIFO where this app expects none, or the other way round.
    OtherOrder,
    /// There is none.
    Missing,
    /// Its account does not let this one look.
    Closed,
}

/// What was seen of another app's topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedExternal {
    /// The topic.
    pub topic: OtherTopic,
    /// Subscriptions of this app's queues to it.
    pub subscriptions: Vec<ObservedSubscription>,
}

/// Adds what there is of other apps' topics: of those that are needed, and of those that queues still get messages from.
pub(super) async fn add(
    connection: &Connection,
    desired: &Desired,
    observed: &mut Observed,
) -> Result<(), Vec<ProvisionError>> {
    let ours = observed.queues.iter().filter(|(_, queue)| is_ours(&desired.app, &desired.stage, &queue.tags));
    let external = ours.filter(|(_, queue)| queue.tags.contains_key(TAG_EXTERNAL));
    let policies = external.filter_map(|(_, queue)| queue.attributes.get("Policy"));
    let needed = desired.external.iter().map(|other| other.arn.clone());
    let topics: BTreeSet<String> = policies.flat_map(|policy| sources(policy)).chain(needed).collect();
    if topics.is_empty() {
        return Ok(());
    }
    let needed = desired.subscribers().map(|(_, subscriber)| subscriber.queue.arn.clone());
    let found = observed.queues.keys().map(|name| connection.site.queue_arn(name));
    let queues: BTreeSet<String> = needed.chain(found).collect();
    let reads: Vec<BoxFuture<'_, Result<_, _>>> = topics
        .into_iter()
        .map(|arn| {
            let queues = &queues;
            async move { read(connection, &arn, queues).await.map(|found| (arn, found)) }.boxed()
        })
        .collect();
    observed.external = gather(reads).await?.into_iter().collect();
    Ok(())
}

async fn read(
    connection: &Connection,
    arn: &str,
    queues: &BTreeSet<String>,
) -> Result<ObservedExternal, ProvisionError> {
    Ok(ObservedExternal {
        topic: look(connection, arn).await?,
        subscriptions: subscriptions(connection, arn, queues).await?,
    })
}

/// Looks at another app's topic.
pub async fn look(connection: &Connection, arn: &str) -> Result<OtherTopic, ProvisionError> {
    match one(connection, arn).await? {
        OtherTopic::Missing => {}
        found => return Ok(found),
    }
    let other = arn.strip_suffix(".fifo").map_or_else(|| format!("{arn}.fifo"), str::to_owned);
    Ok(match one(connection, &other).await? {
        OtherTopic::There | OtherTopic::OtherOrder => OtherTopic::OtherOrder,
        OtherTopic::Missing | OtherTopic::Closed => OtherTopic::Missing,
    })
}

async fn one(connection: &Connection, arn: &str) -> Result<OtherTopic, ProvisionError> {
    let elsewhere = Site::of_arn(arn).is_some_and(|site| site.account != connection.site.account);
    let answer = connection.sns_of(arn).get_topic_attributes().topic_arn(arn).send().await;
    match answer {
        Err(error) if elsewhere && is_denied(&error) => Ok(OtherTopic::Closed),
        answer => {
            let missing = GetTopicAttributesError::is_not_found_exception;
            let found = unless(answer, missing, failed("read topic", arn))?;
            Ok(if found.is_some() { OtherTopic::There } else { OtherTopic::Missing })
        }
    }
}

/// Subscriptions of these queues to a topic.
pub(super) async fn subscriptions(
    connection: &Connection,
    topic: &str,
    queues: &BTreeSet<String>,
) -> Result<Vec<ObservedSubscription>, ProvisionError> {
    let sns = connection.sns_of(topic);
    let mut found = Vec::new();
    for listed in listed(&sns, topic).await? {
        let Some((arn, endpoint)) = listed.subscription_arn.zip(listed.endpoint) else { continue };
        if !queues.contains(&endpoint) {
            continue;
        }
        let read = sns.get_subscription_attributes().subscription_arn(&arn).send().await;
        let missing = GetSubscriptionAttributesError::is_not_found_exception;
        // It ended meanwhile.
        let Some(read) = unless(read, missing, failed("read subscription", &arn))? else { continue };
        let attributes: BTreeMap<String, String> = read.attributes.unwrap_or_default().into_iter().collect();
        found.push(ObservedSubscription { arn, endpoint, attributes });
    }
    Ok(found)
}

/// All subscriptions of a topic; where its account does not show them, those of them that are this account's.
async fn listed(sns: &aws_sdk_sns::Client, topic: &str) -> Result<Vec<Subscription>, ProvisionError> {
    let is_gone = ListSubscriptionsByTopicError::is_not_found_exception;
    let mut all = Vec::new();
    let mut pages = sns.list_subscriptions_by_topic().topic_arn(topic).into_paginator().send();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => all.extend(page.subscriptions.unwrap_or_default()),
            Err(error) if is_denied(&error) => return own(sns, topic).await,
            Err(error) if error.as_service_error().is_some_and(is_gone) => {
                break;
            }
            Err(error) => return Err(failed("list the subscriptions of topic", topic)(error)),
        }
    }
    Ok(all)
}

async fn own(sns: &aws_sdk_sns::Client, topic: &str) -> Result<Vec<Subscription>, ProvisionError> {
    let mut all = Vec::new();
    let mut pages = sns.list_subscriptions().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(failed("list this account's subscriptions, as for those of topic", topic))?;
        let page = page.subscriptions.unwrap_or_default();
        all.extend(page.into_iter().filter(|found| found.topic_arn.as_deref() == Some(topic)));
    }
    Ok(all)
}

/// Whether AWS refuses the caller, whatever there is.
fn is_denied<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.is_some_and(|code| ["AuthorizationError", "AccessDenied", "AccessDeniedException"].contains(&code))
}
