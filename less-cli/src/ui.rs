//! What the user reads: diagnostics, errors, progress. Everything here goes to stderr; data alone goes to stdout.

use std::io::{IsTerminal, Write};

use less_model::diagnostic::{Diagnostic, plain};
use less_model::source::SourceTree;

/// Prints a line to stderr. Where that can't be, because its reader has gone or its disk is full, the work goes on.
macro_rules! tell {
    ($($text:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(&mut ::anstream::stderr(), ::core::format_args!("{}\n", ::core::format_args!($($text)*)));
    }};
}
pub(crate) use tell;

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
    tell!("{style}error{style:#}: {text}");
}

/// Prints a line of progress.
pub fn say(text: &str) {
    tell!("[less] {text}");
}

/// Prints text beside the data.
pub fn note(text: &str) {
    tell!("{text}");
}

/// Prints data. Where nobody reads any longer, as in `less list | head -1`, the rest is not said.
pub fn data(text: &str) {
    data_or_end(text);
}

/// Prints data, and says whether somebody may still read: what has no end of its own ends with its reader.
pub fn data_or_end(text: &str) -> bool {
    let Err(cause) = writeln!(anstream::stdout(), "{text}") else { return true };
    if cause.kind() != std::io::ErrorKind::BrokenPipe {
        error(&format!("can't write to standard output: {cause}"));
    }
    false
}

/// A text whose control characters are escaped as in JSON: one that came from elsewhere must not steer the terminal.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            // Control characters are all below U+00A0.
            let _ = std::fmt::Write::write_fmt(&mut out, format_args!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// A time in milliseconds since the Unix epoch as RFC 3339 has it, in UTC.
pub fn time(millis: u64) -> String {
    let (seconds, of_day) = (millis / 1000, millis / 1000 % 86_400);
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", millis % 1000)
}

/// Year, month and day of a day since 1970. Years begin in March here, so that the leap day is their last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// Prints every diagnostic, and how many there are.
pub fn diagnostics(diagnostics: &[Diagnostic], tree: &SourceTree) {
    if diagnostics.is_empty() {
        return;
    }
    // An excerpt helps a reader; a program reads the place.
    let excerpts = std::io::stderr().is_terminal();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            tell!("");
        }
        let mut excerpt =
            Some(diagnostic).filter(|_| excerpts).and_then(|diagnostic| excerpt(diagnostic, tree));
        for line in plain(std::slice::from_ref(diagnostic), tree).lines() {
            print_line(line);
            if line.starts_with("  --> ")
                && let Some(excerpt) = excerpt.take()
            {
                tell!("{excerpt}");
            }
        }
    }
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let counts = [(errors, "error"), (diagnostics.len() - errors, "warning")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| self::count(*count, word))
        .collect();
    tell!("\n{}", counts.join(", "));
}

/// Prints a line of a diagnostic, its first word in colour.
fn print_line(line: &str) {
    let (colour, word) = match line.split_once([':', '[']) {
        Some(("error", _)) => (31, "error"),
        Some(("warning", _)) => (33, "warning"),
        Some(("note", _)) => (34, "note"),
        Some(("hint", _)) => (36, "hint"),
        _ => {
            tell!("{line}");
            return;
        }
    };
    let style = anstyle(colour);
    tell!("{style}{word}{style:#}{}", &line[word.len()..]);
}

/// The line that a diagnostic is about, with what is meant in it underlined.
fn excerpt(diagnostic: &Diagnostic, tree: &SourceTree) -> Option<String> {
    let place = diagnostic.place.as_ref()?;
    let span = place.span.clone()?;
    let text = tree.text(&place.path)?;
    let before = text.get(..span.start)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let source = text.get(start..)?.lines().next()?;
    // One column per character, as below: a tab is as wide as the terminal likes, and an escape sequence is not for it at all.
    let line: String = source.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let number = (before.matches('\n').count() + 1).to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(text.get(start..span.start)?.chars().count());
    let marked = text.get(span.start..span.end.min(start + source.len()))?.chars().count().max(1);
    let style = anstyle(34);
    Some(format!(
        "{style}{margin} |\n{number} |{style:#} {line}\n{style}{margin} |{style:#} {indent}{}",
        "^".repeat(marked)
    ))
}

/// So many of something: `1 topic`, `2 topics`.
pub fn count(count: usize, word: &str) -> String {
    count_u64(count as u64, word)
}

/// Likewise.
pub fn count_u64(count: u64, word: &str) -> String {
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

#[cfg(test)]
mod tests {
    use less_model::diagnostic::Place;

    use super::*;

    #[test]
    fn an_excerpt_underlines_what_is_meant() {
        let tree = SourceTree::fixture("//- less/topics/a/b/mod.rs\n\npub fn process() {}\n");
        let text = tree.text("less/topics/a/b/mod.rs").unwrap();
        let start = text.find("process").unwrap();
        let place = Place::span("less/topics/a/b/mod.rs", start..start + 7);
        let shown = excerpt(&Diagnostic::error("x", "y").at(place), &tree).unwrap();
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert!(plain.ends_with("| pub fn process() {}\n  |        ^^^^^^^"), "{plain}");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (millis, shown) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00.000Z"),
            (1_798_761_599_001, "2026-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(millis), shown);
        }
    }

    #[test]
    fn an_excerpt_has_one_column_per_character_and_nothing_that_moves_the_cursor() {
        let tree = SourceTree::fixture("//- less.toml\n\t\u{1b}[2Jé = xyz\n");
        let place = Place::span("less.toml", 10..13);
        let shown = excerpt(&Diagnostic::error("x", "y").at(place), &tree).unwrap();
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert!(plain.ends_with("1 |   [2Jé = xyz\n  |          ^^^"), "{plain}");
    }
}
