//! Where a change is: in the message file, and in the lock.

use std::ops::Range;

use super::FILE;
use super::compare::At;
use super::read::Spans;
use crate::diagnostic::Place;
use crate::shape::{pointer, span_of};
use crate::source::SourceTree;
use crate::tree::{MessageSource, Topic};

/// What is needed to find places of a topic.
pub(super) struct Places<'a> {
    pub(super) tree: &'a SourceTree,
    pub(super) topic: &'a Topic,
    pub(super) spans: Option<&'a Spans>,
}

impl Places<'_> {
    /// In the message file; what is gone is shown by what was around it.
    pub(super) fn source(&self, at: &At) -> Place {
        let (file, is_rust) = match &self.topic.message {
            MessageSource::Any => return Place::path(&self.topic.folder),
            MessageSource::Rust { file, .. } => (file, true),
            MessageSource::Schema { file, .. } => (file, false),
        };
        let text = self.tree.text(file);
        let span = text.and_then(|text| if is_rust { in_rust(text, at) } else { in_schema(text, at) });
        span.map_or_else(|| Place::path(file), |span| Place::span(file, span))
    }

    /// In the lock; what is new is shown by what is around it.
    pub(super) fn locked(&self, at: &At) -> Place {
        let Some(spans) = self.spans else { return Place::path(FILE) };
        let json =
            spans.schema.clone().and_then(|range| Some((range.start, self.tree.text(FILE)?.get(range)?)));
        match json {
            Some((start, json)) if !at.old.is_empty() => {
                let span = span_of(json, &at.old);
                // The whole schema is no place: its topic's name is.
                if span.start == 0 {
                    Place::span(FILE, spans.name.clone())
                } else {
                    Place::span(FILE, start + span.start..start + span.end)
                }
            }
            Some(_) | None => Place::span(FILE, spans.name.clone()),
        }
    }
}

fn in_schema(text: &str, at: &At) -> Option<Range<usize>> {
    let code = text.strip_prefix('\u{feff}').unwrap_or(text);
    let skipped = text.len() - code.len();
    let old_style = at.new.strip_prefix("/$defs/").filter(|_| !code.contains("\"$defs\""));
    let span = match old_style {
        Some(rest) => span_of(code, &format!("/definitions/{rest}")),
        None => span_of(code, &at.new),
    };
    // The whole document is the file itself.
    (span.start > 0).then(|| skipped + span.start..skipped + span.end)
}

/// The field's name in its type, or else the type's.
fn in_rust(text: &str, at: &At) -> Option<Range<usize>> {
    let owner = ["struct", "enum", "type"].iter().find_map(|keyword| {
        let start = text.find(&format!("{keyword} {}", at.owner))? + keyword.len() + 1;
        word(text, start, &at.owner).filter(|found| found.start == start)
    })?;
    let last = at.shown.rsplit('/').find(|segment| *segment != "*").unwrap_or_default();
    let name = pointer::key(last.split('[').next().unwrap_or_default());
    let end = text.get(owner.end..)?.find("\n}").map_or(text.len(), |at| owner.end + at);
    let field = word(text.get(..end)?, owner.end, &name).filter(|_| !name.is_empty());
    Some(field.unwrap_or(owner))
}

/// Where a word stands by itself, at or behind a place.
fn word(text: &str, from: usize, word: &str) -> Option<Range<usize>> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let rest = text.get(from..)?;
    rest.match_indices(word).map(|(at, _)| from + at..from + at + word.len()).find(|range| {
        let before = text[..range.start].chars().next_back();
        let after = text[range.end..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}
