//! Topics and subscribers that have no folder any more: what they leave behind is said, and never only forgotten.

use std::collections::BTreeSet;

use super::read::AllSpans;
use super::{FILE, Lock};
use crate::diagnostic::{Diagnostic, Place};
use crate::name::TopicName;

/// A warning for each.
pub(super) fn gone(old: &Lock, new: &Lock, spans: &AllSpans) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let new_topics: BTreeSet<&TopicName> =
        new.topics.keys().filter(|name| !old.topics.contains_key(*name)).collect();
    for (name, before) in &old.topics {
        let place = |span: Option<std::ops::Range<usize>>| {
            span.map_or_else(|| Place::path(FILE), |span| Place::span(FILE, span))
        };
        let spans = spans.get(name);
        let Some(after) = new.topics.get(name) else {
            let same = new_topics.iter().find(|other| {
                new.topics.get(**other).is_some_and(|other| other.subscribers == before.subscribers)
            });
            let mut told = Diagnostic::warning(
                "topic-gone",
                format!("topic `{name}` has no folder any more"),
            )
            .at(place(spans.map(|spans| spans.name.clone())))
            .note(
                "who still publishes to it is refused, and its subscribers' queues and dead letters are kept",
                None,
            );
            if let Some(other) = same {
                told = told
                    .note(format!("topic `{other}` is another topic: nothing moves there by itself"), None);
            }
            out.push(told.hint(look(&format!("less/topics/{name}"))));
            continue;
        };
        let added: Vec<_> = after.subscribers.difference(&before.subscribers).collect();
        for subscriber in before.subscribers.difference(&after.subscribers) {
            let span = spans.and_then(|spans| spans.subscribers.get(subscriber.as_str()).cloned());
            let message = format!("subscriber `{name}/{subscriber}` has no folder any more");
            let mut told = Diagnostic::warning("subscriber-gone", message)
                .at(place(span))
                .note("its queue and its dead letters are kept", None);
            if let [other] = added[..] {
                told = told.note(
                    format!("subscriber `{name}/{other}` is another subscriber, with a queue of its own: nothing moves there by itself"),
                    None,
                );
            }
            out.push(told.hint(look(&format!("less/topics/{name}/{subscriber}"))));
        }
    }
    out
}

fn look(folder: &str) -> String {
    format!(
        "bring `{folder}` back, and `less status` and `less dlq list` show what is in them; on AWS `less plan --stage STAGE` does"
    )
}
