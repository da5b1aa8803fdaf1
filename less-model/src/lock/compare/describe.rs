//! A type in a few words.

use crate::shape::{Bounds, Integer, Kind, Shape, Text};

/// More words of a choice help nobody.
const MOST: usize = 6;

impl Shape {
    /// What fits, in a few words.
    pub(super) fn describe(&self, kind: &Kind) -> String {
        match kind {
            Kind::Any => "any JSON".to_owned(),
            Kind::Null => "`null`".to_owned(),
            Kind::Boolean => "a boolean".to_owned(),
            Kind::Integer(range) => integer(*range),
            Kind::Number(bounds) => number(bounds),
            Kind::Text(rules) => text(*rules),
            Kind::Choice(all) => {
                let shown: Vec<String> = all.iter().take(MOST).map(|word| format!("`{word}`")).collect();
                let more = if all.len() > MOST { ", …" } else { "" };
                format!("one of {}{more}", shown.join(", "))
            }
            Kind::Array(array) => format!("a list{}", counted(array.min_items, array.max_items, "element")),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Object(_) => "an object".to_owned(),
            Kind::Union(union) => format!("a union of objects that `{}` tells apart", union.tag),
            Kind::External(_) => "a union".to_owned(),
            Kind::Ref(at) => format!("`{}`", self.types[*at].name),
        }
    }
}

fn integer(range: Integer) -> String {
    let least = (range.min != Integer::ALL.min).then(|| format!(" from {}", range.min));
    let most = (range.max != Integer::greatest(range.min)).then(|| format!(" up to {}", range.max));
    format!("an integer{}{}", least.unwrap_or_default(), most.unwrap_or_default())
}

fn number(bounds: &Bounds) -> String {
    let mut parts = Vec::new();
    for (bound, inclusive, exclusive) in [(&bounds.min, "from", "above"), (&bounds.max, "up to", "below")] {
        if let Some(bound) = bound {
            parts.push(format!(" {} {}", if bound.exclusive { exclusive } else { inclusive }, bound.value));
        }
    }
    format!("a number{}", parts.concat())
}

fn text(rules: Text) -> String {
    let format = rules.format.map(|format| format!(" with format `{}`", format.id())).unwrap_or_default();
    format!("a string{}{format}", counted(rules.min_length, rules.max_length, "character"))
}

fn counted(least: u64, most: Option<u64>, word: &str) -> String {
    let many = |count: u64| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (least, most) {
        (0, None) => String::new(),
        (least, None) => format!(" of {} or more", many(least)),
        (0, Some(most)) => format!(" of up to {}", many(most)),
        (least, Some(most)) if least == most => format!(" of {}", many(most)),
        (least, Some(most)) => format!(" of {least} to {}", many(most)),
    }
}
