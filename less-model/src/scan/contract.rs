//! Another app's `contract.json`.

use super::schema::{offset, without_place};
use crate::contract::{Contract, ContractError};
use crate::diagnostic::{Diagnostic, Place};
use crate::name::AppName;
use crate::shape::Shape;

/// What the file says of the app, and what is wrong with it.
pub(super) fn read(path: &str, text: &str, app: &AppName) -> (Option<Contract>, Vec<Diagnostic>) {
    let again = || format!("get it again: `less contract add FILE`, or the URL of `{app}` while it runs");
    let wrong =
        |message: String| vec![Diagnostic::error("contract", message).at(Place::path(path)).hint(again())];
    let contract = match Contract::read(text) {
        Ok(contract) => contract,
        Err(ContractError::NotJson(error)) => {
            let offset = offset(text, error.line(), error.column());
            let diagnostic =
                Diagnostic::error("json-syntax", format!("this is no JSON: {}", without_place(&error)))
                    .at(Place::span(path, offset..offset))
                    .hint(again());
            return (None, vec![diagnostic]);
        }
        Err(error @ (ContractError::Other | ContractError::Version(_) | ContractError::Form(_))) => {
            return (None, wrong(error.to_string()));
        }
    };
    if contract.app != *app {
        return (None, wrong(format!("this is the contract of `{}`, not of `{app}`", contract.app)));
    }
    (Some(contract), Vec::new())
}

/// What a topic's messages look like to a reader, with the type's name. `None` for a topic without a type.
pub(super) fn shape(
    path: &str,
    topic: &crate::contract::Topic,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(String, Shape)> {
    match topic.shape() {
        Ok(shape) => Some((topic.name.type_name(), shape?)),
        Err(problems) => {
            diagnostics.extend(problems.into_iter().map(|problem| {
                let message = format!("the type of topic `{}`: {}", topic.name, problem.message);
                Diagnostic::error("contract", message).at(Place::path(path)).hint(problem.hint)
            }));
            None
        }
    }
}
