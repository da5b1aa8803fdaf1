//! `[filter.body]` and `[filter.attributes]` in `subscriber.toml`.

use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{Doc, Table};
use crate::diagnostic::Diagnostic;
use crate::filter::{Filter, Problem, Scope, Step};

const SCOPES: [(&str, Scope); 2] = [("attributes", Scope::Attributes), ("body", Scope::Body)];
const HINT: &str = "write `[filter.body]` and below it what passes, such as `plan = [\"pro\"]`";

/// The filter, where the file has one that says what it means.
pub(super) fn read(doc: &mut Doc, top: Table) -> Option<Filter> {
    let value = top.entries.get("filter")?;
    let table = doc.table(top, "filter", "[filter]")?;
    doc.known(table, &SCOPES.map(|(key, _)| key));
    let found =
        SCOPES.into_iter().filter_map(|(key, scope)| Some((scope, table.entries.get_key_value(key)?)));
    let found: Vec<_> = found.collect();
    let (scope, key, value) = match found.as_slice() {
        [(scope, (key, value))] => (*scope, key, value),
        // A key that is not known was told already.
        [] if table.entries.keys().next().is_some() => return None,
        [] => {
            let problem = Diagnostic::error("bad-filter", "the filter says neither `body` nor `attributes`");
            doc.report(problem.hint(HINT), value.span());
            return None;
        }
        [_, (_, (second, _)), ..] => {
            let problem = Diagnostic::error(
                "bad-filter",
                "a filter looks at the body or at the attributes, not at both",
            );
            doc.report(
                problem.hint("SNS has one scope for each subscription: delete one of the two tables"),
                second.span(),
            );
            return None;
        }
    };
    let policy = policy(doc, key.get_ref(), value)?;
    match Filter::read(scope, policy) {
        Ok(filter) => Some(filter),
        Err(problems) => {
            for problem in problems {
                let span = place(key, value, &problem);
                let told = Diagnostic::error("bad-filter", format!("filter: {problem}"));
                doc.report(
                    match problem.cause.hint() {
                        Some(hint) => told.hint(hint),
                        None => told,
                    },
                    span,
                );
            }
            None
        }
    }
}

/// The policy as JSON: a table, or a text that is JSON itself.
fn policy(doc: &mut Doc, key: &str, value: &Spanned<DeValue>) -> Option<Map<String, Value>> {
    match value.get_ref() {
        DeValue::Table(table) => object(doc, table),
        DeValue::String(text) => match serde_json::from_str(text) {
            Ok(policy) => Some(policy),
            Err(error) => {
                doc.error("bad-filter", format!("the policy is no JSON object: {error}"), value.span());
                None
            }
        },
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            doc.kind(key, "a table, or a policy as JSON in quotes", value);
            None
        }
    }
}

fn object(doc: &mut Doc, table: &DeTable) -> Option<Map<String, Value>> {
    let entries: Vec<Option<(String, Value)>> =
        table.iter().map(|(key, value)| Some((key.get_ref().to_string(), json(doc, value)?))).collect();
    entries.into_iter().collect()
}

/// The value as JSON, where JSON has one like it.
fn json(doc: &mut Doc, value: &Spanned<DeValue>) -> Option<Value> {
    let number = match value.get_ref() {
        DeValue::String(text) => return Some(Value::from(text.to_string())),
        DeValue::Boolean(truth) => return Some(Value::from(*truth)),
        DeValue::Array(items) => {
            let items: Vec<Option<Value>> = items.iter().map(|item| json(doc, item)).collect();
            return items.into_iter().collect::<Option<Vec<Value>>>().map(Value::Array);
        }
        DeValue::Table(table) => return object(doc, table).map(Value::Object),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Number::from)
        }
        DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64),
        DeValue::Datetime(date) => {
            let told =
                Diagnostic::error("bad-filter", format!("filter: JSON has no dates, and {date} is one"));
            doc.report(told.hint("write it as a text, in quotes"), value.span());
            return None;
        }
    };
    if number.is_none() {
        doc.error("bad-filter", "filter: JSON has no such number", value.span());
    }
    number.map(Value::Number)
}

/// Where in the file a problem is: the last of its path's steps that the file has.
fn place(key: &Spanned<impl Sized>, value: &Spanned<DeValue>, problem: &Problem) -> Range<usize> {
    if problem.path.is_empty() {
        return key.span();
    }
    let (mut span, mut value) = (value.span(), value);
    for step in &problem.path {
        let next = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => {
                // The key of a table says more than the place where the table begins, which may be anywhere.
                let Some((key, next)) = table.get_key_value(key.as_str()) else { break };
                span = key.span();
                next
            }
            (Step::Index(index), DeValue::Array(items)) => {
                let Some(next) = items.get(*index) else { break };
                span = next.span();
                next
            }
            _ => break,
        };
        value = next;
    }
    span
}
