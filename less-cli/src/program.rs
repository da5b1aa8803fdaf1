//! What runs an app: its own program, or this one, where there is nothing to compile.

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

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

/// What runs an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// The app's own program, at this path.
    Built(PathBuf),
    /// This one, with the manifest at this path.
    Ourselves(PathBuf),
}

impl Program {
    /// The command that starts it; the arguments of the app come behind.
    pub fn command(&self) -> anyhow::Result<Command> {
        Ok(match self {
            Self::Built(path) => Command::new(path),
            Self::Ourselves(manifest) => {
                let mut command = Command::new(ourselves()?);
                command.arg(HOST).arg(manifest);
                command
            }
        })
    }
}

/// Where this very program is, also when another version of it has been put in its place meanwhile.
fn ourselves() -> anyhow::Result<PathBuf> {
    let named = std::env::current_exe().context("can't find the program `less` itself")?;
    let running = PathBuf::from("/proc/self/exe");
    let same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    Ok(match (named.metadata(), running.metadata()) {
        // By its name where that is still it, so that it is called so in lists of processes.
        (Ok(one), Ok(other)) if same(&one, &other) => named,
        (_, Ok(_)) => running,
        // Not on Linux, or without /proc.
        (_, Err(_)) => named,
    })
}

/// The app's program; compiled, where there is something to compile.
pub async fn make(project: &Project, app: &App, options: &BuildOptions) -> Result<Program, Failure> {
    if app.needs_rust() {
        return Ok(Program::Built(cargo::build(project, app, options).await?));
    }
    Ok(Program::Ourselves(project.generated().join(MANIFEST)))
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
