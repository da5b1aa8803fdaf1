//! `less tail`: messages of a topic as they are published.

use std::path::Path;

use less_runtime::client::{ShownMessage, TailLine};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::ExitStatus;
use crate::place::{Place, PlaceArgs, Tail};
use crate::ui;

/// What `tail` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic, or `TOPIC/SUBSCRIBER` for what that subscriber gets
    #[arg(value_name = "TOPIC[/SUBSCRIBER]")]
    what: String,
    /// A JSON object per line
    #[arg(long)]
    json: bool,
    /// End after this many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Why it ends.
enum End {
    Limit,
    Signal,
    Stopped,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let (topic, subscriber) = match arguments.what.split_once('/') {
        Some((topic, subscriber)) => (topic, Some(subscriber)),
        None => (arguments.what.as_str(), None),
    };
    let place = arguments.place.find(folder).await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Not interrupted: what it makes on AWS would stay. A signal that comes meanwhile is seen below.
    let mut tail = place.tail(topic, subscriber).await?;
    if let Place::Aws(aws) = &place {
        aws.introduce();
    }
    ui::say(&format!("watching `{}`; Ctrl-C ends it", arguments.what));
    let end = tokio::select! {
        end = show(&mut tail, topic, arguments) => end,
        _ = interrupt.recv() => Ok(End::Signal),
        _ = terminate.recv() => Ok(End::Signal),
    };
    tail.close().await?;
    match end? {
        End::Limit | End::Signal => {}
        End::Stopped => ui::say("the app is stopping: nothing more to watch"),
    }
    Ok(ExitStatus::Success)
}

/// Prints lines until there are enough, or no more.
async fn show(tail: &mut Tail, topic: &str, arguments: &Args) -> anyhow::Result<End> {
    let mut left = arguments.limit;
    while let Some(lines) = tail.next().await? {
        for line in lines {
            let written = match line {
                TailLine::Message(message) => {
                    left = left.map(|left| left - 1);
                    ui::data_or_end(&if arguments.json {
                        as_json(topic, &message)?
                    } else {
                        as_text(&message)
                    })
                }
                TailLine::Missed(count) if arguments.json => {
                    ui::data_or_end(&json!({ "missed": count }).to_string())
                }
                TailLine::Missed(count) => {
                    ui::say(&missed(count));
                    true
                }
                TailLine::End(_) => return Ok(End::Stopped),
            };
            if !written || left == Some(0) {
                return Ok(End::Limit);
            }
        }
    }
    Ok(End::Stopped)
}

fn missed(count: u64) -> String {
    format!("{} not shown: they came faster than they were read", ui::count_u64(count, "message"))
}

/// The fields of a dead letter as far as a message has them, and its topic.
fn as_json(topic: &str, message: &ShownMessage) -> anyhow::Result<String> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        topic: &'a str,
        #[serde(flatten)]
        message: &'a ShownMessage,
    }
    Ok(serde_json::to_string(&Line { topic, message })?)
}

/// `2026-11-21T11:24:36.123Z  <id>  key=k  tenant=acme  {"user_id":1}`
fn as_text(message: &ShownMessage) -> String {
    let mut parts = vec![ui::time(message.published_at), message.message_id.to_string()];
    if let Some(due) = message.due {
        parts.push(format!("due={}", ui::time(due)));
    }
    if let Some(key) = &message.key {
        parts.push(format!("key={}", word(key)));
    }
    parts.extend(message.attributes.iter().map(|(name, value)| format!("{}={}", word(name), word(value))));
    parts.push(message.body.get().to_owned());
    ui::harmless(&parts.join("  "))
}

/// Text as it is, or as a JSON string where that would be unclear.
fn word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !matches!(c, '"' | '=' | '{'));
    if plain { text.to_owned() } else { json!(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(value: &serde_json::Value) -> ShownMessage {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn a_line_says_when_which_and_what() {
        let id = "01930000-0000-7000-8000-000000000000";
        let mut shown = json!({
            "message_id": id, "published_at": 1_790_000_000_123_u64, "key": null, "attributes": {}, "body": {"n": 1},
        });
        let first = format!("2026-09-21T14:13:20.123Z  {id}");
        assert_eq!(as_text(&message(&shown)), format!("{first}  {{\"n\":1}}"));
        shown["key"] = json!("k 1");
        shown["attributes"] = json!({"tenant": "acme", "empty": ""});
        shown["due"] = json!(1_790_000_060_000_u64);
        let rest = "due=2026-09-21T14:14:20.000Z  key=\"k 1\"  empty=\"\"  tenant=acme  {\"n\":1}";
        assert_eq!(as_text(&message(&shown)), format!("{first}  {rest}"));
    }

    #[test]
    fn nothing_in_a_message_moves_the_cursor() {
        let shown = json!({
            "message_id": "01930000-0000-7000-8000-000000000000", "published_at": 0,
            "key": "a\u{1b}[2Jb", "attributes": {}, "body": "x\u{9b}2Jy",
        });
        let line = as_text(&message(&shown));
        assert!(line.contains("key=a\\u001b[2Jb") && line.ends_with("\"x\\u009b2Jy\""), "{line}");
    }
}
