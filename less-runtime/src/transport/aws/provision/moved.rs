//! Another app's topic that was elsewhere before: what led from there ends, once what leads from where it is now is there.
//!
//! A queue's policy is the only record of where its messages come from. So it names both topics until the old subscription is ended: what is cut off in
//! between finds it again.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::QueueAttributeName;

use super::error::failed;
use super::policy::also_from;
use super::remove::unsubscribe;
use super::{Attributes, Desired, DesiredQueue, DesiredSubscriber, Observed, ObservedSubscription, Value};
use super::{ProvisionError, Source};
use crate::transport::aws::Connection;

impl Observed {
    /// Subscriptions of a queue to other apps' topics than this one.
    pub fn from_elsewhere(
        &self,
        topic_arn: &str,
        queue_arn: &str,
    ) -> impl Iterator<Item = &ObservedSubscription> {
        let others = self.external.iter().filter(move |(arn, _)| *arn != topic_arn);
        others.flat_map(|(_, found)| &found.subscriptions).filter(move |found| found.endpoint == queue_arn)
    }
}

/// ARNs of topics that led to queues before, by the queues' names; to dead letters as to their queues.
pub(super) type Moved<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// What led elsewhere before.
pub(super) fn moved<'a>(desired: &'a Desired, observed: &'a Observed) -> Moved<'a> {
    let mut moved = Moved::new();
    for (source, subscriber) in desired.subscribers() {
        for old in observed.from_elsewhere(source.arn(), &subscriber.queue.arn) {
            // A subscription's ARN is its topic's and an id.
            let Some((topic, _)) = old.arn.rsplit_once(':') else { continue };
            for queue in [&subscriber.queue, &subscriber.dead_letters] {
                moved.entry(&queue.name).or_default().push(topic);
            }
        }
    }
    moved
}

/// What a queue's attributes have to be while topics still lead to it that will not.
pub(super) fn meanwhile(queue: &DesiredQueue, moved: &Moved<'_>) -> Attributes {
    let mut attributes = queue.attributes.clone();
    let (Some(topics), Some(Value::Json(policy))) = (moved.get(&*queue.name), attributes.get("Policy"))
    else {
        return attributes;
    };
    let policy = also_from(policy, &queue.arn, topics);
    attributes.insert("Policy", Value::Json(policy));
    attributes
}

/// Ends what led to a subscriber's queue from elsewhere, and shuts its queues to that. Returns how many subscriptions that were.
pub(super) async fn end(
    connection: &Connection,
    observed: &Observed,
    source: Source<'_>,
    subscriber: &DesiredSubscriber,
) -> Result<usize, ProvisionError> {
    let mut ended = 0;
    for old in observed.from_elsewhere(source.arn(), &subscriber.queue.arn) {
        unsubscribe(connection, &old.arn).await?;
        ended += 1;
    }
    if ended > 0 {
        for queue in [&subscriber.queue, &subscriber.dead_letters] {
            shut(connection, observed, queue).await?;
        }
    }
    Ok(ended)
}

async fn shut(
    connection: &Connection,
    observed: &Observed,
    queue: &DesiredQueue,
) -> Result<(), ProvisionError> {
    let (Some(found), Some(policy)) = (observed.queues.get(&queue.name), queue.attributes.get("Policy"))
    else {
        return Ok(());
    };
    let set = connection.sqs.set_queue_attributes().queue_url(&found.url);
    let set = set.attributes(QueueAttributeName::Policy, policy.wire()).send().await;
    set.map(drop).map_err(failed("change queue", &queue.name))
}
