//! The languages that subscribers are written in: one table, which everything else reads.

use serde::{Deserialize, Serialize};

/// A subscriber's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// `mod.rs`, compiled into the app.
    Rust,
    /// `index.js` or `index.mjs`.
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
            Self::Node => &["index.js", "index.mjs"],
            Self::Python => &["__init__.py"],
        }
    }

    /// Whether this version of Less can run subscribers in this language.
    pub fn supported(self) -> bool {
        match self {
            Self::Rust => true,
            Self::Node | Self::Python => false,
        }
    }
}
