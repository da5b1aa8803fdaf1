//! One subscriber's folder.

use super::table::{Doc, Table};
use super::{filter, policy};
use crate::check;
use crate::diagnostic::Diagnostic;
use crate::handler;
use crate::language::Language;
use crate::manifest::Policy;
use crate::name::{SubscriberName, TopicName};
use crate::source::{Entry, Folder};
use crate::tree::Subscriber;

/// Where a subscriber is.
pub(super) struct Place<'a> {
    pub(super) topic: &'a TopicName,
    /// What the topic carries; any JSON without it.
    pub(super) message_type: Option<&'a str>,
    /// The subscriber's folder.
    pub(super) folder: &'a str,
}

/// The subscriber, where it has one handler, and what is wrong with it.
pub(super) fn read(
    place: &Place,
    name: SubscriberName,
    folder: &Folder,
    defaults: Policy,
) -> (Option<Subscriber>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let (mut policy, mut filter) = (defaults, None);
    if let Some(text) = folder.get("subscriber.toml").and_then(Entry::text) {
        let path = format!("{}/subscriber.toml", place.folder);
        let mut doc = Doc::new(&path);
        if let Some(entries) = doc.parse(text) {
            let top = Table { title: "", entries: &entries };
            let keys: Vec<&str> = policy::KEYS.into_iter().chain(["filter"]).collect();
            doc.known(top, &keys);
            policy = policy::read(&mut doc, top, defaults);
            filter = filter::read(&mut doc, top);
        }
        diagnostics.append(&mut doc.diagnostics);
    }
    let mut handlers: Vec<(Language, &str)> = Language::ALL
        .into_iter()
        .flat_map(|language| language.handler_files().iter().map(move |file| (language, *file)))
        .filter(|(_, file)| folder.get(*file).is_some_and(Entry::is_file))
        .collect();
    handlers.sort_by_key(|(_, file)| *file);

    let [(language, file)] = handlers[..] else {
        diagnostics.push(if handlers.is_empty() {
            check::no_handler(place.topic, &name, place.folder, folder, place.message_type)
        } else {
            let files: Vec<String> =
                handlers.iter().map(|(_, file)| format!("{}/{file}", place.folder)).collect();
            check::duplicate_handler(place.topic, &name, &files)
        });
        return (None, diagnostics);
    };
    let path = format!("{}/{file}", place.folder);
    let mut takes_context = false;
    if language == Language::Rust
        && let Some(text) = folder.get(file).and_then(Entry::text)
    {
        let (found, problems) = handler::read(&path, text, place.topic.as_str(), place.message_type);
        takes_context = found.is_some_and(|handler| handler.takes_context);
        diagnostics.extend(problems);
    }
    let folder = place.folder.to_owned();
    (Some(Subscriber { name, folder, file: path, language, takes_context, policy, filter }), diagnostics)
}
