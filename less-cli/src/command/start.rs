//! `less start`: a release build, without watching. The built program takes this process's place, and its signals.

use std::io::ErrorKind;
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
        Err(Failure::Surroundings(error)) if is_read_only(&error) => {
            return Err(anyhow::anyhow!("{error:#}\nhint: {}", without_writing(project)?));
        }
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

/// Whether something could not be written because nothing may be there.
fn is_read_only(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()));
    kinds.into_iter().any(|kind| matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
}

/// How an app runs that was built elsewhere, or by somebody else: this command brings what is generated up to date first.
fn without_writing(project: &Project) -> anyhow::Result<String> {
    let app = project.read()?.app;
    let run = if app.needs_rust() {
        format!(".less/bin/{}", app.name)
    } else {
        "less --less-host .less/app/manifest.json".to_owned()
    };
    Ok(format!(
        "`less start` generates `.less/` anew; what `less build --release` has made there runs by itself, in the app's folder: `{run}`, with LESS_DATA naming a folder that may be written"
    ))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_folder_that_may_not_be_written_is_told_from_other_failures() {
        let failed = |kind: ErrorKind| {
            let result: Result<(), _> = Err(std::io::Error::from(kind));
            is_read_only(&result.context("can't open .less/lock").unwrap_err())
        };
        assert!(failed(ErrorKind::PermissionDenied) && failed(ErrorKind::ReadOnlyFilesystem));
        assert!(!failed(ErrorKind::StorageFull));
    }

    #[test]
    fn what_was_built_is_named_as_it_runs_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project { root: folder.path().to_owned() };
        let subscriber = folder.path().join("less/topics/t/s");
        std::fs::create_dir_all(&subscriber).unwrap();
        std::fs::write(folder.path().join("less.toml"), "name = \"shop\"\n").unwrap();
        std::fs::write(subscriber.join("index.js"), "exports.process = () => {};\n").unwrap();
        assert!(
            without_writing(&project)
                .unwrap()
                .contains("`less --less-host .less/app/manifest.json`, with LESS_DATA")
        );
        let rust = folder.path().join("less/topics/t/r");
        std::fs::create_dir_all(&rust).unwrap();
        std::fs::write(
            rust.join("mod.rs"),
            "pub async fn process(_: less::Value) -> less::Result<()> { Ok(()) }\n",
        )
        .unwrap();
        assert!(without_writing(&project).unwrap().contains("`.less/bin/shop`, with LESS_DATA"));
    }
}
