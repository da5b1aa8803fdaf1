//! What an app no longer has, and AWS still does.

use std::collections::{BTreeMap, BTreeSet};

use less_model::topology::is_archive;
use less_runtime::transport::aws::Site;
use less_runtime::transport::aws::provision::{
    Backlog, Desired, Observed, ObservedQueue, TAG_ARCHIVE, TAG_CODE, TAG_EXTERNAL, TAG_SUBSCRIBER, TAG_TAIL,
    TAG_TOPIC, Tags, is_ours,
};
use serde::Serialize;

/// Topics and subscribers without a folder, and archives that nothing asks for any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Orphans {
    /// Subscribers, by topic and name.
    pub subscribers: Vec<OrphanSubscriber>,
    /// Archives, by name.
    pub archives: Vec<OrphanArchive>,
    /// Topics, by name.
    pub topics: Vec<OrphanTopic>,
}

/// A subscriber without a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanSubscriber {
    /// Its topic; `app:topic` of another app's.
    pub topic: String,
    /// Its name.
    pub subscriber: String,
    /// ARNs of the subscriptions that lead to its queue.
    pub subscriptions: Vec<String>,
    /// Its queue, where that is left.
    pub queue: Option<OrphanQueue>,
    /// Its dead letters, where they are left.
    pub dead_letters: Option<OrphanQueue>,
    /// The fingerprint of its code.
    #[serde(skip)]
    pub code: Option<String>,
    /// Whether it is no subscriber, but a `less tail` that runs or was killed: its queue holds copies to look at, and nothing waits in it.
    #[serde(skip)]
    pub tail: bool,
}

/// A queue of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanQueue {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// What it holds.
    pub backlog: Backlog,
}

/// An archive of a topic without a folder, or in a stage that has none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanArchive {
    /// Its topic.
    pub topic: String,
    /// ARNs of the subscriptions that lead to it.
    pub subscriptions: Vec<String>,
    /// Its queue. What it holds are copies: nobody waits for them.
    pub queue: OrphanQueue,
}

/// A topic without a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrphanTopic {
    /// Its id.
    pub topic: String,
    /// The SNS topic's name.
    pub name: String,
    /// What others have subscribed to it.
    pub others: Vec<String>,
}

impl OrphanSubscriber {
    /// `topic/subscriber`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.topic, self.subscriber)
    }

    /// How many messages wait for it.
    pub fn waiting(&self) -> u64 {
        self.queue.as_ref().filter(|_| !self.tail).map_or(0, |queue| queue.backlog.total())
    }

    /// How many dead letters it has.
    pub fn dead(&self) -> u64 {
        self.dead_letters.as_ref().map_or(0, |queue| queue.backlog.total())
    }
}

impl Orphans {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.subscribers.len() + self.archives.len() + self.topics.len()
    }

    /// How many messages archives keep: copies of what subscribers got.
    pub fn archived(&self) -> u64 {
        self.archives.iter().map(|archive| archive.queue.backlog.total()).sum()
    }

    /// How many messages and dead letters subscribers have.
    pub fn messages(&self) -> u64 {
        self.subscribers.iter().map(|subscriber| subscriber.waiting() + subscriber.dead()).sum()
    }
}

/// Whatever is there, ours, and not needed. Queues that `less tail` looks through are not: they go by themselves.
pub fn find(desired: &Desired, observed: &Observed) -> Orphans {
    let mut observed = observed.clone();
    observed.queues.retain(|_, queue| !queue.tags.contains_key(TAG_TAIL));
    beside(desired, &observed)
}

