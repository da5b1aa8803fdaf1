//! A lock from its text, with where everything stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::print::fingerprint;
use super::{FILE, Lock, Message, Topic, VERSION, Written};
use crate::diagnostic::{Diagnostic, Place};
use crate::name::TopicName;
use crate::shape::Shape;

/// How a schema begins and ends in the lock, as it is printed.
const QUOTES: &str = "'''";

/// Where a topic stands in the lock.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    /// Its name.
    pub(super) name: Range<usize>,
    /// Each subscriber.
    pub(super) subscribers: BTreeMap<String, Range<usize>>,
    /// The JSON of its schema; `None` where it was not printed by us.
    pub(super) schema: Option<Range<usize>>,
}

pub(super) type AllSpans = BTreeMap<TopicName, Spans>;

/// What the text says; else why that can't be told.
pub(super) fn read(text: &str) -> Result<(Lock, AllSpans), Vec<Diagnostic>> {
    if let Some(conflict) = conflict(text) {
        return Err(vec![conflict]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let told = errors.iter().map(|error| {
            let span = error.span().unwrap_or(text.len()..text.len());
            unreadable(&format!("`{FILE}` can't be read: {}", error.message().replace('\n', ", ")), span)
        });
        return Err(told.collect());
    }
    let table = table.into_inner();
    version(&table)?;
    let mut reader = Reader { text, problems: Vec::new() };
    let read = reader.lock(&table);
    if reader.problems.is_empty() { Ok(read) } else { Err(reader.problems) }
}

/// There is something of that name, and it is no text.
pub(super) fn no_file() -> Diagnostic {
    Diagnostic::error("lock-unreadable", format!("`{FILE}` is no file that can be read"))
        .at(Place::path(FILE))
        .hint("delete it, and run `less build`: it is a file that `less` writes")
}

fn unreadable(message: &str, span: Range<usize>) -> Diagnostic {
    Diagnostic::error("lock-unreadable", message)
        .at(Place::span(FILE, span))
        .hint(format!("`git checkout {FILE}` brings back the one that was committed"))
        .hint("or delete it, and run `less build`: then no change since is noticed")
}

/// The first of the lines that git leaves where both sides of a merge changed the same.
fn conflict(text: &str) -> Option<Diagnostic> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") || line.trim_end() == "=======" {
            let end = at + line.trim_end().len();
            let told = Diagnostic::error("lock-conflict", format!("`{FILE}` holds an unfinished merge"))
                .at(Place::span(FILE, at..end))
                .hint(format!(
                    "merge the sources first, then take the lock of the side that runs already, such as `git checkout --ours {FILE}`, and run `less build`"
                ));
            return Some(told);
        }
        at += line.len();
    }
    None
}

fn version(table: &DeTable) -> Result<(), Vec<Diagnostic>> {
    let Some(value) = table.get("version") else {
        return Err(vec![unreadable(&format!("`{FILE}` says no `version`"), 0..0)]);
    };
    let number = match value.get_ref() {
        DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    };
    match number {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => {
            let message = format!("`{FILE}` is of version {newer}; this `less` knows version {VERSION}");
            let hint = "install the version of `less` that wrote it, or a later one";
            let told =
                Diagnostic::error("lock-version", message).at(Place::span(FILE, value.span())).hint(hint);
            Err(vec![told])
        }
        Some(_) | None => Err(vec![unreadable(&format!("`version` is {VERSION}"), value.span())]),
    }
}

