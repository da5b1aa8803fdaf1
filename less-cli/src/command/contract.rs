//! `less contract`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use less_model::config::stage;
use less_model::contract::{Contract, FILE, Topic};
use less_model::lock::{ContractChange, contract_changes};
use less_model::name::{AppName, StageName, TopicName, nearest};
use less_model::tree::{App, ExternalApp};

use crate::cli::ExitStatus;
use crate::output;
use crate::peer::Peer;
use crate::project::Project;
use crate::ui::{self, user_error};

/// Longest that an app may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `contract` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print what other apps may rely on, as JSON: the topics, their types and docs
    Export {
        /// Write it to this file instead
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take another app's contract: the topics that this app subscribes to, or all of them where it subscribes to none yet
    Add {
        /// A contract's file, the URL of a running app, or the name of one that runs on this machine or has a URL in less.toml
        #[arg(value_name = "FILE|URL|APP")]
        source: String,
        /// A topic to take as well; may be given again
        #[arg(long = "topic", value_name = "TOPIC", conflicts_with = "all")]
        topics: Vec<String>,
        /// Take every topic
        #[arg(long)]
        all: bool,
    },
}

/// Which topics are taken beside those that are subscribed to.
enum Wanted<'a> {
    These(&'a [String]),
    All,
}

pub(super) async fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    match &arguments.what {
        What::Export { out } => export(project, out.as_deref()),
        What::Add { source, topics, all } => {
            add(project, source, if *all { Wanted::All } else { Wanted::These(topics) }).await
        }
    }
}

fn export(project: &Project, out: Option<&Path>) -> anyhow::Result<ExitStatus> {
    let text = project.sound()?.app.contract().to_text();
    match out {
        None => ui::data(text.trim_end()),
        Some(path) => {
            write(path, &text)?;
            ui::data(&path.display().to_string());
        }
    }
    Ok(ExitStatus::Success)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let path = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    output::replace(&path, text).with_context(|| format!("can't write {}", path.display()))
}

async fn add(project: &Project, source: &str, wanted: Wanted<'_>) -> anyhow::Result<ExitStatus> {
    let app = project.read()?.app;
    let theirs = fetch(source, &project.root, &app).await?;
    if theirs.app == app.name {
        return Err(user_error(format!(
            "this is the contract of `{}`, which is this app itself\nhint: subscribers of its own topics are in `less/topics/TOPIC`",
            app.name
        )));
    }
    let known = app.external.iter().find(|external| external.name == theirs.app);
    let subscribed: Vec<&TopicName> =
        known.into_iter().flat_map(|external| &external.topics).map(|topic| &topic.name).collect();
    let taken = take(&theirs, &subscribed, &wanted)?;
    usable(&taken)?;

    let shown = format!("less/external_topics/{}/{FILE}", taken.app);
    let (path, text) = (project.root.join(&shown), taken.to_text());
    if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
        ui::say(&format!("{shown} is up to date"));
    } else {
        write(&path, &text)?;
    }
    ui::data(&shown);
    if let Some(external) = known {
        tell(external, &theirs, &taken);
    }
    let left_out = theirs.topics.len() - taken.topics.len();
    if left_out > 0 {
        ui::say(&format!(
            "left out {} that nothing here subscribes to: `--topic TOPIC` or `--all` takes them as well",
            ui::count(left_out, "topic")
        ));
    }
    if subscribed.is_empty() {
        let names: Vec<&str> = taken.topics.iter().map(|topic| topic.name.as_str()).collect();
        ui::say(&format!("topics: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }));
        ui::say(&format!("next: `less add subscriber {}:TOPIC/NAME`", taken.app));
    }
    Ok(ExitStatus::Success)
}

/// The contract that is meant by a word on the command line.
async fn fetch(source: &str, root: &Path, app: &App) -> anyhow::Result<Contract> {
    let env = |name: &str| std::env::var(name).ok();
    let stage = stage(None, env).map_err(|error| user_error(error.to_string()))?.value;
    let peer = if source.contains("://") {
        Peer::at(source, root, &app.settings, &stage)
    } else {
        let path = Path::new(source);
        let name = source.parse::<AppName>();
        match (std::fs::metadata(path), name) {
            (Ok(found), _) if !found.is_dir() => return file(path),
            (_, Ok(name)) => return named(&name, root, app, &stage).await,
            (Ok(_), Err(_)) => {
                return Err(user_error(format!("`{source}` is a folder\nhint: name the file in it")));
            }
            (Err(error), Err(_)) => return Err(user_error(format!("can't read {source}: {error}"))),
        }
    };
    peer.contract(PATIENCE).await.map_err(|error| user_error(error.to_string()))
}

async fn named(name: &AppName, root: &Path, app: &App, stage: &StageName) -> anyhow::Result<Contract> {
    let peer = Peer::named(name, root, &app.settings, stage).map_err(|why| {
        user_error(format!(
            "no app `{name}` was found: {why}\nhint: start it with `less dev`, give its URL, or a file that `less contract export --out FILE` wrote there"
        ))
    })?;
    let contract = peer.contract(PATIENCE).await.map_err(|error| user_error(error.to_string()))?;
    if contract.app != *name {
        return Err(user_error(format!(
            "app `{}` answers at {}, not `{name}`\nhint: write where `{name}` is into `[external.{name}] url` in less.toml",
            contract.app,
            peer.url()
        )));
    }
    Ok(contract)
}

fn file(path: &Path) -> anyhow::Result<Contract> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| user_error(format!("can't read {shown}: {error}")))?;
    Contract::read(&text).map_err(|error| {
        let error = ui::harmless(&error.to_string());
        user_error(format!("{error}\n  --> {shown}\nhint: `less contract export --out FILE` in the other app's folder writes one"))
    })
}

