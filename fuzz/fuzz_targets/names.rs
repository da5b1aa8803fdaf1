//! Names: accepted are those that the documents describe, and no others.
//!
//! Topics and subscribers: `^[A-Za-z][A-Za-z0-9_]{0,62}$`, no Rust keyword. Apps and stages: `^[a-z][a-z0-9_-]{0,62}$`.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use less_model::name::{AppName, StageName, SubscriberName, TopicName, nearest};
use libfuzzer_sys::fuzz_target;

/// Strict and reserved keywords of the Rust Reference, edition 2024. Written down here once more: a list can't check itself.
const KEYWORDS: &str = "as break const continue crate else enum extern false fn for if impl in let loop match mod move mut pub ref return self Self \
     static struct super trait true type unsafe use where while async await dyn \
     abstract become box do final macro override priv typeof unsized virtual yield try gen";

fuzz_target!(|text: &str| {
    let identifier = fits(text, |c| c.is_ascii_alphabetic(), |c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.split_ascii_whitespace().any(|keyword| keyword == text);
    let app = fits(
        text,
        |c| c.is_ascii_lowercase(),
        |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-',
    );
    check::<TopicName>(text, identifier);
    check::<SubscriberName>(text, identifier);
    check::<AppName>(text, app);
    check::<StageName>(text, app);
    if let Ok(topic) = text.parse::<TopicName>() {
        assert!(syn::parse_str::<syn::Ident>(text).is_ok(), "{text:?} is no identifier of Rust");
        let name = topic.type_name();
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{name:?} is no name of a type");
    }
    let known = ["user_created", "order_placed"];
    assert!(nearest(text, known).is_none_or(|near| known.contains(&near)));
});

fn fits(text: &str, first: impl Fn(char) -> bool, rest: impl Fn(char) -> bool) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(first) && chars.all(rest) && text.chars().count() <= 63
}

fn check<N>(text: &str, expected: bool)
where
    N: FromStr<Err: Display> + TryFrom<String> + serde::de::DeserializeOwned + AsRef<str> + Debug + PartialEq,
{
    let parsed = text.parse::<N>();
    assert_eq!(parsed.is_ok(), expected, "{text:?}");
    match parsed {
        Ok(name) => {
            assert_eq!(name.as_ref(), text);
            assert_eq!(N::try_from(text.to_owned()).ok().as_ref(), Some(&name));
            let json = serde_json::Value::String(text.to_owned());
            assert_eq!(serde_json::from_value::<N>(json).ok().as_ref(), Some(&name));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(N::try_from(text.to_owned()).is_err());
            let json = serde_json::Value::String(text.to_owned());
            assert!(serde_json::from_value::<N>(json).is_err(), "{text:?}");
        }
    }
}
