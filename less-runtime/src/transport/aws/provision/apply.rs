//! Making what is needed: dead letters first, then queues, topics and subscriptions, each with its policy from the first moment.
//!
//! Every call may be made again: what was cut off is completed by doing it once more. What exists is changed only where it differs. At the end
//! everything that was touched is read back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sns::operation::create_topic::CreateTopicError;
use aws_sdk_sns::operation::subscribe::SubscribeError;
use aws_sdk_sns::types::Tag;
use aws_sdk_sqs::operation::create_queue::CreateQueueError;
use aws_sdk_sqs::types::QueueAttributeName;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, sleep};

use super::difference::{Change, attribute_changes, tag_changes};
use super::error::failed;
use super::external::subscriptions;
use super::moved::{self, Moved};
use super::observe::{is_ours, observe, read_queue, read_topic};
use super::{
    Attributes, Desired, DesiredQueue, DesiredSubscriber, DesiredTopic, Kind, Observed, ObservedQueue,
    ObservedSubscription, ObservedTopic, PARALLEL, ProvisionError, Source, Tags,
};
use crate::transport::aws::Connection;

/// How long the name of a deleted queue stays taken is 60 seconds; this is some more.
const NAME_IS_FREE: Duration = Duration::from_secs(75);
/// Changes of a queue's attributes take up to 60 seconds to be read back; this is some more.
const READ_BACK: Duration = Duration::from_secs(75);

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// A subscription to where another app's topic was before: it was ended.
    Ended,
    /// A queue of this name was deleted less than a minute ago, and AWS makes no new one until then: it is waited for.
    Waiting,
}

/// What is tried where a queue is subscribed to a topic in another account.
pub const SUBSCRIBE_ELSEWHERE: &str = "subscribe, to a topic of another account, queue";

/// Who hears what becomes of each resource.
type Report<'a> = &'a (dyn Fn(Kind, &str, Done) + Sync);

/// Makes whatever is needed and is not there, and sets whatever differs: for who has not looked yet.
pub async fn ensure_all(connection: &Connection, desired: &Desired) -> Result<(), Vec<ProvisionError>> {
    let observed = observe(connection, desired).await?;
    apply(connection, desired, &observed, &|_, _, _| {}).await
}