/// The contract with the topics that are wanted here.
fn take(theirs: &Contract, subscribed: &[&TopicName], wanted: &Wanted) -> anyhow::Result<Contract> {
    let asked = match wanted {
        Wanted::All => return Ok(theirs.clone()),
        Wanted::These([]) if subscribed.is_empty() => return Ok(theirs.clone()),
        Wanted::These(asked) => asked,
    };
    if let Some(unknown) = asked.iter().find(|name| theirs.topic(name).is_none()) {
        let names = theirs.topics.iter().map(|topic| topic.name.as_str());
        let hint = match nearest(unknown, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("it has {}", names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
            }
        };
        return Err(user_error(format!("`{}` has no topic `{unknown}`\nhint: {hint}", theirs.app)));
    }
    let kept = |topic: &&Topic| {
        subscribed.contains(&&topic.name) || asked.iter().any(|name| name == topic.name.as_str())
    };
    Ok(Contract { topics: theirs.topics.iter().filter(kept).cloned().collect(), ..theirs.clone() })
}

/// Refuses types that this version of Less can't read, before they are in the way of every command.
fn usable(contract: &Contract) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    for topic in &contract.topics {
        for problem in topic.shape().err().unwrap_or_default() {
            problems.push(format!(
                "the type of topic `{}` of `{}`: {}\nhint: {}",
                topic.name,
                contract.app,
                ui::harmless(&problem.message),
                ui::harmless(&problem.hint)
            ));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(user_error(problems.join("\nerror: "))) }
}

/// Says what has changed since the contract was taken, and whom here that breaks.
fn tell(external: &ExternalApp, theirs: &Contract, taken: &Contract) {
    let Some(before) = &external.contract else { return };
    // A topic that was not taken before is nobody's news.
    let still = |topic: &&Topic| {
        taken.topic(topic.name.as_str()).is_some()
            || external.topics.iter().any(|subscribed| subscribed.name == topic.name)
    };
    let before = Contract { topics: before.topics.iter().filter(still).cloned().collect(), ..before.clone() };
    let known = |topic: &&Topic| before.topic(topic.name.as_str()).is_some();
    let after = Contract { topics: theirs.topics.iter().filter(known).cloned().collect(), ..theirs.clone() };
    let changes = contract_changes(&before, &after);
    if changes.is_empty() {
        return;
    }
    ui::say(&format!("what `{}` has changed:", theirs.app));
    for ContractChange { topic, what, breaks, .. } in &changes {
        // Fields are called as the other app likes.
        let what = ui::harmless(what);
        ui::note(&format!("  {}{topic}: {what}", if *breaks { "breaks " } else { "" }));
    }
    let broken = external
        .topics
        .iter()
        .filter(|topic| changes.iter().any(|change| change.breaks && change.topic == topic.name));
    let files: Vec<&str> =
        broken.flat_map(|topic| &topic.subscribers).map(|subscriber| subscriber.file.as_str()).collect();
    if !files.is_empty() {
        ui::say("look at what reads that here; messages that no longer fit become dead letters (`schema`):");
        for file in files {
            ui::note(&format!("  {file}"));
        }
    }
}
