//! `less drop`: deletes a subscription that has no folder.

use std::path::Path;

use less_runtime::client::SubscriberStatus;

use crate::cli::ExitStatus;
use crate::deploy::ask;
use crate::place::{Place, PlaceArgs};
use crate::ui;

/// What `drop` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `TOPIC/SUBSCRIBER`, whose folder is gone, or `TOPIC/APP:SUBSCRIBER`, another app's
    subscriber: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Drop it with messages that wait, and dead letters
    #[arg(long)]
    drop_messages: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let place = arguments.place.find(folder).await?;
    let client = match &place {
        Place::App(client) => client,
        Place::Aws(aws) => {
            return Err(ui::user_error(format!(
                "stage `{0}` is on AWS, where deploying removes what has no folder any more\nhint: `less deploy --stage {0} --prune`",
                aws.stage.name
            )));
        }
    };
    let row = find(&client.status().await?.subscribers, &arguments.subscriber)?;
    let name = format!("{}/{}", row.topic, row.subscriber);
    let held = row.held();
    if held > 0 {
        ui::note(&format!("{name}: {}", contents(&row)));
    }
    if held > 0 && !arguments.drop_messages {
        return Err(ui::user_error(format!(
            "{} would be lost; nothing was dropped\nhint: `less drop {name} --drop-messages` drops {} as well",
            ui::count_u64(held, "message"),
            if held == 1 { "it" } else { "them" }
        )));
    }
    let with = if held > 0 { format!(" with {}", ui::count_u64(held, "message")) } else { String::new() };
    if !ask::confirm(&format!("drop {name}{with}"), arguments.yes)? {
        ui::say("Nothing was dropped");
        return Ok(ExitStatus::UserError);
    }
    let dropped = client.drop_subscription(&row.topic, &row.subscriber, arguments.drop_messages).await;
    let lost = dropped.map_err(|error| refused(error, &row))?.held();
    let with = if lost > 0 { format!(", with {}", ui::count_u64(lost, "message")) } else { String::new() };
    ui::say(&format!("dropped `{name}`{with}"));
    Ok(ExitStatus::Success)
}

/// The subscription of this name, if it is one that can be dropped.
fn find(all: &[SubscriberStatus], name: &str) -> anyhow::Result<SubscriberStatus> {
    let label = |row: &SubscriberStatus| format!("{}/{}", row.topic, row.subscriber);
    let stored = |row: &&SubscriberStatus| row.orphaned || row.subscriber.contains(':');
    if let Some(row) = all.iter().find(|row| label(row) == name) {
        if stored(&row) {
            return Ok(row.clone());
        }
        return Err(ui::user_error(match row.topic.split_once(':') {
            Some((app, topic)) => format!(
                "`{name}` has a folder here, and app `{app}` keeps its messages\nhint: remove less/external_topics/{app}/{topic}/{}, then drop it in `{app}`",
                row.subscriber
            ),
            None => format!(
                "`{name}` has a folder, which would make it anew\nhint: remove less/topics/{name}, and start the app anew"
            ),
        }));
    }
    let droppable: Vec<String> = all.iter().filter(stored).map(label).collect();
    let near = less_model::name::nearest(name, droppable.iter().map(String::as_str));
    let hint = match (near, droppable.len()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, 0) => "every subscriber that is stored has a folder; `less status` shows them".to_owned(),
        (None, _) => format!("without a folder there are `{}`", droppable.join("`, `")),
    };
    Err(ui::user_error(format!("there is no subscriber `{name}`\nhint: {hint}")))
}

/// What is in it: `2 waiting, 1 dead letter`.
fn contents(row: &SubscriberStatus) -> String {
    let replay = &row.replay;
    let waiting = row.pending + row.scheduled + row.in_flight;
    let replays = replay.pending + replay.scheduled + replay.in_flight;
    let mut parts = Vec::new();
    if waiting > 0 {
        parts.push(format!("{} waiting", ui::count_u64(waiting, "message")));
    }
    if replays > 0 {
        parts.push(format!("{replays} to be delivered once more"));
    }
    if row.dead_letters() > 0 {
        parts.push(ui::count_u64(row.dead_letters(), "dead letter"));
    }
    parts.join(", ")
}

/// What the app says, with what to do about it.
fn refused(error: less_runtime::PublishError, row: &SubscriberStatus) -> anyhow::Error {
    let less_runtime::PublishError::Refused { status: 409, detail, .. } = &error else { return error.into() };
    match row.subscriber.split_once(':') {
        Some((app, subscriber)) => ui::user_error(format!(
            "{detail}\nhint: stop app `{app}`, or remove {subscriber}'s folder there and start it anew"
        )),
        None => ui::user_error(detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(topic: &str, subscriber: &str, orphaned: bool) -> SubscriberStatus {
        let json = serde_json::json!({
            "topic": topic, "subscriber": subscriber, "orphaned": orphaned,
            "published": 9, "pending": 2, "scheduled": 1, "in_flight": 0, "done": 5, "dead": 1,
            "discarded": {}, "oldest_pending_s": 1.0,
        });
        serde_json::from_value(json).expect("a row")
    }

    #[test]
    fn what_has_a_folder_is_refused_and_what_has_none_is_listed() {
        let all = [
            row("order", "mail", false),
            row("order", "old", true),
            row("order", "friends:suggest", false),
            row("shop:order", "audit", false),
        ];
        for name in ["order/old", "order/friends:suggest"] {
            assert!(find(&all, name).is_ok(), "{name}");
        }
        for (name, expected) in [
            (
                "order/mail",
                "`order/mail` has a folder, which would make it anew\nhint: remove less/topics/order/mail, and start the app anew",
            ),
            (
                "shop:order/audit",
                "`shop:order/audit` has a folder here, and app `shop` keeps its messages\nhint: remove less/external_topics/shop/order/audit, then drop it in `shop`",
            ),
            ("order/odl", "there is no subscriber `order/odl`\nhint: did you mean `order/old`?"),
            (
                "nope/x",
                "there is no subscriber `nope/x`\nhint: without a folder there are `order/old`, `order/friends:suggest`",
            ),
        ] {
            assert_eq!(find(&all, name).expect_err(name).to_string(), expected);
        }
        let none = find(&all[..1], "order/odl").expect_err("it is not there").to_string();
        assert!(
            none.ends_with("every subscriber that is stored has a folder; `less status` shows them"),
            "{none}"
        );
    }

    #[test]
    fn what_would_be_lost_is_said() {
        let row = row("order", "old", true);
        assert_eq!((row.held(), contents(&row).as_str()), (4, "3 messages waiting, 1 dead letter"));
    }
}
