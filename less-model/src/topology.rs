//! Physical names: what an app's topics and queues are called where a stage has them apart from other apps and stages.
//!
//! Nothing else derives such names, and they are a function of the app, the stage and the folders' names alone: no record can go stale.

use crate::elsewhere::{Elsewhere, ElsewhereError};
use crate::filter::Filter;
use crate::manifest::{Manifest, Topic};
use crate::name::{AppName, StageName, SubscriberName, TopicName};
use crate::quantity::{Size, Span};

/// Longest name of an SQS queue, in characters. Names of topics keep to it too.
pub const MAX_NAME: usize = 80;
/// Most receives that a queue's redrive policy can ask for (SQS: 1 to 1,000).
const MOST_RECEIVES: u32 = 1_000;
const FIFO: &str = ".fifo";
const DEAD_LETTERS: &str = "-dlq";
/// Names of subscribers begin with a letter, so that no subscriber's queue ends so.
const ARCHIVE: &str = "-_archive";

/// An app's topics and queues in one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// The app.
    pub app: AppName,
    /// The stage.
    pub stage: StageName,
    /// Its topics, sorted by name.
    pub topics: Vec<PlacedTopic>,
    /// Other apps' topics that it subscribes to, sorted by app and name.
    pub external: Vec<PlacedExternal>,
}

/// Another app's topic, with this app's subscribers.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedExternal {
    /// The other app.
    pub app: AppName,
    /// Where it is.
    pub at: Elsewhere,
    /// The topic: what it is called is the other app's, what its subscribers' queues are called is this app's.
    pub topic: PlacedTopic,
}

impl PlacedExternal {
    /// What the topic is called beside this app's own ones: `app:topic`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.app, self.topic.name)
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedTopic {
    /// Its id.
    pub name: TopicName,
    /// The SNS topic's name: `<app>-<stage>-<topic>`, with `.fifo` where it is ordered.
    pub physical: String,
    /// Whether it is FIFO.
    pub ordered: bool,
    /// Largest message with its attributes.
    pub max_message: Size,
    /// Where its messages are kept for replays, if the stage says so; never of another app's topic.
    pub archive: Option<PlacedArchive>,
    /// Its subscribers, sorted by name.
    pub subscribers: Vec<PlacedSubscriber>,
}

/// A queue that gets every message of a topic, and that nobody consumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedArchive {
    /// The SQS queue's name: `<app>-<stage>-<topic>-_archive`. It is no FIFO queue, even where the topic is ordered: of such a one SQS shows no further
    /// message of a group while one is hidden, so that it could not be read whole.
    pub queue: String,
    /// How long a message is kept: the topic's `retention`.
    pub retention: Span,
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedSubscriber {
    /// Its name.
    pub name: SubscriberName,
    /// The SQS queue's name: `<app>-<stage>-<topic>-<subscriber>`, and `<app>-<stage>-<other app>-<topic>-<subscriber>` of another app's topic.
    pub queue: String,
    /// The queue of its dead letters: the same with `-dlq`.
    pub dead_letters: String,
    /// After how many receives SQS itself makes a message a dead letter: more than the subscriber's own attempts, which decide. Handing a message
    /// back and holding it until it is due are receives as well.
    pub max_receives: u32,
    /// Which messages it gets.
    pub filter: Option<Filter>,
}

impl Topology {
    /// The topology of an app in a stage, with other apps where `less.toml` says that they are. That says nothing about the names of this app's own
    /// topics and queues.
    pub fn of(manifest: &Manifest, stage: &StageName) -> Self {
        Self::seen(manifest, stage, |app| Elsewhere::of(&manifest.settings, stage, app))
    }

