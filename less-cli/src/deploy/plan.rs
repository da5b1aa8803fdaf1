//! What deploying would do, as a pure function of the app and of what there is.

use std::collections::{BTreeMap, BTreeSet};

use less_model::diagnostic::{Diagnostic, Place};
use less_model::manifest::{DEFAULT_MAX_MESSAGE, Start};
use less_model::tree::{App, Subscriber};
use less_runtime::transport::aws::provision::{
    Attributes, Change, Desired, DesiredArchive, DesiredQueue, DesiredSubscriber, DesiredTopic, Kind,
    Observed, ObservedSubscription, Source, TAG_CODE, Tags, attribute_changes, is_ours, tag_changes,
};
use serde::Serialize;

use super::archive;
use super::external::{self, Allowance};
use super::orphan::{self, Orphans};

/// Most subscribers that a FIFO topic, or one with messages over 256 KiB, can have.
const FEW_SUBSCRIBERS: usize = 100;
/// Most filters of a topic.
const MOST_FILTERS: usize = 200;

/// What deploying would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What it is about.
    pub of: Desired,
    /// What is not there yet.
    pub create: Vec<Item>,
    /// What differs.
    pub change: Vec<Changed>,
    /// What is as it has to be.
    pub keep: Vec<Item>,
    /// What is not needed.
    pub orphaned: Orphans,
    /// What looks like an orphan under another name.
    pub renamed: Vec<Renamed>,
    /// Subscriptions that lead from where another app's topic was before: they end.
    pub end: Vec<Item>,
    /// What other accounts have to allow.
    pub allow: Vec<Allowance>,
    /// ARNs of other apps' topics that are not there, or that nothing here may look at yet.
    pub awaited: Vec<String>,
    /// What AWS can't do, each with the way to do it; what is awaited is among it.
    pub refused: Vec<Diagnostic>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its physical name; a subscription's is its queue's.
    pub name: String,
    /// The topic; `app:topic` of another app's.
    pub topic: String,
    /// The subscriber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriber: Option<String>,
}

/// A resource that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Which.
    #[serde(flatten)]
    pub item: Item,
    /// In what.
    pub attributes: Vec<Change>,
}

/// A folder with a new name, as its code says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Renamed {
    /// What it was called: `topic` or `topic/subscriber`.
    pub from: String,
    /// What it is called.
    pub to: String,
    /// How many messages wait under the old name.
    pub waiting: u64,
}

impl Item {
    /// `topic` or `topic/subscriber`.
    pub fn label(&self) -> String {
        match &self.subscriber {
            Some(subscriber) => format!("{}/{subscriber}", self.topic),
            None => self.topic.clone(),
        }
    }
}

impl Plan {
    /// Whether deploying would change nothing. Orphans stay as they are.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.change.is_empty() && self.end.is_empty()
    }

    /// How many things deploying would do.
    pub fn steps(&self) -> usize {
        self.create.len() + self.change.len() + self.end.len()
    }

    /// Whether nothing stands in the way but other apps' topics that are to come.
    pub fn only_awaits(&self) -> bool {
        !self.awaited.is_empty() && self.awaited.len() == self.refused.len()
    }
}

/// Compares what is needed with what there is.
pub fn plan(app: &App, desired: &Desired, observed: &Observed) -> Plan {
    let mut plan = Plan {
        of: desired.clone(),
        create: Vec::new(),
        change: Vec::new(),
        keep: Vec::new(),
        orphaned: orphan::find(desired, observed),
        renamed: Vec::new(),
        end: Vec::new(),
        allow: Vec::new(),
        awaited: Vec::new(),
        refused: limits(app, desired),
    };
    plan.refused.extend(same_names(desired));
    for (topic, source) in desired.topics.iter().zip(&app.topics) {
        plan.topic(topic, observed);
        if let Some(archive) = &topic.archive {
            plan.archive(topic, archive, observed);
            plan.refused.extend(archive::limits(source, &desired.stage));
        }
        for (subscriber, source) in topic.subscribers.iter().zip(&source.subscribers) {
            plan.subscriber(Source::Own(topic), subscriber, source, observed);
        }
    }
    let folders = app.external.iter().flat_map(|other| other.topics.iter().map(move |topic| (other, topic)));
    for (other, (folder, source)) in desired.external.iter().zip(folders) {
        let before = plan.create.len();
        for (subscriber, source) in other.subscribers.iter().zip(&source.subscribers) {
            plan.subscriber(Source::External(other), subscriber, source, observed);
        }
        let is_new = plan.create[before..].iter().any(|item| item.kind == Kind::Subscription);
        plan.allow.extend(external::allowance(desired, other, is_new));
        let awaited = external::judge(desired, other, folder, source, observed, &mut plan.refused);
        if awaited {
            plan.awaited.push(other.arn.clone());
        }
    }
    plan.refuse_other_order(app);
    plan.renamed = renamed(&plan, desired);
    plan
}

