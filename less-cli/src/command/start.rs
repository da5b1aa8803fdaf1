//! `less start`: a release build, without watching. The built program takes this process's place, and its signals.

use std::os::unix::process::CommandExt;
use std::path::Path;

use anyhow::Context as _;

use super::build::{Failure, generate};
use crate::cargo::BuildOptions;
use crate::cli::{ExitStatus, RunArgs};
use crate::lock::Locking;
use crate::program;
use crate::project::Project;
use crate::ui;

pub(super) async fn run(project: &Project, arguments: &RunArgs) -> anyhow::Result<ExitStatus> {
    let built = async {
        let generated = generate(project, Locking::Refuse)?;
        let program = program::make(project, &generated.app, &BuildOptions { release: true }).await?;
        generated.lock.write(project)?;
        Ok(program)
    };
    let program = match built.await {
        Ok(program) => program,
        Err(Failure::User) => return Ok(ExitStatus::UserError),
        Err(Failure::Surroundings(error)) => return Err(error),
    };
    ui::say("starting");
    let mut command = program.command()?;
    command.current_dir(&project.root);
    for (flag, value) in
        [("--listen", &arguments.listen), ("--data", &arguments.data), ("--stage", &arguments.stage)]
    {
        if let Some(value) = value {
            command.args([flag, value]);
        }
    }
    // It returns only where it failed.
    Err(command.exec()).with_context(|| format!("can't start {}", Path::new(command.get_program()).display()))
}
