//! `less dlq`: dead letters.

mod ids;

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
        /// The message's id, or its beginning
        id: String,
        /// As JSON, which it is without this as well
        #[arg(long)]
        json: bool,
    },
    /// Hand dead letters back to their subscriber, with attempts counted anew
    Release(Which),
    /// Delete dead letters: the messages are finished, and `less replay` delivers finished ones while the topic retains them
    Purge(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// `TOPIC/SUBSCRIBER`
    subscriber: String,
    /// These messages, by their ids or beginnings of them
    #[arg(conflicts_with = "all")]
    ids: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Which {
    /// Whose dead letters, and which of them; all without ids.
    async fn find(
        &self,
        place: &Place,
        verb: &str,
    ) -> anyhow::Result<(String, String, Option<Vec<MessageId>>)> {
        if !self.all && self.ids.is_empty() {
            let (name, flag) = (&self.subscriber, place.flag());
            return Err(ui::user_error(format!(
                "which dead letters of `{name}` is not said\nhint: `less dlq {verb} {name} ID…{flag}` names some, `less dlq {verb} {name} --all{flag}` takes all"
            )));
        }
        let (topic, subscriber) = resolve(place, &self.subscriber).await?;
        if self.all {
            return Ok((topic, subscriber, None));
        }
        let letters = place.dead_letters(&topic, &subscriber).await?;
        let ids = choose(&letters, &topic, &subscriber, &self.ids, place)?;
        Ok((topic, subscriber, Some(ids)))
    }
}

/// The ids of a subscriber's dead letters that are meant. Where one is none, that is said, and nothing done.
fn choose(
    letters: &[ShownDeadLetter],
    topic: &str,
    subscriber: &str,
    texts: &[String],
    place: &Place,
) -> anyhow::Result<Vec<MessageId>> {
    let mut there: Vec<MessageId> = letters.iter().map(|letter| letter.message_id).collect();
    // A message may be dead twice, as it was published and as it was replayed.
    there.sort_unstable();
    there.dedup();
    let of = format!("{topic}/{subscriber}");
    ids::chosen(texts, &there, &of).map_err(|problems| {
        let hint = format!("hint: `less dlq list {of}{}` shows which there are", place.flag());
        ui::user_error(format!("{}\n{hint}", problems.join("\nerror: ")))
    })
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let place = arguments.place.find(folder).await?;
    match &arguments.action {
        Action::List { subscriber, json } => list(&place, subscriber.as_deref(), *json).await?,
        Action::Show { subscriber, id, json: _ } => {
            let (topic, subscriber) = resolve(&place, subscriber).await?;
            let letters = place.dead_letters(&topic, &subscriber).await?;
            let wanted = choose(&letters, &topic, &subscriber, std::slice::from_ref(id), &place)?;
            for found in letters.iter().filter(|letter| wanted.contains(&letter.message_id)) {
                ui::data(&serde_json::to_string_pretty(found)?);
            }
        }
        Action::Release(which) => {
            let (topic, subscriber, ids) = which.find(&place, "release").await?;
            let count = place.release(&topic, &subscriber, ids.as_deref()).await?;
            ui::say(&format!("released {count} of `{topic}/{subscriber}`"));
        }
        Action::Purge(which) => {
            let (topic, subscriber, ids) = which.find(&place, "purge").await?;
            let count = place.purge(&topic, &subscriber, ids.as_deref()).await?;
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
