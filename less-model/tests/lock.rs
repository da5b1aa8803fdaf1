//! What is said of changes since `less.lock` was written, whole: each file in `lock/` is an app, `//= then` and what became of it, and what that prints.
//! `lock/changes.txt` is a table of small changes: a schema, what it becomes, and what is said.
//!
//! `UPDATE=1 cargo test -p less-model --features parse --test lock` rewrites what is printed; the diff is to be read.
#![cfg(feature = "parse")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::fs;
use std::path::{Path, PathBuf};

use less_model::diagnostic::{Diagnostic, plain};
use less_model::lock::{FILE, Review, review};
use less_model::scan::scan;
use less_model::shape::Shape;
use less_model::source::SourceTree;
use serde_json::{Value, json};

const THEN: &str = "//= then\n";
const PRINTS: &str = "//= prints\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lock")
}

fn reviewed(fixture: &str) -> (Review, SourceTree) {
    let tree = SourceTree::fixture(fixture);
    let (app, diagnostics) = scan(&tree, "shop");
    assert!(!diagnostics.iter().any(Diagnostic::is_error), "{}", plain(&diagnostics, &tree));
    (review(&tree, &app), tree)
}

/// An app after it was built as `old` was.
fn after(old: &str, new: &str) -> (Review, SourceTree) {
    let lock = reviewed(old).0.text;
    reviewed(&format!("//- {FILE}\n{lock}{new}"))
}

fn said(review: &Review, tree: &SourceTree) -> String {
    let all = review.errors();
    let stored: Vec<String> = review.stored.iter().map(ToString::to_string).collect();
    let stored = if stored.is_empty() { String::new() } else { format!("\nstored: {}\n", stored.join(", ")) };
    format!("{}{stored}", plain(&all, tree))
}

/// Compares, or rewrites with `UPDATE=1`.
fn golden(path: &Path, expected: &str, printed: &str, whole: &str) -> Option<String> {
    if printed == expected {
        return None;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, whole).unwrap();
        return None;
    }
    Some(format!("{}\n--- expected\n{expected}\n--- printed\n{printed}", path.display()))
}

#[test]
fn every_case_prints_what_it_says() {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "txt") && !path.ends_with("changes.txt"));
    paths.sort();
    assert!(paths.len() > 10);
    let wrong: Vec<String> = paths
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let (app, expected) = text.split_once(PRINTS).unwrap_or((&text, "no expectation yet"));
            let (review, tree) = match app.split_once(THEN) {
                Some((old, new)) => after(old, new),
                None => reviewed(app),
            };
            let printed = said(&review, &tree);
            golden(path, expected, &printed, &format!("{app}{PRINTS}{printed}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// An app whose one topic has a message with the one property `a`.
fn app(schema: &Value, required: bool) -> String {
    let required = if required { json!(["a"]) } else { json!([]) };
    let schema = json!({"type": "object", "properties": {"a": schema}, "required": required});
    format!(
        "//- less/topics/t/message.schema.json\n{schema}\n//- less/topics/t/s/index.js\nexports.process = () => {{}}\n"
    )
}

/// The schemas of the table: before and after.
fn table() -> (String, Vec<(Value, Value)>) {
    let text = fs::read_to_string(folder().join("changes.txt")).unwrap();
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty() && !block.starts_with('#'));
    let rows = blocks.map(|block| {
        let mut lines = block.trim_start().lines();
        let mut schema =
            || serde_json::from_str(lines.next().unwrap()).unwrap_or_else(|error| panic!("{error}: {block}"));
        (schema(), schema())
    });
    let rows = rows.collect();
    (text, rows)
}

#[test]
fn every_change_of_the_table_is_judged_as_it_says() {
    let (text, rows) = table();
    assert!(rows.len() > 40);
    let mut whole = text.split("\n\n").next().unwrap().to_owned();
    for (old, new) in &rows {
        whole.extend(["\n\n", &old.to_string(), "\n", &new.to_string()]);
        let (review, _) = after(&app(old, true), &app(new, true));
        for told in review.unreadable.iter().chain(&review.breaking).chain(&review.notices) {
            let kind = if told.is_error() { "error" } else { "warning" };
            let message = told.message.strip_prefix("topic `t`: ").unwrap_or(&told.message);
            whole.extend(["\n", kind, ": ", message]);
            for (note, place) in &told.notes {
                if place.is_none() {
                    whole.extend(["\n  ", note.as_str()]);
                }
            }
        }
        if review.breaking.is_empty() && review.notices.is_empty() {
            whole.push_str("\nfine");
        }
    }
    whole.push('\n');
    let wrong = golden(&folder().join("changes.txt"), &text, &whole, &whole);
    assert_eq!(wrong, None, "{}", wrong.as_deref().unwrap_or_default());
}

/// Values on all sides of the table's bounds.
fn values() -> Vec<Value> {
    let objects = [
        json!({}),
        json!({"b": 1}),
        json!({"b": "x"}),
        json!({"b": null}),
        json!({"b": 1, "c": true}),
        json!({"kind": "x"}),
        json!({"kind": "y", "n": 1}),
        json!({"kind": "z"}),
        json!({"k": 1}),
    ];
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(3),
        json!(5),
        json!(7),
        json!(300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.5),
        json!(-2.5),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("y"),
        json!("z"),
        json!("xyzxyz"),
        json!("2026-01-31"),
        json!("ada@example.com"),
        json!([]),
        json!([1]),
        json!(["x"]),
        json!([1, 2, 3]),
        json!([null]),
        json!([[1]]),
    ];
    objects.into_iter().chain(others).collect()
}

