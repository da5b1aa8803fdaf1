//! `less destroy`: removes everything of the app in a stage, and nothing else.

use less_model::name::{AppName, StageName};
use less_runtime::transport::aws::Site;

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
        ui::say(&nothing(&desired.app, stage, &desired.site));
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

/// Where nothing was found: in the wrong region there is nothing either.
fn nothing(app: &AppName, stage: &StageName, site: &Site) -> String {
    format!(
        "There is nothing of app `{app}` in stage `{stage}`: AWS account {}, {}",
        site.account, site.region
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_with_where_it_was_looked_for() {
        let site = Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() };
        assert_eq!(
            nothing(&"shop".parse().unwrap(), &"prod".parse().unwrap(), &site),
            "There is nothing of app `shop` in stage `prod`: AWS account 111122223333, eu-west-1"
        );
    }
}
