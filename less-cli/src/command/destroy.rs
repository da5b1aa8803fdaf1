//! `less destroy`: removes everything of the app in a stage, and nothing else.

use super::build::{Failure, status};
use super::deploy::kept;
use crate::cli::ExitStatus;
use crate::deploy::progress::Progress;
use crate::deploy::remove::{Messages, remove};
use crate::deploy::target::{self, StageArg};
use crate::deploy::{ask, errors, orphan, show};
use crate::project::Project;
use crate::ui;

/// What `destroy` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stage: StageArg,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Remove messages that wait, and dead letters, as well
    #[arg(long)]
    drop_messages: bool,
}

pub(super) async fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    status(destroy(project, arguments).await.map(|()| ExitStatus::Success))
}

async fn destroy(project: &Project, arguments: &Args) -> Result<(), Failure> {
    let target = target::open(project, &arguments.stage, false).await?;
    let observed = target::look(&target).await?;
    let all = orphan::everything(&target.desired, &observed);
    let (desired, stage) = (&target.desired, &target.stage);
    if all.is_empty() {
        ui::say(&format!("There is nothing of app `{}` in stage `{stage}`", desired.app));
        return Ok(());
    }
    ui::note(&format!(
        "app `{}`, stage `{stage}`: AWS account {}, {}\n\n{}\n",
        desired.app,
        desired.site.account,
        desired.site.region,
        show::orphans(&all, '-').join("\n")
    ));
    let messages = if arguments.drop_messages { Messages::Drop } else { Messages::DropCopies };
    let waiting = all.messages();
    if waiting > 0 && !arguments.drop_messages {
        return Err(ui::user_error(format!(
            "{} would be lost; nothing was removed\nhint: `less destroy --stage {stage} --drop-messages` removes {} as well",
            show::count_of(waiting, "message"),
            if waiting == 1 { "it" } else { "them" }
        ))
        .into());
    }
    let count = all.len();
    let with =
        if waiting > 0 { format!(" with {}", show::count_of(waiting, "message")) } else { String::new() };
    let site = &desired.site;
    let question = format!("remove all {count}{with} from account {}, {}", site.account, site.region);
    if !ask::confirm(&question, arguments.yes)? {
        ui::say("Nothing was removed");
        return Err(Failure::User);
    }
    ui::say("Destroying...");
    let removed = remove(&target.connection, &all, messages, &Progress::of(count)).await;
    kept(&removed);
    if !removed.errors.is_empty() {
        errors::print(&removed.errors, stage);
        return Err(Failure::Surroundings(anyhow::anyhow!(
            "not everything is removed\nhint: `less destroy --stage {stage}` goes on from here"
        )));
    }
    if !removed.kept.is_empty() {
        return Err(ui::user_error(format!(
            "messages came in meanwhile, so that some was kept\nhint: stop what publishes, or `less destroy --stage {stage} --drop-messages`"
        ))
        .into());
    }
    ui::say("Everything is removed ✅");
    Ok(())
}
