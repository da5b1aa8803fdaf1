//! `less env`.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::ExitStatus;
use crate::export::env::{shell_line, variables};
use crate::stage::StageArgs;
use crate::ui;

/// What `env` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    stage: StageArgs,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let stage = arguments.stage.find(folder)?;
    let variables = variables(&stage.topology(), &stage.site().await?);
    if arguments.json {
        let object: Map<String, Value> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        ui::data(&serde_json::to_string_pretty(&object)?);
    } else {
        for (name, value) in variables {
            ui::data(&shell_line(name, &value));
        }
    }
    Ok(ExitStatus::Success)
}
