//! Waiting for other apps' topics: in a pipeline, apps are deployed side by side.

use std::time::Duration;

use less_model::quantity::Span;
use less_runtime::transport::aws::provision::{Desired, OtherTopic, look};
use tokio::time::{Instant, sleep};

use super::errors;
use super::target::Target;
use crate::command::build::Failure;
use crate::ui;

/// How often is looked.
const PAUSE: Duration = Duration::from_secs(3);
/// How often is said that it goes on.
const REMINDER: Duration = Duration::from_secs(30);

/// `--wait-for-external`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WaitArg {
    /// Wait for other apps' topics that are not deployed yet, this long at most; without a duration 10m
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "10m")]
    wait_for_external: Option<Span>,
}

impl WaitArg {
    /// How long, if at all.
    pub fn patience(self) -> Option<Span> {
        self.wait_for_external
    }
}

/// Waits until all of these topics are there and may be looked at. Returns whether they are, before the time is up.
pub async fn wait(target: &Target, awaited: &[String], patience: Span) -> Result<bool, Failure> {
    let label = |arn: &String| {
        let found = target.desired.external.iter().find(|other| other.arn == *arn);
        found.map_or_else(
            || arn.clone(),
            |other| format!("{} ({}, {})", other.address(), other.name, other.site.region),
        )
    };
    let began = Instant::now();
    let end = began + patience.duration();
    let mut left: Vec<String> = awaited.to_vec();
    let labels: Vec<String> = left.iter().map(label).collect();
    ui::say(&format!("Waiting up to {patience} for {}", labels.join(", ")));
    let mut reminder = began + REMINDER;
    loop {
        let mut still = Vec::new();
        for arn in left {
            let found = look(&target.connection, &arn).await.map_err(|error| {
                errors::print(&[error], &target.stage);
                Failure::Surroundings(anyhow::anyhow!("can't tell whether the topics are there"))
            })?;
            match found {
                OtherTopic::There | OtherTopic::OtherOrder => ui::say(&format!("  found {}", label(&arn))),
                OtherTopic::Missing | OtherTopic::Closed => still.push(arn),
            }
        }
        left = still;
        let now = Instant::now();
        if left.is_empty() {
            return Ok(true);
        }
        if now >= end {
            ui::say(&format!("  not there after {patience}"));
            return Ok(false);
        }
        if now >= reminder {
            let seconds = now.duration_since(began).as_secs();
            let labels: Vec<String> = left.iter().map(label).collect();
            ui::say(&format!("  still waiting after {seconds} s: {}", labels.join(", ")));
            reminder = now + REMINDER;
        }
        sleep(PAUSE.min(end.duration_since(now))).await;
    }
}

/// What can be made before these topics are there: everything but what gets their messages.
pub fn without(desired: &Desired, awaited: &[String]) -> Desired {
    let mut desired = desired.clone();
    desired.external.retain(|other| !awaited.contains(&other.arn));
    desired
}
