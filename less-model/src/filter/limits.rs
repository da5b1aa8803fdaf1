//! How much SNS takes. The numbers are from "Filter policy constraints" in its developer guide.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::problem::Cause;

/// Most keys of a policy.
pub(super) const KEYS: usize = 5;
/// Most combinations of values.
pub(super) const COMBINATIONS: u64 = 150;
/// Largest policy, in bytes as JSON.
pub(super) const BYTES: usize = 256 * 1024;
/// Most points of all wildcards.
pub(super) const POINTS: u64 = 100;
/// Most `*` of a pattern.
pub(super) const STARS: usize = 3;

/// What a policy has too much of.
pub(super) fn check(policy: &Map<String, Value>) -> Vec<Cause> {
    let mut out = Vec::new();
    let bytes = serde_json::to_vec(policy).map_or(0, |json| json.len());
    if bytes > BYTES {
        out.push(Cause::TooLarge(bytes));
    }
    let mut names = BTreeSet::new();
    keys(policy, &mut names);
    if names.len() > KEYS {
        out.push(Cause::TooManyKeys(names.len()));
    }
    let combinations = combinations(policy, 1);
    if combinations > COMBINATIONS {
        out.push(Cause::TooManyCombinations(combinations));
    }
    let points = points(policy);
    if points > POINTS {
        out.push(Cause::TooManyWildcards(points));
    }
    out
}

/// The objects of `$or`, where it is SNS's operator.
pub(super) fn alternatives<'p>(
    key: &str,
    value: &'p Value,
) -> Option<impl Iterator<Item = &'p Map<String, Value>>> {
    let items = value.as_array().filter(|_| key == "$or")?;
    Some(items.iter().filter_map(Value::as_object))
}

/// The keys of the top level, and those that `$or` has there.
fn keys<'p>(policy: &'p Map<String, Value>, names: &mut BTreeSet<&'p str>) {
    for (key, value) in policy {
        match alternatives(key, value) {
            Some(objects) => objects.for_each(|object| keys(object, names)),
            None => drop(names.insert(key)),
        }
    }
}

/// The number of values of each list, times the levels that it is deep, all multiplied; what `$or` has is added up.
fn combinations(policy: &Map<String, Value>, depth: u64) -> u64 {
    let each = policy.iter().map(|(key, value)| match (alternatives(key, value), value) {
        (Some(objects), _) => objects.map(|object| combinations(object, depth)).fold(0, u64::saturating_add),
        (None, Value::Object(inner)) => combinations(inner, depth + 1),
        (None, Value::Array(items)) => (items.len() as u64).saturating_mul(depth),
        (None, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => 1,
    });
    each.fold(1, u64::saturating_mul)
}

/// A pattern with one `*` has 1 point, one with more has 3 for each; a key's are added up and multiplied by the number of its patterns.
fn points(policy: &Map<String, Value>) -> u64 {
    let each = policy.iter().map(|(key, value)| match (alternatives(key, value), value) {
        (Some(objects), _) => objects.map(points).fold(0, u64::saturating_add),
        (None, Value::Object(inner)) => points(inner),
        (None, Value::Array(items)) => {
            let patterns: Vec<u64> = items.iter().filter_map(pattern).collect();
            patterns.iter().sum::<u64>().saturating_mul(patterns.len() as u64)
        }
        (None, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => 0,
    });
    each.fold(0, u64::saturating_add)
}

fn pattern(rule: &Value) -> Option<u64> {
    let text = rule.get("wildcard").or_else(|| rule.get("anything-but")?.get("wildcard"))?.as_str()?;
    match text.matches('*').count() as u64 {
        stars @ 0..=1 => Some(stars),
        stars => Some(stars * 3),
    }
}
