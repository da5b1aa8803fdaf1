//! Where a command looks for an app's messages: at a running app, or at a stage's topics and queues themselves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use less_model::topology::Topology;
use less_runtime::app::layout;
use less_runtime::client::{Client, Replay, ShownDeadLetter, ShownMessage, Status, TailLine, TailStream};
use less_runtime::clock::Clock;
use less_runtime::message::MessageId;
use less_runtime::publish::PublishError;
use less_runtime::transport::aws::{Connection, Options, Purpose, Watch, Watched, connect, open};
use less_runtime::transport::{Layout, Selection, SubscriptionIndex, Transport, TransportError};

use crate::command::status::Target;
use crate::stage::Stage;
use crate::ui::{self, user_error};

/// Which running app, or which stage.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    #[command(flatten)]
    target: Target,
    /// Which stage [env: `LESS_STAGE`] [default: whatever runs]; one on AWS is looked at directly, with your credentials
    #[arg(long, global = true, conflicts_with = "url")]
    stage: Option<String>,
}

/// Where to look.
pub enum Place {
    /// At a running app.
    App(Box<Client>),
    /// At a stage on AWS.
    Aws(Box<OnAws>),
}

/// A stage on AWS.
pub struct OnAws {
    /// The stage.
    pub stage: Stage,
    /// Clients.
    pub connection: Connection,
    topology: Topology,
    layout: Layout,
}

/// A topic's messages as they are published.
pub enum Tail {
    /// Through a running app.
    App(Box<TailStream>),
    /// Through a queue of its own.
    Aws(Box<Watch>),
}

impl PlaceArgs {
    /// The place that is meant: a stage on AWS itself, or the app that runs, whatever its stage.
    pub async fn find(&self, folder: Option<&Path>) -> anyhow::Result<Place> {
        let stage = match (&self.stage, self.target.is_given()) {
            (Some(stage), _) => Stage::if_on_aws(folder, Some(stage))?.ok(),
            (None, true) => None,
            // Where the environment names a stage, there need not be an app's folder: the app may just run.
            (None, false) => {
                let named = std::env::var("LESS_STAGE").is_ok_and(|stage| !stage.is_empty());
                let found = if named { Stage::if_on_aws(folder, None).ok() } else { None };
                found.and_then(Result::ok)
            }
        };
        let Some(stage) = stage else { return self.running(folder).await };
        let connection = connect(&stage.aws, Purpose::Run).await?;
        let (topology, layout) = (stage.topology(), layout(&stage.manifest));
        Ok(Place::Aws(Box::new(OnAws { stage, connection, topology, layout })))
    }
}

impl PlaceArgs {
    /// The running app; where a stage is asked for, it has to be that one.
    async fn running(&self, folder: Option<&Path>) -> anyhow::Result<Place> {
        let client = self.target.client(folder)?;
        if let Some(wanted) = &self.stage {
            let found = client.status().await?.stage;
            if found != *wanted {
                return Err(user_error(format!(
                    "the app at {} runs as stage `{found}`, not `{wanted}`\nhint: leave `--stage` out, or start that stage with `less start --stage {wanted}`",
                    client.url()
                )));
            }
        }
        Ok(Place::App(Box::new(client)))
    }
}

impl OnAws {
    async fn transport(&self) -> anyhow::Result<Arc<dyn Transport>> {
        let (options, clock) = (Options::default(), Clock::System);
        Ok(open(&self.connection, &self.topology, &self.layout, options, clock).await?)
    }

    fn subscribers(&self) -> impl Iterator<Item = (String, &str)> {
        let topics = &self.layout.topics;
        let specs = self.layout.subscriptions.iter();
        specs.map(move |spec| (topics[spec.topic.0 as usize].address(), spec.subscriber.as_str()))
    }

    fn subscription(&self, topic: &str, subscriber: &str) -> anyhow::Result<SubscriptionIndex> {
        let mut all = (0..).zip(self.subscribers());
        let found = all.find(|(_, (t, s))| t == topic && *s == subscriber);
        let missing = || user_error(format!("topic `{topic}` has no subscriber `{subscriber}`"));
        found.map(|(index, _)| SubscriptionIndex(index)).ok_or_else(missing)
    }

    /// The name of a subscriber's queue.
    pub fn queue(&self, topic: &str, subscriber: &str) -> Option<&str> {
        let mut all = self.topology.subscribers();
        let (_, _, placed) = all.find(|(address, _, s)| address == topic && s.name.as_str() == subscriber)?;
        Some(&placed.queue)
    }

