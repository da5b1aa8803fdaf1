//! Running an app that has nothing to compile: what the `less` program does for apps without Rust.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use less_model::language::Worker;

use crate::worker::foreign::Program;

/// Runs the app of this manifest, as its built program would. `arguments` begin with the program's name.
pub fn run(manifest: &str, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    crate::host::main(manifest, &[], arguments)
}

/// The program that runs a language's handlers in an app of this folder, with the environment as it is. The error says what was looked for.
pub fn worker_program(description: Worker, root: &Path) -> Result<PathBuf, String> {
    Program::new(description).find(root, |name| std::env::var_os(name)).map(|found| found.program)
}

/// Becomes a worker process, if this process was started for that by [`run`]: to be called first, with all of the process's arguments.
///
/// Returns what to exit with where it could not.
pub fn become_worker(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    crate::worker::foreign::launch::become_worker(arguments)
}
