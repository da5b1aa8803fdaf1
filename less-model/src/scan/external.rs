//! `less/external_topics`: subscribers to other apps' topics.

use std::collections::BTreeMap;

use super::{EXTERNAL, contract, topic};
use crate::check;
use crate::contract::{Contract, FILE};
use crate::diagnostic::{Diagnostic, Place};
use crate::manifest::{DEFAULT_MAX_MESSAGE, DEFAULT_RETENTION, Policy};
use crate::name::{AppName, TopicName, nearest};
use crate::source::{Entry, Folder, SourceTree, ignored};
use crate::tree::{ExternalApp, MessageSource, Topic};

/// Files that say something about a topic: its own app says that.
const NOT_HERE: [&str; 3] = ["message.rs", "message.schema.json", "topic.toml"];

/// Every other app whose topics this app subscribes to, and what is wrong there.
pub(super) fn read(
    tree: &SourceTree,
    defaults: Policy,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<ExternalApp> {
    let folder = tree.entry(EXTERNAL).and_then(Entry::folder);
    let mut apps: Vec<ExternalApp> = Vec::new();
    for (name, folder) in folders(folder) {
        let path = format!("{EXTERNAL}/{name}");
        match name.parse::<AppName>() {
            Ok(name) => apps.push(app(name, path, folder, defaults, diagnostics)),
            Err(error) => diagnostics.push(
                Diagnostic::error("bad-name", format!("`{name}` is no name for an app: {error}"))
                    .at(Place::path(path))
                    .hint(format!(
                        "the folder is called as the other app is: `{}`?",
                        super::app_name_from(name)
                    )),
            ),
        }
    }
    let mut seen: BTreeMap<String, &ExternalApp> = BTreeMap::new();
    for app in &apps {
        if let Some(first) = seen.insert(app.name.identifier(), app) {
            let message =
                format!("apps `{}` and `{}` would be called the same in code", first.name, app.name);
            diagnostics.push(
                Diagnostic::error("same-module-name", message)
                    .at(Place::path(&app.folder))
                    .note("first one is here", Some(Place::path(&first.folder)))
                    .hint("rename one of the two apps"),
            );
        }
    }
    apps
}

/// Tells an app that subscribes to itself as if it were another.
pub(super) fn own_name(name: &AppName, apps: &[ExternalApp]) -> Option<Diagnostic> {
    let own = apps.iter().find(|app| app.name == *name)?;
    Some(
        Diagnostic::error("own-topics", format!("`{name}` is this app itself"))
            .at(Place::path(&own.folder))
            .hint("subscribers of its own topics are in `less/topics/TOPIC`"),
    )
}

fn folders(folder: Option<&Folder>) -> impl Iterator<Item = (&str, &Folder)> {
    folder
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.starts_with('_') && !ignored(name))
        .filter_map(|(name, entry)| Some((name.as_str(), entry.folder()?)))
}

fn app(
    name: AppName,
    path: String,
    folder: &Folder,
    defaults: Policy,
    diagnostics: &mut Vec<Diagnostic>,
) -> ExternalApp {
    let file = format!("{path}/{FILE}");
    let contract = folder.get(FILE).and_then(Entry::text).and_then(|text| {
        let (contract, found) = contract::read(&file, text, &name);
        diagnostics.extend(found);
        contract
    });
    let mut topics = Vec::new();
    let names: Vec<&str> = folders(Some(folder)).map(|(name, _)| name).collect();
    check::names_differ_by_case("topics", &path, names.iter().copied(), diagnostics);
    for (topic, folder) in folders(Some(folder)) {
        let path = format!("{path}/{topic}");
        match topic.parse::<TopicName>() {
            Ok(topic) => {
                let place = Here { app: &name, file: &file, contract: contract.as_ref(), path };
                topics.extend(one(topic, place, folder, defaults, diagnostics));
            }
            Err(error) => diagnostics.push(check::bad_name("topic", topic, &error, path)),
        }
    }
    same_type_name(&topics, diagnostics);
    if topics.is_empty() && names.is_empty() {
        diagnostics.push(
            Diagnostic::warning("no-subscribers", format!("nothing here subscribes to a topic of `{name}`"))
                .at(Place::path(&path))
                .hint(format!("make a subscriber with `less add subscriber {name}:TOPIC/NAME`")),
        );
    }
    ExternalApp { name, folder: path, contract, topics }
}

