//! What runs an app: its own program, or this one, where there is nothing to compile.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use less_model::tree::App;

use crate::cargo::{self, BuildOptions};
use crate::cli::ExitStatus;
use crate::command::build::Failure;
use crate::project::Project;
use crate::ui;

/// The first argument of a `less` that is to run an app.
const HOST: &str = "--less-host";
/// What an app without a program is run by, below `.less`.
const MANIFEST: &str = "app/manifest.json";

/// A program, and the arguments that come before those of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path.
    pub path: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<String>,
}

/// The app's program; compiled, where there is something to compile.
pub async fn make(project: &Project, app: &App, options: &BuildOptions) -> Result<Program, Failure> {
    if app.needs_rust() {
        let path = cargo::build(project, app, options).await?;
        return Ok(Program { path, arguments: Vec::new() });
    }
    let path = std::env::current_exe().context("can't find the program `less` itself")?;
    let manifest = project.generated().join(MANIFEST).display().to_string();
    Ok(Program { path, arguments: vec![HOST.to_owned(), manifest] })
}

/// Runs an app, or becomes one of its workers, where this process was started for that.
pub(crate) fn host(arguments: &[OsString]) -> Option<ExitCode> {
    if let Some(code) = less_runtime::hosting::become_worker(arguments.iter().cloned()) {
        return Some(code);
    }
    let [program, mark, manifest, rest @ ..] = arguments else { return None };
    if mark != HOST {
        return None;
    }
    let manifest = match std::fs::read_to_string(manifest) {
        Ok(manifest) => manifest,
        Err(error) => {
            ui::error(&format!("can't read {}: {error}", manifest.display()));
            return Some(ExitStatus::Failure.into());
        }
    };
    let arguments = [program].into_iter().chain(rest).cloned();
    Some(less_runtime::hosting::run(&manifest, arguments))
}
