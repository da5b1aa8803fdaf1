//! From the folder to the app: pure, total, and every problem at once.

use std::collections::BTreeMap;

use crate::check;
use crate::diagnostic::{Diagnostic, Place};
use crate::manifest::{Policy, Settings};
use crate::name::{AppName, MAX_LENGTH, TopicName};
use crate::source::{Entry, Folder, SourceTree};
use crate::tree::{App, Package, Topic};

mod contract;
mod external;
mod filter;
mod other_app;
mod package;
mod parallel;
mod policy;
mod schema;
mod settings;
mod subscriber;
mod table;
mod topic;

/// The folder of all topics.
pub(crate) const TOPICS: &str = "less/topics";
/// The folder of all other apps.
pub(crate) const EXTERNAL: &str = "less/external_topics";

/// The app that the tree shows, and what is wrong with it, sorted by place. `folder_name` names the app where nothing else does.
///
/// Where a diagnostic is an error, the app is what could be made of the tree, for showing only.
pub fn scan(tree: &SourceTree, folder_name: &str) -> (App, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    check::entries(tree, &mut diagnostics);
    check::layout(tree, &mut diagnostics);

    let settings = match tree.text("less.toml") {
        Some(text) => {
            let (file, found) = settings::read("less.toml", text);
            diagnostics.extend(found);
            file
        }
        None => settings::File::default(),
    };
    let package = tree.text("Cargo.toml").and_then(|text| {
        let has_lib = tree.entry("src/lib.rs").is_some_and(Entry::is_file);
        let (package, found) = package::read("Cargo.toml", text, has_lib);
        diagnostics.extend(found);
        package
    });
    let name = match (settings.name, &package) {
        (Some(name), _) => name.ok(),
        (None, Some((package, place))) => package_name(package, place, &mut diagnostics),
        (None, None) => None,
    };
    let folders = topic_folders(tree);
    let topics = topics(&folders, settings.defaults, &mut diagnostics);
    let external = external::read(tree, settings.defaults, &mut diagnostics);
    let no_place = ["less", TOPICS].iter().any(|path| tree.entry(path).is_some_and(Entry::is_file));
    if folders.is_empty() && external.is_empty() && !no_place {
        diagnostics.push(
            Diagnostic::warning("no-topics", "this app has no topics")
                .at(Place::path(TOPICS))
                .hint("make one with `less add topic NAME`"),
        );
    }
    let name = name.unwrap_or_else(|| app_name_from(folder_name));
    diagnostics.extend(external::own_name(&name, &external));
    let settings: Settings = settings.settings;
    let package = package.map(|(package, _)| package);
    diagnostics.sort_by(|a, b| key(a).cmp(&key(b)));
    diagnostics.dedup();
    (App { name, settings, package, topics, external }, diagnostics)
}

fn key(diagnostic: &Diagnostic) -> (Option<(&str, usize)>, &str, &str) {
    let place = diagnostic
        .place
        .as_ref()
        .map(|place| (place.path.as_str(), place.span.as_ref().map_or(0, |span| span.start)));
    (place, diagnostic.code, &diagnostic.message)
}

/// Every folder that is meant to be a topic, by its name, good or bad.
fn topic_folders(tree: &SourceTree) -> BTreeMap<&str, &Folder> {
    let folder = tree.entry(TOPICS).and_then(Entry::folder);
    folder
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.starts_with('_') && !crate::source::ignored(name))
        .filter_map(|(name, entry)| Some((name.as_str(), entry.folder()?)))
        .collect()
}

fn topics(
    folders: &BTreeMap<&str, &Folder>,
    defaults: Policy,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Topic> {
    let mut named: Vec<(TopicName, &Folder)> = Vec::new();
    for (name, folder) in folders {
        let path = format!("{TOPICS}/{name}");
        match name.parse::<TopicName>() {
            Ok(name) => named.push((name, folder)),
            Err(error) => diagnostics.push(check::bad_name("topic", name, &error, path)),
        }
    }
    check::names_differ_by_case("topics", TOPICS, folders.keys().copied(), diagnostics);
    check::same_type_name(&named, diagnostics);
    let found = parallel::map(&named, |(name, folder)| topic::read(name, folder, defaults));
    found
        .into_iter()
        .map(|(topic, found)| {
            diagnostics.extend(found);
            topic
        })
        .collect()
}

fn package_name(package: &Package, place: &Place, diagnostics: &mut Vec<Diagnostic>) -> Option<AppName> {
    match package.name.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let message = format!("the package's name `{}` is no name for an app: {error}", package.name);
            let hint = format!("write `name = \"{}\"` into `less.toml`", app_name_from(&package.name));
            diagnostics.push(Diagnostic::error("bad-name", message).at(place.clone()).hint(hint));
            None
        }
    }
}

/// The name for an app that is nearest to any text: lower case, and `_` for what is not allowed.
pub(crate) fn app_name_from(text: &str) -> AppName {
    let mut name: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '_' })
        .collect();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert_str(0, "app_");
    }
    name.truncate(MAX_LENGTH);
    name.parse().expect("it begins with a letter and holds nothing else than an app's name may")
}