    async fn replay(&self, topic: &str, subscribers: &[String], which: Replay) -> anyhow::Result<Vec<u64>> {
        let found = subscribers.iter().map(|subscriber| self.subscription(topic, subscriber));
        let found: Vec<SubscriptionIndex> = found.collect::<anyhow::Result<_>>()?;
        let (options, clock) = (Options::default(), Clock::System);
        let transport = open(&self.connection, &self.topology, &self.layout, options, clock).await?;
        if transport.capabilities().retains {
            ui::say(&format!("reading the archive of `{topic}`"));
        }
        let replayed = tokio::select! {
            replayed = transport.replay_to(&found, which) => Some(replayed),
            _ = tokio::signal::ctrl_c() => None,
        };
        if replayed.is_none() {
            ui::say("stopping: what was read is shown again");
        }
        // That outlives what began it; whoever is in a hurry says so once more.
        tokio::select! {
            closed = transport.close() => closed?,
            _ = tokio::signal::ctrl_c() => {}
        }
        match replayed {
            Some(Ok(counts)) => Ok(counts),
            Some(Err(TransportError::Replay(why))) if why.is_lasting() => Err(user_error(why.to_string())),
            Some(Err(error)) => Err(error.into()),
            None => anyhow::bail!("interrupted: messages that were sent by then are handled once more"),
        }
    }

    async fn watch(&self, topic: &str, subscriber: Option<&str>) -> anyhow::Result<Watch> {
        let placed = self.topology.topics.iter().find(|placed| placed.name.as_str() == topic);
        let placed = placed.ok_or_else(|| {
            if let Some((app, name)) = topic.split_once(':') {
                return user_error(format!(
                    "`{topic}` is a topic of app `{app}`, and is watched there\nhint: in the folder of that app: `less tail {name}`, with the stage that it has there"
                ));
            }
            let near = less_model::name::nearest(topic, self.topology.topics.iter().map(|t| t.name.as_str()));
            let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            unknown(&format!("there is no topic `{topic}`{near}"))
        })?;
        let filter = match subscriber {
            Some(name) => {
                let found = placed.subscribers.iter().find(|placed| placed.name.as_str() == name);
                let missing = || unknown(&format!("topic `{topic}` has no subscriber `{name}`"));
                found.ok_or_else(missing)?.filter.as_ref()
            }
            None => None,
        };
        let key = self.stage.aws.kms_key.as_deref();
        Ok(Watch::open(&self.connection, &self.topology, placed, filter, key, Clock::System).await?)
    }
}

/// An error about a name, with where to find the right one.
fn unknown(text: &str) -> anyhow::Error {
    user_error(format!("{text}\nhint: `less list` shows the topics and their subscribers"))
}

impl Place {
    /// What has to be added to a command that looks at the same place.
    pub fn flag(&self) -> String {
        match self {
            Self::App(_) => String::new(),
            Self::Aws(aws) => format!(" --stage {}", aws.stage.name),
        }
    }

    /// Every subscriber, by topic and name.
    pub async fn subscribers(&self) -> anyhow::Result<Vec<(String, String)>> {
        Ok(match self {
            Self::App(client) => {
                client.status().await?.subscribers.into_iter().map(|s| (s.topic, s.subscriber)).collect()
            }
            Self::Aws(aws) => {
                aws.subscribers().map(|(topic, subscriber)| (topic, subscriber.to_owned())).collect()
            }
        })
    }

    /// The same, of those that the app itself has a folder for.
    pub async fn handled(&self) -> anyhow::Result<Vec<(String, String)>> {
        match self {
            Self::App(client) => {
                let all = client.status().await?.subscribers.into_iter();
                let handled = all.filter(|s| !s.orphaned && !s.subscriber.contains(':'));
                Ok(handled.map(|s| (s.topic, s.subscriber)).collect())
            }
            Self::Aws(_) => self.subscribers().await,
        }
    }

    /// The ledger.
    pub async fn status(&self) -> anyhow::Result<Status> {
        match self {
            Self::App(client) => Ok(client.status().await?),
            Self::Aws(aws) => {
                let transport = aws.transport().await?;
                let Stage { manifest, name, .. } = &aws.stage;
                Ok(Status::read(manifest.app.as_str(), name.as_str(), &aws.layout, &*transport).await?)
            }
        }
    }

