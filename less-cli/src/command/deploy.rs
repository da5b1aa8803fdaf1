//! `less deploy`: makes what a stage needs on AWS.

use less_model::config::DEFAULT_LISTEN;
use less_model::diagnostic::Diagnostic;
use less_runtime::transport::aws::provision::{Observed, ProvisionError, apply};

use super::build::{Failure, generate, status};
use crate::cargo::BuildOptions;
use crate::cli::ExitStatus;
use crate::deploy::orphan::Orphans;
use crate::deploy::plan::{Plan, plan as make_plan};
use crate::deploy::progress::Progress;
use crate::deploy::remove::{Messages, Removed, remove};
use crate::deploy::target::{self, StageArg, Target};
use crate::deploy::wait::{self, WaitArg};
use crate::deploy::{ask, errors, show};
use crate::lock::{self, Locking};
use crate::program;
use crate::project::Project;
use crate::ui;

/// What `deploy` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    stage: StageArg,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    orphaned: Orphaned,
    #[command(flatten)]
    wait: WaitArg,
    /// Do not generate and compile before
    #[arg(long)]
    no_build: bool,
}

/// What happens to what has no folder any more.
#[derive(Debug, clap::Args)]
struct Orphaned {
    /// Remove subscribers and topics that have no folder any more, as far as they are empty
    #[arg(long)]
    prune: bool,
    /// With `--prune`: remove them with their messages
    #[arg(long, requires = "prune")]
    drop_messages: bool,
}

pub(super) async fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    status(deploy(project, arguments).await.map(|()| ExitStatus::Success))
}

async fn deploy(project: &Project, arguments: &Args) -> Result<(), Failure> {
    if !arguments.no_build {
        ui::say("Building... ⚙️");
        let generated = generate(project, Locking::Refuse)?;
        // Compiling takes minutes: a stage that is not on AWS is said before.
        target::stage_on_aws(&generated.app, &arguments.stage)?;
        program::make(project, &generated.app, &BuildOptions { release: true }).await?;
        generated.lock.write(project)?;
        ui::say("Build complete ✅");
    }
    let target = target::open(project, &arguments.stage, !arguments.no_build).await?;
    if arguments.no_build {
        unbroken(&target)?;
    }
    let mut observed = target::look(&target).await?;
    let mut plan = make_plan(&target.read.app, &target.desired, &observed);
    ui::note(&show::text(&plan));
    let mut agreed = arguments.yes;
    if let Some(patience) = arguments.wait.patience().filter(|_| plan.only_awaits()) {
        if !ask::confirm(&question(&plan, &pruned(&plan, arguments)), agreed)? {
            return Err(unchanged());
        }
        agreed = true;
        begin(&target, &observed, &plan).await?;
        wait::wait(&target, &plan.awaited, patience).await?;
        observed = target::look(&target).await?;
        plan = make_plan(&target.read.app, &target.desired, &observed);
        ui::note(&show::text(&plan));
    }
    if !plan.refused.is_empty() {
        ui::diagnostics(&plan.refused, &target.read.tree);
        return Err(Failure::User);
    }
    let prune = pruned(&plan, arguments);
    if !prune.is_empty() {
        ui::note(&format!("\nto be removed, as `--prune` says:\n{}", show::orphans(&prune, '-').join("\n")));
    }
    if plan.is_empty() && prune.is_empty() {
        ui::say("There is nothing to change");
    } else {
        if !ask::confirm(&question(&plan, &prune), agreed)? {
            return Err(unchanged());
        }
        ui::say("Deploying... 🚀");
        let progress = Progress::of(plan.steps() + prune.len());
        let report = |kind, name: &str, done| progress.report(kind, name, done);
        let applied = apply(&target.connection, &target.desired, &observed, &report).await;
        applied.map_err(|failed| incomplete(&failed, &target))?;
        let messages = if arguments.orphaned.drop_messages { Messages::Drop } else { Messages::Keep };
        let removed = remove(&target.connection, &prune, messages, &progress).await;
        kept(&removed);
        if !removed.errors.is_empty() {
            return Err(incomplete(&removed.errors, &target));
        }
    }
    left(&plan, &prune, &target);
    ui::say("Deployment complete ✅");
    resources(&target);
    Ok(())
}

fn unchanged() -> Failure {
    ui::say("Nothing was changed");
    Failure::User
}

/// Makes what needs none of the topics that are waited for: their apps may be waiting for topics of this one.
async fn begin(target: &Target, observed: &Observed, plan: &Plan) -> Result<(), Failure> {
    let desired = wait::without(&target.desired, &plan.awaited);
    let first = make_plan(&target.read.app, &desired, observed);
    if first.is_empty() {
        return Ok(());
    }
    ui::say("Deploying what needs no other app... 🚀");
    let progress = Progress::of(first.steps());
    let report = |kind, name: &str, done| progress.report(kind, name, done);
    let applied = apply(&target.connection, &desired, observed, &report).await;
    applied.map_err(|failed| incomplete(&failed, target))
}