impl Plan {
    fn topic(&mut self, wanted: &DesiredTopic, observed: &Observed) {
        let item = Item {
            kind: Kind::Topic,
            name: wanted.name.clone(),
            topic: wanted.topic.to_string(),
            subscriber: None,
        };
        let found = observed.topics.get(&wanted.name).map(|found| (&found.attributes, &found.tags));
        self.compare(item, &wanted.attributes, &wanted.tags, found);
    }

    fn archive(&mut self, topic: &DesiredTopic, archive: &DesiredArchive, observed: &Observed) {
        let wanted = &archive.queue;
        let item =
            |kind| Item { kind, name: wanted.name.clone(), topic: topic.topic.to_string(), subscriber: None };
        let found = observed.queues.get(&wanted.name).map(|found| (&found.attributes, &found.tags));
        self.compare(item(Kind::Archive), &wanted.attributes, &wanted.tags, found);
        let leads_here = |found: &&ObservedSubscription| found.endpoint == wanted.arn;
        match subscriptions(Source::Own(topic), observed).iter().find(leads_here) {
            Some(found) => {
                let changes = attribute_changes(&archive.subscription, &found.attributes);
                self.sort(item(Kind::Subscription), changes);
            }
            None => self.create.push(item(Kind::Subscription)),
        }
    }

    fn subscriber(
        &mut self,
        topic: Source<'_>,
        subscriber: &DesiredSubscriber,
        source: &Subscriber,
        observed: &Observed,
    ) {
        self.queue(topic, subscriber, Kind::DeadLetters, observed);
        self.queue(topic, subscriber, Kind::Queue, observed);
        self.subscription(topic, subscriber, source, observed);
    }

    fn queue(&mut self, topic: Source<'_>, subscriber: &DesiredSubscriber, kind: Kind, observed: &Observed) {
        let wanted: &DesiredQueue =
            if kind == Kind::Queue { &subscriber.queue } else { &subscriber.dead_letters };
        let found = observed.queues.get(&wanted.name).map(|found| (&found.attributes, &found.tags));
        self.compare(item(kind, &wanted.name, topic, subscriber), &wanted.attributes, &wanted.tags, found);
    }

    fn compare(
        &mut self,
        item: Item,
        attributes: &Attributes,
        tags: &Tags,
        found: Option<(&BTreeMap<String, String>, &Tags)>,
    ) {
        let Some((found, found_tags)) = found else { return self.create.push(item) };
        if !is_ours(&self.of.app, &self.of.stage, found_tags) {
            return self.refused.push(taken(&item, found_tags, &self.of));
        }
        let mut changes = attribute_changes(attributes, found);
        changes.extend(tag_changes(tags, found_tags));
        self.sort(item, changes);
    }

    fn subscription(
        &mut self,
        topic: Source<'_>,
        subscriber: &DesiredSubscriber,
        source: &Subscriber,
        observed: &Observed,
    ) {
        let item = item(Kind::Subscription, &subscriber.queue.name, topic, subscriber);
        let leads_here = |found: &&ObservedSubscription| found.endpoint == subscriber.queue.arn;
        let ended = observed.from_elsewhere(topic.arn(), &subscriber.queue.arn).count();
        self.end.extend(std::iter::repeat_n(item.clone(), ended));
        if let Some(found) = subscriptions(topic, observed).iter().find(leads_here) {
            let changes = attribute_changes(&subscriber.subscription, &found.attributes);
            return self.sort(item, changes);
        }
        if source.policy.start != Start::Now {
            self.refused.push(archive::past(&item, topic, source, &self.of.stage));
        }
        self.create.push(item);
    }

