//! What can't be read: links that lead nowhere useful, files without text, pipes.

use crate::diagnostic::{Diagnostic, Place};
use crate::source::{BadLink, Entry, Folder, MAX_FILE, NoText, SourceTree, ignored};

/// Tells every entry of the tree that can't be read.
pub(crate) fn entries(tree: &SourceTree, out: &mut Vec<Diagnostic>) {
    folder("", tree.root(), out);
}

fn folder(path: &str, entries: &Folder, out: &mut Vec<Diagnostic>) {
    for (name, entry) in entries {
        if ignored(name) {
            continue;
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        match entry {
            Entry::Folder(inner) => folder(&path, inner, out),
            Entry::Text(_) | Entry::File => {}
            Entry::NoText(why) => out.push(no_text(path, *why)),
            Entry::Link(why) => out.push(link(path, *why)),
            Entry::Other => {
                let message = format!("`{name}` is neither a file nor a folder");
                out.push(
                    Diagnostic::error("not-a-file", message)
                        .at(Place::path(&path))
                        .hint(format!("delete `{path}`")),
                );
            }
        }
    }
}

fn no_text(path: String, why: NoText) -> Diagnostic {
    match why {
        NoText::NotUtf8 => {
            Diagnostic::error("not-utf8", "this file is not UTF-8").hint("save it with the encoding UTF-8")
        }
        NoText::TooLarge => {
            Diagnostic::error("file-too-large", format!("this file has more than {} KiB", MAX_FILE >> 10))
                .hint("move data out of it, and read it with `include_bytes!`")
        }
    }
    .at(Place::path(path))
}

fn link(path: String, why: BadLink) -> Diagnostic {
    match why {
        BadLink::Leaves => Diagnostic::error("link-leaves-project", "this link leaves the project")
            .hint("put what it leads to into the app's folder: an app is built from its folder alone"),
        BadLink::Broken => Diagnostic::error("broken-link", "this link leads to nothing")
            .hint(format!("delete it, or make what it leads to: `readlink {path}`")),
        BadLink::Cycle => Diagnostic::error("link-cycle", "this link leads to a folder that holds it")
            .hint(format!("delete it: `rm {path}`")),
    }
    .at(Place::path(path))
}