/// Makes whatever is needed and was not observed, and sets whatever differs. What depends on something that failed is left out; all errors are returned.
pub async fn apply(
    connection: &Connection,
    desired: &Desired,
    observed: &Observed,
    report: Report<'_>,
) -> Result<(), Vec<ProvisionError>> {
    let moved = moved::moved(desired, observed);
    let work = Work { connection, desired, observed, moved: &moved, report };
    let mut errors = Vec::new();
    let all: Vec<_> = desired.subscribers().collect();
    let archives: Vec<_> = desired.archives().collect();

    let letters = all.iter().map(|(_, subscriber)| {
        let queue = &subscriber.dead_letters;
        async move { (&*queue.name, work.queue(Kind::DeadLetters, queue).await) }.boxed()
    });
    let letters = phase(letters.collect(), &mut errors).await;
    let queues =
        all.iter().filter(|(_, subscriber)| !letters.failed.contains(&*subscriber.dead_letters.name));
    let queues = queues.map(|(_, subscriber)| {
        let queue = &subscriber.queue;
        async move { (&*queue.name, work.queue(Kind::Queue, queue).await) }.boxed()
    });
    let kept = archives.iter().map(|(_, archive)| {
        let queue = &archive.queue;
        async move { (&*queue.name, work.queue(Kind::Archive, queue).await) }.boxed()
    });
    let queues = phase(queues.chain(kept).collect(), &mut errors).await;
    let topics = desired.topics.iter();
    let topics = topics.map(|topic| async move { (&*topic.arn, work.topic(topic).await) }.boxed());
    let topics = phase(topics.collect(), &mut errors).await;
    let ready = all.iter().filter(|(source, subscriber)| {
        let names = [&*subscriber.dead_letters.name, &subscriber.queue.name, source.arn()];
        !names.iter().any(|name| [&letters, &queues, &topics].iter().any(|phase| phase.failed.contains(name)))
    });
    let ready = ready.map(|(source, found)| (source, &found.queue, &found.subscription));
    let kept = archives.iter().filter(|(source, archive)| {
        !queues.failed.contains(&*archive.queue.name) && !topics.failed.contains(source.arn())
    });
    let kept = kept.map(|(source, archive)| (source, &archive.queue, &archive.subscription));
    let subscriptions = ready.chain(kept).map(|(source, queue, wanted)| {
        async move { (&*queue.name, work.subscription(*source, queue, wanted).await) }.boxed()
    });
    let subscriptions = phase(subscriptions.collect(), &mut errors).await;
    if errors.is_empty() {
        let ends = all.iter().map(|(source, subscriber)| {
            async move { (&*subscriber.queue.name, work.end_others(*source, subscriber).await) }.boxed()
        });
        phase(ends.collect(), &mut errors).await;
    }

    if errors.is_empty() {
        let touched = letters.touched.into_iter().chain(queues.touched).collect::<BTreeSet<_>>();
        let queues = all.iter().flat_map(|(_, subscriber)| {
            [(Kind::DeadLetters, &subscriber.dead_letters), (Kind::Queue, &subscriber.queue)]
        });
        let kept = archives.iter().map(|(_, archive)| (Kind::Archive, &archive.queue));
        let queues = queues.chain(kept).filter(|(_, queue)| touched.contains(&*queue.name));
        let queues = queues.map(|(kind, queue)| {
            async move { (&*queue.name, work.queue_reads_back(kind, queue).await) }.boxed()
        });
        phase(queues.collect(), &mut errors).await;
        let topics = desired.topics.iter().filter(|topic| {
            topics.touched.contains(&*topic.arn)
                || leading_from(topic).any(|(queue, _)| subscriptions.touched.contains(&*queue.name))
        });
        let topics =
            topics.map(|topic| async move { (&*topic.name, work.topic_reads_back(topic).await) }.boxed());
        phase(topics.collect(), &mut errors).await;
        let external = desired.external.iter().flat_map(|other| {
            other.subscribers.iter().map(move |subscriber| (Source::External(other), subscriber))
        });
        let external = external.filter(|(_, found)| subscriptions.touched.contains(&*found.queue.name));
        let external = external.map(|(source, subscriber)| {
            async move { (&*subscriber.queue.name, work.subscription_reads_back(source, subscriber).await) }
                .boxed()
        });
        phase(external.collect(), &mut errors).await;
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What a phase did, by physical name; of a subscription the queue's.
#[derive(Default)]
struct Phase<'a> {
    touched: BTreeSet<&'a str>,
    failed: BTreeSet<&'a str>,
}

/// Work on one resource: its name, and whether anything was done. Boxed, or what holds it could not be moved between threads.
type Task<'a> = BoxFuture<'a, (&'a str, Result<bool, ProvisionError>)>;

/// Runs all of them, at most [`PARALLEL`] at a time.
async fn phase<'a>(work: Vec<Task<'a>>, errors: &mut Vec<ProvisionError>) -> Phase<'a> {
    let mut phase = Phase::default();
    let mut results = stream::iter(work).buffer_unordered(PARALLEL);
    while let Some((name, result)) = results.next().await {
        match result {
            Ok(true) => drop(phase.touched.insert(name)),
            Ok(false) => {}
            Err(error) => {
                phase.failed.insert(name);
                errors.push(error);
            }
        }
    }
    phase
}

#[derive(Clone, Copy)]
struct Work<'a> {
    connection: &'a Connection,
    desired: &'a Desired,
    observed: &'a Observed,
    moved: &'a Moved<'a>,
    report: Report<'a>,
}

