//! `less status`.

use std::path::Path;

use less_runtime::PublishError;
use less_runtime::client::{Client, LinkState, Status, SubscriberStatus, WorkerState, WorkerStatus};

use crate::cli::ExitStatus;
use crate::oldest;
use crate::place::{OnAws, Place, PlaceArgs};
use crate::project::{self, Project};
use crate::ui::{self, user_error};

/// What `status` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Which running app.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Where the app runs [env: `LESS_URL`] [default: what the running app has written down]
    #[arg(long, global = true)]
    url: Option<String>,
}

impl Target {
    /// Whether the command line or the environment says where the app runs.
    pub fn is_given(&self) -> bool {
        self.url.is_some() || std::env::var("LESS_URL").is_ok_and(|url| !url.is_empty())
    }

    /// A client for it.
    pub fn client(&self, folder: Option<&Path>) -> anyhow::Result<Client> {
        let key = std::env::var("LESS_API_KEY").ok().filter(|key| !key.is_empty());
        // Outside of an app's folder any app will do.
        let name = Project::find(folder).ok().and_then(|project| project.app_name());
        let found = match &self.url {
            Some(url) => Client::at(url, key).map(|client| client.of(name.as_deref())),
            None => Client::discover(&project::folder(folder)?, name.as_deref()),
        };
        found.map_err(|error| match error {
            // Outside of an app's folder there is none that would only have to be started.
            PublishError::NoAddress => match Project::find(folder) {
                Ok(_) => error.into(),
                Err(nowhere) => {
                    user_error(format!("{nowhere}; `--url URL` or LESS_URL names an app that runs"))
                }
            },
            PublishError::BadUrl { .. } => user_error(error.to_string()),
            error => error.into(),
        })
    }
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let place = arguments.place.find(folder).await?;
    let mut status = place.status().await?;
    match &place {
        Place::App(_) => {}
        Place::Aws(aws) => add_ages(aws, &mut status).await,
    }
    if arguments.json {
        ui::data(&serde_json::to_string_pretty(&status)?);
    } else {
        for line in table(&status.subscribers) {
            ui::data(&line);
        }
    }
    for line in orphans(&status.subscribers) {
        ui::note(&line);
    }
    let failed = failures(&status);
    if !arguments.json {
        for line in unlinked(&status) {
            ui::say(&line);
        }
    }
    let dead: u64 = status.subscribers.iter().map(SubscriberStatus::dead_letters).sum();
    if dead > 0 {
        anstream::eprintln!("{dead} dead; `less dlq list{}` shows them", place.flag());
    }
    Ok(if dead == 0 && !failed { ExitStatus::Success } else { ExitStatus::UserError })
}

