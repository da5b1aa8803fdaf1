//! `cargo less …`: the same program. Cargo passes its own name for it, `less`, as the first argument.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "less") {
        arguments.remove(1);
    }
    // Nobody pages through cargo: without a sub-command, help is what is wanted.
    if arguments.len() == 1 {
        arguments.push("help".into());
    }
    less_cli::main(arguments)
}
