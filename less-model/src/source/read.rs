//! Reading the app's folder.

use std::fs::{self, FileType};
use std::io::{self, Read};
use std::path::Path;

use super::{BadLink, Entry, Folder, MAX_FILE, NoText, SourceError, ignored};

/// How far below `less/` a folder is, which says what in it matters. The depth is bounded, so that no circle of links can be followed for ever.
#[derive(Clone, Copy)]
enum Level {
    /// `less` itself.
    Less,
    /// `less/topics`.
    Topics,
    /// A topic's folder.
    Topic,
    /// `less/external_topics`.
    External,
    /// Another app's folder in there.
    ExternalApp,
    /// A folder in which only the names matter: a subscriber's.
    Names,
}

impl Level {
    /// What the folder `name` in a folder of this level is; `None` where its content does not matter.
    fn inside(self, name: &str) -> Option<Self> {
        match self {
            Self::Less if name == "topics" => Some(Self::Topics),
            Self::Less if name == "external_topics" => Some(Self::External),
            Self::External if !name.starts_with('_') => Some(Self::ExternalApp),
            Self::ExternalApp | Self::Topics if !name.starts_with('_') => Some(Self::Topic),
            Self::Topic if !name.starts_with('_') => Some(Self::Names),
            Self::Less | Self::Topics | Self::External | Self::ExternalApp | Self::Topic | Self::Names => {
                None
            }
        }
    }
}

/// Largest `less.lock` that is read: some hundred thousand fields.
const MAX_LOCK: usize = 64 << 20;

const TEXTS: [&str; 9] = [
    "less.toml",
    "less.lock",
    "Cargo.toml",
    "message.rs",
    "message.schema.json",
    "mod.rs",
    "topic.toml",
    "contract.json",
    "subscriber.toml",
];

/// The entries of the app's folder that matter.
pub(super) fn read(root: &Path) -> Result<Folder, SourceError> {
    let project = root.canonicalize().map_err(|source| failed(root, source))?;
    let mut out = Folder::new();
    for name in ["Cargo.toml", "less.toml", "less.lock"] {
        if let Some(entry) = entry(&project, &project.join(name), None)? {
            out.insert(name.to_owned(), entry);
        }
    }
    if project.join("src/lib.rs").is_file() {
        let src = Folder::from([("lib.rs".to_owned(), Entry::File)]);
        out.insert("src".to_owned(), Entry::Folder(src));
    }
    if let Some(less) = entry(&project, &project.join("less"), Some(Level::Less))? {
        out.insert("less".to_owned(), less);
    }
    Ok(out)
}

fn entry(project: &Path, path: &Path, level: Option<Level>) -> Result<Option<Entry>, SourceError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => classify(project, path, metadata.file_type(), level),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, error)),
    }
}

/// `None` when it has vanished meanwhile.
fn classify(
    project: &Path,
    path: &Path,
    kind: FileType,
    level: Option<Level>,
) -> Result<Option<Entry>, SourceError> {
    if kind.is_symlink() {
        follow(project, path, level)
    } else if kind.is_dir() {
        match level {
            Some(level) => folder(project, path, level),
            None => Ok(Some(Entry::Folder(Folder::new()))),
        }
    } else if kind.is_file() {
        file(path, path)
    } else {
        Ok(Some(Entry::Other))
    }
}

fn follow(project: &Path, path: &Path, level: Option<Level>) -> Result<Option<Entry>, SourceError> {
    let Ok(target) = path.canonicalize() else { return Ok(Some(Entry::Link(BadLink::Broken))) };
    if !target.starts_with(project) {
        return Ok(Some(Entry::Link(BadLink::Leaves)));
    }
    if path.starts_with(&target) {
        return Ok(Some(Entry::Link(BadLink::Cycle)));
    }
    let kind = match fs::symlink_metadata(&target) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    if kind.is_file() { file(path, &target) } else { classify(project, &target, kind, level) }
}

/// The file `real`, which the project knows as `path`.
fn file(path: &Path, real: &Path) -> Result<Option<Entry>, SourceError> {
    let matters = path.file_name().is_some_and(|name| TEXTS.iter().any(|text| name == *text));
    // It grows with the app, as no other file does.
    let most = if path.file_name().is_some_and(|name| name == "less.lock") { MAX_LOCK } else { MAX_FILE };
    if matters { text(real, most) } else { Ok(Some(Entry::File)) }
}

fn folder(project: &Path, path: &Path, level: Level) -> Result<Option<Entry>, SourceError> {
    let mut out = Folder::new();
    let items = match fs::read_dir(path) {
        Ok(items) => items,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    for item in items {
        let item = item.map_err(|source| failed(path, source))?;
        let name = item.file_name().to_string_lossy().into_owned();
        if ignored(&name) {
            continue;
        }
        let path = item.path();
        let kind = item.file_type().map_err(|source| failed(&path, source))?;
        if let Some(entry) = classify(project, &path, kind, level.inside(&name))? {
            out.insert(name, entry);
        }
    }
    Ok(Some(Entry::Folder(out)))
}

fn text(path: &Path, most: usize) -> Result<Option<Entry>, SourceError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed, which shows that there is more.
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(|source| failed(path, source))?;
    if bytes.len() > most {
        return Ok(Some(Entry::NoText(NoText::TooLarge)));
    }
    Ok(Some(String::from_utf8(bytes).map_or(Entry::NoText(NoText::NotUtf8), Entry::Text)))
}

fn failed(path: &Path, source: io::Error) -> SourceError {
    SourceError::Read { path: path.to_owned(), source }
}
