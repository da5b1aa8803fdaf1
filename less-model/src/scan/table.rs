//! Reading a TOML table key by key: each bad key and each bad value is a diagnostic of its own, with its place.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Place};
use crate::name::nearest;
use crate::quantity::{QuantityError, Size, Span};

/// A file that is being read, and what was wrong with it so far.
pub(super) struct Doc<'a> {
    pub(super) path: &'a str,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// One table of a file.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    /// How messages call it: `[defaults]`; empty for the top level.
    pub(super) title: &'t str,
    pub(super) entries: &'t DeTable<'t>,
}

impl<'a> Doc<'a> {
    pub(super) fn new(path: &'a str) -> Self {
        Self { path, diagnostics: Vec::new() }
    }

    /// The file's top level; `None`, and every syntax error told, where it is no TOML.
    pub(super) fn parse<'t>(&mut self, text: &'t str) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            self.error("toml-syntax", error.message().replace('\n', ", "), span);
        }
        errors.is_empty().then(|| table.into_inner())
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic, span: Range<usize>) {
        self.diagnostics.push(diagnostic.at(Place::span(self.path, span)));
    }

    pub(super) fn error(&mut self, code: &'static str, message: impl Into<String>, span: Range<usize>) {
        self.report(Diagnostic::error(code, message), span);
    }

    /// Tells every key of the table that is none of `known`.
    pub(super) fn known(&mut self, table: Table, known: &[&str]) {
        for key in table.entries.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let place = if table.title.is_empty() { String::new() } else { format!(" in `{}`", table.title) };
            let hint = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys are {}", list(known)),
            };
            self.report(
                Diagnostic::error("unknown-key", format!("unknown key `{name}`{place}")).hint(hint),
                key.span(),
            );
        }
    }

    /// The table at `key`.
    pub(super) fn table<'t>(&mut self, table: Table<'t>, key: &str, title: &'t str) -> Option<Table<'t>> {
        let value = table.entries.get(key)?;
        if let DeValue::Table(entries) = value.get_ref() {
            return Some(Table { title, entries });
        }
        self.kind(key, "a table", value);
        None
    }

    /// The text at `key`.
    pub(super) fn text<'t>(&mut self, table: Table<'t>, key: &str) -> Option<Spanned<&'t str>> {
        self.quoted(table, key, "a text in quotes")
    }

    fn quoted<'t>(&mut self, table: Table<'t>, key: &str, expected: &str) -> Option<Spanned<&'t str>> {
        let value = table.entries.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some(Spanned::new(value.span(), text));
        }
        self.kind(key, expected, value);
        None
    }

    /// The list of texts at `key`.
    pub(super) fn texts(&mut self, table: Table, key: &str) -> Option<Vec<String>> {
        let value = table.entries.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.kind(key, "a list of texts", value);
            return None;
        };
        let mut out = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => out.push(text.to_string()),
                _ => self.kind(&format!("{key}[{}]", out.len()), "a text in quotes", item),
            }
        }
        Some(out)
    }

    /// The whole number at `key`, where it is in `range`.
    pub(super) fn number(&mut self, table: Table, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = table.entries.get(key)?;
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(number) = value.get_ref() else {
            self.kind(key, &expected, value);
            return None;
        };
        let parsed = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let fits = parsed.filter(|parsed| range.contains(parsed));
        if fits.is_none() {
            self.error("bad-value", format!("`{key}` is {expected}, not {number}"), value.span());
        }
        fits
    }

    /// The truth value at `key`.
    pub(super) fn truth(&mut self, table: Table, key: &str) -> Option<bool> {
        let value = table.entries.get(key)?;
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        self.kind(key, "`true` or `false`", value);
        None
    }

    /// The duration at `key`, where it is in `range`.
    pub(super) fn duration(&mut self, table: Table, key: &str, range: RangeInclusive<Span>) -> Option<Span> {
        self.quantity(table, key, "a duration such as `\"30s\"`", range)
    }

    /// The size at `key`, where it is in `range`.
    pub(super) fn size(&mut self, table: Table, key: &str, range: RangeInclusive<Size>) -> Option<Size> {
        self.quantity(table, key, "a size such as `\"256KiB\"`", range)
    }

    fn quantity<T>(&mut self, table: Table, key: &str, expected: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr<Err = QuantityError> + PartialOrd + Display,
    {
        let text = self.quoted(table, key, expected)?;
        let message = match text.get_ref().parse::<T>() {
            Ok(value) if range.contains(&value) => return Some(value),
            Ok(value) => format!("`{key}` is from {} to {}, not {value}", range.start(), range.end()),
            Err(error) => format!("`{key}`: {error}"),
        };
        self.error("bad-value", message, text.span());
        None
    }

    /// Tells that the value is of another kind than the key takes.
    pub(super) fn kind(&mut self, key: &str, expected: &str, value: &Spanned<DeValue>) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "a truth value",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error("bad-value", format!("`{key}` is {expected}, not {found}"), value.span());
    }
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
