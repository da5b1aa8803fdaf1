//! Files where folders belong, and the other way round. Unknown files are nobody's business unless they look like a mistake.

use crate::diagnostic::{Diagnostic, Place};
use crate::language::Language;
use crate::name::{TopicName, nearest};
use crate::scan::TOPICS;
use crate::source::{Entry, Folder, SourceTree, ignored};

const CODE: [&str; 6] = ["rs", "js", "mjs", "cjs", "ts", "py"];
const IN_TOPIC: [&str; 3] = ["message.rs", "message.schema.json", "topic.toml"];

/// Tells what is at the wrong place under `less/`.
pub(crate) fn layout(tree: &SourceTree, out: &mut Vec<Diagnostic>) {
    match tree.entry("less") {
        Some(Entry::Folder(less)) => less_folder(less, out),
        Some(Entry::Text(_) | Entry::File | Entry::NoText(_)) => out.push(no_folder("less")),
        // Told with the other entries that can't be read.
        Some(Entry::Link(_) | Entry::Other) | None => {}
    }
}

fn no_folder(path: &str) -> Diagnostic {
    Diagnostic::error("file-for-folder", format!("`{path}` is a file, but it has to be a folder"))
        .at(Place::path(path))
        .hint(format!("rename or delete the file, then `mkdir -p {TOPICS}`"))
}

fn less_folder(less: &Folder, out: &mut Vec<Diagnostic>) {
    for (name, entry) in less {
        match (name.as_str(), entry) {
            ("topics", Entry::Folder(topics)) => topics_folder(topics, out),
            ("topics", Entry::Text(_) | Entry::File | Entry::NoText(_)) => out.push(no_folder(TOPICS)),
            // Read, with what is wrong in it, by `scan::external`.
            ("external_topics", Entry::Folder(_)) => {}
            (other, Entry::Folder(_)) if !other.starts_with('_') => {
                if let Some(near) = nearest(other, ["topics", "external_topics"]) {
                    out.push(
                        Diagnostic::warning("unknown-folder", format!("`less/{other}` is not read"))
                            .at(Place::path(format!("less/{other}")))
                            .hint(format!("did you mean `less/{near}`?")),
                    );
                }
            }
            (
                _,
                Entry::Folder(_)
                | Entry::Text(_)
                | Entry::File
                | Entry::NoText(_)
                | Entry::Link(_)
                | Entry::Other,
            ) => {}
        }
    }
}

fn topics_folder(topics: &Folder, out: &mut Vec<Diagnostic>) {
    for (name, entry) in topics {
        if entry.is_file() {
            out.extend(file_in_topics(name));
        } else if let Entry::Folder(topic) = entry {
            if name == "_all" {
                let message = "`_all` is reserved: subscribers of every topic are not supported yet";
                out.push(
                    Diagnostic::error("reserved-name", message)
                        .at(Place::path(format!("{TOPICS}/_all")))
                        .hint("make a subscriber in each topic: `less add subscriber TOPIC/NAME`"),
                );
            } else if !name.starts_with('_') && !ignored(name) {
                topic_folder(&format!("{TOPICS}/{name}"), topic, out);
            }
        }
    }
}

/// A file beside the topics' folders.
fn file_in_topics(name: &str) -> Option<Diagnostic> {
    let path = format!("{TOPICS}/{name}");
    let error = |message: String, hint: String| {
        Some(Diagnostic::error("file-for-folder", message).at(Place::path(&path)).hint(hint))
    };
    if is_handler(name) {
        return error(
            format!("a handler belongs in a subscriber's folder: `{TOPICS}/TOPIC/SUBSCRIBER/{name}`"),
            "make one with `less add subscriber TOPIC/NAME`".to_owned(),
        );
    }
    if IN_TOPIC.contains(&name) || name == "subscriber.toml" {
        let folder = if name == "subscriber.toml" { "TOPIC/SUBSCRIBER" } else { "TOPIC" };
        return error(
            format!("`{name}` belongs in a folder below: `{TOPICS}/{folder}/{name}`"),
            format!("move it to `{TOPICS}/{folder}/{name}`"),
        );
    }
    let stem = match name.rsplit_once('.') {
        Some((stem, end)) if CODE.contains(&end) => stem,
        Some(_) => return None,
        // `README` and `LICENSE` are nobody's topics.
        None if name.contains(|c: char| c.is_ascii_uppercase()) => return None,
        None => name,
    };
    let topic = stem.parse::<TopicName>().ok();
    if topic.is_none() && stem == name {
        return None;
    }
    let command = topic.map_or_else(|| "NAME".to_owned(), String::from);
    error(
        format!("`{name}` is a file, but a topic is a folder"),
        format!("rename or delete the file, and make the topic with `less add topic {command}`"),
    )
}

fn topic_folder(path: &str, topic: &Folder, out: &mut Vec<Diagnostic>) {
    for (name, entry) in topic {
        if !entry.is_file() || IN_TOPIC.contains(&name.as_str()) || ignored(name) {
            continue;
        }
        let place = Place::path(format!("{path}/{name}"));
        let topic_name = path.rsplit('/').next().unwrap_or(path);
        let code = "misplaced-file";
        if is_handler(name) || name == "subscriber.toml" {
            let what = if name == "subscriber.toml" { "this file" } else { "a handler" };
            out.push(
                Diagnostic::warning(
                    code,
                    format!("{what} belongs in a subscriber's folder; here it is ignored"),
                )
                .at(place)
                .hint(format!("move it to `{path}/SUBSCRIBER/{name}`")),
            );
        } else if let Some((stem, end)) = name.rsplit_once('.') {
            if let Some(near) = nearest(name, IN_TOPIC).filter(|_| !declared(topic, stem)) {
                out.push(
                    Diagnostic::warning(code, format!("`{name}` is ignored"))
                        .at(place)
                        .hint(format!("did you mean `{near}`?")),
                );
            } else if CODE.contains(&end) && !declared(topic, stem) {
                out.push(
                    Diagnostic::warning(
                        code,
                        format!("`{name}` is a file, but a subscriber is a folder; it is ignored"),
                    )
                    .at(place)
                    .hint(format!("make the subscriber with `less add subscriber {topic_name}/{stem}`")),
                );
            }
        }
    }
}

fn is_handler(name: &str) -> bool {
    Language::ALL.iter().any(|language| language.handler_files().contains(&name))
}

/// Whether `message.rs` seems to have the file as a module.
fn declared(topic: &Folder, stem: &str) -> bool {
    let text = topic.get("message.rs").and_then(Entry::text).unwrap_or("");
    text.contains(&format!("mod {stem};"))
}