    fn sort(&mut self, item: Item, attributes: Vec<Change>) {
        if attributes.is_empty() {
            self.keep.push(item);
        } else {
            self.change.push(Changed { item, attributes });
        }
    }

    /// A topic that is FIFO now and was not, or the other way round, has another physical name, and the old one would be an orphan whose messages nobody handles.
    fn refuse_other_order(&mut self, app: &App) {
        let (refused, orphaned) = self.orphaned.topics.drain(..).partition(|orphan| {
            self.of
                .topics
                .iter()
                .any(|topic| topic.topic.as_str() == orphan.topic && topic.name != orphan.name)
        });
        self.orphaned.topics = orphaned;
        let refused: Vec<orphan::OrphanTopic> = refused;
        for orphan in &refused {
            self.orphaned.subscribers.retain(|subscriber| subscriber.topic != orphan.topic);
            self.create.retain(|item| item.topic != orphan.topic);
            // An archive is called the same with either order.
            self.change.retain(|changed| changed.item.topic != orphan.topic);
            let Some(topic) = app.topics.iter().find(|topic| topic.name.as_str() == orphan.topic) else {
                continue;
            };
            let how = if topic.ordered {
                "is `ordered` now, and was not when it was deployed"
            } else {
                "was `ordered` when it was deployed, and is not now"
            };
            let message = format!("topic `{}` {how}: AWS can't change that in place", orphan.topic);
            let diagnostic = Diagnostic::error("fifo", message)
                .at(Place::path(&topic.folder))
                .hint(format!(
                    "give the folder a new name, such as `{0}_2`, and publish to that; once nothing waits for `{0}`, `less deploy --stage {1} --prune` removes it",
                    orphan.topic, self.of.stage
                ))
                .hint(format!(
                    "or set `ordered = {}` in {}/topic.toml again",
                    !topic.ordered, topic.folder
                ));
            self.refused.push(diagnostic);
        }
    }
}

/// What there is of a topic's subscriptions.
fn subscriptions<'a>(topic: Source<'_>, observed: &'a Observed) -> &'a [ObservedSubscription] {
    match topic {
        Source::Own(topic) => observed.topics.get(&topic.name).map(|found| &*found.subscriptions),
        Source::External(other) => observed.external.get(&other.arn).map(|found| &*found.subscriptions),
    }
    .unwrap_or_default()
}

/// Queues that would be called the same: a subscriber `dlq` of another app's topic, and dead letters of a topic that is called as that app.
fn same_names(desired: &Desired) -> Vec<Diagnostic> {
    let queues = desired.subscribers().flat_map(|(topic, subscriber)| {
        let label = format!("`{}/{}`", topic.address(), subscriber.subscriber);
        let letters = (&subscriber.dead_letters.name, format!("the dead letters of {label}"));
        [(&subscriber.queue.name, label), letters]
    });
    let mut seen = BTreeMap::new();
    let mut refused = Vec::new();
    for (name, label) in queues {
        if let Some(first) = seen.insert(name, label.clone()) {
            let message = format!("{first} and {label} would have the same queue, `{name}`");
            refused.push(Diagnostic::error("same-queue", message).hint("rename one of the two subscribers"));
        }
    }
    refused
}

fn item(kind: Kind, name: &str, topic: Source<'_>, subscriber: &DesiredSubscriber) -> Item {
    Item {
        kind,
        name: name.to_owned(),
        topic: topic.address(),
        subscriber: Some(subscriber.subscriber.to_string()),
    }
}

fn taken(item: &Item, tags: &Tags, of: &Desired) -> Diagnostic {
    let tags: Vec<String> = tags.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
    let tags = if tags.is_empty() {
        "it has no tags".to_owned()
    } else {
        format!("its tags are {}", tags.join(", "))
    };
    let message = format!(
        "{} `{}` exists already, and is not of app `{}` in stage `{}`: {tags}",
        item.kind, item.name, of.app, of.stage
    );
    Diagnostic::error("taken", message)
        .hint("rename the app, the stage or the folder, or delete what is there")
}

