//! `less` is also the name of a pager. Called as one, this program hands over to the next `less` on PATH.

use std::ffi::{OsStr, OsString};
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
    let Some(pager) = next_on_path() else {
        ui::error(
            "called as a pager, and there is no other `less` on PATH\nhint: install the pager, or set PAGER to another one; `less help` shows what this program does",
        );
        return Some(ExitStatus::Failure.into());
    };
    let error = Command::new(&pager).args(rest).exec();
    ui::error(&format!("can't start the pager {}: {error}", pager.display()));
    Some(ExitStatus::Failure.into())
}

/// Whether someone wants to page: text on standard input and no argument, an existing file, or an option that only the pager has.
fn is_pager_call(arguments: &[OsString], stdin_is_terminal: bool, is_file: impl Fn(&OsStr) -> bool) -> bool {
    let command = Cli::command();
    let is_command = |word: &OsStr| {
        word == "help" || command.get_subcommands().any(|sub| OsStr::new(sub.get_name()) == word)
    };
    if arguments.iter().any(|argument| is_command(argument)) {
        return false;
    }
    let Some(first) = arguments.first() else { return !stdin_is_terminal };
    if ["-h", "--help", "-V", "--version", "-C", "--app"].iter().any(|ours| first == ours)
        || first.to_str().is_some_and(|first| first.starts_with("--app="))
    {
        return false;
    }
    let option = first.to_str().is_some_and(|first| first.starts_with(['-', '+']));
    // A plain word that is no file is a misspelt sub-command: the pager could only say that there is no such file.
    option || is_file(first)
}

/// The first program called `less` on PATH that is not this one.
fn next_on_path() -> Option<PathBuf> {
    let ours = std::env::current_exe().ok().and_then(|path| path.metadata().ok()).map(|m| (m.dev(), m.ino()));
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join("less")).find(|candidate| {
        candidate.metadata().is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.permissions().mode() & 0o111 != 0
                && Some((metadata.dev(), metadata.ino())) != ours
        })
    })
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
    }

    #[test]
    fn sub_commands_help_and_misspelt_words_are_ours() {
        assert!(!paging(&[], true));
        assert!(!paging(&["build"], false));
        assert!(!paging(&["-C", "app", "dev"], false));
        assert!(!paging(&["--help"], false));
        assert!(!paging(&["--version"], false));
        assert!(!paging(&["biuld"], true));
        assert!(!paging(&["biuld"], false));
    }
}
