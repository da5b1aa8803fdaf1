//! What an app needs on AWS, as data: every topic, queue and subscription with all attributes and tags.

use std::collections::BTreeMap;

use less_model::config::Sourced;
use less_model::filter::{Filter, Scope};
use less_model::manifest::DEFAULT_MAX_MESSAGE;
use less_model::name::{AppName, StageName, SubscriberName, TopicName};
use less_model::topology::{PlacedArchive, PlacedExternal, PlacedSubscriber, PlacedTopic, Topology};
use serde_json::json;

use super::archive::DesiredArchive;
use super::policy::{queue_policy, topic_policy};
use super::value::{Attributes, Tags, Value};
use crate::transport::aws::Site;

/// Tag: the app.
pub const TAG_APP: &str = "less:app";
/// Tag: the stage.
pub const TAG_STAGE: &str = "less:stage";
/// Tag of a queue that another app's topic leads to: that app.
pub const TAG_EXTERNAL: &str = "less:external";
/// Tag: the topic.
pub const TAG_TOPIC: &str = "less:topic";
/// Tag: the subscriber.
pub const TAG_SUBSCRIBER: &str = "less:subscriber";
/// Tag of a queue: a fingerprint of the subscriber's code, by which a renamed folder is known again.
pub const TAG_CODE: &str = "less:code";

/// Tag of a queue that `less tail` looks through: when it was last said to be watched, in seconds since 1970.
pub const TAG_TAIL: &str = "less:tail";

/// How long SQS keeps a message, in seconds: 14 days, the most it can.
pub(super) const RETENTION: u64 = 14 * 86_400;
/// How long a received message is hidden, in seconds, before it counts as lost; renewed while a handler runs.
const VISIBILITY: u32 = 60;
/// How long a receive waits for messages, in seconds: the most SQS allows.
const WAIT: u32 = 20;
/// Largest message of a queue, in bytes: the most SQS allows. The topic, and the app before it, refuse what is larger than the topic's own limit.
const MAX_MESSAGE: u32 = 1 << 20;

/// What an app needs in a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The app.
    pub app: AppName,
    /// The stage.
    pub stage: StageName,
    /// Where.
    pub site: Site,
    /// Its topics, sorted by name.
    pub topics: Vec<DesiredTopic>,
    /// Other apps' topics that it subscribes to, sorted by app and name.
    pub external: Vec<DesiredExternal>,
}

/// Another app's SNS topic: it is looked at and subscribed to, never made.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredExternal {
    /// The other app.
    pub app: AppName,
    /// Its stage, and who says so.
    pub stage: Sourced<StageName>,
    /// The topic's id.
    pub topic: TopicName,
    /// Where it is.
    pub site: Site,
    /// The SNS topic's name.
    pub name: String,
    /// The SNS topic's ARN.
    pub arn: String,
    /// Whether it has to be FIFO, as the other app's contract says.
    pub ordered: bool,
    /// This app's subscribers, sorted by name.
    pub subscribers: Vec<DesiredSubscriber>,
}

impl DesiredExternal {
    /// What the topic is called beside this app's own ones.
    pub fn address(&self) -> String {
        format!("{}:{}", self.app, self.topic)
    }
}

/// The topic that leads to a subscriber.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source<'a> {
    /// This app's own.
    Own(&'a DesiredTopic),
    /// Another app's.
    External(&'a DesiredExternal),
}

impl Source<'_> {
    /// What it is called: `topic` or `app:topic`.
    pub fn address(self) -> String {
        match self {
            Self::Own(topic) => topic.topic.to_string(),
            Self::External(other) => other.address(),
        }
    }

    /// The SNS topic's ARN.
    pub fn arn(&self) -> &str {
        match self {
            Self::Own(topic) => &topic.arn,
            Self::External(other) => &other.arn,
        }
    }
}

/// An SNS topic, and what hangs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredTopic {
    /// The topic's id.
    pub topic: TopicName,
    /// The SNS topic's name.
    pub name: String,
    /// The SNS topic's ARN.
    pub arn: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Tags,
    /// What keeps its messages for replays.
    pub archive: Option<DesiredArchive>,
    /// Its subscribers, sorted by name.
    pub subscribers: Vec<DesiredSubscriber>,
}

