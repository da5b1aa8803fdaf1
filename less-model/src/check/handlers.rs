//! A subscriber has one handler.

use crate::diagnostic::{Diagnostic, Place};
use crate::handler::signature;
use crate::language::Language;
use crate::name::{SubscriberName, TopicName};
use crate::source::Folder;

/// No file in the folder is a handler.
pub(crate) fn no_handler(
    topic: &TopicName,
    name: &SubscriberName,
    path: &str,
    folder: &Folder,
    message_type: Option<&str>,
) -> Diagnostic {
    let diagnostic = Diagnostic::error("no-handler", format!("subscriber `{topic}/{name}` has no handler"))
        .at(Place::path(path));
    // A single file of code is probably the handler, under another name.
    let code: Vec<(&str, &str)> = folder
        .iter()
        .filter(|(_, entry)| entry.is_file())
        .filter_map(|(file, _)| Some((file.as_str(), meant(file)?)))
        .collect();
    match code[..] {
        [(file, handler)] => diagnostic.hint(format!("rename `{file}` to `{handler}`")),
        _ => diagnostic.hint(format!(
            "write `{path}/mod.rs` with `{}`, or `index.js` or `__init__.py` with a function `process`, or delete the folder",
            signature(message_type)
        )),
    }
}

/// The handler's file that a file of code was probably meant to be.
fn meant(file: &str) -> Option<&'static str> {
    let extension = file.rsplit_once('.')?.1.to_lowercase();
    let mut handlers = Language::ALL.into_iter().flat_map(Language::handler_files);
    handlers.find(|handler| handler.ends_with(&format!(".{extension}"))).copied()
}

/// More than one file in the folder is a handler; `files` are sorted.
pub(crate) fn duplicate_handler(topic: &TopicName, name: &SubscriberName, files: &[String]) -> Diagnostic {
    let count = match files.len() {
        2 => "two".to_owned(),
        3 => "three".to_owned(),
        more => more.to_string(),
    };
    let mut diagnostic = Diagnostic::error(
        "duplicate-handler",
        format!("topic `{topic}` has {count} subscribers named `{name}`"),
    );
    if let Some((last, others)) = files.split_last() {
        diagnostic = diagnostic.at(Place::path(last));
        for (at, file) in others.iter().enumerate() {
            let text = if at == 0 { "first one is here" } else { "another one is here" };
            diagnostic = diagnostic.note(text, Some(Place::path(file)));
        }
    }
    diagnostic.hint("rename one folder; a subscriber's name is its folder's name")
}
