//! What an archive needs: the queue that keeps a topic's messages for replays.

use less_model::quantity::Span;

use super::desired::{DesiredQueue, RETENTION};
use super::value::{Attributes, Value};

/// Tag of a queue that keeps a topic's messages for replays: `true`.
pub const TAG_ARCHIVE: &str = "less:archive";
/// The shortest time that SQS keeps a message, in seconds.
const SHORTEST: u64 = 60;

/// The queue that keeps a topic's messages for replays, and its subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredArchive {
    /// The queue.
    pub queue: DesiredQueue,
    /// The attributes of the subscription that leads from the topic to the queue.
    pub subscription: Attributes,
}

impl DesiredArchive {
    /// An archive of this queue, which keeps messages for so long. More than SQS can is refused by the plan.
    pub(super) fn of(mut queue: DesiredQueue, subscription: Attributes, retention: Span) -> Self {
        let seconds = retention.as_millis().div_ceil(1_000).clamp(SHORTEST, RETENTION);
        queue.attributes.insert("MessageRetentionPeriod", Value::text(&seconds));
        queue.tags.insert(TAG_ARCHIVE.to_owned(), true.to_string());
        Self { queue, subscription }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use less_model::topology::Topology;
    use serde_json::json;

    use super::super::policy::queue_policy;
    use super::super::{Desired, DesiredTopic};
    use super::*;
    use crate::transport::aws::Site;

    fn topic(ordered: bool, retention: &str, kms_key: Option<&str>) -> DesiredTopic {
        let manifest = serde_json::from_value(json!({
            "version": less_model::manifest::VERSION, "app": "shop",
            "settings": { "stages": { "prod": { "transport": "aws", "aws": { "archive": true } } } },
            "topics": [{ "name": "order", "ordered": ordered, "retention": retention, "subscribers": [] }]
        }))
        .unwrap();
        let topology = Topology::of(&manifest, &"prod".parse().unwrap());
        let site = Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() };
        let mut desired = Desired::of(&topology, &site, kms_key);
        assert_eq!(desired.archives().count(), 1);
        desired.topics.remove(0)
    }

    fn wire(attributes: &Attributes) -> BTreeMap<&str, String> {
        attributes.iter().map(|(name, value)| (*name, value.wire())).collect()
    }

    #[test]
    fn an_archive_gets_whatever_its_topic_sends_and_is_no_fifo_queue() {
        for ordered in [false, true] {
            let topic = topic(ordered, "3d", None);
            let DesiredArchive { queue, subscription } = topic.archive.unwrap();
            assert_eq!(queue.arn, "arn:aws:sqs:eu-west-1:111122223333:shop-prod-order-_archive");
            assert_eq!(
                wire(&queue.attributes),
                BTreeMap::from([
                    ("DelaySeconds", "0".to_owned()),
                    ("KmsMasterKeyId", String::new()),
                    ("MaximumMessageSize", "1048576".to_owned()),
                    ("MessageRetentionPeriod", "259200".to_owned()),
                    ("Policy", queue_policy(&queue.arn, &topic.arn).to_string()),
                    ("ReceiveMessageWaitTimeSeconds", "20".to_owned()),
                    ("SqsManagedSseEnabled", "true".to_owned()),
                    ("VisibilityTimeout", "60".to_owned()),
                ])
            );
            assert_eq!(
                json!(queue.tags),
                json!({"less:app": "shop", "less:stage": "prod", "less:topic": "order", "less:archive": "true"})
            );
            assert_eq!(
                wire(&subscription),
                BTreeMap::from([
                    ("FilterPolicy", String::new()),
                    ("FilterPolicyScope", "MessageAttributes".to_owned()),
                    ("RawMessageDelivery", "true".to_owned()),
                ])
            );
        }
    }

    #[test]
    fn an_archive_keeps_messages_as_long_as_the_topic_says_and_sqs_can() {
        let kept = |retention: &str| {
            let queue = topic(false, retention, None).archive.unwrap().queue;
            queue.attributes["MessageRetentionPeriod"].wire()
        };
        assert_eq!([kept("0s"), kept("60001ms"), kept("30d")], ["60", "61", "1209600"]);
    }

    #[test]
    fn an_archive_is_encrypted_as_the_other_queues_are() {
        let queue = topic(false, "7d", Some("alias/shop")).archive.unwrap().queue;
        assert_eq!(queue.attributes["KmsMasterKeyId"].wire(), "alias/shop");
        assert_eq!(queue.attributes["SqsManagedSseEnabled"].wire(), "false");
    }
}
