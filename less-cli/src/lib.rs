//! The `less` command, as a library: `main` is a few lines over it.

pub mod cargo;
pub mod cli;
pub mod command;
pub mod deploy;
pub mod dev;
pub mod export;
mod graph;
pub mod lock;
mod oldest;
pub mod output;
pub mod pager;
pub mod peer;
pub mod place;
pub mod program;
pub mod project;
pub mod render;
mod running;
pub mod stage;
mod syntax;
mod templates;
pub mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, ExitStatus};

/// Runs `less` with these arguments, the program's own name first.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if let Some(status) = program::host(&arguments) {
        return status;
    }
    if let Some(status) = pager::hand_over(&arguments) {
        return status;
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Printing fails only where nobody reads.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match command::run(cli) {
        Ok(status) => status.into(),
        Err(error) => {
            ui::error(&format!("{error:#}"));
            let user = error.downcast_ref::<ui::UserError>().is_some();
            if user { ExitStatus::UserError } else { ExitStatus::Failure }.into()
        }
    }
}
