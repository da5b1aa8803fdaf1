//! What goes wrong in a transport.

use less_model::name::{AppName, SubscriberName, TopicName};

use super::ReplayError;

/// Why a transport could not do something.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The program was compiled without it.
    #[error(
        "this program was compiled without the transport `{transport}`\nhint: `less build` compiles it in where a stage in less.toml says so; by hand it is less-runtime's feature `{transport}`"
    )]
    NotCompiled {
        /// Which.
        transport: &'static str,
    },
    /// It is closed, or closing.
    #[error("the transport is closed")]
    Closed,
    /// The transport can't do what was asked for.
    #[error("the transport `{transport}` can't do this: {capability}")]
    Unsupported {
        /// Which transport.
        transport: &'static str,
        /// What it can't do.
        capability: &'static str,
    },
    /// A subscription's consumer is open already.
    #[error("the subscription has a consumer already")]
    Busy,
    /// A subscription was dropped.
    #[error("the subscription does not exist any more: it was dropped")]
    Dropped,
    /// Nothing says which region of AWS.
    #[error(
        "no AWS region is set\nhint: write `region = \"…\"` into the stage's table in less.toml, or set AWS_REGION"
    )]
    NoRegion,
    /// The credentials are those of another account.
    #[error(
        "these credentials are of the AWS account {found}, but less.toml says {wanted} for this stage\nhint: choose other credentials, with AWS_PROFILE for example"
    )]
    OtherAccount {
        /// What the stage says.
        wanted: String,
        /// What the credentials say.
        found: String,
    },
    /// The stage's topics and queues do not exist.
    #[error("stage `{stage}` is not deployed in {region}, account {account}: {} {} missing: {}\nhint: `less deploy --stage {stage}`", .missing.len(), if .missing.len() == 1 { "queue is" } else { "queues are" }, some(.missing))]
    NotDeployed {
        /// The stage.
        stage: String,
        /// The region that was looked in.
        region: String,
        /// The account that was looked in.
        account: String,
        /// The queues that do not exist, by their physical names.
        missing: Vec<String>,
    },
    /// A topic of the stage does not exist.
    #[error(
        "stage `{stage}` is not deployed in {region}, account {account}: topic {topic} is missing\nhint: `less deploy --stage {stage}`"
    )]
    NoTopic {
        /// The stage.
        stage: String,
        /// The region that was looked in.
        region: String,
        /// The account that was looked in.
        account: String,
        /// Its physical name.
        topic: String,
    },
    /// AWS could not be asked whose these credentials are.
    #[error("can't ask which AWS account this is ({region}): {cause}{hint}")]
    Unreachable {
        /// The region.
        region: String,
        /// What AWS says, or why it could not be asked.
        cause: String,
        /// What to look at, behind a line break; empty where the cause says it.
        hint: String,
    },
    /// A queue does not exist any more: somebody deleted it while the app runs.
    #[error("queue {queue} does not exist any more\nhint: `less deploy --stage {stage}` makes it again")]
    QueueGone {
        /// The stage.
        stage: String,
        /// Its physical name.
        queue: String,
    },
    /// AWS refused a call, or did not answer.
    #[error("can't {action} ({target}): {cause}")]
    Aws {
        /// What was tried.
        action: &'static str,
        /// On what: a physical name, a region.
        target: String,
        /// What AWS says.
        cause: String,
    },
    /// Finished messages can't be delivered once more.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A subscription's filter can't be used.
    #[error(
        "the filter of `{topic}/{subscriber}` is wrong: {problem}\nhint: run `less check`, and build anew"
    )]
    Filter {
        /// The topic.
        topic: TopicName,
        /// The subscriber.
        subscriber: SubscriberName,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no link to the app that keeps a subscription.
    #[error(
        "can't ask app `{app}`, which keeps this subscription: {cause}\nhint: `less status` shows how the link is"
    )]
    Unlinked {
        /// That app.
        app: AppName,
        /// Why.
        cause: String,
    },
    /// The lease is not this delivery's any more.
    #[error("the lease was lost")]
    LeaseLost,
    /// Another process owns the data folder.
    #[error("the data folder {folder} is in use by another process{}\nhint: stop that process, or give this one its own folder with LESS_DATA", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    InUse {
        /// The folder.
        folder: String,
        /// The process that owns it, where known.
        pid: Option<u32>,
    },
    /// The data folder was written by another version.
    #[error("the data folder {folder} has format {found}, this version reads {known}")]
    Format {
        /// The folder.
        folder: String,
        /// The format it has.
        found: String,
        /// The format that this version reads.
        known: u32,
    },
    /// What is stored is damaged.
    #[error("{file} is damaged at byte {offset}: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("can't {action} {file}: {cause}")]
    Io {
        /// What was tried: `open`, `write`, …
        action: &'static str,
        /// The file.
        file: String,
        /// The system's error.
        cause: String,
    },
}

/// The first few of many names.
fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    let more = names.len() - shown.len();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