/// The table, line by line. What was discarded, and why, has a column where there is any; replays have a line where there were any.
fn table(subscribers: &[SubscriberStatus]) -> Vec<String> {
    let discarded = subscribers
        .iter()
        .any(|s| gone(s.discarded.iter().flatten()).is_some() || gone(&s.replay.discarded).is_some());
    let mut header = vec!["SUBSCRIBER", "PENDING", "OLDEST", "IN FLIGHT", "SCHEDULED", "DEAD", "DONE"];
    header.extend(discarded.then_some("DISCARDED"));
    let mut rows = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for s in subscribers {
        if s.unknown {
            let unknown = std::iter::repeat_n("?".to_owned(), if discarded { 7 } else { 6 });
            rows.push(std::iter::once(format!("{}/{}", s.topic, s.subscriber)).chain(unknown).collect());
            continue;
        }
        let mut row = vec![
            format!("{}/{}", s.topic, s.subscriber),
            s.pending.to_string(),
            s.oldest_pending_s.map_or_else(|| "-".to_owned(), |age| format!("{age:.0}s")),
            s.in_flight.to_string(),
            s.scheduled.to_string(),
            s.dead.to_string(),
            s.done.map_or_else(|| "-".to_owned(), |done| done.to_string()),
        ];
        if discarded {
            row.push(gone(s.discarded.iter().flatten()).unwrap_or_else(|| "0".to_owned()));
        }
        rows.push(row);
        if s.replay.requested > 0 {
            let replay = &s.replay;
            let mut row = vec![
                format!("{}/{} (replays)", s.topic, s.subscriber),
                replay.pending.to_string(),
                "-".to_owned(),
                replay.in_flight.to_string(),
                replay.scheduled.to_string(),
                replay.dead.to_string(),
                replay.done.to_string(),
            ];
            if discarded {
                row.push(gone(&replay.discarded).unwrap_or_else(|| "0".to_owned()));
            }
            rows.push(row);
        }
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// What has no folder any more, and how it goes.
fn orphans(subscribers: &[SubscriberStatus]) -> Vec<String> {
    let orphans = subscribers.iter().filter(|subscriber| subscriber.orphaned);
    let lines = orphans.map(|orphan| {
        let name = format!("{}/{}", orphan.topic, orphan.subscriber);
        let with = if orphan.held() > 0 { " --drop-messages" } else { "" };
        format!("{name} has no folder any more, and its queue stays, with what is still published; `less drop {name}{with}` ends that")
    });
    lines.collect()
}

/// `12 filtered, 1 purged`.
fn gone<'a>(discarded: impl IntoIterator<Item = (&'a String, &'a u64)>) -> Option<String> {
    let reasons = discarded.into_iter().filter(|(_, count)| **count > 0);
    let texts: Vec<String> = reasons.map(|(reason, count)| format!("{count} {reason}")).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Adds what SQS does not say: how old the oldest message of a queue is.
async fn add_ages(aws: &OnAws, status: &mut Status) {
    let waits = status.subscribers.iter().filter(|subscriber| subscriber.pending > 0);
    let waits = waits
        .filter_map(|s| Some((s.topic.clone(), s.subscriber.clone(), aws.queue(&s.topic, &s.subscriber)?)));
    let waits: Vec<(String, String, &str)> = waits.collect();
    let queues: Vec<&str> = waits.iter().map(|(_, _, queue)| *queue).collect();
    let ages = match oldest::ages(&aws.connection, &queues).await {
        Ok(ages) => ages,
        Err(cause) => {
            ui::say(&format!(
                "how old the oldest messages are is not known, as CloudWatch does not say it: {cause}"
            ));
            return;
        }
    };
    for (topic, subscriber, queue) in waits {
        let row = status.subscribers.iter_mut().find(|s| s.topic == topic && s.subscriber == subscriber);
        if let (Some(row), Some(age)) = (row, ages.get(queue)) {
            row.oldest_pending_s = Some(*age);
        }
    }
}

/// Which links are not up, and what that means.
fn unlinked(status: &Status) -> Vec<String> {
    let here = status.links.iter().filter_map(|link| {
        let app = &link.app;
        let error = link.error.as_deref();
        match link.state {
            LinkState::Waiting => Some(format!(
                "no link to app `{app}`: {}; what is shown of its topics is what was last known, `?` where nothing is",
                error.unwrap_or("it is being opened")
            )),
            LinkState::Connected => error.map(|error| format!("app `{app}`: {error}")),
        }
    });
    let mut apps: Vec<&str> =
        status.subscribers.iter().filter_map(|row| Some(row.subscriber.split_once(':')?.0)).collect();
    apps.dedup();
    let away = apps.into_iter().filter(|app| !status.linked.iter().any(|linked| linked == app));
    let there = away.map(|app| {
        format!(
            "app `{app}` is not linked now; its messages wait here, and `less drop TOPIC/{app}:SUBSCRIBER` drops those of one that never comes back"
        )
    });
    here.chain(there).collect()
}

/// Says why handlers could not be loaded. Returns whether there are such, also where the one before still handles the messages.
fn failures(status: &Status) -> bool {
    let mut failed = false;
    for subscriber in &status.subscribers {
        let Some(WorkerStatus { state, error: Some(error), .. }) = &subscriber.worker else { continue };
        let name = format!("{}/{}", subscriber.topic, subscriber.subscriber);
        let waits = *state != WorkerState::Ready;
        failed = true;
        ui::error(&if waits {
            format!("`{name}` can't be started, and its messages wait\n{error}")
        } else {
            format!("the newest `{name}` can't be started; the one before it keeps running\n{error}")
        });
    }
    failed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use less_runtime::transport::ReplayLedger;

    use super::*;

    fn subscriber(name: &str, discarded: &[(&str, u64)]) -> SubscriberStatus {
        SubscriberStatus {
            topic: "order".to_owned(),
            subscriber: name.to_owned(),
            published: Some(20),
            pending: 3,
            scheduled: 0,
            in_flight: 1,
            done: Some(7),
            dead: 0,
            discarded: Some(
                discarded
                    .iter()
                    .map(|(reason, count)| ((*reason).to_owned(), *count))
                    .collect::<BTreeMap<_, _>>(),
            ),
            oldest_pending_s: Some(4.2),
            worker: None,
            orphaned: false,
            unknown: false,
            replay: ReplayLedger::default(),
        }
    }

    #[test]
    fn the_table_says_what_was_discarded_only_where_something_was() {
        let lines = |discarded: &[(&str, u64)]| {
            table(&[subscriber("audit", &[]), subscriber("mail", discarded)]).join("\n")
        };
        assert_eq!(
            lines(&[("purged", 0)]),
            "SUBSCRIBER   PENDING  OLDEST  IN FLIGHT  SCHEDULED  DEAD  DONE
order/audit  3        4s      1          0          0     7
order/mail   3        4s      1          0          0     7"
        );
        assert_eq!(
            lines(&[("filtered", 8), ("purged", 1)]),
            "SUBSCRIBER   PENDING  OLDEST  IN FLIGHT  SCHEDULED  DEAD  DONE  DISCARDED
order/audit  3        4s      1          0          0     7     0
order/mail   3        4s      1          0          0     7     8 filtered, 1 purged"
        );
    }

    #[test]
    fn replays_have_a_line_of_their_own_and_their_dead_letters_count() {
        let mut mail = subscriber("mail", &[]);
        mail.replay = ReplayLedger { requested: 9, pending: 2, done: 4, dead: 3, ..ReplayLedger::default() };
        assert_eq!(mail.dead_letters(), 3);
        assert_eq!(
            table(&[mail]).join("\n"),
            "SUBSCRIBER            PENDING  OLDEST  IN FLIGHT  SCHEDULED  DEAD  DONE
order/mail            3        4s      1          0          0     7
order/mail (replays)  2        -       0          0          3     4"
        );
    }

    #[test]
    fn a_link_that_is_not_up_is_said_on_either_side() {
        let row = |name: &str| SubscriberStatus { subscriber: name.to_owned(), ..subscriber("mail", &[]) };
        let rows = ["b:one", "b:two", "c:three", "own"].map(row);
        let status: Status = serde_json::from_value(serde_json::json!({
            "app": "a", "stage": "dev", "transport": "embedded", "linked": ["c"], "subscribers": rows,
            "links": [
                {"app": "d", "state": "waiting", "error": "it does not run"},
                {"app": "e", "state": "connected", "url": "http://127.0.0.1:1"},
                {"app": "f", "state": "connected", "error": "app `f` has no topic `x`"},
            ],
        }))
        .unwrap();
        assert_eq!(
            unlinked(&status),
            [
                "no link to app `d`: it does not run; what is shown of its topics is what was last known, `?` where nothing is",
                "app `f`: app `f` has no topic `x`",
                "app `b` is not linked now; its messages wait here, and `less drop TOPIC/b:SUBSCRIBER` drops those of one that never comes back",
            ]
        );
    }

    #[test]
    fn what_a_transport_does_not_count_is_no_zero() {
        let mut on_aws = subscriber("mail", &[]);
        on_aws.discarded = None;
        assert!(!table(&[on_aws])[0].contains("DISCARDED"));
    }
}
