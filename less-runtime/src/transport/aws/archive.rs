//! Replays: a topic's archive is read whole and shown again as it was, and what was chosen of it is sent to one subscriber's queue.
//!
//! Reading hides messages from whoever else reads; whatever becomes of the reader, they are shown again: by a task that outlives it, and by SQS
//! itself, 5 minutes later, where the process is killed. As SQS has no other way to look through a queue, only one reads at a time.

mod send;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use less_model::filter::{Candidate, Filter, Matcher, Scope};
use less_model::name::{AppName, SubscriberName, TopicName};
use less_model::topology::Topology;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::connect::BEYOND;
use super::envelope::{Received, read};
use super::queue::{Queue, seconds};
use super::{Aws, calls};
use crate::clock::Timestamp;
use crate::message::{MessageId, StoredMessage};
use crate::transport::{Replay, ReplayError, SubscriptionIndex, TransportError};

/// Most messages of an archive that is read: SQS hides 120,000 of a queue at the same time, and how many there are it knows approximately.
const MOST: u64 = 100_000;
/// How long messages are hidden while an archive is read: what a process that is killed costs.
const HIDDEN: Duration = Duration::from_secs(300);
/// How long reading may take: the first ones must not be seen again before the last ones are.
const IN_TIME: Duration = Duration::from_secs(270);
/// How long a receive waits: without a wait SQS asks only some of its servers.
const WAIT: Duration = Duration::from_secs(1);
/// Receives in a row that bring nothing, before the archive is taken as read.
const QUIET: u32 = 2;
/// Calls at the same time.
const PARALLEL: usize = 16;
/// Most entries of a batch call.
const BATCH: usize = 10;

/// What a replay to a subscription has to know.
pub(super) struct Kept {
    topic: TopicName,
    subscriber: SubscriberName,
    filter: Option<Filter>,
    place: Place,
}

/// Where a subscription's messages are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In the queue of this name.
    Archive(String),
    /// Nowhere.
    Nowhere { stage: String },
    /// With the app whose topic it is.
    OtherApp { app: AppName, topic: String },
}

/// For each subscription, in the layout's order.
pub(super) fn kept(topology: &Topology) -> Vec<Kept> {
    let own = topology.topics.iter().map(|topic| {
        let nowhere = || Place::Nowhere { stage: topology.stage.to_string() };
        let place = topic.archive.as_ref().map(|archive| Place::Archive(archive.queue.clone()));
        (topic, place.unwrap_or_else(nowhere))
    });
    let external = topology
        .external
        .iter()
        .map(|other| (&other.topic, Place::OtherApp { app: other.app.clone(), topic: other.address() }));
    let kept = own.chain(external).flat_map(|(topic, place)| {
        topic.subscribers.iter().map(move |subscriber| Kept {
            topic: topic.name.clone(),
            subscriber: subscriber.name.clone(),
            filter: subscriber.filter.clone(),
            place: place.clone(),
        })
    });
    kept.collect()
}

/// A subscription that gets messages once more.
struct Target {
    queue: Arc<Queue>,
    matcher: Option<(Scope, Matcher)>,
}

/// A message that is sent once more, and to which of the targets.
struct Chosen {
    received: Received,
    targets: Vec<usize>,
}

/// What was chosen, in the order of publishing.
type Selected = BTreeMap<(Timestamp, MessageId), Chosen>;

impl Aws {
    /// [`Transport::replay`](crate::transport::Transport::replay) to several subscriptions: those of a topic that follow each other share one
    /// reading of its archive. Returns how many messages each one gets.
    pub async fn replay_to(
        &self,
        subscriptions: &[SubscriptionIndex],
        which: Replay,
    ) -> Result<Vec<u64>, TransportError> {
        // One after the other in a process: two that read at the same time would each find a part.
        let _alone = self.replaying.lock().await;
        let mut counts = Vec::with_capacity(subscriptions.len());
        let place = |index: &SubscriptionIndex| self.kept.get(index.0 as usize).map(|kept| &kept.place);
        let together: Vec<_> = subscriptions.chunk_by(|a, b| place(a) == place(b)).collect();
        for some in together {
            counts.extend(self.replay_some(some, which).await?);
        }
        Ok(counts)
    }

