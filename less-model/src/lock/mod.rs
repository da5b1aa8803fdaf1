//! `less.lock`: what an app's topics looked like when it was last built, so that a change which breaks others is noticed before it is built.
//!
//! All of it is pure: [`review`] maps the sources, with the lock among them, and the app to what is to be said and what the lock should hold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::diagnostic::{Diagnostic, Severity};
use crate::name::{SubscriberName, TopicName};
use crate::shape::Shape;
use crate::source::{Entry, SourceTree};
use crate::tree::{App, MessageSource};

mod compare;
mod gone;
mod place;
mod print;
mod read;
mod received;
mod tell;

pub use self::received::{ContractChange, contract_changes, contract_review};

/// The file's name, in the app's folder.
pub const FILE: &str = "less.lock";
/// The version of its form that this version of Less reads and writes.
pub const VERSION: u32 = 1;

/// What a lock holds.
#[derive(Debug, Clone, Default, PartialEq)]
struct Lock {
    topics: BTreeMap<TopicName, Topic>,
}

/// A topic, as others know it.
#[derive(Debug, Clone, PartialEq)]
struct Topic {
    subscribers: BTreeSet<SubscriberName>,
    /// Its type; without one it carries any JSON.
    message: Option<Message>,
}

/// A message type.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    written: Written,
    /// The shape as JSON Schema, without documentation.
    schema: Value,
    /// What that schema means: never what it was printed from, so that both sides of a comparison have come the same way.
    shape: Shape,
}

/// What a message type was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// `message.rs`: bounds are those of Rust's types, which hold nothing beyond them.
    Rust,
    /// `message.schema.json`: bounds are asked when a message is accepted; types hold more.
    Schema,
}

/// What a lock and an app say of each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    /// Why the lock can't be read. Then nothing else is known.
    pub unreadable: Vec<Diagnostic>,
    /// Changes that break those who know a topic as it was, or messages that are stored: errors.
    pub breaking: Vec<Diagnostic>,
    /// Topics of which stored messages may no longer fit.
    pub stored: BTreeSet<TopicName>,
    /// What is worth a word, but breaks nothing: warnings.
    pub notices: Vec<Diagnostic>,
    /// Whether there is a lock.
    pub exists: bool,
    /// Whether the lock differs from what it should hold.
    pub stale: bool,
    /// What it should hold.
    pub text: String,
}

/// Compares an app with the lock among its sources.
pub fn review(tree: &SourceTree, app: &App) -> Review {
    let new = Lock::of(app);
    let text = print::print(&new);
    let old = match tree.entry(FILE) {
        None => return Review { stale: true, text, ..Review::default() },
        Some(Entry::Text(old)) => old,
        Some(Entry::Folder(_) | Entry::File | Entry::NoText(_) | Entry::Link(_) | Entry::Other) => {
            let unreadable = vec![read::no_file()];
            return Review { unreadable, exists: true, stale: true, text, ..Review::default() };
        }
    };
    let stale = *old != text;
    let mut review = Review { exists: true, stale, text, ..Review::default() };
    // Nothing to compare: what is read back is what was printed.
    if !stale {
        return review;
    }
    let (old, spans) = match read::read(old) {
        Ok(read) => read,
        Err(unreadable) => return Review { unreadable, ..review },
    };
    for topic in &app.topics {
        let (Some(before), Some(after)) = (old.topics.get(&topic.name), new.topics.get(&topic.name)) else {
            continue;
        };
        let places = place::Places { tree, topic, spans: spans.get(&topic.name) };
        for change in compare::messages(before.message.as_ref(), after.message.as_ref(), &topic.name) {
            if change.effect.stored {
                review.stored.insert(topic.name.clone());
            }
            let diagnostic = tell::change(&change, &places);
            if diagnostic.is_error() { &mut review.breaking } else { &mut review.notices }.push(diagnostic);
        }
    }
    review.notices.extend(gone::gone(&old, &new, &spans));
    review
}

impl Review {
    /// All that is to be said, where a breaking change stops nothing: as warnings, but for a lock that can't be read.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let breaking = self.breaking.iter().cloned();
        let breaking = breaking.map(|found| Diagnostic { severity: Severity::Warning, ..found });
        self.unreadable.iter().cloned().chain(breaking).chain(self.notices.iter().cloned()).collect()
    }

    /// All that is to be said, where a breaking change is refused.
    pub fn errors(&self) -> Vec<Diagnostic> {
        [&self.unreadable[..], &self.breaking, &self.notices].concat()
    }
}

impl Lock {
    fn of(app: &App) -> Self {
        let topics = app.topics.iter().map(|topic| {
            let subscribers = topic.subscribers.iter().map(|subscriber| subscriber.name.clone()).collect();
            (topic.name.clone(), Topic { subscribers, message: Message::of(&topic.message) })
        });
        Self { topics: topics.collect() }
    }
}

impl Message {
    fn of(source: &MessageSource) -> Option<Self> {
        let (written, shape) = match source {
            MessageSource::Any => return None,
            MessageSource::Rust { shape, .. } => (Written::Rust, shape),
            MessageSource::Schema { shape, .. } => (Written::Schema, shape),
        };
        Some(Self::from_shape(written, shape))
    }

    fn from_shape(written: Written, shape: &Shape) -> Self {
        let name = shape.root().name.clone();
        let schema = printed(&shape.clone().bare());
        let (schema, shape) = match Shape::read_printed(&schema, &name) {
            Ok(shape) => (schema, shape),
            // What no schema can say is any JSON, as everything that a source does not show.
            Err(_) => (printed(&Shape::any(&name)), Shape::any(&name)),
        };
        Self { written, schema, shape }
    }
}

/// The schema of a shape, without the dialect that every one has.
fn printed(shape: &Shape) -> Value {
    let mut schema = shape.to_schema();
    if let Value::Object(map) = &mut schema {
        map.remove("$schema");
    }
    schema
}

impl Written {
    const ALL: [Self; 2] = [Self::Rust, Self::Schema];

    /// The file's name.
    fn file(self) -> &'static str {
        match self {
            Self::Rust => "message.rs",
            Self::Schema => "message.schema.json",
        }
    }
}