impl<'a> Work<'a> {
    /// Makes a queue, or sets what differs. Returns whether anything was done.
    async fn queue(self, kind: Kind, wanted: &DesiredQueue) -> Result<bool, ProvisionError> {
        if let Some(found) = self.observed.queues.get(&wanted.name) {
            return self.change_queue(kind, wanted, found).await;
        }
        let until = Instant::now() + NAME_IS_FREE;
        let mut told = false;
        loop {
            let create = self.connection.sqs.create_queue().queue_name(&wanted.name);
            let create = create.set_attributes(Some(queue_attributes(initial(&wanted.attributes))));
            let made = create.set_tags(Some(wanted.tags.clone().into_iter().collect())).send().await;
            let Err(error) = made else { break };
            match error.as_service_error() {
                Some(CreateQueueError::QueueDeletedRecently(_)) if Instant::now() < until => {
                    if !told {
                        (self.report)(kind, &wanted.name, Done::Waiting);
                        told = true;
                    }
                    sleep(Duration::from_secs(5)).await;
                }
                // Somebody was faster, or the call that made it was answered by an error: it is there, with other attributes.
                Some(CreateQueueError::QueueNameExists(_)) => {
                    let found = read_queue(self.connection, &wanted.name).await?;
                    let gone = || ProvisionError::Gone { kind, name: wanted.name.clone() };
                    return self.change_queue(kind, wanted, &found.ok_or_else(gone)?).await;
                }
                _ => return Err(failed("create queue", &wanted.name)(error)),
            }
        }
        (self.report)(kind, &wanted.name, Done::Created);
        Ok(true)
    }

    async fn change_queue(
        self,
        kind: Kind,
        wanted: &DesiredQueue,
        found: &ObservedQueue,
    ) -> Result<bool, ProvisionError> {
        self.refuse_others(kind, &wanted.name, &found.tags)?;
        let changes = attribute_changes(&moved::meanwhile(wanted, self.moved), &found.attributes);
        let tags = tag_changes(&wanted.tags, &found.tags);
        if changes.is_empty() && tags.is_empty() {
            return Ok(false);
        }
        let sqs = &self.connection.sqs;
        if !changes.is_empty() {
            let set = sqs.set_queue_attributes().queue_url(&found.url);
            let set = set.set_attributes(Some(queue_attributes(changes))).send().await;
            set.map_err(failed("change queue", &wanted.name))?;
        }
        if !tags.is_empty() {
            let tag = sqs.tag_queue().queue_url(&found.url);
            let tag = tag.set_tags(Some(wanted.tags.clone().into_iter().collect())).send().await;
            tag.map_err(failed("tag queue", &wanted.name))?;
        }
        (self.report)(kind, &wanted.name, Done::Changed);
        Ok(true)
    }

