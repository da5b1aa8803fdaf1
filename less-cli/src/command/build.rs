//! `less build`, and the generating that `dev` and `start` do as well.

use less_model::diagnostic::Diagnostic;
use less_model::tree::App;

use crate::cargo::{self, BuildOptions};
use crate::cli::ExitStatus;
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
    /// Change nothing; fail when `.less/` is out of date
    #[arg(long)]
    check: bool,
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

/// What generating made.
pub struct Generated {
    /// The app that it was made of.
    pub app: App,
}

/// Reads the app, prints what is wrong with it, and writes `.less/`. On errors nothing is written.
pub fn generate(project: &Project) -> Result<Generated, Failure> {
    let (app, files) = rendered(project)?;
    output::write(project, &files)?;
    Ok(Generated { app })
}

fn rendered(project: &Project) -> Result<(App, render::Files), Failure> {
    let read = project.read()?;
    ui::diagnostics(&read.diagnostics, &read.tree);
    if read.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Failure::User);
    }
    let files = render::render(&read.app, RuntimeSource::find)?;
    Ok((read.app, files))
}

pub(super) async fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let result = if arguments.check {
        check(project)
    } else {
        build(project, arguments.release).await.map(|()| ExitStatus::Success)
    };
    match result {
        Ok(status) => Ok(status),
        Err(Failure::User) => Ok(ExitStatus::UserError),
        Err(Failure::Surroundings(error)) => Err(error),
    }
}

async fn build(project: &Project, release: bool) -> Result<(), Failure> {
    let generated = generate(project)?;
    if !generated.app.needs_rust() {
        ui::say("built .less; there is nothing to compile: `less dev` or `less start` runs this app");
        return Ok(());
    }
    let program = cargo::build(project, &generated.app, &BuildOptions { release }).await?;
    let shown = program.strip_prefix(&project.root).unwrap_or(&program);
    ui::say(&format!("built {}", shown.display()));
    Ok(())
}

fn check(project: &Project) -> Result<ExitStatus, Failure> {
    let (_, files) = rendered(project)?;
    let stale = output::differences(project, &files)?;
    if stale.is_empty() {
        return Ok(ExitStatus::Success);
    }
    ui::error(&format!(
        "`.less/` is out of date\n{}\nhint: `less build` brings it up to date",
        stale.join("\n")
    ));
    Ok(ExitStatus::UserError)
}
