//! What matters of an app's folder, read once: after this nothing touches the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

mod fixture;
mod read;
mod root;

pub use root::find_root;

/// Largest source or configuration file that is read, in bytes: 1 MiB.
pub const MAX_FILE: usize = 1 << 20;

/// A folder's entries by name. Names that are no UTF-8 hold U+FFFD, which no rule for names allows.
pub type Folder = BTreeMap<String, Entry>;

/// An app's folder: `less.toml`, `Cargo.toml`, whether there is a `src/lib.rs`, and `less/` down to the files of each subscriber.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceTree {
    root: Folder,
}

/// One file or folder. A link that stays in the project shows as what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder(Folder),
    /// A file whose text matters.
    Text(String),
    /// A file of which only the name matters.
    File,
    /// A file whose text would matter, but is none.
    NoText(NoText),
    /// A link that leads nowhere useful.
    Link(BadLink),
    /// A socket, a pipe or a device.
    Other,
}

/// Why a file's text could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoText {
    /// It is not UTF-8.
    NotUtf8,
    /// It has more than [`MAX_FILE`] bytes.
    TooLarge,
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLink {
    /// It leads out of the app's folder.
    Leaves,
    /// It leads to nothing, or in a circle.
    Broken,
    /// It leads to a folder that holds it.
    Cycle,
}

/// A folder that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file or folder could not be read.
    #[error("can't read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SourceTree {
    /// Reads what matters of the app in folder `root`. Fails when something there can't be read.
    pub fn read(root: &Path) -> Result<Self, SourceError> {
        Ok(Self { root: read::read(root)? })
    }

    /// A tree from one text, for tests: each file begins with a line `//- path`; a path that ends in `/` is an empty folder.
    pub fn fixture(text: &str) -> Self {
        Self { root: fixture::parse(text) }
    }

    /// What is at `path`, which is relative to the app's folder, with `/`.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let (folder, name) = match path.rsplit_once('/') {
            Some((parent, name)) => (self.entry(parent)?.folder()?, name),
            None => (&self.root, path),
        };
        folder.get(name)
    }

    /// The text of the file at `path`.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.entry(path)?.text()
    }

    /// The app's folder itself.
    pub fn root(&self) -> &Folder {
        &self.root
    }
}

impl Entry {
    /// The entries, where this is a folder.
    pub fn folder(&self) -> Option<&Folder> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Text(_) | Self::File | Self::NoText(_) | Self::Link(_) | Self::Other => None,
        }
    }

    /// The text, where this is a file that has one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Folder(_) | Self::File | Self::NoText(_) | Self::Link(_) | Self::Other => None,
        }
    }

    /// Whether this is a file, readable or not.
    pub fn is_file(&self) -> bool {
        match self {
            Self::Text(_) | Self::File | Self::NoText(_) => true,
            Self::Folder(_) | Self::Link(_) | Self::Other => false,
        }
    }
}

/// Whether a file or folder of this name is none of Less's business: hidden files, and what Node.js and Python leave behind.
pub(crate) fn ignored(name: &str) -> bool {
    name.starts_with('.') || name == "node_modules" || name == "__pycache__"
}