/// What no AWS account can have.
fn limits(app: &App, desired: &Desired) -> Vec<Diagnostic> {
    let mut refused = Vec::new();
    for (topic, wanted) in app.topics.iter().zip(&desired.topics) {
        let mut refuse = |message: String| {
            let place = Place::path(&topic.folder);
            let hint = "split it into two topics, and publish to both";
            refused.push(Diagnostic::error("too-many", message).at(place).hint(hint));
        };
        let (name, subscribers) = (&topic.name, topic.subscribers.len());
        let and = if wanted.archive.is_some() { " and an archive" } else { "" };
        let too_many = subscribers + usize::from(wanted.archive.is_some()) > FEW_SUBSCRIBERS;
        if topic.ordered && too_many {
            refuse(format!(
                "ordered topic `{name}` has {subscribers} subscribers{and}, and SNS allows {FEW_SUBSCRIBERS}"
            ));
        } else if topic.max_message > DEFAULT_MAX_MESSAGE && too_many {
            refuse(format!(
                "topic `{name}` with messages over 256 KiB has {subscribers} subscribers{and}, and SNS allows {FEW_SUBSCRIBERS}"
            ));
        }
        let filters = topic.subscribers.iter().filter(|subscriber| subscriber.filter.is_some()).count();
        if filters > MOST_FILTERS {
            refuse(format!(
                "topic `{name}` has {filters} subscribers with a filter, and SNS allows {MOST_FILTERS}"
            ));
        }
    }
    refused
}

/// What is new and has the same code as something that is orphaned: subscribers of a topic, and topics by all their subscribers.
fn renamed(plan: &Plan, desired: &Desired) -> Vec<Renamed> {
    let new: BTreeSet<&str> = plan.create.iter().map(|item| &*item.name).collect();
    let code = |subscriber: &DesiredSubscriber| subscriber.queue.tags.get(TAG_CODE).cloned();
    let mut renamed = Vec::new();
    let mut moved: BTreeMap<&str, &str> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for orphan in &plan.orphaned.topics {
        let mut codes: Vec<_> =
            plan.orphaned.subscribers.iter().filter(|subscriber| subscriber.topic == orphan.topic).collect();
        codes.sort_by(|a, b| a.subscriber.cmp(&b.subscriber));
        let waiting = codes.iter().map(|subscriber| subscriber.waiting()).sum();
        let codes: Vec<_> =
            codes.iter().map(|found| (found.subscriber.clone(), found.code.clone())).collect();
        let same = desired.topics.iter().find(|topic| {
            let wanted: Vec<_> =
                topic.subscribers.iter().map(|s| (s.subscriber.to_string(), code(s))).collect();
            new.contains(&*topic.name)
                && !taken.contains(&*topic.name)
                && !codes.is_empty()
                && codes.iter().all(|(_, code)| code.is_some())
                && wanted == codes
        });
        if let Some(same) = same {
            taken.insert(&*same.name);
            moved.insert(&orphan.topic, same.topic.as_str());
            renamed.push(Renamed { from: orphan.topic.clone(), to: same.topic.to_string(), waiting });
        }
    }
    for orphan in &plan.orphaned.subscribers {
        if orphan.code.is_none() || moved.contains_key(&*orphan.topic) {
            continue;
        }
        let same = desired.subscribers().find(|(topic, subscriber)| {
            topic.address() == orphan.topic
                && subscriber.subscriber.as_str() != orphan.subscriber
                && new.contains(&*subscriber.queue.name)
                && !taken.contains(&*subscriber.queue.name)
                && code(subscriber) == orphan.code
        });
        if let Some((topic, subscriber)) = same {
            taken.insert(&subscriber.queue.name);
            let to = format!("{}/{}", topic.address(), subscriber.subscriber);
            renamed.push(Renamed { from: orphan.label(), to, waiting: orphan.waiting() });
        }
    }
    renamed
}
