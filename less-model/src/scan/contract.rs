//! Another app's `contract.json`.

use serde_json::Value;

use super::schema::{offset, without_place};
use crate::contract::{Contract, VERSION};
use crate::diagnostic::{Diagnostic, Place};
use crate::name::AppName;
use crate::shape::Shape;

/// What the file says of the app, and what is wrong with it.
pub(super) fn read(path: &str, text: &str, app: &AppName) -> (Option<Contract>, Vec<Diagnostic>) {
    let again = || format!("get it again: `less contract add FILE`, or the URL of `{app}` while it runs");
    let wrong =
        |message: String| vec![Diagnostic::error("contract", message).at(Place::path(path)).hint(again())];
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let offset = offset(text, error.line(), error.column());
            let diagnostic =
                Diagnostic::error("json-syntax", format!("this is no JSON: {}", without_place(&error)))
                    .at(Place::span(path, offset..offset))
                    .hint(again());
            return (None, vec![diagnostic]);
        }
    };
    match value["less_contract"].as_u64() {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            let message =
                format!("this contract has version {version}, this version of Less reads {VERSION}");
            return (None, wrong(message));
        }
        None => return (None, wrong("this is no contract: it has no `less_contract`".to_owned())),
    }
    let contract: Contract = match serde_json::from_value(value) {
        Ok(contract) => contract,
        Err(error) => return (None, wrong(format!("this is no contract: {error}"))),
    };
    if contract.app != *app {
        return (None, wrong(format!("this is the contract of `{}`, not of `{app}`", contract.app)));
    }
    (Some(contract), Vec::new())
}

/// What a topic's messages look like to a reader, who takes what the writer adds later: objects are open. `None` for a topic without a type.
pub(super) fn shape(
    path: &str,
    topic: &crate::contract::Topic,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(String, Shape)> {
    let schema = topic.schema.as_ref()?;
    let type_name = topic.message_type.clone().unwrap_or_else(|| topic.name.type_name());
    match Shape::read(schema, &type_name) {
        Ok(shape) => Some((type_name, shape.opened())),
        Err(problems) => {
            diagnostics.extend(problems.into_iter().map(|problem| {
                let message = format!("the type of topic `{}`: {}", topic.name, problem.message);
                Diagnostic::error("contract", message).at(Place::path(path)).hint(problem.hint)
            }));
            None
        }
    }
}
