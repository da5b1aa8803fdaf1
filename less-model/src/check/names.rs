//! Names of topics and subscribers.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Place};
use crate::name::{MAX_LENGTH, NameError, TopicName};
use crate::source::Folder;

/// What gives a topic a type.
const MESSAGES: [&str; 2] = ["message.rs", "message.schema.json"];

/// `kind` is `topic` or `subscriber`.
pub(crate) fn bad_name(kind: &str, name: &str, error: &NameError, path: String) -> Diagnostic {
    let diagnostic = Diagnostic::error("bad-name", format!("`{name}` is no name for a {kind}: {error}"));
    let suggestion = suggestion(name, error);
    let hint = match suggestion {
        Some(suggestion) => format!("rename the folder to `{suggestion}`"),
        None => format!("rename the folder; {kind}s are named with letters, digits and `_`"),
    };
    diagnostic.at(Place::path(path)).hint(hint)
}

/// The nearest name that is allowed, if there is an obvious one.
fn suggestion(name: &str, error: &NameError) -> Option<String> {
    let text = match error {
        NameError::Keyword(word) => format!("{}_", word.to_lowercase()),
        NameError::TooLong(_) => name.chars().take(MAX_LENGTH).collect(),
        NameError::BadCharacter(_) => {
            let text: String =
                name.chars().map(|c| if matches!(c, '-' | ' ' | '.') { '_' } else { c }).collect();
            text.trim_end_matches('_').to_owned()
        }
        NameError::Empty
        | NameError::BadStart(_)
        | NameError::BadAppStart(_)
        | NameError::BadAppCharacter(_) => return None,
    };
    text.parse::<TopicName>().ok().filter(|name| name.type_name() != "Self").map(String::from)
}

/// Tells names in one folder that a file system without regard to case could not hold both of. `kind` is `topics` or `subscribers`.
pub(crate) fn names_differ_by_case<'a>(
    kind: &str,
    folder: &str,
    names: impl Iterator<Item = &'a str>,
    out: &mut Vec<Diagnostic>,
) {
    let mut seen = BTreeMap::new();
    for name in names {
        let Some(first) = seen.insert(name.to_lowercase(), name) else { continue };
        out.push(
            Diagnostic::error(
                "same-but-for-case",
                format!("{kind} `{first}` and `{name}` differ only in case"),
            )
            .at(Place::path(format!("{folder}/{name}")))
            .note("first one is here", Some(Place::path(format!("{folder}/{first}"))))
            .hint("rename one folder; some systems can't tell them apart"),
        );
    }
}

/// Tells topics whose message types would have the same name, and a name that no type can have.
pub(crate) fn same_type_name(topics: &[(TopicName, &Folder)], out: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<String, (&TopicName, &str)> = BTreeMap::new();
    for (name, folder) in topics {
        let Some(file) = MESSAGES.into_iter().find(|file| folder.contains_key(*file)) else { continue };
        let type_name = name.type_name();
        let place =
            |name: &TopicName, file: &str| Place::path(format!("{}/{name}/{file}", crate::scan::TOPICS));
        if type_name == "Self" {
            let message =
                format!("the message type of topic `{name}` would be called `Self`, a keyword of Rust");
            out.push(
                Diagnostic::error("bad-name", message)
                    .at(place(name, file))
                    .hint("rename the topic's folder"),
            );
        }
        let differs = |(first, _): &(&TopicName, &str)| !first.as_str().eq_ignore_ascii_case(name.as_str());
        if let Some((first, first_file)) = seen.insert(type_name.clone(), (name, file)).filter(differs) {
            let message =
                format!("topics `{first}` and `{name}` would both have a message type `{type_name}`");
            out.push(
                Diagnostic::error("same-type-name", message)
                    .at(place(name, file))
                    .note("first one is here", Some(place(first, first_file)))
                    .hint("rename one folder; a message type is named after its topic"),
            );
        }
    }
}
