//! Runs an app in this process: settings, transport, workers, HTTP, signals, drain.
use std::process::ExitCode;

use crate::codegen::Registry;

pub(crate) fn main(_manifest: &str, topics: &[fn(&mut Registry)]) -> ExitCode {
    let mut registry = Registry::default();
    for register in topics {
        register(&mut registry);
    }
    ExitCode::SUCCESS
}
