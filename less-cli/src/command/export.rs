//! `less export`.

use std::path::Path;

use clap::Subcommand;

use crate::cli::ExitStatus;
use crate::export::cloudformation::{MAX_INLINE, MAX_RESOURCES, MAX_TEMPLATE, template};
use crate::stage::Stage;
use crate::ui::{self, user_error};

/// What `export` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a stage's topics and queues as a CloudFormation template, for any account and region
    Cloudformation {
        /// Which `[stages.…]` of less.toml [env: `LESS_STAGE`] [default: dev]
        #[arg(long)]
        stage: Option<String>,
    },
}

pub(super) fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    match &arguments.what {
        What::Cloudformation { stage } => cloudformation(folder, stage.as_deref()),
    }
}

fn cloudformation(folder: Option<&Path>, stage: Option<&str>) -> anyhow::Result<ExitStatus> {
    let stage = Stage::find(folder, stage)?;
    let template = template(&stage.topology(), stage.aws.kms_key.as_deref());
    let resources = template["Resources"].as_object().map_or(0, serde_json::Map::len);
    let text = serde_json::to_string_pretty(&template)?;
    if resources > MAX_RESOURCES || text.len() > MAX_TEMPLATE {
        return Err(user_error(format!(
            "the stage needs {resources} resources in {} bytes, and a stack takes {MAX_RESOURCES} in {MAX_TEMPLATE}\nhint: `less deploy --stage {}` has no such limit",
            text.len(),
            stage.name
        )));
    }
    if text.len() > MAX_INLINE {
        ui::say(&format!(
            "the template has {} bytes: over {MAX_INLINE} it goes by way of S3 (`aws cloudformation deploy --s3-bucket …`)",
            text.len()
        ));
    }
    ui::data(&text);
    Ok(ExitStatus::Success)
}
