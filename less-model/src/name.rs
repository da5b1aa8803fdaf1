//! Names of apps, topics, subscribers and stages.
//!
//! Each is a newtype that only parsing can build, so a value of these types is always safe to put into a path, a Rust identifier or a URL.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in characters, of every kind.
pub const MAX_LENGTH: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing was given.
    #[error("a name can't be empty")]
    Empty,
    /// More than [`MAX_LENGTH`] characters.
    #[error("the name has {0} characters, the most is {MAX_LENGTH}")]
    TooLong(usize),
    /// The first character is none that a name may begin with.
    #[error("a name begins with a letter, not with `{0}`")]
    BadStart(char),
    /// The first character of an app's or stage's name is no lower-case letter.
    #[error("the name begins with a lower-case letter, not with `{0}`")]
    BadAppStart(char),
    /// A later character is not allowed.
    #[error("`{0}` is not allowed in a name; letters, digits and `_` are")]
    BadCharacter(char),
    /// An app's or stage's name holds a character that is not allowed there.
    #[error("`{0}` is not allowed here; lower-case letters, digits, `_` and `-` are")]
    BadAppCharacter(char),
    /// A Rust keyword.
    #[error("`{0}` is a keyword of Rust")]
    Keyword(String),
}

/// Strict and reserved keywords of Rust 2024, and the few path words that no item can be called.
const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// What is no name of a namespace in TypeScript or of a module in Python, beside the above.
const FOREIGN: &[&str] = &[
    "and",
    "any",
    "assert",
    "bigint",
    "boolean",
    "case",
    "catch",
    "class",
    "debugger",
    "def",
    "default",
    "del",
    "delete",
    "elif",
    "except",
    "export",
    "extends",
    "finally",
    "from",
    "function",
    "global",
    "implements",
    "import",
    "instanceof",
    "interface",
    "is",
    "lambda",
    "never",
    "new",
    "nonlocal",
    "not",
    "null",
    "number",
    "object",
    "or",
    "package",
    "pass",
    "private",
    "protected",
    "public",
    "raise",
    "string",
    "switch",
    "symbol",
    "this",
    "throw",
    "undefined",
    "unknown",
    "var",
    "void",
    "with",
];

fn parse_identifier(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if !first.is_ascii_alphabetic() {
        return Err(NameError::BadStart(first));
    }
    if let Some(bad) = text.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
        return Err(NameError::BadCharacter(bad));
    }
    if text.len() > MAX_LENGTH {
        return Err(NameError::TooLong(text.len()));
    }
    if KEYWORDS.binary_search(&text).is_ok() {
        return Err(NameError::Keyword(text.to_owned()));
    }
    Ok(())
}

fn parse_app(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if !first.is_ascii_lowercase() {
        return Err(NameError::BadAppStart(first));
    }
    if let Some(bad) =
        text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || *c == '-'))
    {
        return Err(NameError::BadAppCharacter(bad));
    }
    if text.len() > MAX_LENGTH {
        return Err(NameError::TooLong(text.len()));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                $parse(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $parse(&text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A topic's id, which is its folder's name: `^[A-Za-z][A-Za-z0-9_]{0,62}$`, no Rust keyword.
    TopicName, parse_identifier
}
name! {
    /// A subscriber's name, which is its folder's name: `^[A-Za-z][A-Za-z0-9_]{0,62}$`, no Rust keyword.
    SubscriberName, parse_identifier
}
name! {
    /// An app's name: `^[a-z][a-z0-9_-]{0,62}$`.
    AppName, parse_app
}
name! {
    /// A stage's name: `^[a-z][a-z0-9_-]{0,62}$`.
    StageName, parse_app
}

impl TopicName {
    /// The name that the topic's message type has: `user_created` → `UserCreated`.
    pub fn type_name(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for word in self.0.split('_').filter(|word| !word.is_empty()) {
            let mut chars = word.chars();
            if let Some(first) = chars.next() {
                out.push(first.to_ascii_uppercase());
                out.push_str(chars.as_str());
            }
        }
        out
    }
}

impl AppName {
    /// The name as an identifier in code: `-` becomes `_`, and a word of Rust, TypeScript or Python gets one behind it.
    pub fn identifier(&self) -> String {
        let mut out = self.0.replace('-', "_");
        if KEYWORDS.binary_search(&out.as_str()).is_ok() || FOREIGN.binary_search(&out.as_str()).is_ok() {
            out.push('_');
        }
        out
    }
}

/// Whether an attribute's name is not a user's to give: `less` is Less's own on SNS and SQS, and what begins with `AWS.` or `Amazon.` is theirs.
pub fn is_reserved_attribute(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == "less" || lower.starts_with("aws.") || lower.starts_with("amazon.")
}

/// The candidate that `text` is most likely a misspelling of: at most a third of its characters differ.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = text.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&text.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_so_that_binary_search_finds_them() {
        assert!(KEYWORDS.is_sorted() && FOREIGN.is_sorted());
        for (name, identifier) in
            [("shop-eu", "shop_eu"), ("type", "type_"), ("class", "class_"), ("self", "self_")]
        {
            assert_eq!(name.parse::<AppName>().unwrap().identifier(), identifier);
        }
    }

    #[test]
    fn a_topic_name_is_a_rust_identifier_of_at_most_63_characters() {
        for good in ["user_created", "U", "a1", "userCreated", &"x".repeat(63)] {
            good.parse::<TopicName>().unwrap();
        }
        let cases = [
            ("", NameError::Empty),
            ("1st", NameError::BadStart('1')),
            ("_all", NameError::BadStart('_')),
            ("user-created", NameError::BadCharacter('-')),
            ("naïve", NameError::BadCharacter('ï')),
            ("match", NameError::Keyword("match".to_owned())),
            ("Self", NameError::Keyword("Self".to_owned())),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<TopicName>(), Err(error), "{text}");
        }
        assert_eq!("x".repeat(64).parse::<TopicName>(), Err(NameError::TooLong(64)));
    }

    #[test]
    fn an_app_name_may_hold_a_dash_but_no_upper_case() {
        "user-management_service2".parse::<AppName>().unwrap();
        assert_eq!("Shop".parse::<AppName>(), Err(NameError::BadAppStart('S')));
        assert_eq!("shoP".parse::<AppName>(), Err(NameError::BadAppCharacter('P')));
    }

    #[test]
    fn the_message_type_is_the_topic_in_camel_case() {
        for (topic, name) in
            [("user_created", "UserCreated"), ("a__b_", "AB"), ("orderPlaced", "OrderPlaced")]
        {
            assert_eq!(topic.parse::<TopicName>().unwrap().type_name(), name);
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["user_created", "order_placed"];
        assert_eq!(nearest("user_craeted", names), Some("user_created"));
        assert_eq!(nearest("UserCreated", names), Some("user_created"));
        assert_eq!(nearest("invoice", names), None);
    }

    #[test]
    fn names_are_checked_when_deserialized() {
        assert!(serde_json::from_str::<TopicName>("\"../etc\"").is_err());
    }
}
