//! `less build`, and the generating that `dev` and `start` do as well.

use less_model::diagnostic::Diagnostic;
use less_model::tree::App;

use crate::cargo::{self, BuildOptions};
use crate::cli::ExitStatus;
use crate::lock::{self, Locking};
use crate::output;
use crate::project::Project;
use crate::render::{self, RuntimeSource};
use crate::ui;

/// What `build` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Compile with optimisations
    #[arg(long)]
    release: bool,
    /// Change nothing; fail when `.less/` or `less.lock` is out of date
    #[arg(long)]
    check: bool,
    /// Take changes of message types that break stored messages or those who know the old type
    #[arg(long, conflicts_with = "check")]
    accept_breaking: bool,
}

/// Why there is no build.
#[derive(Debug)]
pub enum Failure {
    /// The user's project is wrong, and that has been printed.
    User,
    /// Less or its surroundings failed.
    Surroundings(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Surroundings(error.into())
    }
}

/// How a command ends that needed a build.
pub fn status(result: Result<ExitStatus, Failure>) -> anyhow::Result<ExitStatus> {
    match result {
        Ok(status) => Ok(status),
        Err(Failure::User) => Ok(ExitStatus::UserError),
        Err(Failure::Surroundings(error)) => Err(error),
    }
}

/// What generating made.
pub struct Generated {
    /// The app that it was made of.
    pub app: App,
    /// What `less.lock` is to hold once the app is built.
    pub lock: lock::Pending,
}

/// Reads the app, prints what is wrong with it, and writes `.less/`. On errors nothing is written.
pub fn generate(project: &Project, locking: Locking) -> Result<Generated, Failure> {
    let (generated, files) = rendered(project, locking)?;
    output::write(project, &files)?;
    Ok(generated)
}

fn rendered(project: &Project, locking: Locking) -> Result<(Generated, render::Files), Failure> {
    let read = project.read()?;
    let failed = read.diagnostics.iter().any(Diagnostic::is_error);
    // What an app with errors means is a guess, and no ground to compare.
    let locking = if failed { Locking::Skip } else { locking };
    let (lock, changes) = lock::review(&read, locking);
    let diagnostics = [&read.diagnostics[..], &changes].concat();
    ui::diagnostics(&diagnostics, &read.tree);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Failure::User);
    }
    let files = render::render(&read.app, RuntimeSource::find)?;
    Ok((Generated { app: read.app, lock }, files))
}

pub(super) async fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let result = if arguments.check {
        check(project)
    } else {
        build(project, arguments).await.map(|()| ExitStatus::Success)
    };
    status(result)
}

async fn build(project: &Project, arguments: &Args) -> Result<(), Failure> {
    let locking = if arguments.accept_breaking { Locking::Accept } else { Locking::Refuse };
    let generated = generate(project, locking)?;
    if !generated.app.needs_rust() {
        generated.lock.write(project)?;
        ui::say("built .less; there is nothing to compile: `less dev` or `less start` runs this app");
        return Ok(());
    }
    let program = cargo::build(project, &generated.app, &BuildOptions { release: arguments.release }).await?;
    generated.lock.write(project)?;
    let shown = program.strip_prefix(&project.root).unwrap_or(&program);
    ui::say(&format!("built {}", shown.display()));
    Ok(())
}

fn check(project: &Project) -> Result<ExitStatus, Failure> {
    let (generated, files) = rendered(project, Locking::Refuse)?;
    let mut stale = output::differences(project, &files)?;
    let lock = generated.lock.difference();
    let (what, them) = match (stale.is_empty(), lock) {
        (true, None) => return Ok(ExitStatus::Success),
        (false, None) => ("`.less/` is", "it"),
        (true, Some(_)) => ("`less.lock` is", "it"),
        (false, Some(_)) => ("`.less/` and `less.lock` are", "them"),
    };
    stale.extend(lock.map(str::to_owned));
    ui::error(&format!(
        "{what} out of date\n{}\nhint: `less build` brings {them} up to date",
        stale.join("\n")
    ));
    Ok(ExitStatus::UserError)
}
