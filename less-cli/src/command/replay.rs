//! `less replay`: messages once more.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use less_model::quantity::Span;
use less_runtime::client::Replay;
use less_runtime::message::MessageId;

use crate::cli::ExitStatus;
use crate::place::{Place, PlaceArgs};
use crate::ui;

/// What `replay` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `TOPIC`, or `TOPIC/SUBSCRIBER`
    topic: String,
    /// To this subscriber alone [default: to all of the topic that have a folder]
    #[arg(long)]
    subscriber: Option<String>,
    /// What was published this long ago or later, such as `24h` [default: everything that is retained]
    #[arg(long, value_name = "AGO", conflicts_with = "id")]
    since: Option<Span>,
    /// This message, by its whole id
    #[arg(long, value_parser = whole)]
    id: Option<MessageId>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// A whole id: what is finished is not listed anywhere, so that a beginning can't be looked up.
fn whole(text: &str) -> Result<MessageId, &'static str> {
    text.parse().map_err(|_| {
        "the whole id is needed, not its beginning\nhint: `less publish`, `less tail` and the handler's `context` show it, `less dlq list` that of a dead letter"
    })
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let place = arguments.place.find(folder).await?;
    let which = match (arguments.since, arguments.id) {
        (Some(ago), _) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let since = now.saturating_sub(ago.duration()).as_millis();
            Replay::Since(u64::try_from(since)?)
        }
        (None, Some(id)) => Replay::Id(id),
        (None, None) => Replay::All,
    };
    let (topic, subscriber) = named(arguments)?;
    let subscribers = subscribers(&place, topic, subscriber).await?;
    let mut left = &subscribers[..];
    while !left.is_empty() {
        let counts = place.replay(topic, left, which).await?;
        for (subscriber, count) in left.iter().zip(&counts) {
            ui::say(&format!("{count} of `{topic}` are delivered once more to `{subscriber}`"));
        }
        left = &left[counts.len()..];
    }
    Ok(ExitStatus::Success)
}

/// The topic, and the subscriber where one is named.
fn named(arguments: &Args) -> anyhow::Result<(&str, Option<&str>)> {
    match (arguments.topic.split_once('/'), arguments.subscriber.as_deref()) {
        (Some((topic, subscriber)), None) => Ok((topic, Some(subscriber))),
        (None, subscriber) => Ok((&arguments.topic, subscriber)),
        (Some((topic, _)), Some(subscriber)) => Err(ui::user_error(format!(
            "two subscribers are named\nhint: `less replay {topic}/{subscriber}`"
        ))),
    }
}

/// The subscribers that are meant.
async fn subscribers(place: &Place, topic: &str, named: Option<&str>) -> anyhow::Result<Vec<String>> {
    if let Some(subscriber) = named {
        let (_, subscriber) = super::dlq::resolve(place, &format!("{topic}/{subscriber}")).await?;
        return Ok(vec![subscriber]);
    }
    let all = place.handled().await?;
    let mut topics: Vec<String> = all.iter().map(|(topic, _)| topic.clone()).collect();
    topics.dedup();
    let found: Vec<String> = all.into_iter().filter(|(of, _)| of == topic).map(|(_, name)| name).collect();
    if found.is_empty() {
        let near = less_model::name::nearest(topic, topics.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`less list` shows the topics and their subscribers".to_owned(),
        };
        return Err(ui::user_error(format!("there is no subscriber of a topic `{topic}`\nhint: {hint}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_of_an_id_is_told_that_the_whole_one_is_needed_and_where_it_is_shown() {
        assert!(whole("01930000-0000-7000-8000-000000000000").is_ok());
        for text in ["01930000-0000", "", "mail"] {
            let said = whole(text).unwrap_err();
            assert!(
                said.starts_with("the whole id is needed") && said.contains("`less tail`"),
                "{text}: {said}"
            );
        }
    }
}