/// A subscriber's two queues and its subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredSubscriber {
    /// The subscriber's name.
    pub subscriber: SubscriberName,
    /// Its queue.
    pub queue: DesiredQueue,
    /// Its dead letters.
    pub dead_letters: DesiredQueue,
    /// The attributes of the subscription that leads from the topic to the queue.
    pub subscription: Attributes,
}

/// An SQS queue.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredQueue {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Tags,
}

impl Desired {
    /// What this topology needs. With a KMS key, topics and queues are encrypted by it; else queues are by SQS's own.
    pub fn of(topology: &Topology, site: &Site, kms_key: Option<&str>) -> Self {
        let place = Place { topology, site, kms_key };
        Self {
            app: topology.app.clone(),
            stage: topology.stage.clone(),
            site: site.clone(),
            topics: topology.topics.iter().map(|topic| place.topic(topic)).collect(),
            external: topology.external.iter().map(|other| place.external(other)).collect(),
        }
    }

    /// The same with topics that these other accounts may subscribe queues to.
    #[must_use]
    pub fn open_to(mut self, accounts: &[String]) -> Self {
        for topic in &mut self.topics {
            topic.attributes.insert("Policy", Value::Json(topic_policy(&topic.arn, accounts)));
        }
        self
    }

    /// Every subscriber with the topic that leads to it.
    pub fn subscribers(&self) -> impl Iterator<Item = (Source<'_>, &DesiredSubscriber)> {
        let own = self.topics.iter().map(|topic| (Source::Own(topic), &topic.subscribers));
        let external = self.external.iter().map(|other| (Source::External(other), &other.subscribers));
        own.chain(external)
            .flat_map(|(source, subscribers)| subscribers.iter().map(move |subscriber| (source, subscriber)))
    }

    /// Every archive with its topic.
    pub fn archives(&self) -> impl Iterator<Item = (Source<'_>, &DesiredArchive)> {
        let all = self.topics.iter().map(|topic| (Source::Own(topic), &topic.archive));
        all.filter_map(|(source, archive)| Some((source, archive.as_ref()?)))
    }

    /// Every subscriber, to note something.
    pub fn subscribers_mut(&mut self) -> impl Iterator<Item = &mut DesiredSubscriber> {
        let own = self.topics.iter_mut().flat_map(|topic| &mut topic.subscribers);
        own.chain(self.external.iter_mut().flat_map(|other| &mut other.subscribers))
    }
}

impl DesiredSubscriber {
    /// Notes the fingerprint of its code.
    pub fn set_code(&mut self, code: &str) {
        self.queue.tags.insert(TAG_CODE.to_owned(), code.to_owned());
    }
}

/// What all resources of a stage share.
struct Place<'a> {
    topology: &'a Topology,
    site: &'a Site,
    kms_key: Option<&'a str>,
}

