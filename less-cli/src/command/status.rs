//! `less status`.

use std::path::Path;

use less_runtime::client::{Client, Status, WorkerState, WorkerStatus};

use crate::cli::ExitStatus;
use crate::oldest;
use crate::place::{OnAws, Place, PlaceArgs};
use crate::ui;

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
        Ok(match &self.url {
            Some(url) => Client::at(url, key)?,
            None => Client::discover(&folder.map_or_else(std::env::current_dir, Path::canonicalize)?)?,
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
        let header = ["SUBSCRIBER", "PENDING", "OLDEST", "IN FLIGHT", "SCHEDULED", "DEAD", "DONE"];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(status.subscribers.iter().map(|s| {
            [
                format!("{}/{}", s.topic, s.subscriber),
                s.pending.to_string(),
                s.oldest_pending_s.map_or_else(|| "-".to_owned(), |age| format!("{age:.0}s")),
                s.in_flight.to_string(),
                s.scheduled.to_string(),
                s.dead.to_string(),
                s.done.map_or_else(|| "-".to_owned(), |done| done.to_string()),
            ]
        }));
        let widths: Vec<usize> = (0..header.len())
            .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
            .collect();
        for row in rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            ui::data(cells.join("  ").trim_end());
        }
    }
    let failed = failures(&status);
    let dead: u64 = status.subscribers.iter().map(|subscriber| subscriber.dead).sum();
    if dead > 0 {
        anstream::eprintln!("{dead} dead; `less dlq list{}` shows them", place.flag());
    }
    Ok(if dead == 0 && !failed { ExitStatus::Success } else { ExitStatus::UserError })
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

/// Says why handlers could not be loaded. Returns whether messages wait because of that.
fn failures(status: &Status) -> bool {
    let mut failed = false;
    for subscriber in &status.subscribers {
        let Some(WorkerStatus { state, error: Some(error), .. }) = &subscriber.worker else { continue };
        let name = format!("{}/{}", subscriber.topic, subscriber.subscriber);
        let waits = *state != WorkerState::Ready;
        failed |= waits;
        ui::error(&if waits {
            format!("`{name}` can't be started, and its messages wait\n{error}")
        } else {
            format!("the newest `{name}` can't be started; the one before it keeps running\n{error}")
        });
    }
    failed
}