    /// The same for subscriptions whose messages are kept in one place.
    async fn replay_some(
        &self,
        subscriptions: &[SubscriptionIndex],
        which: Replay,
    ) -> Result<Vec<u64>, TransportError> {
        let mut targets = Vec::new();
        let mut archive = None;
        for index in subscriptions {
            let kept = self.kept.get(index.0 as usize).ok_or(TransportError::Closed)?;
            archive = Some(match kept.place.clone() {
                Place::Archive(name) => name,
                Place::Nowhere { stage } => return Err(ReplayError::NoArchive { stage }.into()),
                Place::OtherApp { app, topic } => return Err(ReplayError::OtherApp { app, topic }.into()),
            });
            targets.push(Target { queue: Arc::clone(self.queue(*index)?), matcher: kept.matcher()? });
        }
        let (Some(name), Some(first)) = (archive, targets.first()) else { return Ok(Vec::new()) };
        let began = first.queue.clock.now();
        let mut reader = Reader::open(&first.queue, name).await?;
        let mut selected = Selected::new();
        reader.read(&mut |message| select(message, which, began, &targets, &mut selected)).await?;
        // Before anything is sent, so that nothing stays hidden where sending fails.
        reader.close().await?;
        let mut counts = Vec::with_capacity(targets.len());
        for (place, target) in targets.iter().enumerate() {
            let mine = selected.values().filter(|chosen| chosen.targets.contains(&place));
            let mine: Vec<&Received> = mine.map(|chosen| &chosen.received).collect();
            counts.push(send::send(&target.queue, &mine).await?);
        }
        Ok(counts)
    }

    /// Whether messages of the app's topics are kept.
    pub(super) fn retains(&self) -> bool {
        let archived = |kept: &Kept| match kept.place {
            Place::Archive(_) => true,
            Place::Nowhere { .. } | Place::OtherApp { .. } => false,
        };
        self.kept.iter().any(archived)
    }
}

impl Kept {
    fn matcher(&self) -> Result<Option<(Scope, Matcher)>, TransportError> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let matcher = filter.matcher().map_err(|problems| TransportError::Filter {
            topic: self.topic.clone(),
            subscriber: self.subscriber.clone(),
            problem: problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        })?;
        Ok(Some((filter.scope, matcher)))
    }
}

/// Notes a message, if somebody is to get it once more. Of the others nothing is kept: they are many.
fn select(message: &Message, which: Replay, began: Timestamp, targets: &[Target], selected: &mut Selected) {
    let received = read(message);
    if !is_meant(which, &received.message, received.envelope.due, began) {
        return;
    }
    let has_attributes = message.message_attributes().is_some_and(|found| !found.is_empty());
    let wants = |target: &Target| match &target.matcher {
        None => true,
        // Without a single attribute nothing passes such a filter of SNS's, whatever it says.
        Some((Scope::Attributes, _)) if !has_attributes => false,
        Some((_, matcher)) => {
            matcher.passes(&Candidate::new(&received.message.body, &received.message.attributes))
        }
    };
    let wanted = targets.iter().enumerate().filter(|(_, target)| wants(target));
    let targets: Vec<usize> = wanted.map(|(place, _)| place).collect();
    if !targets.is_empty() {
        // What SQS hands out twice is there once.
        let key = (received.message.published_at, received.message.id);
        selected.insert(key, Chosen { received, targets });
    }
}