    /// Makes a topic, or sets what differs.
    async fn topic(self, wanted: &DesiredTopic) -> Result<bool, ProvisionError> {
        let sns = &self.connection.sns;
        let tags: Vec<Tag> = wanted
            .tags
            .iter()
            .filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok())
            .collect();
        let Some(found) = self.observed.topics.get(&wanted.name) else {
            let mut create = sns.create_topic().name(&wanted.name).set_tags(Some(tags));
            for change in initial(&wanted.attributes) {
                create = create.attributes(change.attribute, change.new);
            }
            if let Err(error) = create.send().await {
                // It is there, with other attributes or tags: somebody was faster, or the call that made it was answered by an error.
                let other =
                    error.as_service_error().is_some_and(CreateTopicError::is_invalid_parameter_exception);
                let found = if other { read_topic(self.connection, &wanted.name, "").await? } else { None };
                return match found {
                    Some(found) => self.change_topic(wanted, &found).await,
                    None => Err(failed("create topic", &wanted.name)(error)),
                };
            }
            (self.report)(Kind::Topic, &wanted.name, Done::Created);
            return Ok(true);
        };
        self.change_topic(wanted, found).await
    }

    async fn change_topic(
        self,
        wanted: &DesiredTopic,
        found: &ObservedTopic,
    ) -> Result<bool, ProvisionError> {
        self.refuse_others(Kind::Topic, &wanted.name, &found.tags)?;
        let changes = attribute_changes(&wanted.attributes, &found.attributes);
        let tags = tag_changes(&wanted.tags, &found.tags);
        if changes.is_empty() && tags.is_empty() {
            return Ok(false);
        }
        let sns = &self.connection.sns;
        for change in changes {
            let set = sns.set_topic_attributes().topic_arn(&wanted.arn).attribute_name(change.attribute);
            let set = set.attribute_value(change.new).send().await;
            set.map_err(failed("change topic", &wanted.name))?;
        }
        if !tags.is_empty() {
            let tags = wanted.tags.iter();
            let tags =
                tags.filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect();
            let tag = sns.tag_resource().resource_arn(&wanted.arn).set_tags(Some(tags)).send().await;
            tag.map_err(failed("tag topic", &wanted.name))?;
        }
        (self.report)(Kind::Topic, &wanted.name, Done::Changed);
        Ok(true)
    }

    /// What was seen of the subscriptions of a topic.
    fn seen(self, source: Source<'_>) -> &'a [ObservedSubscription] {
        match source {
            Source::Own(topic) => self.observed.topics.get(&topic.name).map(|found| &*found.subscriptions),
            Source::External(other) => {
                self.observed.external.get(&other.arn).map(|found| &*found.subscriptions)
            }
        }
        .unwrap_or_default()
    }

    /// What there is now of a queue's subscription to a topic.
    async fn fresh(
        self,
        source: Source<'_>,
        queue: &DesiredQueue,
    ) -> Result<Vec<ObservedSubscription>, ProvisionError> {
        match source {
            Source::Own(topic) => {
                let found = read_topic(self.connection, &topic.name, &queue.name).await?;
                Ok(found.map(|found| found.subscriptions).unwrap_or_default())
            }
            Source::External(other) => {
                subscriptions(self.connection, &other.arn, &BTreeSet::from([queue.arn.clone()])).await
            }
        }
    }

    /// Subscribes a queue to its topic, or sets what differs.
    async fn subscription(
        self,
        source: Source<'_>,
        queue: &DesiredQueue,
        wanted: &Attributes,
    ) -> Result<bool, ProvisionError> {
        let sns = self.connection.sns_of(source.arn());
        let mut found = find(self.seen(source), &queue.arn);
        let fresh;
        if found.is_none() {
            let subscribe = sns.subscribe().topic_arn(source.arn()).protocol("sqs");
            let mut subscribe = subscribe.endpoint(&queue.arn).return_subscription_arn(true);
            for change in initial(wanted) {
                subscribe = subscribe.attributes(change.attribute, change.new);
            }
            let Err(error) = subscribe.send().await else {
                (self.report)(Kind::Subscription, &queue.name, Done::Created);
                return Ok(true);
            };
            // There is one, with other attributes.
            let other = error.as_service_error().is_some_and(SubscribeError::is_invalid_parameter_exception);
            fresh = if other { self.fresh(source, queue).await? } else { Vec::new() };
            found = find(&fresh, &queue.arn);
            if found.is_none() {
                let action = match source {
                    Source::External(other) if other.site.account != self.connection.site.account => {
                        SUBSCRIBE_ELSEWHERE
                    }
                    Source::Own(_) | Source::External(_) => "subscribe queue",
                };
                return Err(failed(action, &queue.name)(error));
            }
        }
        let Some((arn, attributes)) = found else { return Ok(false) };
        let changes = filter_steps(attribute_changes(wanted, attributes), attributes);
        for (name, value) in &changes {
            let set = sns.set_subscription_attributes().subscription_arn(arn);
            let set = set.attribute_name(name).attribute_value(value).send().await;
            set.map_err(failed("change the subscription of queue", &queue.name))?;
        }
        if !changes.is_empty() {
            (self.report)(Kind::Subscription, &queue.name, Done::Changed);
        }
        Ok(!changes.is_empty())
    }

    /// Ends subscriptions of a queue to other topics than its own: another app's topic was elsewhere before.
    async fn end_others(
        self,
        source: Source<'_>,
        subscriber: &DesiredSubscriber,
    ) -> Result<bool, ProvisionError> {
        let ended = moved::end(self.connection, self.observed, source, subscriber).await?;
        for _ in 0..ended {
            (self.report)(Kind::Subscription, &subscriber.queue.name, Done::Ended);
        }
        Ok(ended > 0)
    }

    /// What bears our name but not our tags is left alone.
    fn refuse_others(self, kind: Kind, name: &str, tags: &Tags) -> Result<(), ProvisionError> {
        if is_ours(&self.desired.app, &self.desired.stage, tags) {
            return Ok(());
        }
        let tags: Vec<String> = tags.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
        let tags = if tags.is_empty() { "none".to_owned() } else { tags.join(", ") };
        Err(ProvisionError::Taken { kind, name: name.to_owned(), tags })
    }

    async fn queue_reads_back(self, kind: Kind, wanted: &DesiredQueue) -> Result<bool, ProvisionError> {
        let until = Instant::now() + READ_BACK;
        loop {
            let found = read_queue(self.connection, &wanted.name).await?;
            let wrong = match &found {
                None => Some(ProvisionError::Gone { kind, name: wanted.name.clone() }),
                Some(found) => {
                    let changes = attribute_changes(&wanted.attributes, &found.attributes);
                    let changes = changes.into_iter().chain(tag_changes(&wanted.tags, &found.tags)).next();
                    changes.map(|change| read_back(kind, &wanted.name, change))
                }
            };
            match wrong {
                None => return Ok(true),
                Some(error) if Instant::now() >= until => return Err(error),
                Some(_) => sleep(Duration::from_secs(2)).await,
            }
        }
    }

    async fn topic_reads_back(self, wanted: &DesiredTopic) -> Result<bool, ProvisionError> {
        let until = Instant::now() + READ_BACK;
        loop {
            match self.topic_differs(wanted).await? {
                None => return Ok(true),
                Some(error) if Instant::now() >= until => return Err(error),
                Some(_) => sleep(Duration::from_secs(2)).await,
            }
        }
    }

    async fn subscription_reads_back(
        self,
        source: Source<'_>,
        subscriber: &DesiredSubscriber,
    ) -> Result<bool, ProvisionError> {
        let until = Instant::now() + READ_BACK;
        loop {
            let found = self.fresh(source, &subscriber.queue).await?;
            match subscription_differs(&found, &subscriber.queue, &subscriber.subscription) {
                None => return Ok(true),
                Some(error) if Instant::now() >= until => return Err(error),
                Some(_) => sleep(Duration::from_secs(2)).await,
            }
        }
    }

    async fn topic_differs(self, wanted: &DesiredTopic) -> Result<Option<ProvisionError>, ProvisionError> {
        let Some(found) = read_topic(self.connection, &wanted.name, "").await? else {
            return Ok(Some(ProvisionError::Gone { kind: Kind::Topic, name: wanted.name.clone() }));
        };
        let changes = attribute_changes(&wanted.attributes, &found.attributes);
        let change = changes.into_iter().chain(tag_changes(&wanted.tags, &found.tags)).next();
        if let Some(change) = change {
            return Ok(Some(read_back(Kind::Topic, &wanted.name, change)));
        }
        let mut all = leading_from(wanted);
        Ok(all.find_map(|(queue, wanted)| subscription_differs(&found.subscriptions, queue, wanted)))
    }
}

