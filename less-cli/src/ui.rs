//! What the user reads: diagnostics, errors, progress. Everything here goes to stderr; data alone goes to stdout.

mod excerpt;

use std::io::{IsTerminal, Write};

use less_model::diagnostic::{Diagnostic, plain};
use less_model::source::SourceTree;

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
    let style = anstyle(31);
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

/// Prints every diagnostic, and how many there are: with excerpts of the sources on a terminal, a line per fact elsewhere.
pub fn diagnostics(diagnostics: &[Diagnostic], tree: &SourceTree) {
    if diagnostics.is_empty() {
        return;
    }
    let terminal = std::io::stderr().is_terminal();
    if terminal {
        anstream::eprint!("{}", excerpt::styled(diagnostics, tree));
    }
    let text = if terminal { String::new() } else { plain(diagnostics, tree) };
    for line in text.lines() {
        let (colour, word) = match line.split_once([':', '[']) {
            Some(("error", _)) => (31, "error"),
            Some(("warning", _)) => (33, "warning"),
            Some(("note", _)) => (34, "note"),
            Some(("hint", _)) => (36, "hint"),
            _ => {
                anstream::eprintln!("{line}");
                continue;
            }
        };
        let style = anstyle(colour);
        anstream::eprintln!("{style}{word}{style:#}{}", &line[word.len()..]);
    }
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let counts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| self::count(*count, word))
        .collect();
    anstream::eprintln!("\n{}", counts.join(", "));
}

/// So many of something: `1 topic`, `2 topics`.
pub fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn anstyle(colour: u8) -> clap::builder::styling::Style {
    use clap::builder::styling::{AnsiColor, Style};
    let colour = match colour {
        31 => AnsiColor::Red,
        33 => AnsiColor::Yellow,
        34 => AnsiColor::Blue,
        _ => AnsiColor::Cyan,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}