fn beside(desired: &Desired, observed: &Observed) -> Orphans {
    let needed = desired
        .subscribers()
        .flat_map(|(_, subscriber)| [&*subscriber.queue.name, &*subscriber.dead_letters.name]);
    let archives = desired.archives().map(|(_, archive)| &*archive.queue.name);
    let topics = desired.topics.iter().map(|topic| &*topic.name);
    let needed: BTreeSet<&str> = needed.chain(archives).chain(topics).collect();
    let mut archives = Vec::new();
    let mut subscribers: BTreeMap<(String, String), OrphanSubscriber> = BTreeMap::new();
    for (name, queue) in observed.queues.iter().filter(|(name, _)| !needed.contains(&***name)) {
        if queue.tags.contains_key(TAG_ARCHIVE) || is_archive(name) {
            archives.push(OrphanArchive {
                topic: tag(&queue.tags, TAG_TOPIC, name),
                subscriptions: leading_to(&desired.site, observed, name),
                queue: orphan_queue(name, queue),
            });
            continue;
        }
        let key = (address(&queue.tags, name), tag(&queue.tags, TAG_SUBSCRIBER, name));
        let found = subscribers.entry(key.clone()).or_insert_with(|| OrphanSubscriber {
            topic: key.0,
            subscriber: key.1,
            subscriptions: Vec::new(),
            queue: None,
            dead_letters: None,
            code: None,
            tail: queue.tags.contains_key(TAG_TAIL),
        });
        let place = if is_dead_letters(name) { &mut found.dead_letters } else { &mut found.queue };
        *place = Some(orphan_queue(name, queue));
        if let Some(code) = queue.tags.get(TAG_CODE) {
            found.code = Some(code.clone());
        }
        found.subscriptions.extend(leading_to(&desired.site, observed, name));
    }
    let ours = |endpoint: &str| {
        let name = endpoint.rsplit(':').next().unwrap_or_default();
        desired.site.queue_arn(name) == endpoint
            && (observed.queues.contains_key(name) || needed.contains(name))
    };
    let topics = observed.topics.iter().filter(|(name, _)| !needed.contains(&***name));
    let topics = topics.map(|(name, topic)| OrphanTopic {
        topic: tag(&topic.tags, TAG_TOPIC, name),
        name: name.clone(),
        others: topic
            .subscriptions
            .iter()
            .filter(|found| !ours(&found.endpoint))
            .map(|found| found.endpoint.clone())
            .collect(),
    });
    Orphans { topics: topics.collect(), archives, subscribers: subscribers.into_values().collect() }
}

/// Everything of the app and the stage, needed or not.
pub fn everything(desired: &Desired, observed: &Observed) -> Orphans {
    let ours = |tags: &Tags| is_ours(&desired.app, &desired.stage, tags);
    let mut observed = observed.clone();
    // Somebody else's may bear a name that we need.
    observed.topics.retain(|_, topic| ours(&topic.tags));
    observed.queues.retain(|_, queue| ours(&queue.tags));
    beside(&Desired { topics: Vec::new(), external: Vec::new(), ..desired.clone() }, &observed)
}

fn orphan_queue(name: &str, queue: &ObservedQueue) -> OrphanQueue {
    OrphanQueue { name: name.to_owned(), url: queue.url.clone(), backlog: queue.backlog() }
}

/// The topic that leads to a queue.
fn address(tags: &Tags, name: &str) -> String {
    let topic = tag(tags, TAG_TOPIC, name);
    match tags.get(TAG_EXTERNAL) {
        Some(app) => format!("{app}:{topic}"),
        None => topic,
    }
}

/// Without the tag, which somebody took away, the physical name has to do.
fn tag(tags: &Tags, key: &str, name: &str) -> String {
    tags.get(key).cloned().unwrap_or_else(|| name.to_owned())
}

/// Names of subscribers hold no `-`, so that only dead letters end so.
fn is_dead_letters(name: &str) -> bool {
    name.strip_suffix(".fifo").unwrap_or(name).ends_with("-dlq")
}

fn leading_to(site: &Site, observed: &Observed, queue: &str) -> Vec<String> {
    let arn = site.queue_arn(queue);
    let own = observed.topics.values().flat_map(|topic| &topic.subscriptions);
    let all = own.chain(observed.external.values().flat_map(|other| &other.subscriptions));
    all.filter(|found| found.endpoint == arn).map(|found| found.arn.clone()).collect()
}