/// Every queue that a topic leads to, with the subscription's attributes.
fn leading_from(topic: &DesiredTopic) -> impl Iterator<Item = (&DesiredQueue, &Attributes)> {
    let subscribers = topic.subscribers.iter().map(|found| (&found.queue, &found.subscription));
    subscribers.chain(topic.archive.iter().map(|found| (&found.queue, &found.subscription)))
}

fn subscription_differs(
    found: &[ObservedSubscription],
    queue: &DesiredQueue,
    wanted: &Attributes,
) -> Option<ProvisionError> {
    let name = &queue.name;
    let Some((_, attributes)) = find(found, &queue.arn) else {
        return Some(ProvisionError::Gone { kind: Kind::Subscription, name: name.clone() });
    };
    let change = attribute_changes(wanted, attributes).into_iter().next()?;
    Some(read_back(Kind::Subscription, name, change))
}

fn find<'a>(
    all: &'a [ObservedSubscription],
    queue_arn: &str,
) -> Option<(&'a str, &'a BTreeMap<String, String>)> {
    let found = all.iter().find(|subscription| subscription.endpoint == queue_arn)?;
    Some((&found.arn, &found.attributes))
}

fn read_back(kind: Kind, name: &str, change: Change) -> ProvisionError {
    let Change { attribute, old, new } = change;
    ProvisionError::ReadBack { kind, name: name.to_owned(), attribute, found: old, wanted: new }
}