    /// A subscriber's dead letters, oldest first.
    pub async fn dead_letters(&self, topic: &str, subscriber: &str) -> anyhow::Result<Vec<ShownDeadLetter>> {
        /// Most that are fetched at once.
        const PAGE: usize = 1000;
        match self {
            Self::App(client) => {
                let mut out: Vec<ShownDeadLetter> = Vec::new();
                loop {
                    let after = out.last().map(|letter| letter.message_id);
                    let page = client.dead_letters(topic, subscriber, after, PAGE).await?;
                    let last = page.len() < PAGE;
                    out.extend(page);
                    if last {
                        return Ok(out);
                    }
                }
            }
            Self::Aws(aws) => {
                let subscription = aws.subscription(topic, subscriber)?;
                // All at once: to find a page, the whole queue is looked through.
                let letters = aws.transport().await?.dead_letters(subscription, None, usize::MAX).await?;
                Ok(letters.into_iter().map(ShownDeadLetter::from).collect())
            }
        }
    }

    /// Hands dead letters back to their subscriber; without ids all of them. Returns how many.
    pub async fn release(
        &self,
        topic: &str,
        subscriber: &str,
        ids: Option<&[MessageId]>,
    ) -> anyhow::Result<u64> {
        match self {
            Self::App(client) => Ok(client.release(topic, subscriber, ids).await?),
            Self::Aws(aws) => {
                let subscription = aws.subscription(topic, subscriber)?;
                Ok(aws.transport().await?.release(subscription, selection(ids)).await?)
            }
        }
    }

    /// Deletes dead letters; without ids all of them. Returns how many.
    pub async fn purge(
        &self,
        topic: &str,
        subscriber: &str,
        ids: Option<&[MessageId]>,
    ) -> anyhow::Result<u64> {
        match self {
            Self::App(client) => Ok(client.purge(topic, subscriber, ids).await?),
            Self::Aws(aws) => {
                let subscription = aws.subscription(topic, subscriber)?;
                Ok(aws.transport().await?.purge(subscription, selection(ids)).await?)
            }
        }
    }

    /// Delivers messages of a topic once more to subscribers that have finished them. Returns how many will be, for each that was asked: a running
    /// app is asked for the first one alone, on AWS all share one reading of the archive.
    pub async fn replay(
        &self,
        topic: &str,
        subscribers: &[String],
        which: Replay,
    ) -> anyhow::Result<Vec<u64>> {
        match self {
            Self::App(client) => match subscribers.first() {
                Some(first) => Ok(vec![client.replay(topic, first, which).await?]),
                None => Ok(Vec::new()),
            },
            Self::Aws(aws) => aws.replay(topic, subscribers, which).await,
        }
    }

    /// Watches a topic: messages as they are published, with a subscriber only those that it gets.
    pub async fn tail(&self, topic: &str, subscriber: Option<&str>) -> anyhow::Result<Tail> {
        match self {
            Self::App(client) => match client.tail(topic, subscriber).await {
                Ok(stream) => Ok(Tail::App(Box::new(stream))),
                Err(PublishError::Refused { detail, status: 404, .. }) => Err(unknown(&detail)),
                Err(error) => Err(error.into()),
            },
            Self::Aws(aws) => Ok(Tail::Aws(Box::new(aws.watch(topic, subscriber).await?))),
        }
    }
}

fn selection(ids: Option<&[MessageId]>) -> Selection {
    ids.map_or(Selection::All, |ids| Selection::Ids(ids.to_vec()))
}

/// How often a call that failed is made again, before a tail gives up.
const TRIES: u32 = 5;

impl Tail {
    /// The next lines, waiting until there are some; `None` when the app stops.
    pub async fn next(&mut self) -> anyhow::Result<Option<Vec<TailLine>>> {
        match self {
            Self::App(stream) => Ok(stream.next().await?.map(|line| vec![line])),
            Self::Aws(watch) => {
                let mut failures = 0;
                loop {
                    match watch.next().await {
                        Ok(messages) => return Ok(Some(messages.iter().map(line).collect())),
                        Err(error) if failures >= TRIES => return Err(error.into()),
                        Err(_) => {
                            tokio::time::sleep(Duration::from_secs(1 << failures)).await;
                            failures += 1;
                        }
                    }
                }
            }
        }
    }

    /// Ends it. What it had made for itself is gone then.
    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::App(_) => Ok(()),
            Self::Aws(watch) => watch.close().await.map_err(|error| {
                anyhow::anyhow!("{error}\nhint: the next `less tail` of this topic removes what is left, in an hour or later")
            }),
        }
    }
}

fn line(watched: &Watched) -> TailLine {
    TailLine::Message(ShownMessage::new(&watched.message, watched.due))
}

impl OnAws {
    /// Says what is not plain: whose numbers these are.
    pub fn introduce(&self) {
        let site = &self.connection.site;
        ui::say(&format!("stage `{}` on AWS: account {}, {}", self.stage.name, site.account, site.region));
    }
}