/// The judgement beside the facts: whatever a schema of the table becomes, an old message that is refused afterwards was foreseen.
#[test]
fn no_change_that_is_called_harmless_for_stored_messages_refuses_one() {
    let (_, rows) = table();
    let mut schemas: Vec<Value> = rows.into_iter().flat_map(|(old, new)| [old, new]).collect();
    schemas.sort_by_key(Value::to_string);
    schemas.dedup();
    let read = |schema: &Value, required: bool| {
        let text = app(schema, required);
        let json: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        Shape::read(&json, "T").unwrap()
    };
    // A field that the type did not name was nobody's.
    let names = |schema: &Value, value: &Value| {
        let text = schema.to_string();
        let any = !text.contains("\"properties\"");
        any || value
            .as_object()
            .is_none_or(|value| value.keys().all(|key| text.contains(&format!("\"{key}\":{{"))))
    };
    let (mut refused, mut harmless) = (0, 0);
    for old in &schemas {
        let before = read(old, true);
        for new in &schemas {
            let after_shape = read(new, true);
            let misfit = values().into_iter().filter(|value| names(old, value)).find(|value| {
                let message = json!({ "a": value });
                before.check(&message).is_ok() && after_shape.check(&message).is_err()
            });
            let (review, tree) = after(&app(old, true), &app(new, true));
            match misfit {
                Some(value) => {
                    refused += 1;
                    assert_eq!(review.stored.len(), 1, "{old}\n{new}\n{value}\n{}", said(&review, &tree));
                }
                None if review.stored.is_empty() => harmless += 1,
                None => {}
            }
        }
    }
    assert!(refused > 500 && harmless > 100, "{refused} {harmless}");
}

#[test]
fn what_was_written_is_read_back_and_an_unchanged_app_changes_nothing() {
    let text = fs::read_to_string(folder().join("whole.lock")).unwrap();
    let app = fs::read_to_string(folder().join("whole.app")).unwrap();
    let (written, _) = reviewed(&app);
    assert!(written.stale && !written.exists);
    let wrong = golden(&folder().join("whole.lock"), &text, &written.text, &written.text);
    assert_eq!(wrong, None, "{}", wrong.as_deref().unwrap_or_default());
    let (same, _) = after(&app, &app);
    let expected = Review { exists: true, text: written.text.clone(), ..Review::default() };
    assert_eq!(same, expected);
    // Another comment makes it read and compare everything.
    let (compared, tree) = reviewed(&format!("//- {FILE}\n# mine\n{}{app}", written.text));
    assert!(compared.stale);
    assert_eq!(said(&compared, &tree), "");
}

#[test]
fn documentation_and_the_order_of_fields_are_no_change() {
    let schema = |text: &str| {
        format!(
            "//- less/topics/t/message.schema.json\n{text}\n//- less/topics/t/s/index.js\nexports.process = () => {{}}\n"
        )
    };
    let old = schema(
        r#"{"type": "object", "properties": {"a": {"type": "string"}, "b": {"const": "x"}}, "required": ["a", "b"]}"#,
    );
    let new = schema(
        r#"{"title": "T", "type": "object", "description": "New.", "required": ["b", "a"],
        "properties": {"b": {"enum": ["x"], "description": "Always."}, "a": {"type": "string", "examples": ["e"]}}}"#,
    );
    assert!(!after(&old, &new).0.stale);
}

#[test]
fn no_lock_whatever_it_holds_makes_reading_it_fail_otherwise_than_by_saying_so() {
    let sources = fs::read_to_string(folder().join("whole.app")).unwrap();
    let text = fs::read_to_string(folder().join("whole.lock")).unwrap();
    let (app, _) = scan(&SourceTree::fixture(&sources), "shop");
    for at in (0..text.len()).step_by(7) {
        for (cut, insert) in [(text.len() - at, ""), (1, ""), (0, "\""), (1, "["), (0, "'''"), (3, "9")] {
            let Some((start, rest)) = text.get(..at).zip(text.get((at + cut).min(text.len())..)) else {
                continue;
            };
            let tree = SourceTree::fixture(&format!("//- {FILE}\n{start}{insert}{rest}"));
            let review = review(&tree, &app);
            // Every place can be shown.
            plain(&review.errors(), &tree);
            assert_eq!(review.text, text);
        }
    }
}