struct Reader<'a> {
    text: &'a str,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn wrong(&mut self, message: &str, span: Range<usize>) {
        self.problems.push(unreadable(message, span));
    }

    /// Tells every key that is none of these.
    fn known(&mut self, table: &DeTable, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            self.wrong(&format!("there is no `{}` here", key.get_ref()), key.span());
        }
    }

    fn lock(&mut self, table: &DeTable) -> (Lock, AllSpans) {
        let (mut lock, mut spans) = (Lock::default(), AllSpans::new());
        self.known(table, &["version", "topics"]);
        let Some(topics) = table.get("topics") else { return (lock, spans) };
        let DeValue::Table(topics) = topics.get_ref() else {
            self.wrong("`topics` is a table", topics.span());
            return (lock, spans);
        };
        for (key, value) in topics {
            match (key.get_ref().parse::<TopicName>(), value.get_ref()) {
                (Ok(name), DeValue::Table(table)) => {
                    let (topic, mut found) = self.topic(&name, table, &key.span());
                    found.name = key.span();
                    lock.topics.insert(name.clone(), topic);
                    spans.insert(name, found);
                }
                (Err(error), _) => self.wrong(&format!("`{}`: {error}", key.get_ref()), key.span()),
                (Ok(name), _) => self.wrong(&format!("`{name}` is a table"), value.span()),
            }
        }
        (lock, spans)
    }

    fn topic(&mut self, name: &TopicName, table: &DeTable, at: &Range<usize>) -> (Topic, Spans) {
        self.known(table, &["subscribers", "message", "fingerprint", "schema"]);
        let mut spans = Spans::default();
        let mut subscribers = BTreeSet::new();
        match table.get("subscribers").map(Spanned::get_ref) {
            Some(DeValue::Array(all)) => {
                for item in all {
                    match item.get_ref().as_str().map(str::parse) {
                        Some(Ok(subscriber)) => {
                            spans.subscribers.insert(format!("{subscriber}"), item.span());
                            subscribers.insert(subscriber);
                        }
                        Some(Err(_)) | None => self.wrong("this is no subscriber's name", item.span()),
                    }
                }
            }
            Some(_) | None => {
                self.wrong(&format!("`subscribers` of `{name}` is a list of names"), at.clone());
            }
        }
        let message = self.message(name, table, at, &mut spans);
        (Topic { subscribers, message }, spans)
    }

    fn message(
        &mut self,
        name: &TopicName,
        table: &DeTable,
        at: &Range<usize>,
        spans: &mut Spans,
    ) -> Option<Message> {
        let text =
            |key: &str| table.get(key).and_then(|value| Some((value.get_ref().as_str()?, value.span())));
        let parts = [text("message"), text("fingerprint"), text("schema")];
        let [Some((file, file_at)), Some((mark, mark_at)), Some((json, json_at))] = parts else {
            if ["message", "fingerprint", "schema"].iter().any(|key| table.contains_key(*key)) {
                let message =
                    format!("`{name}` has texts `message`, `fingerprint` and `schema`, or none of them");
                self.wrong(&message, at.clone());
            }
            return None;
        };
        let Some(written) = Written::ALL.into_iter().find(|written| written.file() == file) else {
            self.wrong(&format!("there is no `{file}`"), file_at);
            return None;
        };
        let schema = match serde_json::from_str(json) {
            Ok(schema) => schema,
            Err(error) => {
                self.wrong(&format!("the schema of `{name}` is no JSON: {error}"), json_at);
                return None;
            }
        };
        if fingerprint(&schema) != mark {
            let message = format!(
                "the fingerprint of `{name}` is not that of its schema: `{FILE}` was edited, or merged wrongly"
            );
            self.wrong(&message, mark_at);
            return None;
        }
        match Shape::read_printed(&schema, &name.type_name()) {
            Ok(shape) => {
                spans.schema = self.literal(json_at, json);
                Some(Message { written, schema, shape })
            }
            Err(problems) => {
                let why = problems.first().map_or("", |problem| problem.message.as_str());
                self.wrong(&format!("the schema of `{name}` is none: {why}"), json_at);
                None
            }
        }
    }

    /// The JSON's bytes: a literal text stands for itself, but for the line break that it begins with.
    fn literal(&self, span: Range<usize>, json: &str) -> Option<Range<usize>> {
        let written = self.text.get(span.clone())?;
        let inner = written.strip_prefix(QUOTES)?.strip_suffix(QUOTES)?;
        let skipped = inner.len() - inner.trim_start_matches(['\r', '\n']).len();
        let start = span.start + QUOTES.len() + skipped;
        (inner.get(skipped..)? == json).then(|| start..start + json.len())
    }
}
