//! One topic's folder.

use std::collections::BTreeMap;

use super::table::{Doc, Table};
use super::{TOPICS, schema, subscriber};
use crate::check;
use crate::diagnostic::{Diagnostic, Place};
use crate::manifest::{DEFAULT_MAX_MESSAGE, DEFAULT_RETENTION, Policy};
use crate::message;
use crate::name::TopicName;
use crate::quantity::{Size, Span};
use crate::shape::Shape;
use crate::source::{Entry, Folder};
use crate::tree::{MessageSource, Subscriber, Topic};

/// Until every subscriber is done.
const SHORTEST: Span = Span::from_secs(0);
const LONGEST: Span = Span::from_secs(3650 * 86_400);
/// What SNS and SQS let a queue's largest message be.
const SMALLEST: Size = Size::from_bytes(1024);
const LARGEST: Size = Size::from_bytes(1024 * 1024);

/// The topic, and what is wrong with it.
pub(super) fn read(name: &TopicName, folder: &Folder, defaults: Policy) -> (Topic, Vec<Diagnostic>) {
    let path = format!("{TOPICS}/{name}");
    let mut diagnostics = Vec::new();
    let message = message(name, &path, folder, &mut diagnostics);
    let File { retention, ordered, max_message } = file(&path, folder, &mut diagnostics);
    let subscribers = subscribers(name, message.type_name(), &path, folder, defaults, &mut diagnostics);
    if subscribers.is_none() {
        let message = format!(
            "topic `{name}` has no subscribers; its messages are kept for {retention} and then discarded"
        );
        diagnostics.push(
            Diagnostic::warning("no-subscribers", message)
                .at(Place::path(&path))
                .hint(format!("make one with `less add subscriber {name}/NAME`")),
        );
    }
    let subscribers = subscribers.unwrap_or_default();
    let topic =
        Topic { name: name.clone(), folder: path, message, retention, ordered, max_message, subscribers };
    (topic, diagnostics)
}

/// The subscribers in a topic's folder, good ones; `None` where nothing in there is meant to be one.
pub(super) fn subscribers(
    name: &TopicName,
    message_type: Option<&str>,
    path: &str,
    folder: &Folder,
    defaults: Policy,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<Subscriber>> {
    let folders: BTreeMap<&str, &Folder> = folder
        .iter()
        .filter(|(name, _)| !name.starts_with('_') && !crate::source::ignored(name))
        .filter_map(|(name, entry)| Some((name.as_str(), entry.folder()?)))
        .collect();
    let mut subscribers = Vec::new();
    for (subscriber, folder) in &folders {
        let path = format!("{path}/{subscriber}");
        match subscriber.parse() {
            Ok(subscriber) => {
                let place = subscriber::Place { topic: name, message_type, folder: &path };
                let (found, problems) = subscriber::read(&place, subscriber, folder, defaults);
                subscribers.extend(found);
                diagnostics.extend(problems);
            }
            Err(error) => diagnostics.push(check::bad_name("subscriber", subscriber, &error, path)),
        }
    }
    check::names_differ_by_case("subscribers", path, folders.keys().copied(), diagnostics);
    (!folders.is_empty()).then_some(subscribers)
}

fn message(
    name: &TopicName,
    path: &str,
    folder: &Folder,
    diagnostics: &mut Vec<Diagnostic>,
) -> MessageSource {
    let file = |name: &str| folder.get(name).filter(|entry| entry.is_file());
    let (rust_path, schema_path) = (format!("{path}/message.rs"), format!("{path}/message.schema.json"));
    let type_name = name.type_name();
    let (rust, schema) = (file("message.rs"), file("message.schema.json"));
    if rust.is_some() && schema.is_some() {
        diagnostics.push(
            Diagnostic::error("two-message-types", format!("topic `{name}` has two message types"))
                .at(Place::path(&schema_path))
                .note("first one is here", Some(Place::path(&rust_path)))
                .hint("delete one of the two files"),
        );
    }
    // Why a file has no text was told with the other unreadable files.
    if let Some(rust) = rust {
        let (roots, shape) = match rust.text() {
            Some(text) => {
                let (message, found) = message::read(&rust_path, text, &type_name);
                diagnostics.extend(found);
                (message.roots, message.shape)
            }
            None => (Vec::new(), Shape::any(&type_name)),
        };
        return MessageSource::Rust { file: rust_path, type_name, roots, shape };
    }
    let Some(schema) = schema else { return MessageSource::Any };
    let shape = schema.text().and_then(|text| {
        let (shape, found) = schema::read(&schema_path, text, &type_name);
        diagnostics.extend(found);
        shape
    });
    let shape = shape.unwrap_or_else(|| Shape::any(&type_name));
    MessageSource::Schema { file: schema_path, type_name, shape }
}

/// What `topic.toml` says.
struct File {
    retention: Span,
    ordered: bool,
    max_message: Size,
}

fn file(path: &str, folder: &Folder, diagnostics: &mut Vec<Diagnostic>) -> File {
    let mut file = File { retention: DEFAULT_RETENTION, ordered: false, max_message: DEFAULT_MAX_MESSAGE };
    let Some(text) = folder.get("topic.toml").and_then(Entry::text) else { return file };
    let path = format!("{path}/topic.toml");
    let mut doc = Doc::new(&path);
    if let Some(entries) = doc.parse(text) {
        let table = Table { title: "", entries: &entries };
        doc.known(table, &["retention", "ordered", "max_message"]);
        file = File {
            retention: doc.duration(table, "retention", SHORTEST..=LONGEST).unwrap_or(file.retention),
            ordered: doc.truth(table, "ordered").unwrap_or(file.ordered),
            max_message: doc.size(table, "max_message", SMALLEST..=LARGEST).unwrap_or(file.max_message),
        };
    }
    diagnostics.append(&mut doc.diagnostics);
    file
}
