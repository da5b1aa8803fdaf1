//! What has changed in another app's contract, and what of it breaks those here who read its topics.
//!
//! The same comparison as for the app's own types, seen from the other side: whatever a reader of the old type does not expect breaks it, and what
//! was published before is the other app's business.

use std::ops::Range;

use super::compare::{self, Readers, What};
use super::{Message, Written, tell};
use crate::contract::{Contract, FILE, Topic};
use crate::diagnostic::{Diagnostic, Place};
use crate::name::{TopicName, nearest};
use crate::shape::span_of;
use crate::source::SourceTree;
use crate::tree::ExternalApp;

/// A change of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractChange {
    /// The topic.
    pub topic: TopicName,
    /// What has changed, in a few words.
    pub what: String,
    /// Whether who reads the topic by the old contract does not expect it.
    pub breaks: bool,
    /// A pointer into the old contract.
    pointer: String,
    /// Whether there is no such topic any more.
    gone: bool,
}

/// Every change from one contract of an app to another, topic by topic.
pub fn contract_changes(old: &Contract, new: &Contract) -> Vec<ContractChange> {
    let mut out = Vec::new();
    for (index, before) in old.topics.iter().enumerate() {
        let pointer = format!("/topics/{index}");
        if let Some(after) = new.topic(before.name.as_str()) {
            out.extend(topic(before, after, &pointer));
            continue;
        }
        let near = nearest(before.name.as_str(), new.topics.iter().map(|topic| topic.name.as_str()));
        let near = near.map(|near| format!("; there is `{near}`")).unwrap_or_default();
        let what = format!("the topic is gone{near}");
        out.push(ContractChange { topic: before.name.clone(), what, breaks: true, pointer, gone: true });
    }
    for after in new.topics.iter().filter(|after| old.topic(after.name.as_str()).is_none()) {
        let what = "the topic is new".to_owned();
        out.push(ContractChange {
            topic: after.name.clone(),
            what,
            breaks: false,
            pointer: "/topics".to_owned(),
            gone: false,
        });
    }
    out
}

fn topic(old: &Topic, new: &Topic, pointer: &str) -> Vec<ContractChange> {
    let told = |what: &str, breaks: bool, pointer: String| ContractChange {
        topic: old.name.clone(),
        what: what.to_owned(),
        breaks,
        pointer,
        gone: false,
    };
    let mut out = Vec::new();
    match (old.ordered, new.ordered) {
        (true, false) => {
            let what = "messages with the same key are no longer handled in publish order on every transport";
            out.push(told(what, true, format!("{pointer}/ordered")));
        }
        (false, true) => {
            let what = "messages with the same key are handled in publish order on every transport";
            out.push(told(what, false, pointer.to_owned()));
        }
        (true, true) | (false, false) => {}
    }
    if old.max_message != new.max_message {
        let what = format!("the largest message was {}, and is {} now", old.max_message, new.max_message);
        out.push(told(&what, false, format!("{pointer}/max_message")));
    }
    // A contract is checked where it is read; of one that could not be, nothing is known.
    let message =
        |topic: &Topic| Some(topic.shape().ok()?.map(|shape| Message::from_shape(Written::Schema, &shape)));
    let (Some(before), Some(after)) = (message(old), message(new)) else { return out };
    for change in compare::received(before.as_ref(), after.as_ref(), &old.name) {
        let field = tell::field(&change.at);
        let what = match &change.what {
            // Whether it has to be there is for who publishes.
            What::Added { .. } => format!("{field} is new"),
            other => tell::what(other, &field),
        };
        let breaks = change.effect.readers != Readers::Fine;
        out.push(told(&what, breaks, format!("{pointer}/schema{}", change.at.old)));
    }
    out
}

/// What breaks this app's subscribers, if the other app's contract is `theirs` by now: errors. `source` is where that was read.
pub fn contract_review(
    tree: &SourceTree,
    app: &ExternalApp,
    theirs: &Contract,
    source: &str,
) -> Vec<Diagnostic> {
    let Some(ours) = &app.contract else { return missing(app, theirs, source) };
    let file = format!("{}/{FILE}", app.folder);
    let place = |pointer: &str| match tree.text(&file).and_then(|text| span(text, ours, pointer)) {
        Some(span) => Place::span(&file, span),
        None => Place::path(&file),
    };
    let mut out = Vec::new();
    for change in contract_changes(ours, theirs).into_iter().filter(|change| change.breaks) {
        let Some(topic) = app.topics.iter().find(|topic| topic.name == change.topic) else { continue };
        let message = format!("topic `{}` of `{}`: {}", topic.name, app.name, change.what);
        let mut told = Diagnostic::error("contract-changed", message)
            .at(place(&change.pointer))
            .note(format!("so says {source}; these subscribe to the topic here"), None);
        for subscriber in &topic.subscribers {
            told = told.note(
                format!("`{}:{}/{}`", app.name, topic.name, subscriber.name),
                Some(Place::path(&subscriber.file)),
            );
        }
        out.push(told.hint(if change.gone {
            format!("ask that app to bring it back, or delete `{}`", topic.folder)
        } else {
            format!(
                "`less contract add {}` takes the new contract: then change what reads the old one; or ask that app to bring back what was",
                app.name
            )
        }));
    }
    out
}

