//! `less dlq`: dead letters.

use std::path::Path;

use clap::Subcommand;
use less_runtime::client::ShownDeadLetter;
use less_runtime::message::MessageId;
use serde_json::json;

use crate::cli::ExitStatus;
use crate::place::{Place, PlaceArgs};
use crate::ui;

/// What `dlq` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters
    List {
        /// Of this subscriber alone, `TOPIC/SUBSCRIBER` [default: of all]
        subscriber: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one with its body and its attempts, as JSON
    Show {
        /// `TOPIC/SUBSCRIBER`
        subscriber: String,
        /// The message's id
        id: MessageId,
    },
    /// Hand dead letters back to their subscriber, with attempts counted anew
    Release(Which),
    /// Delete dead letters for good
    Purge(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// `TOPIC/SUBSCRIBER`
    subscriber: String,
    /// These messages
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<MessageId>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Which {
    fn ids(&self) -> Option<&[MessageId]> {
        (!self.all).then_some(&*self.ids)
    }
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let place = arguments.place.find(folder).await?;
    match &arguments.action {
        Action::List { subscriber, json } => list(&place, subscriber.as_deref(), *json).await?,
        Action::Show { subscriber, id } => {
            let (topic, subscriber) = resolve(&place, subscriber).await?;
            let letters = place.dead_letters(&topic, &subscriber).await?;
            let found = letters.into_iter().find(|letter| letter.message_id == *id).ok_or_else(|| {
                let command = format!("less dlq list {topic}/{subscriber}{}", place.flag());
                let hint = format!("hint: `{command}` shows which there are");
                ui::user_error(format!("`{id}` is no dead letter of `{topic}/{subscriber}`\n{hint}"))
            })?;
            ui::data(&serde_json::to_string_pretty(&found)?);
        }
        Action::Release(which) => {
            let (topic, subscriber) = resolve(&place, &which.subscriber).await?;
            let count = place.release(&topic, &subscriber, which.ids()).await?;
            ui::say(&format!("released {count} of `{topic}/{subscriber}`"));
        }
        Action::Purge(which) => {
            let (topic, subscriber) = resolve(&place, &which.subscriber).await?;
            let count = place.purge(&topic, &subscriber, which.ids()).await?;
            ui::say(&format!("purged {count} of `{topic}/{subscriber}`"));
        }
    }
    Ok(ExitStatus::Success)
}

/// The subscriber of this name; the topic may be left out where only one has it.
pub(super) async fn resolve(place: &Place, name: &str) -> anyhow::Result<(String, String)> {
    let known = place.subscribers().await?;
    let matches: Vec<&(String, String)> = known
        .iter()
        .filter(|(topic, subscriber)| match name.split_once('/') {
            Some((t, s)) => t == topic && s == subscriber,
            None => name == subscriber,
        })
        .collect();
    if let [one] = matches[..] {
        return Ok(one.clone());
    }
    let list: Vec<String> =
        known.iter().map(|(topic, subscriber)| format!("`{topic}/{subscriber}`")).collect();
    let problem =
        if matches.is_empty() { "there is no subscriber" } else { "more than one topic has a subscriber" };
    Err(ui::user_error(format!("{problem} `{name}`\nhint: there are {}", list.join(", "))))
}

/// A dead letter, and whose it is.
#[derive(serde::Serialize)]
struct Row {
    topic: String,
    subscriber: String,
    #[serde(flatten)]
    letter: ShownDeadLetter,
}

async fn list(place: &Place, subscriber: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let wanted: Vec<(String, String)> = if let Some(name) = subscriber {
        vec![resolve(place, name).await?]
    } else {
        let dead = place.status().await?.subscribers.into_iter().filter(|s| s.dead_letters() > 0);
        dead.map(|s| (s.topic, s.subscriber)).collect()
    };
    let mut rows: Vec<Row> = Vec::new();
    for (topic, subscriber) in wanted {
        for letter in place.dead_letters(&topic, &subscriber).await? {
            if as_json {
                rows.push(Row { topic: topic.clone(), subscriber: subscriber.clone(), letter });
            } else {
                let error = letter.history.last().map_or("", |error| error.message.as_str());
                let first = error.lines().next().unwrap_or_default();
                let reason = json!(letter.reason);
                let reason = reason.as_str().unwrap_or_default();
                ui::data(&format!(
                    "{topic}/{subscriber}  {}  {reason}  {}  {first}",
                    letter.message_id,
                    ui::count_u64(u64::from(letter.attempts), "attempt")
                ));
            }
        }
    }
    if as_json {
        ui::data(&serde_json::to_string_pretty(&rows)?);
    }
    Ok(())
}
