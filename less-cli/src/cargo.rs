//! Running cargo on the generated packages.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context as _, anyhow};
use less_model::tree::App;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::command::build::Failure;
use crate::project::Project;
use crate::render::app_package;

/// Most files that are named as those that ask for cargo.
const LISTED: usize = 3;

/// How to build.
#[derive(Debug, Clone, Copy)]
pub struct BuildOptions {
    /// With optimisations.
    pub release: bool,
}

/// Compiles the app and returns its program, `.less/bin/<app>`. Dropping the future ends cargo and its compilers, and so do Ctrl-C and SIGTERM.
///
/// What the compiler says is printed, with the user's own files named as the user knows them.
pub async fn build(project: &Project, app: &App, options: &BuildOptions) -> Result<PathBuf, Failure> {
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--manifest-path"])
        .arg(project.generated().join("app/Cargo.toml"))
        .arg(if colour { "--message-format=json-diagnostic-rendered-ansi" } else { "--message-format=json" })
        .current_dir(&project.root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Its own group, so that the compilers it started end with it.
        .process_group(0)
        .kill_on_drop(true);
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.env("CARGO_TARGET_DIR", project.root.join("target"));
    }
    if options.release {
        command.arg("--release");
    }
    if !terminal {
        command.arg("--quiet");
    }
    let mut child = command.spawn().map_err(|error| {
        let files: Vec<&str> = app.rust_files().collect();
        anyhow!("can't start {}: {error}\n{}", cargo.display(), without_cargo(&files))
    })?;
    let group = Group::of(&child);
    let package = app_package(app);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (status, program) = tokio::select! {
        biased;
        _ = interrupt.recv() => return Err(anyhow!("interrupted").into()),
        _ = terminate.recv() => return Err(anyhow!("interrupted").into()),
        ended = follow(&mut child, &package) => ended?,
    };
    group.ended();
    if !status.success() {
        return Err(Failure::User);
    }
    let program = program.ok_or_else(|| anyhow!("cargo made no program called `{package}`"))?;
    Ok(keep(project, app, &program)?)
}

/// Why there has to be a cargo, and what to do where there is none.
fn without_cargo(files: &[&str]) -> String {
    let wants = files.iter().take(LISTED).map(|file| format!("  --> {file}\n"));
    let wants: String = wants.collect();
    let more = match files.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("  and {more} more in Rust\n"),
    };
    let instead = if files.iter().all(|file| file.ends_with("/message.rs")) {
        "; or write the message type as `message.schema.json` instead: an app without Rust needs no cargo"
    } else {
        ""
    };
    format!("{wants}{more}hint: install Rust from https://rustup.rs, or put cargo on PATH{instead}")
}

/// Prints what the compiler says, until cargo ends; with how, and with the path of the program.
async fn follow(child: &mut Child, package: &str) -> anyhow::Result<(ExitStatus, Option<PathBuf>)> {
    let stdout = child.stdout.take().context("cargo's output is not a pipe")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut program = None;
    while let Some(line) = lines.next_line().await? {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        match message["reason"].as_str() {
            Some("compiler-message") => {
                if let Some(text) = message["message"]["rendered"].as_str() {
                    anstream::eprint!("{}", tidy(text));
                }
            }
            Some("compiler-artifact") if message["target"]["name"] == package => {
                program = message["executable"].as_str().map(PathBuf::from).or(program);
            }
            _ => {}
        }
    }
    Ok((child.wait().await?, program))
}

/// The processes that a child leads: killed when this is dropped, unless the child has ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // It may have ended in this moment.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Gives the program a place that the next build does not write to.
fn keep(project: &Project, app: &App, program: &Path) -> anyhow::Result<PathBuf> {
    let folder = project.generated().join("bin");
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let kept = folder.join(app.name.as_str());
    let new = folder.join(format!(".new-{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    // A link where that is possible: programs with debug information are large.
    if std::fs::hard_link(program, &new).is_err() {
        std::fs::copy(program, &new).with_context(|| format!("can't copy {}", program.display()))?;
    }
    std::fs::rename(&new, &kept).with_context(|| format!("can't write {}", kept.display()))?;
    // Renaming one link over another of the same file does nothing, and leaves it.
    let _ = std::fs::remove_file(&new);
    Ok(kept)
}

/// Paths as the generated `#[path]` has them become the user's own: `.less/app/src/../../../less/…` → `less/…`.
fn tidy(text: &str) -> String {
    [
        ".less/app/src/../../../",
        ".less/less/src/topics/../../../../",
        "app/src/../../../",
        "less/src/topics/../../../../",
    ]
    .iter()
    .fold(text.to_owned(), |text, noise| text.replace(noise, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_cargo_is_missing_the_files_that_ask_for_it_are_named() {
        let install = "hint: install Rust from https://rustup.rs, or put cargo on PATH";
        assert_eq!(
            without_cargo(&["less/topics/a/message.rs"]),
            format!(
                "  --> less/topics/a/message.rs\n{install}; or write the message type as `message.schema.json` instead: an app without Rust needs no cargo"
            )
        );
        assert_eq!(
            without_cargo(&["Cargo.toml", "a/message.rs", "a/b/mod.rs", "a/c/mod.rs"]),
            format!(
                "  --> Cargo.toml\n  --> a/message.rs\n  --> a/b/mod.rs\n  and 1 more in Rust\n{install}"
            )
        );
    }

    #[test]
    fn the_compiler_names_the_users_own_files() {
        for path in [
            ".less/app/src/../../../less/topics/a/b/mod.rs",
            "app/src/../../../less/topics/a/b/mod.rs",
            ".less/less/src/topics/../../../../less/topics/a/b/mod.rs",
            "less/src/topics/../../../../less/topics/a/b/mod.rs",
        ] {
            assert_eq!(tidy(&format!("  --> {path}:1:2\n")), "  --> less/topics/a/b/mod.rs:1:2\n");
        }
    }
}
