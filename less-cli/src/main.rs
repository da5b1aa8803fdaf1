//! The `less` command: pub/sub by folder.

use std::process::ExitCode;

fn main() -> ExitCode {
    less_cli::main(std::env::args_os().collect())
}