/// Refuses what `less build` would refuse: whoever built the program may have had another lock.
fn unbroken(target: &Target) -> Result<(), Failure> {
    let (_, changes) = lock::review(&target.read, Locking::Refuse);
    ui::diagnostics(&changes, &target.read.tree);
    if changes.iter().any(Diagnostic::is_error) { Err(Failure::User) } else { Ok(()) }
}

/// What of the orphans is to be removed.
fn pruned(plan: &Plan, arguments: &Args) -> Orphans {
    if !arguments.orphaned.prune {
        return Orphans::default();
    }
    let mut orphans = plan.orphaned.clone();
    if !arguments.orphaned.drop_messages {
        orphans.subscribers.retain(|orphan| orphan.waiting() + orphan.dead() == 0);
        orphans.archives.retain(|orphan| orphan.queue.backlog.total() == 0);
        let stays = |topic: &str| {
            let mut all = plan.orphaned.subscribers.iter().filter(|orphan| orphan.topic == topic);
            let mut archives = plan.orphaned.archives.iter().filter(|orphan| orphan.topic == topic);
            all.any(|orphan| orphan.waiting() + orphan.dead() > 0)
                || archives.any(|orphan| orphan.queue.backlog.total() > 0)
        };
        orphans.topics.retain(|orphan| !stays(&orphan.topic));
    }
    orphans
}

fn question(plan: &Plan, prune: &Orphans) -> String {
    let site = &plan.of.site;
    let mut parts = Vec::new();
    let counts = [(plan.create.len(), "make"), (plan.change.len(), "change"), (plan.end.len(), "end")];
    for (many, what) in counts {
        if many > 0 {
            parts.push(format!("{what} {many}"));
        }
    }
    if !prune.is_empty() {
        let removed = prune.len();
        parts.push(match prune.messages() + prune.archived() {
            0 => format!("remove {removed}"),
            many => format!("remove {removed} with {}", show::count_of(many, "message")),
        });
    }
    format!("{} in account {}, {}", parts.join(", "), site.account, site.region)
}

fn incomplete(failed: &[ProvisionError], target: &Target) -> Failure {
    errors::print(failed, &target.stage);
    Failure::Surroundings(anyhow::anyhow!(
        "the deployment is not complete\nhint: `less deploy --stage {}` goes on from here",
        target.stage
    ))
}

/// Says what stayed because messages came in meanwhile.
pub(super) fn kept(removed: &Removed) {
    for (label, many) in &removed.kept {
        ui::say(&format!("  kept {label}: {} in its queues", show::count_of(*many, "message")));
    }
}

/// Says what is orphaned and stays, and how it goes.
fn left(plan: &Plan, prune: &Orphans, target: &Target) {
    let mut left = plan.orphaned.clone();
    left.subscribers.retain(|orphan| !prune.subscribers.contains(orphan));
    left.archives.retain(|orphan| !prune.archives.contains(orphan));
    left.topics.retain(|orphan| !prune.topics.contains(orphan));
    if left.is_empty() {
        return;
    }
    let messages = left.messages() + left.archived();
    let command = format!("less deploy --stage {} --prune", target.stage);
    let how = match messages {
        0 => format!("`{command}` removes them"),
        many => format!(
            "they hold {}, and `{command} --drop-messages` removes them with those",
            show::count_of(many, "message")
        ),
    };
    let what = if left.len() == left.archives.len() {
        "archives that nothing asks for"
    } else {
        "what has no folder any more"
    };
    ui::say(&format!("{} left of {what}: {how}", left.len()));
}

/// Where the app is reached.
fn resources(target: &Target) {
    let settings = &target.read.app.settings;
    let stage = settings.stages.get(&target.stage);
    let url = stage.and_then(|layer| layer.url.clone()).unwrap_or_else(|| {
        let listen = stage.and_then(|layer| layer.listen.clone()).or_else(|| settings.base.listen.clone());
        let listen = listen.unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let tls = stage.is_some_and(|layer| layer.http.tls.is_some()) || settings.base.http.tls.is_some();
        let scheme = if tls { "https" } else { "http" };
        format!(
            "{scheme}://{listen} where `less start --stage {0}` runs (`url` in `[stages.{0}]` names the address that others use)",
            target.stage
        )
    });
    ui::say("Resources");
    ui::say("  - API URLs");
    ui::say(&format!("    - Topics: {url}"));
    ui::say("🇨🇻");
}