    /// The same with other apps where the environment says that they are; all problems are returned.
    pub fn resolve(
        manifest: &Manifest,
        stage: &StageName,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<ElsewhereError>> {
        let mut errors = Vec::new();
        let topology = Self::seen(manifest, stage, |app| {
            Elsewhere::resolve(&manifest.settings, stage, app, &env).unwrap_or_else(|error| {
                errors.push(error);
                Elsewhere::of(&manifest.settings, stage, app)
            })
        });
        if errors.is_empty() { Ok(topology) } else { Err(errors) }
    }

    fn seen(manifest: &Manifest, stage: &StageName, mut at: impl FnMut(&AppName) -> Elsewhere) -> Self {
        let prefix = format!("{}-{stage}", manifest.app);
        let mut external = Vec::new();
        for other in &manifest.external {
            let at = at(&other.app);
            let queues = format!("{prefix}-{}", other.app);
            let topics = format!("{}-{}", other.app, at.stage.value);
            external.extend(other.topics.iter().map(|topic| PlacedExternal {
                app: other.app.clone(),
                at: at.clone(),
                topic: place(&topics, &queues, topic),
            }));
        }
        let keeps = manifest.settings.stages.get(stage).is_some_and(|layer| layer.aws.archive);
        let topics = manifest.topics.iter().map(|topic| {
            let archive = keeps.then(|| archive(&prefix, topic));
            PlacedTopic { archive, ..place(&prefix, &prefix, topic) }
        });
        Self { app: manifest.app.clone(), stage: stage.clone(), topics: topics.collect(), external }
    }

    /// Every subscriber, in the order of a layout's subscriptions: the address of its topic, the topic and itself.
    pub fn subscribers(&self) -> impl Iterator<Item = (String, &PlacedTopic, &PlacedSubscriber)> {
        let own = self.topics.iter().map(|topic| (topic.name.to_string(), topic));
        let external = self.external.iter().map(|other| (other.address(), &other.topic));
        own.chain(external).flat_map(|(address, topic)| {
            topic.subscribers.iter().map(move |subscriber| (address.clone(), topic, subscriber))
        })
    }
}

/// A topic called `<topics>-<topic>`, whose subscribers' queues are called `<queues>-<topic>-<subscriber>`.
fn place(topics: &str, queues: &str, topic: &Topic) -> PlacedTopic {
    let end = if topic.ordered { FIFO } else { "" };
    let subscribers = topic.subscribers.iter().map(|subscriber| {
        let base = format!("{queues}-{}-{}", topic.name, subscriber.name);
        PlacedSubscriber {
            name: subscriber.name.clone(),
            queue: fit(&base, end),
            dead_letters: fit(&base, &format!("{DEAD_LETTERS}{end}")),
            max_receives: max_receives(subscriber.policy.max_attempts),
            filter: subscriber.filter.clone(),
        }
    });
    PlacedTopic {
        name: topic.name.clone(),
        physical: fit(&format!("{topics}-{}", topic.name), end),
        ordered: topic.ordered,
        max_message: topic.max_message,
        archive: None,
        subscribers: subscribers.collect(),
    }
}

fn archive(topics: &str, topic: &Topic) -> PlacedArchive {
    PlacedArchive { queue: fit(&format!("{topics}-{}", topic.name), ARCHIVE), retention: topic.retention }
}

/// Whether a queue of this name is an archive.
pub fn is_archive(queue: &str) -> bool {
    queue.ends_with(ARCHIVE)
}

/// Twice the attempts and some more, so that what is handed back at every deployment does not come near.
fn max_receives(max_attempts: u32) -> u32 {
    max_attempts.saturating_mul(2).saturating_add(100).min(MOST_RECEIVES)
}

/// `base` and `end`; where that is longer than [`MAX_NAME`], `base` is cut and gets a hash of the whole of it.
fn fit(base: &str, end: &str) -> String {
    if base.len() + end.len() <= MAX_NAME {
        return format!("{base}{end}");
    }
    let hash = format!("-{:016x}", fnv1a(base));
    // Names are ASCII.
    format!("{}{hash}{end}", &base[..MAX_NAME - hash.len() - end.len()])
}

/// FNV-1a with 64 bits: short, and the same for ever, which std's hasher does not promise.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_app_stage_topic_and_subscriber() {
        assert_eq!(fit("shop-prod-order_placed", ""), "shop-prod-order_placed");
        assert_eq!(fit("shop-prod-order_placed-mail", "-dlq.fifo"), "shop-prod-order_placed-mail-dlq.fifo");
    }

