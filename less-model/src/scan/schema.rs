//! A topic's `message.schema.json`.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Place};
use crate::shape::{Shape, span_of};

/// The type that the file describes, and what is wrong with it.
pub(super) fn read(path: &str, text: &str, type_name: &str) -> (Option<Shape>, Vec<Diagnostic>) {
    let code = text.strip_prefix('\u{feff}').unwrap_or(text);
    let skipped = text.len() - code.len();
    let at = |span: Range<usize>| Place::span(path, skipped + span.start..skipped + span.end);
    let value = match serde_json::from_str(code) {
        Ok(value) => value,
        Err(error) => {
            let offset = offset(code, error.line(), error.column());
            let diagnostic = Diagnostic::error("json-syntax", format!("this is no JSON: {}", without_place(&error)))
                .at(at(offset..offset))
                .hint("a `message.schema.json` is a JSON Schema, such as `{ \"type\": \"object\", \"properties\": { … } }`");
            return (None, vec![diagnostic]);
        }
    };
    match Shape::read(&value, type_name) {
        Ok(shape) => (Some(shape), Vec::new()),
        Err(problems) => {
            let diagnostics = problems.into_iter().map(|problem| {
                Diagnostic::error("schema", problem.message)
                    .at(at(span_of(code, &problem.pointer)))
                    .hint(problem.hint)
            });
            (None, diagnostics.collect())
        }
    }
}

/// The byte at a line and a column, both from 1; a column counts bytes.
pub(super) fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let mut at = (before + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

pub(super) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}
