//! What is said of a change.

use super::compare::{At, Change, Effect, Readers, What};
use super::place::Places;
use crate::diagnostic::Diagnostic;

/// The command that takes a breaking change.
const ACCEPT: &str = "less build --accept-breaking";

/// An error for a change that breaks somebody, a warning for one that may.
pub(super) fn change(change: &Change, places: &Places) -> Diagnostic {
    let topic = &places.topic.name;
    let message = format!("topic `{topic}`: {}", what(&change.what, &field(&change.at)));
    let breaking = change.effect.stored || change.effect.readers == Readers::Broken;
    let told = if breaking {
        Diagnostic::error("breaking-change", message)
    } else {
        Diagnostic::warning("type-change", message)
    };
    let mut told = told.at(places.source(&change.at)).note("recorded here", Some(places.locked(&change.at)));
    for text in consequences(change.effect, &change.what) {
        told = told.note(text, None);
    }
    if breaking {
        told.hint(instead(&change.what, change.at.shown.is_empty()))
            .hint(format!("or take it as it is: `{ACCEPT}`"))
    } else {
        told
    }
}

/// What has changed, as readers know it.
pub(super) fn field(at: &At) -> String {
    if at.shown.is_empty() { "a message".to_owned() } else { format!("`{}`", at.shown) }
}

/// The change itself, in a few words.
pub(super) fn what(what: &What, field: &str) -> String {
    match what {
        What::Removed { required: true } => format!("{field} is gone, and it was required"),
        What::Removed { required: false } => format!("{field} is gone"),
        What::Added { required: true } => format!("{field} is new and required"),
        What::Added { required: false } => format!("{field} is new"),
        What::Required => format!("{field} is required now"),
        What::Optional => format!("{field} is no longer required"),
        What::NotNull => format!("{field} can't be `null` any more"),
        What::Nullable => format!("{field} can be `null` now"),
        What::Values { before, after } if before == after => {
            format!("{field} takes other values than before")
        }
        What::Values { before, after } => format!("{field} was {before}, and is {after} now"),
        What::AlternativeRemoved(value) => format!("{field} can't be `{value}` any more"),
        What::AlternativeAdded(value) => format!("{field} can be `{value}` now"),
        What::Closed => format!("{field} can't have other fields any more"),
        What::Opened => format!("{field} can have other fields now"),
    }
}

fn consequences(effect: Effect, what: &What) -> Vec<&'static str> {
    let mut out = Vec::new();
    if effect.stored {
        out.push("messages that are stored, in flight, or published by a program that was not built anew may not fit");
    }
    match (effect.readers, what) {
        (Readers::Fine, _) => {}
        (Readers::Broken, What::Removed { .. } | What::Optional) => {
            out.push("other apps, and programs that were not built anew, rely on it");
        }
        (Readers::Broken, _) => {
            out.push("other apps, and programs that were not built anew, do not expect that");
        }
        (Readers::New, What::Removed { .. }) => out.push("who reads it finds it missing from now on"),
        (Readers::New, _) => {
            out.push("other apps, and programs that were not built anew, can't read such messages: bring those up to date before you publish any");
        }
    }
    out
}

fn instead(what: &What, message: bool) -> &'static str {
    match what {
        What::Values { .. } if message => {
            "make a topic of another name for it, and keep this one until nobody has such messages or reads them"
        }
        What::Removed { .. } => {
            "keep it, at least as a field that may be missing, until nobody has such messages or reads it"
        }
        What::Added { .. } => "let it be missing: leave it out of `required`, or make it an `Option`",
        What::Required => "leave it optional, and treat a message without it in the handlers",
        What::Optional | What::Nullable => "leave it as it was, and put what is new into a field of its own",
        What::NotNull => "leave `null` in the type, and treat it in the handlers",
        What::Values { .. } => {
            "add a field of another name, and keep this one until nobody has such messages or reads it"
        }
        What::AlternativeRemoved(_) => "keep it in the type, and publish it no longer",
        What::AlternativeAdded(_) | What::Closed | What::Opened => "leave it as it was",
    }
}