/// Whether a message is one of those that are to be replayed. What comes in while the archive is read is on its way anyway, and so is what is delayed.
fn is_meant(which: Replay, message: &StoredMessage, due: Option<Timestamp>, began: Timestamp) -> bool {
    let meant = match which {
        Replay::All => true,
        Replay::Since(since) => message.published_at >= since,
        Replay::Id(id) => message.id == id,
    };
    meant && message.published_at <= began && due.is_none_or(|due| due <= began)
}

/// Who reads an archive. Dropped, it shows again what it has hidden.
struct Reader {
    /// One of the app's queues: what it spawns is waited for at shutdown.
    queue: Arc<Queue>,
    name: String,
    url: String,
    /// How many receives are worth it.
    parallel: usize,
    handles: Vec<String>,
    receives: JoinSet<Result<Vec<Message>, TransportError>>,
}

impl Reader {
    /// Finds the archive, and refuses what can't be read.
    async fn open(queue: &Arc<Queue>, name: String) -> Result<Self, TransportError> {
        let answer = queue.sqs.get_queue_url().queue_name(&name).send().await;
        let answer = answer.map_err(|error| {
            if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) {
                let stage = queue.address.stage.clone();
                return ReplayError::NotDeployed { stage, queue: name.clone() }.into();
            }
            calls::failed("find the archive", &name, &error)
        })?;
        let mut reader = Self {
            queue: Arc::clone(queue),
            name,
            url: answer.queue_url.unwrap_or_default(),
            parallel: PARALLEL,
            handles: Vec::new(),
            receives: JoinSet::new(),
        };
        let [visible, hidden] = reader.depth().await?;
        refuse(&reader.name, visible, hidden)?;
        let worth = usize::try_from(visible / BATCH as u64 + 1).unwrap_or(PARALLEL);
        reader.parallel = worth.min(PARALLEL);
        Ok(reader)
    }

    /// How many messages are to be seen, and how many are hidden. SQS's numbers are up to a minute old.
    async fn depth(&self) -> Result<[u64; 2], TransportError> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.queue.sqs.get_queue_attributes().queue_url(&self.url);
        let answer = request.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = answer.map_err(|error| calls::failed("read the archive's depth", &self.name, &error))?;
        let number = |name| answer.attributes().and_then(|found| found.get(&name)?.parse().ok()).unwrap_or(0);
        Ok(names.map(number))
    }

    /// Reads all of it. A receive that fails has hidden what nobody knows: then nothing is to be sent.
    async fn read(&mut self, take: &mut (dyn FnMut(&Message) + Send)) -> Result<(), TransportError> {
        let until = Instant::now() + IN_TIME;
        let (mut wanted, mut quiet) = (self.parallel, 0);
        while quiet < QUIET {
            while self.receives.len() < wanted {
                let receive = receive(self.queue.sqs.clone(), self.url.clone(), self.name.clone());
                self.receives.spawn_on(receive, &self.queue.home);
            }
            let joined = self.receives.join_next().await;
            let messages = joined.and_then(Result::ok).unwrap_or(Err(TransportError::Closed))?;
            for message in &messages {
                self.handles.extend(message.receipt_handle().map(str::to_owned));
                take(message);
            }
            if !messages.is_empty() {
                if messages.len() == BATCH {
                    // What SQS said about the depth may be a minute old.
                    self.parallel = (self.parallel * 2).min(PARALLEL);
                }
                (wanted, quiet) = (self.parallel, 0);
            } else if wanted > 1 {
                wanted -= 1;
            } else {
                quiet += 1;
            }
            let count = self.handles.len() as u64;
            if count > MOST {
                return Err(ReplayError::TooMany { queue: self.name.clone(), count, most: MOST }.into());
            }
            if Instant::now() > until {
                let seconds = IN_TIME.as_secs();
                return Err(ReplayError::TooSlow { queue: self.name.clone(), count, seconds }.into());
            }
        }
        Ok(())
    }

    /// Shows everything again. An error where somebody else was reading meanwhile, who has a part of it.
    async fn close(mut self) -> Result<(), TransportError> {
        let [_, hidden] = self.depth().await?;
        let ours = self.handles.len() as u64;
        // Whoever waits here may go: it is done all the same.
        let _ = self.restore().await;
        match hidden.saturating_sub(ours) {
            0 => Ok(()),
            count => Err(ReplayError::Busy { queue: self.name.clone(), count }.into()),
        }
    }

    /// Begins to show everything again; it is done when the answer comes.
    fn restore(&mut self) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        let mut handles = std::mem::take(&mut self.handles);
        let mut receives = std::mem::take(&mut self.receives);
        let (sqs, url, name) = (self.queue.sqs.clone(), self.url.clone(), self.name.clone());
        self.queue.spawn(async move {
            // What a receive that is cut off would have brought stays hidden: so they are waited for.
            while let Some(joined) = receives.join_next().await {
                let messages = joined.ok().and_then(Result::ok).unwrap_or_default();
                handles.extend(messages.into_iter().filter_map(|message| message.receipt_handle));
            }
            show(&sqs, &url, &name, handles).await;
            // Nobody may wait for it any more.
            let _ = done.send(());
        });
        answer
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.handles.is_empty() || !self.receives.is_empty() {
            drop(self.restore());
        }
    }
}