/// What something is made with: whatever is not AWS's default.
fn initial(attributes: &Attributes) -> Vec<Change> {
    attribute_changes(attributes, &BTreeMap::new())
}

fn queue_attributes(changes: Vec<Change>) -> std::collections::HashMap<QueueAttributeName, String> {
    changes.into_iter().map(|change| (QueueAttributeName::from(&*change.attribute), change.new)).collect()
}

/// In which order a subscription's attributes are set.
///
/// SNS checks a policy against the scope that is set, so a change of scope goes over no policy at all. For that moment the subscriber gets messages that it
/// does not want; with any other order it could miss some that it does.
fn filter_steps(changes: Vec<Change>, found: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let policy = |text: &str| if text.is_empty() { "{}".to_owned() } else { text.to_owned() };
    let scope = changes.iter().any(|change| change.attribute == "FilterPolicyScope");
    let old = found.get("FilterPolicy").filter(|old| !old.is_empty() && *old != "{}");
    let (filters, mut steps): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .map(|change| (change.attribute, change.new))
        .partition(|(name, _)| name.starts_with("FilterPolicy"));
    if scope && old.is_some() {
        steps.push(("FilterPolicy".to_owned(), "{}".to_owned()));
    }
    // The longer name first: the scope, then the policy.
    let (scopes, policies): (Vec<_>, Vec<_>) =
        filters.into_iter().partition(|(name, _)| name == "FilterPolicyScope");
    steps.extend(scopes);
    match policies.into_iter().next() {
        Some((name, value)) => steps.push((name, policy(&value))),
        // The policy itself stays, and was taken away above.
        None if scope => steps.extend(old.map(|old| ("FilterPolicy".to_owned(), old.clone()))),
        None => {}
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(attribute: &str, old: &str, new: &str) -> Change {
        Change { attribute: attribute.to_owned(), old: old.to_owned(), new: new.to_owned() }
    }

    fn steps(changes: Vec<Change>, policy: &str) -> Vec<String> {
        let found = BTreeMap::from([("FilterPolicy".to_owned(), policy.to_owned())]);
        filter_steps(changes, &found).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn provisioning_can_be_spawned() {
        fn moves<T: Send>(_: impl FnOnce(&'static Connection, &'static Desired) -> T) {}
        moves(ensure_all);
    }

    #[test]
    fn a_filter_s_scope_changes_without_a_policy_that_does_not_fit_it() {
        let scope = || change("FilterPolicyScope", "MessageAttributes", "MessageBody");
        let policy = change("FilterPolicy", r#"{"a":["b"]}"#, r#"{"a":{"b":["c"]}}"#);
        assert_eq!(
            steps(vec![policy.clone(), scope()], r#"{"a":["b"]}"#),
            ["FilterPolicy={}", "FilterPolicyScope=MessageBody", r#"FilterPolicy={"a":{"b":["c"]}}"#]
        );
        assert_eq!(
            steps(vec![scope()], r#"{"a":["b"]}"#),
            ["FilterPolicy={}", "FilterPolicyScope=MessageBody", r#"FilterPolicy={"a":["b"]}"#]
        );
        assert_eq!(
            steps(vec![policy, scope()], ""),
            ["FilterPolicyScope=MessageBody", r#"FilterPolicy={"a":{"b":["c"]}}"#]
        );
    }

    #[test]
    fn a_filter_that_went_is_an_empty_one() {
        let went = change("FilterPolicy", r#"{"a":["b"]}"#, "");
        assert_eq!(steps(vec![went], r#"{"a":["b"]}"#), ["FilterPolicy={}"]);
        assert_eq!(steps(Vec::new(), r#"{"a":["b"]}"#), [""; 0]);
    }
}
