//! Physical names: what an app's topics and queues are called where a stage has them apart from other apps and stages.
//!
//! Nothing else derives such names, and they are a function of the app, the stage and the folders' names alone: no record can go stale.

use crate::filter::Filter;
use crate::manifest::{Manifest, Topic};
use crate::name::{AppName, StageName, SubscriberName, TopicName};
use crate::quantity::Size;

/// Longest name of an SQS queue, in characters. Names of topics keep to it too.
pub const MAX_NAME: usize = 80;
/// Most receives that a queue's redrive policy can ask for (SQS: 1 to 1,000).
const MOST_RECEIVES: u32 = 1_000;
const FIFO: &str = ".fifo";
const DEAD_LETTERS: &str = "-dlq";

/// An app's topics and queues in one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// The app.
    pub app: AppName,
    /// The stage.
    pub stage: StageName,
    /// Its topics, sorted by name.
    pub topics: Vec<PlacedTopic>,
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
    /// Its subscribers, sorted by name.
    pub subscribers: Vec<PlacedSubscriber>,
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedSubscriber {
    /// Its name.
    pub name: SubscriberName,
    /// The SQS queue's name: `<app>-<stage>-<topic>-<subscriber>`.
    pub queue: String,
    /// The queue of its dead letters: `<app>-<stage>-<topic>-<subscriber>-dlq`.
    pub dead_letters: String,
    /// After how many receives SQS itself makes a message a dead letter: more than the subscriber's own attempts, which decide. Handing a message
    /// back and holding it until it is due are receives as well.
    pub max_receives: u32,
    /// Which messages it gets.
    pub filter: Option<Filter>,
}

impl Topology {
    /// The topology of an app in a stage.
    pub fn of(manifest: &Manifest, stage: &StageName) -> Self {
        let prefix = format!("{}-{stage}", manifest.app);
        Self {
            app: manifest.app.clone(),
            stage: stage.clone(),
            topics: manifest.topics.iter().map(|topic| place(&prefix, topic)).collect(),
        }
    }
}

fn place(prefix: &str, topic: &Topic) -> PlacedTopic {
    let end = if topic.ordered { FIFO } else { "" };
    let subscribers = topic.subscribers.iter().map(|subscriber| {
        let base = format!("{prefix}-{}-{}", topic.name, subscriber.name);
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
        physical: fit(&format!("{prefix}-{}", topic.name), end),
        ordered: topic.ordered,
        max_message: topic.max_message,
        subscribers: subscribers.collect(),
    }
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