/// Tells types that code could not name: they come from a contract, which no scan has checked.
fn same_type_name(topics: &[Topic], diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, &Topic> = BTreeMap::new();
    for topic in topics {
        let Some(type_name) = topic.message.type_name() else { continue };
        let hint = "ask for another name of that topic in its own app";
        let told = if type_name == "Self" {
            let message = format!(
                "the message type of topic `{}` would be called `Self`, a keyword of Rust",
                topic.name
            );
            Diagnostic::error("bad-name", message)
        } else if let Some(first) = seen.insert(type_name, topic) {
            let message = format!(
                "topics `{}` and `{}` would both have a message type `{type_name}`",
                first.name, topic.name
            );
            Diagnostic::error("same-type-name", message)
                .note("first one is here", Some(Place::path(&first.folder)))
        } else {
            continue;
        };
        diagnostics.push(told.at(Place::path(&topic.folder)).hint(hint));
    }
}

/// Where a topic's folder is, and what is known of its app.
struct Here<'a> {
    app: &'a AppName,
    file: &'a str,
    contract: Option<&'a Contract>,
    path: String,
}

fn one(
    name: TopicName,
    here: Here<'_>,
    folder: &Folder,
    defaults: Policy,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Topic> {
    let Here { app, file, contract, path } = here;
    for misplaced in NOT_HERE.iter().filter(|file| folder.contains_key(**file)) {
        diagnostics.push(
            Diagnostic::error(
                "misplaced-file",
                format!("`{misplaced}` belongs to the app whose topic it is"),
            )
            .at(Place::path(format!("{path}/{misplaced}")))
            .hint(format!("delete it; its types come with `less contract add {app}`")),
        );
    }
    let promised = match contract {
        Some(contract) => {
            let found = contract.topic(name.as_str());
            if found.is_none() {
                let near = nearest(name.as_str(), contract.topics.iter().map(|topic| topic.name.as_str()));
                let hint = match near {
                    Some(near) => {
                        format!(
                            "did you mean `{near}`? `less contract add {app}` brings the contract up to date"
                        )
                    }
                    None => format!("`less contract add {app}` brings the contract up to date"),
                };
                let message = format!("the contract of `{app}` has no topic `{name}`");
                diagnostics
                    .push(Diagnostic::error("unknown-topic", message).at(Place::path(&path)).hint(hint));
            }
            found
        }
        None => None,
    };
    let typed = promised.and_then(|topic| contract::shape(file, topic, diagnostics));
    let message = typed.map_or(MessageSource::Any, |(type_name, shape)| MessageSource::Schema {
        file: file.to_owned(),
        type_name,
        shape,
    });
    let subscribers = topic::subscribers(&name, message.type_name(), &path, folder, defaults, diagnostics);
    if subscribers.is_none() {
        diagnostics.push(
            Diagnostic::warning(
                "no-subscribers",
                format!("nothing here subscribes to topic `{name}` of `{app}`"),
            )
            .at(Place::path(&path))
            .hint(format!("make a subscriber with `less add subscriber {app}:{name}/NAME`")),
        );
    }
    Some(Topic {
        name,
        folder: path,
        message,
        retention: DEFAULT_RETENTION,
        ordered: promised.is_some_and(|topic| topic.ordered),
        max_message: promised.map_or(DEFAULT_MAX_MESSAGE, |topic| topic.max_message),
        subscribers: subscribers?,
    })
}
