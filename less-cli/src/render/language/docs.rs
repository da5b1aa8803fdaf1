//! What stands above a type or a field, in any language.

use less_model::shape::{Bound, Bounds, Integer, Kind, Node, Text};

/// Lines of documentation: what the author says, then what the language's type can't.
pub(super) fn lines(node: &Node) -> Vec<String> {
    let mut out = text_lines(node.docs.as_deref());
    let notes = notes(&node.kind);
    if !notes.is_empty() {
        if !out.is_empty() {
            out.push(String::new());
        }
        out.push(notes.join(", "));
    }
    out
}

/// The lines of a text, without what no comment should hold.
pub(super) fn text_lines(text: Option<&str>) -> Vec<String> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Vec::new();
    }
    // Separators that some languages take for the end of a line, and marks that reorder what is shown.
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.lines()
        .map(|line| {
            line.chars().map(|c| if odd(c) { ' ' } else { c }).collect::<String>().trim_end().to_owned()
        })
        .collect()
}

fn notes(kind: &Kind) -> Vec<String> {
    match kind {
        Kind::Integer(range) => integer(*range),
        Kind::Number(bounds) => number(bounds),
        Kind::Text(rules) => text(*rules),
        Kind::Array(array) => count(array.min_items, array.max_items, "elements"),
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Choice(_)
        | Kind::Map(_)
        | Kind::Object(_)
        | Kind::Union(_)
        | Kind::External(_)
        | Kind::Ref(_) => Vec::new(),
    }
}

fn integer(range: Integer) -> Vec<String> {
    let mut out = vec!["integer".to_owned()];
    if range.min != Integer::ALL.min {
        out.push(format!("at least {}", range.min));
    }
    if range.max != i128::from(i64::MAX) && range.max != i128::from(u64::MAX) {
        out.push(format!("at most {}", range.max));
    }
    out
}

fn number(bounds: &Bounds) -> Vec<String> {
    let word = |bound: &Option<Bound>, inclusive: &str, exclusive: &str| {
        bound
            .as_ref()
            .map(|bound| format!("{} {}", if bound.exclusive { exclusive } else { inclusive }, bound.value))
    };
    word(&bounds.min, "at least", "more than")
        .into_iter()
        .chain(word(&bounds.max, "at most", "less than"))
        .collect()
}

fn text(rules: Text) -> Vec<String> {
    let mut out: Vec<String> =
        rules.format.map(|format| format!("format `{}`", format.id())).into_iter().collect();
    out.extend(count(rules.min_length, rules.max_length, "characters"));
    out
}

fn count(min: u64, max: Option<u64>, what: &str) -> Vec<String> {
    match (min, max) {
        (0, None) => Vec::new(),
        (0, Some(max)) => vec![format!("at most {max} {what}")],
        (min, None) => vec![format!("at least {min} {what}")],
        (min, Some(max)) if min == max => vec![format!("{min} {what}")],
        (min, Some(max)) => vec![format!("{min} to {max} {what}")],
    }
}
