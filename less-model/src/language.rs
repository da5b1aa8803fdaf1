//! The languages that subscribers are written in: one table, which everything else reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A subscriber's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// `mod.rs`, compiled into the app.
    Rust,
    /// `index.js`, `index.mjs` or `index.ts`.
    Node,
    /// `__init__.py`.
    Python,
}

impl Language {
    /// Every language, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Node, Self::Python];

    /// The word for it on the command line and in JSON: `rust`, `node`, `python`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Node => "node",
            Self::Python => "python",
        }
    }

    /// Its name in sentences.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Node => "Node.js",
            Self::Python => "Python",
        }
    }

    /// The files that make a folder a subscriber in this language; the first is the one that templates use.
    pub fn handler_files(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["mod.rs"],
            Self::Node => &["index.js", "index.mjs", "index.ts"],
            Self::Python => &["__init__.py"],
        }
    }

    /// The program that runs subscribers in this language; `None` where they are compiled into the app.
    pub fn worker(self) -> Option<Worker> {
        let strings = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        match self {
            Self::Rust => None,
            Self::Node => Some(Worker {
                variable: "LESS_NODE".to_owned(),
                programs: strings(&["node"]),
                arguments: strings(&["--enable-source-maps", ".less/node_modules/@chuva.io/less/worker.mjs"]),
                search: [("NODE_PATH".to_owned(), strings(&[".less/node_modules", "less/shared"]))].into(),
                hint: "install Node.js 20 or later, or set LESS_NODE to its program".to_owned(),
            }),
            Self::Python => Some(Worker {
                variable: "LESS_PYTHON".to_owned(),
                programs: strings(&[".venv/bin/python", "python3", "python"]),
                arguments: strings(&["-u", ".less/python/less_worker.py"]),
                search: BTreeMap::new(),
                hint: "install Python 3.9 or later, or set LESS_PYTHON to its program".to_owned(),
            }),
        }
    }
}

/// A program that runs handlers, and how it is started. Paths are relative to the app's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// The environment variable that names another program.
    pub variable: String,
    /// Programs to look for: those with a `/` in the app's folder, others on `PATH`. The first that exists is taken.
    pub programs: Vec<String>,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Folders that go before what an environment variable holds, made absolute and joined by `:`.
    pub search: BTreeMap<String, Vec<String>>,
    /// What to do where no program exists.
    pub hint: String,
}
