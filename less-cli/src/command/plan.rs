//! `less plan`: what deploying would do.

use super::build::Failure;
use crate::cli::ExitStatus;
use crate::deploy::target::{self, StageArg};
use crate::deploy::wait::{self, WaitArg};
use crate::deploy::{plan, show};
use crate::project::Project;
use crate::ui;

/// What `plan` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stage: StageArg,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArg,
}

/// As `diff` does it: 0 where nothing would change, 1 where something would, 2 where that can't be told or can't be done.
pub(super) async fn run(folder: Option<&std::path::Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    match show(folder, arguments).await {
        Ok(true) => Ok(ExitStatus::Success),
        Ok(false) => Ok(ExitStatus::UserError),
        Err(Failure::User) => Ok(ExitStatus::Failure),
        Err(Failure::Surroundings(error)) => {
            ui::error(&format!("{error:#}"));
            Ok(ExitStatus::Failure)
        }
    }
}

async fn show(folder: Option<&std::path::Path>, arguments: &Args) -> Result<bool, Failure> {
    let target = target::open(&Project::find(folder)?, &arguments.stage, false).await?;
    let mut observed = target::look(&target).await?;
    let mut plan = plan::plan(&target.read.app, &target.desired, &observed);
    if let Some(patience) = arguments.wait.patience().filter(|_| plan.only_awaits()) {
        wait::wait(&target, &plan.awaited, patience).await?;
        observed = target::look(&target).await?;
        plan = plan::plan(&target.read.app, &target.desired, &observed);
    }
    ui::data(&if arguments.json {
        serde_json::to_string_pretty(&show::json(&plan))?
    } else {
        show::text(&plan)
    });
    if !plan.refused.is_empty() {
        ui::diagnostics(&plan.refused, &target.read.tree);
        return Err(Failure::User);
    }
    Ok(plan.is_empty())
}
