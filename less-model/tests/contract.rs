//! What is said where another app's contract has changed, whole: each file in `contract/` is an app, `//= then` and what became of it, `//= read by` and
//! an app that subscribes to its topics with the first one's contract, and what is printed there: every change, then what breaks.
//!
//! `UPDATE=1 cargo test -p less-model --features parse --test contract` rewrites what is printed; the diff is to be read.
#![cfg(feature = "parse")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::fs;
use std::path::{Path, PathBuf};

use less_model::contract::Contract;
use less_model::diagnostic::{Diagnostic, plain};
use less_model::lock::{contract_changes, contract_review};
use less_model::scan::scan;
use less_model::shape::Shape;
use less_model::source::SourceTree;
use less_model::tree::App;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const THEN: &str = "//= then\n";
const READ_BY: &str = "//= read by\n";
const PRINTS: &str = "//= prints\n";

fn app(fixture: &str, name: &str) -> (App, SourceTree) {
    let tree = SourceTree::fixture(fixture);
    let (app, diagnostics) = scan(&tree, name);
    assert!(!diagnostics.iter().any(Diagnostic::is_error), "{}", plain(&diagnostics, &tree));
    (app, tree)
}

fn printed(publisher: &str, subscriber: &str) -> String {
    let (old, new) = publisher.split_once(THEN).unwrap();
    let [old, new] = [old, new].map(|fixture| app(fixture, "ums").0.contract());
    let text = old.to_text();
    assert_eq!(Contract::read(&text).unwrap(), old, "what is written is read again");
    let file = if subscriber.contains("(without a contract)") {
        String::new()
    } else {
        format!("//- less/external_topics/ums/contract.json\n{text}")
    };
    let (reader, tree) = app(&format!("{file}{subscriber}"), "friends");
    let changes = contract_changes(&old, &new);
    let changes: String = changes
        .iter()
        .flat_map(|change| {
            let breaks = if change.breaks { "breaks: " } else { "" };
            [breaks, change.topic.as_str(), ": ", &change.what, "\n"]
        })
        .collect();
    let found = contract_review(&tree, &reader.external[0], &new, "`http://127.0.0.1:4100`");
    format!("{changes}\n{}", plain(&found, &tree))
}

