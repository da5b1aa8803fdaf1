//! A tree written down as one text.

use super::{Entry, Folder};

/// Each file begins with a line `//- path`.
pub(super) fn parse(text: &str) -> Folder {
    let mut root = Folder::new();
    let mut rest = text;
    while let Some(start) = header(rest) {
        let (path, body) = rest[start + 4..].split_once('\n').unwrap_or((&rest[start + 4..], ""));
        let end = header(body).unwrap_or(body.len());
        insert(&mut root, path.trim(), body[..end].to_owned());
        rest = &body[end..];
    }
    root
}

fn header(text: &str) -> Option<usize> {
    if text.starts_with("//- ") { Some(0) } else { text.find("\n//- ").map(|at| at + 1) }
}

fn insert(root: &mut Folder, path: &str, text: String) {
    let mut folder = root;
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() && !path.ends_with('/') {
            folder.insert(name.to_owned(), Entry::Text(text));
            return;
        }
        let entry = folder.entry(name.to_owned()).or_insert_with(|| Entry::Folder(Folder::new()));
        match entry {
            Entry::Folder(inner) => folder = inner,
            Entry::Text(_) | Entry::File | Entry::NoText(_) | Entry::Link(_) | Entry::Other => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::source::SourceTree;

    #[test]
    fn files_and_folders_of_a_fixture_are_found_by_their_paths() {
        let tree = SourceTree::fixture("//- less.toml\na\n\nb\n//- less/topics/x/\n//- src/lib.rs\n");
        assert_eq!(tree.text("less.toml"), Some("a\n\nb\n"));
        assert!(tree.entry("less/topics/x").unwrap().folder().unwrap().is_empty());
        assert_eq!(tree.text("src/lib.rs"), Some(""));
        assert_eq!(tree.entry("src/main.rs"), None);
    }
}