/// Refuses an archive that holds more than can be read, or that somebody reads.
fn refuse(name: &str, visible: u64, hidden: u64) -> Result<(), ReplayError> {
    let queue = name.to_owned();
    if visible.saturating_add(hidden) > MOST {
        return Err(ReplayError::TooMany { queue, count: visible + hidden, most: MOST });
    }
    if hidden > 0 {
        return Err(ReplayError::Busy { queue, count: hidden });
    }
    Ok(())
}

/// Receives up to ten messages, and hides them. It is tried once: an answer that got lost has hidden its messages already.
async fn receive(
    sqs: aws_sdk_sqs::Client,
    url: String,
    name: String,
) -> Result<Vec<Message>, TransportError> {
    let attempt = TimeoutConfig::builder().operation_attempt_timeout(WAIT + BEYOND).build();
    let config = aws_sdk_sqs::config::Builder::new();
    let config = config.retry_config(RetryConfig::disabled()).timeout_config(attempt);
    let request = sqs
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(i32::try_from(BATCH).unwrap_or(10))
        .wait_time_seconds(seconds(WAIT))
        .visibility_timeout(seconds(HIDDEN))
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
        .message_attribute_names("All");
    let answer = request.customize().config_override(config).send().await;
    let answer = answer.map_err(|error| calls::failed("read the archive", &name, &error))?;
    Ok(answer.messages.unwrap_or_default())
}

/// Shows messages again at once.
async fn show(sqs: &aws_sdk_sqs::Client, url: &str, name: &str, handles: Vec<String>) {
    let mut calls = JoinSet::new();
    let mut failed = (0, None);
    let mut note = |failure: Option<super::batch::Failure>| {
        if let Some(failure) = failure {
            failed = (failed.0 + 1, Some(failure));
        }
    };
    for some in handles.chunks(BATCH) {
        let changes: Vec<(String, i32)> = some.iter().map(|handle| (handle.clone(), 0)).collect();
        let (sqs, url) = (sqs.clone(), url.to_owned());
        calls.spawn(
            async move { calls::change(&sqs, &url, &changes).await.into_iter().find_map(Result::err) },
        );
        if calls.len() >= PARALLEL {
            note(calls.join_next().await.and_then(Result::ok).flatten());
        }
    }
    while let Some(joined) = calls.join_next().await {
        note(joined.ok().flatten());
    }
    if let (calls, Some(failure)) = failed {
        let hidden = HIDDEN.as_secs();
        tracing::warn!(archive = %name, calls, "messages stay hidden for up to {hidden} s: {failure}");
    }
}

#[cfg(test)]
mod tests;