impl Place<'_> {
    fn topic(&self, topic: &PlacedTopic) -> DesiredTopic {
        let arn = self.site.topic_arn(&topic.physical);
        let mut attributes = Attributes::from([
            ("Policy", Value::Json(topic_policy(&arn, &[]))),
            ("KmsMasterKeyId", Value::text(self.kms_key.unwrap_or_default())),
            // What SNS takes anyway is what it is told where the app's own limit is lower: a limit that is lifted later has nothing to wait for.
            ("MaximumMessageSize", Value::text(&topic.max_message.max(DEFAULT_MAX_MESSAGE).bytes())),
        ]);
        if topic.ordered {
            attributes.extend([
                ("FifoTopic", Value::text(&true)),
                ("ContentBasedDeduplication", Value::text(&false)),
                ("FifoThroughputScope", Value::text("MessageGroup")),
            ]);
        }
        DesiredTopic {
            topic: topic.name.clone(),
            name: topic.physical.clone(),
            tags: self.tags(&topic.name, None),
            archive: topic.archive.as_ref().map(|archive| self.archive(topic, &arn, archive)),
            subscribers: topic
                .subscribers
                .iter()
                .map(|subscriber| {
                    let tags = self.tags(&topic.name, Some(&subscriber.name));
                    self.subscriber(topic, &arn, subscriber, &tags)
                })
                .collect(),
            attributes,
            arn,
        }
    }

    fn archive(&self, topic: &PlacedTopic, topic_arn: &str, archive: &PlacedArchive) -> DesiredArchive {
        let arn = self.site.queue_arn(&archive.queue);
        let attributes = self.queue(&arn, topic_arn, false);
        let queue =
            DesiredQueue { name: archive.queue.clone(), arn, attributes, tags: self.tags(&topic.name, None) };
        DesiredArchive::of(queue, subscription(None, None), archive.retention)
    }

    fn external(&self, other: &PlacedExternal) -> DesiredExternal {
        let PlacedExternal { app, at, topic } = other;
        let site = Site {
            region: at.region.clone().unwrap_or_else(|| self.site.region.clone()),
            account: at.account.clone().unwrap_or_else(|| self.site.account.clone()),
        };
        let arn = site.topic_arn(&topic.physical);
        let subscribers = topic.subscribers.iter().map(|subscriber| {
            let mut tags = self.tags(&topic.name, Some(&subscriber.name));
            tags.insert(TAG_EXTERNAL.to_owned(), app.to_string());
            let mut subscriber = self.subscriber(topic, &arn, subscriber, &tags);
            if site.region != self.site.region {
                // SNS takes no dead letters in another region than the topic's.
                subscriber.subscription.remove("RedrivePolicy");
            }
            subscriber
        });
        DesiredExternal {
            app: app.clone(),
            stage: at.stage.clone(),
            topic: topic.name.clone(),
            name: topic.physical.clone(),
            ordered: topic.ordered,
            subscribers: subscribers.collect(),
            site,
            arn,
        }
    }

    fn subscriber(
        &self,
        topic: &PlacedTopic,
        topic_arn: &str,
        subscriber: &PlacedSubscriber,
        tags: &Tags,
    ) -> DesiredSubscriber {
        let make = |name: &str| DesiredQueue {
            name: name.to_owned(),
            arn: self.site.queue_arn(name),
            attributes: self.queue(&self.site.queue_arn(name), topic_arn, topic.ordered),
            tags: tags.clone(),
        };
        let (mut queue, mut dead_letters) = (make(&subscriber.queue), make(&subscriber.dead_letters));
        let redrive =
            json!({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": subscriber.max_receives});
        queue.attributes.insert("RedrivePolicy", Value::Json(redrive));
        let allow = json!({"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]});
        dead_letters.attributes.insert("RedriveAllowPolicy", Value::Json(allow));
        DesiredSubscriber {
            subscriber: subscriber.name.clone(),
            subscription: subscription(Some(&dead_letters.arn), subscriber.filter.as_ref()),
            queue,
            dead_letters,
        }
    }

    /// What all queues have in common.
    fn queue(&self, arn: &str, topic_arn: &str, ordered: bool) -> Attributes {
        let mut attributes = Attributes::from([
            ("Policy", Value::Json(queue_policy(arn, topic_arn))),
            ("MessageRetentionPeriod", Value::text(&RETENTION)),
            ("VisibilityTimeout", Value::text(&VISIBILITY)),
            ("ReceiveMessageWaitTimeSeconds", Value::text(&WAIT)),
            ("MaximumMessageSize", Value::text(&MAX_MESSAGE)),
            ("DelaySeconds", Value::text(&0)),
            ("SqsManagedSseEnabled", Value::text(&self.kms_key.is_none())),
            ("KmsMasterKeyId", Value::text(self.kms_key.unwrap_or_default())),
        ]);
        if ordered {
            attributes.extend([
                ("FifoQueue", Value::text(&true)),
                ("ContentBasedDeduplication", Value::text(&false)),
                ("DeduplicationScope", Value::text("messageGroup")),
                ("FifoThroughputLimit", Value::text("perMessageGroupId")),
            ]);
        }
        attributes
    }

    fn tags(&self, topic: &TopicName, subscriber: Option<&SubscriberName>) -> Tags {
        let mut tags = BTreeMap::from([
            (TAG_APP.to_owned(), self.topology.app.to_string()),
            (TAG_STAGE.to_owned(), self.topology.stage.to_string()),
            (TAG_TOPIC.to_owned(), topic.to_string()),
        ]);
        tags.extend(subscriber.map(|subscriber| (TAG_SUBSCRIBER.to_owned(), subscriber.to_string())));
        tags
    }
}

fn subscription(dead_letters: Option<&str>, filter: Option<&Filter>) -> Attributes {
    let (scope, policy) = match filter {
        Some(Filter { scope, policy }) => {
            let scope = match scope {
                Scope::Attributes => "MessageAttributes",
                Scope::Body => "MessageBody",
            };
            (scope, Value::Json(policy.clone().into()))
        }
        None => ("MessageAttributes", Value::text("")),
    };
    let mut attributes = Attributes::from([
        ("RawMessageDelivery", Value::text(&true)),
        ("FilterPolicyScope", Value::text(scope)),
        ("FilterPolicy", policy),
    ]);
    if let Some(arn) = dead_letters {
        attributes.insert("RedrivePolicy", Value::Json(json!({"deadLetterTargetArn": arn})));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use less_model::quantity::Size;

    use super::*;

    fn topology(ordered: bool, filter: Option<Filter>) -> Topology {
        let end = if ordered { ".fifo" } else { "" };
        let subscriber = PlacedSubscriber {
            name: "mail".parse().unwrap(),
            queue: format!("shop-prod-order-mail{end}"),
            dead_letters: format!("shop-prod-order-mail-dlq{end}"),
            max_receives: 130,
            filter,
        };
        let topic = PlacedTopic {
            name: "order".parse().unwrap(),
            physical: format!("shop-prod-order{end}"),
            ordered,
            max_message: Size::from_bytes(1024),
            archive: None,
            subscribers: vec![subscriber],
        };
        Topology {
            app: "shop".parse().unwrap(),
            stage: "prod".parse().unwrap(),
            topics: vec![topic],
            external: Vec::new(),
        }
    }

    fn site() -> Site {
        Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() }
    }

    fn wire(attributes: &Attributes) -> BTreeMap<&str, String> {
        attributes.iter().map(|(name, value)| (*name, value.wire())).collect()
    }

    #[test]
    fn a_topic_with_a_subscriber_needs_a_topic_two_queues_and_a_subscription() {
        let desired = Desired::of(&topology(false, None), &site(), None);
        let topic = &desired.topics[0];
        assert_eq!(topic.arn, "arn:aws:sns:eu-west-1:111122223333:shop-prod-order");
        assert_eq!(
            wire(&topic.attributes),
            BTreeMap::from([
                ("KmsMasterKeyId", String::new()),
                ("MaximumMessageSize", "262144".to_owned()),
                ("Policy", topic_policy(&topic.arn, &[]).to_string()),
            ])
        );
        assert_eq!(
            json!(topic.tags),
            json!({"less:app": "shop", "less:stage": "prod", "less:topic": "order"})
        );
        let subscriber = &topic.subscribers[0];
        let tags = json!({"less:app": "shop", "less:stage": "prod", "less:topic": "order", "less:subscriber": "mail"});
        assert_eq!(json!(subscriber.queue.tags), tags);
        assert_eq!(json!(subscriber.dead_letters.tags), tags);
        let dead_letters = "arn:aws:sqs:eu-west-1:111122223333:shop-prod-order-mail-dlq";
        let both = |queue: &DesiredQueue| {
            BTreeMap::from([
                ("DelaySeconds", "0".to_owned()),
                ("KmsMasterKeyId", String::new()),
                ("MaximumMessageSize", "1048576".to_owned()),
                ("MessageRetentionPeriod", "1209600".to_owned()),
                ("Policy", queue_policy(&queue.arn, &topic.arn).to_string()),
                ("ReceiveMessageWaitTimeSeconds", "20".to_owned()),
                ("SqsManagedSseEnabled", "true".to_owned()),
                ("VisibilityTimeout", "60".to_owned()),
            ])
        };
        let mut queue = both(&subscriber.queue);
        let redrive = format!(r#"{{"deadLetterTargetArn":"{dead_letters}","maxReceiveCount":130}}"#);
        queue.insert("RedrivePolicy", redrive);
        assert_eq!(wire(&subscriber.queue.attributes), queue);
        let mut letters = both(&subscriber.dead_letters);
        let allow = r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:eu-west-1:111122223333:shop-prod-order-mail"]}"#;
        letters.insert("RedriveAllowPolicy", allow.to_owned());
        assert_eq!(wire(&subscriber.dead_letters.attributes), letters);
        assert_eq!(
            wire(&subscriber.subscription),
            BTreeMap::from([
                ("FilterPolicy", String::new()),
                ("FilterPolicyScope", "MessageAttributes".to_owned()),
                ("RawMessageDelivery", "true".to_owned()),
                ("RedrivePolicy", format!(r#"{{"deadLetterTargetArn":"{dead_letters}"}}"#)),
            ])
        );
    }

    #[test]
    fn an_ordered_topic_is_fifo_from_end_to_end() {
        let desired = Desired::of(&topology(true, None), &site(), None);
        let topic = &desired.topics[0];
        let fifo = |attributes: &Attributes, names: &[&str]| -> Vec<String> {
            names.iter().map(|name| attributes[name].wire()).collect()
        };
        let names = ["FifoTopic", "ContentBasedDeduplication", "FifoThroughputScope"];
        assert_eq!(fifo(&topic.attributes, &names), ["true", "false", "MessageGroup"]);
        let names = ["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"];
        for queue in [&topic.subscribers[0].queue, &topic.subscribers[0].dead_letters] {
            assert_eq!(
                fifo(&queue.attributes, &names),
                ["true", "false", "messageGroup", "perMessageGroupId"]
            );
            assert_eq!(queue.arn.rsplit_once('.').unwrap().1, "fifo");
        }
    }

    #[test]
    fn another_app_s_topic_needs_a_queue_here_and_nothing_there_but_a_subscription() {
        let mut topology = topology(false, None);
        let mut topic = topology.topics.remove(0);
        topic.physical = "users-live-order".to_owned();
        let stage = Sourced { value: "live".parse().unwrap(), source: less_model::config::Source::File };
        let at = |region: Option<&str>| less_model::elsewhere::Elsewhere {
            stage: stage.clone(),
            account: Some("444455556666".to_owned()),
            region: region.map(str::to_owned),
        };
        let app: AppName = "users".parse().unwrap();
        topology.external = vec![
            PlacedExternal { app: app.clone(), at: at(None), topic: topic.clone() },
            PlacedExternal { app, at: at(Some("us-east-1")), topic },
        ];
        let desired = Desired::of(&topology, &site(), None);
        assert!(desired.topics.is_empty());
        let [near, far] = &desired.external[..] else { panic!("two") };
        assert_eq!(near.address(), "users:order");
        assert_eq!(near.arn, "arn:aws:sns:eu-west-1:444455556666:users-live-order");
        assert_eq!(far.arn, "arn:aws:sns:us-east-1:444455556666:users-live-order");
        let queue = &near.subscribers[0].queue;
        assert_eq!(queue.arn, "arn:aws:sqs:eu-west-1:111122223333:shop-prod-order-mail");
        assert_eq!(queue.tags[TAG_EXTERNAL], "users");
        assert_eq!(queue.attributes["Policy"].wire(), queue_policy(&queue.arn, &near.arn).to_string());
        assert!(near.subscribers[0].subscription.contains_key("RedrivePolicy"));
        assert!(!far.subscribers[0].subscription.contains_key("RedrivePolicy"));
    }

    #[test]
    fn a_kms_key_takes_the_place_of_sqs_s_own() {
        let desired = Desired::of(&topology(false, None), &site(), Some("alias/shop"));
        let topic = &desired.topics[0];
        assert_eq!(topic.attributes["KmsMasterKeyId"].wire(), "alias/shop");
        for queue in [&topic.subscribers[0].queue, &topic.subscribers[0].dead_letters] {
            assert_eq!(queue.attributes["KmsMasterKeyId"].wire(), "alias/shop");
            assert_eq!(queue.attributes["SqsManagedSseEnabled"].wire(), "false");
        }
    }

    #[test]
    fn a_filter_goes_to_sns_as_it_is() {
        let policy = json!({"kind": ["a", {"prefix": "b"}]}).as_object().unwrap().clone();
        let filter = Filter { scope: Scope::Body, policy };
        let desired = Desired::of(&topology(false, Some(filter)), &site(), None);
        let subscription = &desired.topics[0].subscribers[0].subscription;
        assert_eq!(subscription["FilterPolicyScope"].wire(), "MessageBody");
        assert_eq!(subscription["FilterPolicy"].wire(), r#"{"kind":["a",{"prefix":"b"}]}"#);
    }
}
