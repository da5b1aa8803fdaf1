//! What the user reads: diagnostics, errors, progress. Everything here goes to stderr; data alone goes to stdout.

mod diagnostic;

use std::io::Write;

use clap::builder::styling::{AnsiColor, Style};

pub use self::diagnostic::diagnostics;

/// An error that the user can mend in the project or on the command line: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UserError(pub String);

/// The user's error with this text.
pub fn user_error(text: impl Into<String>) -> anyhow::Error {
    UserError(text.into()).into()
}

/// Prints an error; its hints stand in its text.
pub fn error(text: &str) {
    let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    anstream::eprintln!("{style}error{style:#}: {text}");
}

/// Prints a line of progress.
pub fn say(text: &str) {
    anstream::eprintln!("[less] {text}");
}

/// Prints data. Where nobody reads any longer, as in `less list | head -1`, the rest is not said.
pub fn data(text: &str) {
    match writeln!(anstream::stdout(), "{text}") {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => {
            error(&format!("can't write to standard output: {cause}"));
        }
        _ => {}
    }
}

/// `1 topic`, `2 topics`.
pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
