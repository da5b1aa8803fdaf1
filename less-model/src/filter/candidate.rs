//! A message as filters see it: for each key that is asked for, the values that it has.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::Scope;
use super::number::Fixed;

/// A message that is being judged. Its body is parsed once, however many filters look at it, and not at all where none does.
#[derive(Debug)]
pub struct Candidate<'a> {
    body: &'a [u8],
    attributes: &'a BTreeMap<String, String>,
    /// The body, where it is a JSON object.
    parsed: OnceCell<Option<Map<String, Value>>>,
}

/// A value that is no list and no object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaf<'a> {
    Text(&'a str),
    /// `None` is a number that SNS does not compare: it is out of its range.
    Number(Option<Fixed>),
    Bool(bool),
    Null,
}

impl Leaf<'_> {
    /// Whether it does not count as a value: SNS wants one that is neither null nor empty.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Null => true,
            Self::Number(_) | Self::Bool(_) => false,
        }
    }
}

/// What a message has at the keys of a filter.
pub(super) struct Values<'a> {
    found: BTreeMap<&'a str, Vec<Leaf<'a>>>,
}

impl<'a> Values<'a> {
    pub(super) fn found(&self, key: &str) -> &[Leaf<'a>] {
        self.found.get(key).map_or(&[], Vec::as_slice)
    }
}

impl<'a> Candidate<'a> {
    /// A message with this body and these attributes.
    pub fn new(body: &'a [u8], attributes: &'a BTreeMap<String, String>) -> Self {
        Self { body, attributes, parsed: OnceCell::new() }
    }

    /// What there is at these keys. `None` where nothing can pass: the body is no JSON object.
    pub(super) fn values<'s>(
        &'s self,
        scope: Scope,
        keys: impl Iterator<Item = &'s str>,
    ) -> Option<Values<'s>> {
        let mut found: BTreeMap<&str, Vec<Leaf>> = keys.map(|key| (key, Vec::new())).collect();
        match scope {
            Scope::Attributes => {
                for (key, leaves) in &mut found {
                    leaves.extend(self.attributes.get(*key).map(|text| Leaf::Text(text)));
                }
                Some(Values { found })
            }
            Scope::Body => {
                let body = self.parsed.get_or_init(|| serde_json::from_slice(self.body).ok()).as_ref()?;
                let mut path = String::new();
                walk(body, &mut path, &mut found);
                Some(Values { found })
            }
        }
    }
}

/// Collects the values below an object. As in SNS a key's path is its names with dots between them, and a list is each of its elements.
fn walk<'a>(object: &'a Map<String, Value>, path: &mut String, found: &mut BTreeMap<&str, Vec<Leaf<'a>>>) {
    let start = path.len();
    for (key, value) in object {
        if start > 0 {
            path.push('.');
        }
        path.push_str(key);
        // Only what leads to a key: bodies may be large, and filters have few keys.
        let from = (Bound::Included(path.as_str()), Bound::Unbounded);
        let leads = found.range::<str, _>(from).next().is_some_and(|(key, _)| key.starts_with(path.as_str()));
        if leads {
            descend(value, path, found);
        }
        path.truncate(start);
    }
}

fn descend<'a>(value: &'a Value, path: &mut String, found: &mut BTreeMap<&str, Vec<Leaf<'a>>>) {
    let leaf = match value {
        Value::Object(object) => return walk(object, path, found),
        Value::Array(items) => return items.iter().for_each(|item| descend(item, path, found)),
        Value::Null => Leaf::Null,
        Value::Bool(truth) => Leaf::Bool(*truth),
        Value::Number(number) => Leaf::Number(Fixed::of(number)),
        Value::String(text) => Leaf::Text(text),
    };
    if let Some(leaves) = found.get_mut(path.as_str()) {
        leaves.push(leaf);
    }
}
