//! `less` is also the name of a pager. Called as one, this program hands over to the next `less` on PATH.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::IsTerminal;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::CommandFactory;

use crate::cli::{Cli, ExitStatus};
use crate::ui;

/// Hands over where these arguments are a pager's. Returns only where they are not, or where there is no pager.
pub fn hand_over(arguments: &[OsString]) -> Option<ExitCode> {
    let rest = arguments.get(1..).unwrap_or_default();
    if !is_pager_call(rest, std::io::stdin().is_terminal(), is_readable) {
        return None;
    }
    let Some((pager, visited)) = next_on_path() else {
        ui::error(
            "called as a pager, and there is no other `less` on PATH\nhint: install the pager, or set PAGER to another one; `less help` shows what this program does",
        );
        return Some(ExitStatus::Failure.into());
    };
    let error = Command::new(&pager).args(rest).env(VISITED, visited).exec();
    ui::error(&format!("can't start the pager {}: {error}", pager.display()));
    Some(ExitStatus::Failure.into())
}

/// Whether someone wants to page: text on standard input and no argument, an existing file, or an option that only the pager has.
fn is_pager_call(arguments: &[OsString], stdin_is_terminal: bool, is_file: impl Fn(&OsStr) -> bool) -> bool {
    let mut rest = arguments;
    // `-C FOLDER` and `--app FOLDER` may come before the sub-command.
    while let [first, after @ ..] = rest {
        let joined = first.to_str().is_some_and(|first| {
            // The pager has a `-C` too; with a sub-command behind it, it is ours.
            first.starts_with("--app=")
                || (first.len() > 2
                    && first.starts_with("-C")
                    && after.first().is_some_and(|word| is_ours(word)))
        });
        rest = if joined {
            after
        } else if first == "-C" || first == "--app" {
            after.get(1..).unwrap_or_default()
        } else {
            break;
        };
    }
    let Some(first) = rest.first() else { return arguments.is_empty() && !stdin_is_terminal };
    if rest.len() < arguments.len() || is_ours(first) {
        return false;
    }
    let option = first.to_str().is_some_and(|first| first.starts_with(['-', '+']));
    // A plain word that is no file is a misspelt sub-command: the pager could only say that there is no such file.
    option || is_file(first)
}

/// Whether this word, as the first one, is a sub-command or an option that any program has.
fn is_ours(word: &OsStr) -> bool {
    ["help", "-h", "--help", "-V", "--version"].iter().any(|ours| word == *ours)
        || Cli::command().get_subcommands().any(|sub| OsStr::new(sub.get_name()) == word)
}

/// Programs called `less` that handed over already, as `device:inode`, with a space between two. Two copies of this program on one PATH
/// would hand over to each other for ever.
const VISITED: &str = "LESS_PAGER_VISITED";

/// The first program called `less` on PATH that is neither this one nor one that handed over to it, and the value of [`VISITED`] for it.
fn next_on_path() -> Option<(PathBuf, String)> {
    let ours = std::env::current_exe().ok().and_then(|path| path.metadata().ok());
    let mut visited: Vec<String> =
        std::env::var(VISITED).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    visited.extend(ours.as_ref().map(identity).filter(|ours| !visited.contains(ours)));
    let pager = std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join("less")).find(
        |candidate| {
            candidate.metadata().is_ok_and(|metadata| {
                metadata.is_file()
                    && metadata.permissions().mode() & 0o111 != 0
                    && !visited.contains(&identity(&metadata))
            })
        },
    )?;
    Some((pager, visited.join(" ")))
}

fn identity(metadata: &Metadata) -> String {
    format!("{}:{}", metadata.dev(), metadata.ino())
}

/// Whether there is something to read: a file, or a pipe as in `less <(…)`.
fn is_readable(path: &OsStr) -> bool {
    Path::new(path).metadata().is_ok_and(|metadata| !metadata.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(arguments: &[&str], terminal: bool) -> bool {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        is_pager_call(&arguments, terminal, |path| path == "notes.txt")
    }

    #[test]
    fn piped_text_files_and_pager_options_are_the_pagers() {
        assert!(paging(&[], false));
        assert!(paging(&["-FRX"], false));
        assert!(paging(&["-R", "notes.txt"], true));
        assert!(paging(&["+G", "notes.txt"], true));
        assert!(paging(&["notes.txt"], true));
        assert!(paging(&["-p", "list", "notes.txt"], true));
        assert!(paging(&["notes.txt", "build"], true));
    }

    #[test]
    fn sub_commands_help_and_misspelt_words_are_ours() {
        assert!(!paging(&[], true));
        assert!(!paging(&["build"], false));
        assert!(!paging(&["-C", "app", "dev"], false));
        assert!(!paging(&["--app=app", "notes.txt"], false));
        assert!(!paging(&["-C", "app"], false));
        assert!(!paging(&["-Capp", "build"], false));
        assert!(!paging(&["--help"], false));
        assert!(!paging(&["--version"], false));
        assert!(!paging(&["biuld"], true));
        assert!(!paging(&["biuld"], false));
    }
}