#[test]
fn every_case_prints_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 3);
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let (apps, expected) = text.split_once(PRINTS).unwrap_or((&text, "no expectation yet"));
        let (publisher, subscriber) = apps.split_once(READ_BY).unwrap();
        let printed = printed(publisher, subscriber);
        if printed != expected {
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, format!("{apps}{PRINTS}{printed}")).unwrap();
            } else {
                wrong.push(format!("{}\n--- expected\n{expected}\n--- printed\n{printed}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_no_source_shows_and_no_schema_says_is_any_json_in_a_contract() {
    let (app, _) = app(
        "//- Cargo.toml\n[package]\nname = \"ums\"\n[workspace]\nmembers = [\".less/*\"]\n\
         //- less/topics/hidden/message.rs\nuse other::Thing;\n#[less::message]\n#[serde(transparent)]\npub struct Hidden(Thing);\n\
         //- less/topics/hidden/s/index.js\n\
         //- less/topics/list/message.rs\n/// Some numbers.\n#[less::message]\npub struct List(pub Vec<u8>);\n\
         //- less/topics/list/s/index.js\n\
         //- less/topics/anything/s/index.js\n",
        "ums",
    );
    let contract = app.contract();
    let shown: Vec<(&str, Option<&str>, Option<String>)> = contract
        .topics
        .iter()
        .map(|topic| {
            let shape = topic.shape().unwrap();
            let shape = shape.map(|shape| shape.to_schema()["items"].to_string());
            (topic.name.as_str(), topic.message_type.as_deref(), shape)
        })
        .collect();
    let bytes = "{\"maximum\":255,\"minimum\":0,\"type\":\"integer\"}".to_owned();
    assert_eq!(
        shown,
        [("anything", None, None), ("hidden", Some("Hidden"), None), ("list", Some("List"), Some(bytes))]
    );
    assert_eq!(contract.topic("list").unwrap().docs.as_deref(), Some("Some numbers."));
    assert_eq!(app.manifest().contract, Some(contract));
}

/// A type of a field, and values that fit some of them.
const KINDS: [&str; 16] = [
    "{}",
    r#"{"type": "string"}"#,
    r#"{"type": "string", "maxLength": 1}"#,
    r#"{"type": "string", "format": "date"}"#,
    r#"{"type": ["string", "null"]}"#,
    r#"{"type": "integer"}"#,
    r#"{"type": "integer", "minimum": 0}"#,
    r#"{"type": "integer", "minimum": 0, "maximum": 9}"#,
    r#"{"type": "number"}"#,
    r#"{"type": "number", "maximum": 2}"#,
    r#"{"enum": ["a", "b"]}"#,
    r#"{"enum": ["a", "b", "c"]}"#,
    r#"{"type": "array", "items": {"type": "integer"}, "maxItems": 1}"#,
    r#"{"type": "array", "items": {"type": "integer"}}"#,
    r#"{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}"#,
    r#"{"type": "object", "properties": {"a": {"type": "string"}}}"#,
];
const VALUES: [&str; 14] = [
    "null",
    "true",
    "\"a\"",
    "\"b\"",
    "\"c\"",
    "\"2026-01-02\"",
    "1",
    "-1",
    "10",
    "1.5",
    "18446744073709551615",
    "[1, 2]",
    "[1]",
    r#"{"a": "b"}"#,
];

fn parsed(text: &&str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A topic with some of three fields.
fn topic() -> impl Strategy<Value = Value> {
    let field = prop::option::of((prop::sample::select(&KINDS[..]), any::<bool>()));
    (prop::array::uniform3(field), any::<bool>()).prop_map(|(fields, open)| {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for (name, field) in ["x", "y", "z"].into_iter().zip(fields) {
            let Some((kind, needed)) = field else { continue };
            properties.insert(name.to_owned(), parsed(&kind));
            required.extend(needed.then_some(name));
        }
        let schema = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": open});
        json!({"name": "t", "max_message": "1KiB", "schema": schema})
    })
}

fn message() -> impl Strategy<Value = Value> {
    let field = prop::option::weighted(0.8, prop::sample::select(&VALUES[..]));
    prop::array::uniform4(field).prop_map(|fields| {
        let fields = ["x", "y", "z", "new"].into_iter().zip(fields);
        fields.filter_map(|(name, value)| Some((name.to_owned(), parsed(&value?)))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn where_nothing_breaks_a_reader_takes_whatever_the_publisher_accepts(
        old in topic(),
        mut new in topic(),
        keep in prop::array::uniform3(any::<bool>()),
        messages in prop::collection::vec(message(), 64),
    ) {
        // Most fields stay as they are, or hardly any pair would be without a break.
        for (name, keep) in ["x", "y", "z"].into_iter().zip(keep) {
            if keep {
                let field = &old["schema"]["properties"][name];
                if field.is_null() {
                    new["schema"]["properties"].as_object_mut().unwrap().remove(name);
                } else {
                    new["schema"]["properties"][name] = field.clone();
                }
                let required = new["schema"]["required"].as_array_mut().unwrap();
                required.retain(|found| found != name);
                if old["schema"]["required"].as_array().unwrap().iter().any(|found| found == name) {
                    required.push(json!(name));
                }
            }
        }
        let contract = |topic: &Value| {
            Contract::from_value(json!({"less_contract": 1, "app": "ums", "topics": [topic]})).unwrap()
        };
        let (before, after) = (contract(&old), contract(&new));
        prop_assert!(contract_changes(&before, &before).is_empty());
        let changes = contract_changes(&before, &after);
        if !changes.iter().any(|change| change.breaks) {
            let publisher = Shape::read(&new["schema"], "T").unwrap();
            let reader = before.topics[0].shape().unwrap().unwrap().unbounded();
            for message in messages.iter().filter(|message| publisher.check(message).is_ok()) {
                prop_assert_eq!(reader.check(message), Ok(()), "{}\n{:?}", message, changes);
            }
        }
    }
}