    #[test]
    fn a_queue_of_another_app_s_topic_is_this_app_s_and_the_topic_is_the_other_s() {
        let manifest = serde_json::from_value(serde_json::json!({
            "version": crate::manifest::VERSION, "app": "friends", "topics": [],
            "settings": { "stages": { "prod": { "external": { "users": { "stage": "live" } } } } },
            "external": [{ "app": "users", "topics": [{
                "name": "created", "ordered": true,
                "retention": "7d", "max_message": "256KiB",
                "subscribers": [{ "name": "suggest", "language": "node", "file": "f", "policy": crate::manifest::Policy::default() }]
            }] }]
        }))
        .unwrap();
        let stage = "prod".parse().unwrap();
        let names = |topology: &Topology| -> Vec<String> {
            topology
                .subscribers()
                .map(|(at, topic, s)| format!("{at} {} {}", topic.physical, s.queue))
                .collect()
        };
        let queue = "friends-prod-users-created-suggest.fifo";
        let file = Topology::of(&manifest, &stage);
        assert_eq!(names(&file), [format!("users:created users-live-created.fifo {queue}")]);
        let env = |name: &str| (name == "USERS").then(|| "test".to_owned());
        let env = Topology::resolve(&manifest, &stage, env).unwrap();
        assert_eq!(names(&env), [format!("users:created users-test-created.fifo {queue}")]);
        let wrong = |_: &str| Some("?".to_owned());
        assert_eq!(Topology::resolve(&manifest, &stage, wrong).unwrap_err().len(), 1);
    }

    #[test]
    fn a_stage_that_keeps_messages_has_an_archive_for_each_of_the_app_s_own_topics() {
        let topic = |ordered: bool| serde_json::json!({ "name": "order", "ordered": ordered, "retention": "3d", "subscribers": [] });
        let placed = |ordered: bool, stage: &str| {
            let manifest = serde_json::from_value(serde_json::json!({
                "version": crate::manifest::VERSION, "app": "shop", "topics": [topic(ordered)],
                "settings": { "stages": { "prod": { "transport": "aws", "aws": { "archive": true } } } },
                "external": [{ "app": "users", "topics": [topic(ordered)] }]
            }))
            .unwrap();
            let topology = Topology::of(&manifest, &stage.parse().unwrap());
            assert_eq!(topology.external[0].topic.archive, None);
            topology.topics[0].archive.clone()
        };
        let archive = PlacedArchive {
            queue: "shop-prod-order-_archive".to_owned(),
            retention: Span::from_secs(3 * 86_400),
        };
        assert_eq!(placed(false, "prod"), Some(archive.clone()));
        assert_eq!(placed(true, "prod"), Some(archive));
        assert_eq!(placed(false, "test"), None);
        assert!(is_archive(&fit(&"x".repeat(100), ARCHIVE)) && !is_archive("shop-prod-order-archive"));
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = |last: &str| fit(&format!("shop-prod-{}{last}", "x".repeat(100)), "-dlq.fifo");
        assert_eq!(long("a").len(), MAX_NAME);
        assert_ne!(long("a"), long("b"));
        assert!(long("a").ends_with("-dlq.fifo"));
        assert_eq!(fit(&"x".repeat(80), ""), "x".repeat(80));
        assert_eq!(fit(&"x".repeat(81), ""), format!("{}-{:016x}", "x".repeat(63), fnv1a(&"x".repeat(81))));
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // From the reference vectors of FNV: a name that moved would be a topic lost.
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_queue_s_own_limit_is_above_the_subscriber_s() {
        assert_eq!((max_receives(1), max_receives(15), max_receives(1_000)), (102, 130, 1_000));
    }
}
