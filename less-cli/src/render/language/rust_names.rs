//! Identifiers of Rust for names that can be anything.

use std::collections::HashSet;

use less_model::name::{NameError, TopicName};
use proc_macro2::{Ident, Span};

use super::names::pascal;

/// An identifier, and whether serde has to be told the real name.
pub(super) type Name = (Ident, bool);

/// Identifiers for the fields of one struct. They differ; a name that is one by itself keeps it.
pub(super) fn fields<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Name> {
    free(names, snake, "_")
}

/// Identifiers for the variants of one enum.
pub(super) fn variants<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Name> {
    free(names, |name| pascal(name, "Value"), "")
}

/// `between` stands before a number that makes a name differ.
fn free<'a>(names: impl Iterator<Item = &'a str>, tame: fn(&str) -> String, between: &str) -> Vec<Name> {
    let names: Vec<(&str, String)> = names.map(|name| (name, tame(name))).collect();
    let own = names.iter().filter(|(name, tamed)| name == tamed);
    let mut taken: HashSet<String> = own.map(|(_, tamed)| tamed.clone()).collect();
    let names = names.into_iter().map(|(name, tamed)| {
        if name == tamed {
            return (ident(&tamed), false);
        }
        let numbered = (2..).map(|n: u64| format!("{}{between}{n}", tamed.trim_end_matches('_')));
        let mut candidates = std::iter::once(tamed.clone()).chain(numbered);
        let found = candidates.find(|candidate| !taken.contains(candidate)).unwrap_or_default();
        taken.insert(found.clone());
        (ident(&found), true)
    });
    names.collect()
}

/// Keywords are written with `r#`, which serde leaves out.
fn ident(name: &str) -> Ident {
    let keyword = matches!(name.parse::<TopicName>(), Err(NameError::Keyword(_)));
    let new = if keyword { Ident::new_raw } else { Ident::new };
    new(name, Span::call_site())
}

/// The name in snake case, with what Rust allows.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
        before = c;
    }
    let out = out.trim_end_matches('_').to_owned();
    match out.as_str() {
        "" => "field".to_owned(),
        // These can't be written with `r#`.
        "self" | "super" | "crate" => format!("{out}_"),
        _ if out.starts_with(|c: char| c.is_ascii_digit()) => format!("field_{out}"),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: Vec<Name>) -> Vec<String> {
        names
            .into_iter()
            .map(|(ident, renamed)| format!("{ident}{}", if renamed { "*" } else { "" }))
            .collect()
    }

    #[test]
    fn every_field_gets_an_identifier_of_its_own() {
        let all = [
            "userId",
            "user_id",
            "user-id",
            "type",
            "Type",
            "self",
            "Self",
            "",
            "é",
            "1st",
            "URLPath",
            "_",
            "__proto__",
            "a__b",
            "gen",
        ];
        let expected = [
            "user_id_2*",
            "user_id",
            "user_id_3*",
            "r#type",
            "type_2*",
            "self_*",
            "self_2*",
            "field*",
            "field_2*",
            "field_1st*",
            "urlpath*",
            "field_3*",
            "proto*",
            "a_b*",
            "r#gen",
        ];
        assert_eq!(shown(fields(all.into_iter())), expected);
    }

    #[test]
    fn every_variant_gets_an_identifier_of_its_own() {
        let all = ["self", "Self", "a-b", "AB", "", "1", "é"];
        let expected = ["ValueSelf*", "ValueSelf2*", "AB2*", "AB", "Value*", "Value1*", "Value2*"];
        assert_eq!(shown(variants(all.into_iter())), expected);
    }
}