/// Without a contract there are no types that could be broken, but there may be no such topic.
fn missing(app: &ExternalApp, theirs: &Contract, source: &str) -> Vec<Diagnostic> {
    let unknown = app.topics.iter().filter(|topic| theirs.topic(topic.name.as_str()).is_none());
    unknown
        .map(|topic| {
            let told =
                Diagnostic::error("unknown-topic", format!("`{}` has no topic `{}`", app.name, topic.name))
                    .at(Place::path(&topic.folder))
                    .note(format!("so says {source}"), None);
            match nearest(topic.name.as_str(), theirs.topics.iter().map(|topic| topic.name.as_str())) {
                Some(near) => told.hint(format!("did you mean `{near}`? then rename the folder")),
                None => told.hint("rename the folder, or ask that app for the topic"),
            }
        })
        .collect()
}

/// Where a pointer into a contract leads in its file, whose topics may stand in another order.
fn span(text: &str, contract: &Contract, pointer: &str) -> Option<Range<usize>> {
    let rest = pointer.strip_prefix("/topics/")?;
    let (index, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let name = contract.topics.get(index.parse::<usize>().ok()?)?.name.as_str();
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let at = value["topics"].as_array()?.iter().position(|topic| topic["name"] == name)?;
    Some(span_of(text, &format!("/topics/{at}{rest}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn contract(topics: &Value) -> Contract {
        Contract::from_value(json!({"less_contract": 1, "app": "ums", "topics": topics})).unwrap()
    }

    /// A topic with these fields, all of them required.
    fn with(fields: &Value) -> Value {
        let required: Vec<&String> = fields.as_object().unwrap().keys().collect();
        let schema = json!({"type": "object", "required": required, "properties": fields, "additionalProperties": false});
        json!([{"name": "user_created", "max_message": "1KiB", "schema": schema}])
    }

    fn shown(old: &Value, new: &Value) -> Vec<String> {
        let changes = contract_changes(&contract(old), &contract(new));
        changes
            .iter()
            .map(|change| {
                format!("{}{}: {}", if change.breaks { "! " } else { "" }, change.topic, change.what)
            })
            .collect()
    }

    #[test]
    fn what_a_reader_does_not_expect_breaks_it_and_what_is_new_does_not() {
        let (text, integer) = (json!({"type": "string"}), json!({"type": "integer"}));
        let old = || with(&json!({"id": integer, "role": {"enum": ["admin", "guest"]}}));
        let cases: Vec<(Value, &[&str])> = vec![
            (
                with(&json!({"id": integer, "role": {"enum": ["admin", "guest"]}, "new": text})),
                &["user_created: `/new` is new"],
            ),
            (
                with(&json!({"id": text, "role": {"enum": ["admin", "guest"]}})),
                &["! user_created: `/id` was an integer, and is a string now"],
            ),
            (
                with(&json!({"role": {"enum": ["admin", "guest"]}})),
                &["! user_created: `/id` is gone, and it was required"],
            ),
            (
                with(&json!({"id": integer, "role": {"enum": ["admin", "guest", "owner"]}})),
                &["! user_created: `/role` can be `owner` now"],
            ),
            (
                with(&json!({"id": integer, "role": {"enum": ["admin"]}})),
                &["user_created: `/role` can't be `guest` any more"],
            ),
            (
                with(&json!({"id": {"type": "integer", "minimum": 0}, "role": {"enum": ["admin", "guest"]}})),
                &["! user_created: `/id` was an integer, and is an integer from 0 now"],
            ),
            (
                json!([{"name": "user_created", "max_message": "1KiB"}]),
                &["! user_created: a message was an object, and is any JSON now"],
            ),
            (
                json!([{"name": "user_crated", "max_message": "1KiB"}]),
                &[
                    "! user_created: the topic is gone; there is `user_crated`",
                    "user_crated: the topic is new",
                ],
            ),
        ];
        for (new, expected) in cases {
            assert_eq!(shown(&old(), &new), expected);
        }
        assert!(shown(&old(), &old()).is_empty());
    }

    #[test]
    fn a_field_that_is_no_longer_always_there_breaks_and_one_that_is_now_does_not() {
        let topic = |required: Value, kind: Value| json!([{"name": "t", "max_message": "1KiB", "schema": {"type": "object", "required": required, "properties": {"a": {"type": kind}}}}]);
        let always = || topic(json!(["a"]), json!("string"));
        assert_eq!(shown(&always(), &topic(json!([]), json!("string"))), ["! t: `/a` is no longer required"]);
        assert_eq!(shown(&topic(json!([]), json!("string")), &always()), ["t: `/a` is required now"]);
        assert_eq!(
            shown(&always(), &topic(json!(["a"]), json!(["string", "null"]))),
            ["! t: `/a` can be `null` now"]
        );
        let untyped = json!([{"name": "t", "max_message": "2KiB", "ordered": true}]);
        assert_eq!(
            shown(&untyped, &always()),
            [
                "! t: messages with the same key are no longer handled in publish order on every transport",
                "t: the largest message was 2KiB, and is 1KiB now",
                "t: a message was any JSON, and is an object now"
            ]
        );
    }
}
