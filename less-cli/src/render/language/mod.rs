//! Message types in the languages of subscribers and publishers, and the packages that these languages publish with.

use less_model::tree::{App, Topic};
use serde_json::{Map, Value, json};

use super::Files;

mod docs;
mod names;
mod node;
mod node_types;
mod python;
mod python_types;
mod rust;
mod rust_names;

pub(super) use rust::tokens as rust_types;

use names::Types;

/// For a topic, the name of its type, and all names that belong to that.
type Exported = (Option<String>, Vec<String>);

/// What both packages' clients know of the app: for each topic the name of its type, and all names that it exports; `more` are exported as well.
fn app_json(app: &App, types: &[Exported], more: &[&str]) -> anyhow::Result<String> {
    let topics: Map<String, Value> = app
        .topics
        .iter()
        .zip(types)
        .map(|(topic, (name, _))| (topic.name.to_string(), json!(name)))
        .collect();
    let exported = types.iter().flat_map(|(_, names)| names).map(String::as_str);
    let types: Vec<&str> = exported.chain(more.iter().copied()).collect();
    Ok(serde_json::to_string_pretty(&json!({"app": app.name, "topics": topics, "types": types}))? + "\n")
}

/// A path, and what is there in every app.
type Static = (&'static str, &'static str);

/// Every file of the packages that is the same in every app.
pub(super) fn static_files() -> Files {
    [(node::FOLDER, node::static_files()), (python::FOLDER, python::static_files())]
        .into_iter()
        .flat_map(|(folder, files)| files.iter().map(move |(path, text)| (folder, *path, *text)))
        .map(|(folder, path, text)| (format!("{folder}/{path}"), text.to_owned()))
        .collect()
}

/// Every file of the packages for Node.js and Python that this app alone has.
pub(super) fn files(app: &App) -> anyhow::Result<Files> {
    let mut files = Files::new();
    files.extend(node::files(app)?);
    files.extend(python::files(app)?);
    Ok(files)
}

/// The types of each topic of an app, with names that no fixed part of a package has; `None` for a topic that carries any JSON.
fn types(topics: &[Topic], reserved: &[&str]) -> Vec<Option<Types>> {
    let taken = |name: &str| {
        reserved.contains(&name) || topics.iter().any(|topic| topic.message.type_name() == Some(name))
    };
    topics
        .iter()
        .map(|topic| {
            let (name, shape) = (topic.message.type_name()?, topic.message.shape()?);
            let mut free = name.to_owned();
            if reserved.contains(&name) {
                free += "Message";
                while taken(&free) {
                    free += "Type";
                }
            }
            Some(Types::of(shape, &free))
        })
        .collect()
}
