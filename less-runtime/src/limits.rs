//! What a message may be, on every transport: what SNS and SQS take. An app that runs today on the embedded broker runs there tomorrow.

use less_model::name::is_reserved_attribute;

use crate::app::{MAX_ATTRIBUTES, MAX_DELAY, MAX_KEY};
use crate::publish::{Publish, PublishError};

/// Longest name of an attribute, in bytes.
const MAX_NAME: usize = 256;
/// Longest trace parent, in bytes.
const MAX_TRACE: usize = 256;
/// The type that SNS and SQS have for every attribute: it counts as well.
const TYPE: usize = "String".len();
/// What Less itself sends along: id, times, names.
const OWN: usize = 256;
/// How much longer a byte can get where it is written as JSON: `\u0001`.
const ESCAPED: usize = 6;

/// What a topic takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The topic, for texts.
    pub(crate) topic: String,
    /// Largest message with its attributes, in bytes.
    pub(crate) size: usize,
    /// The setting that says so.
    pub(crate) setting: &'static str,
    /// Whether some stage of the app runs where order has to be declared, and this topic's is not: see [`Order`].
    pub(crate) order: Order,
}

/// What an app's stages make of a topic's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Every stage can do everything.
    Free,
    /// Some stage runs on SNS and SQS, and the topic is not declared as ordered: neither key nor idempotency key.
    Undeclared,
    /// Some stage runs on SNS and SQS, and the topic is FIFO there: no delay.
    Fifo,
}

impl Limits {
    /// Whether a message may be published so.
    pub(crate) fn check(&self, body: &[u8], options: &Publish) -> Result<(), PublishError> {
        self.check_order(options)?;
        check_lengths(options)?;
        for (name, value) in &options.attributes {
            check_attribute(name, value)?;
        }
        for (place, text) in [
            ("the key", &options.key),
            ("the idempotency key", &options.idempotency_key),
            ("the trace parent", &options.traceparent),
        ] {
            if let Some(text) = text {
                check_characters(place, text.as_bytes())?;
            }
        }
        check_characters("the body", body)?;
        let size = size(body, options);
        if size > self.size {
            return Err(PublishError::TooLarge { size, limit: self.size, setting: self.setting });
        }
        Ok(())
    }

    fn check_order(&self, options: &Publish) -> Result<(), PublishError> {
        let topic = &self.topic;
        let hint = || format!("\nhint: write `ordered = true` into less/topics/{topic}/topic.toml");
        let bad = |option, problem: String| Err(PublishError::BadOption { option, problem });
        match self.order {
            Order::Undeclared if options.key.is_some() => bad(
                "key",
                format!("topic `{topic}` is not ordered, and a stage of this app runs on SNS{}", hint()),
            ),
            Order::Undeclared if options.idempotency_key.is_some() => bad(
                "idempotency key",
                format!(
                    "topic `{topic}` is not ordered, and a stage of this app runs on SNS, which knows them on ordered topics alone{}",
                    hint()
                ),
            ),
            Order::Fifo if options.delay.is_some_and(|delay| !delay.is_zero()) => bad(
                "delay",
                format!(
                    "topic `{topic}` is ordered, and a stage of this app runs on SQS, which delays no message of an ordered topic"
                ),
            ),
            Order::Free | Order::Undeclared | Order::Fifo => Ok(()),
        }
    }
}

fn check_lengths(options: &Publish) -> Result<(), PublishError> {
    let bad = |option, problem: String| Err(PublishError::BadOption { option, problem });
    for (option, key) in [("key", &options.key), ("idempotency key", &options.idempotency_key)] {
        if let Some(key) = key
            && !(1..=MAX_KEY).contains(&key.len())
        {
            return bad(option, format!("it has {} bytes, 1 to {MAX_KEY} are allowed", key.len()));
        }
    }
    if options.delay.is_some_and(|delay| delay > MAX_DELAY) {
        return bad("delay", "the longest is 365 days".to_owned());
    }
    if options.attributes.len() > MAX_ATTRIBUTES {
        return bad(
            "attributes",
            format!("there are {}, the most is {MAX_ATTRIBUTES}", options.attributes.len()),
        );
    }
    if options.traceparent.as_ref().is_some_and(|trace| trace.len() > MAX_TRACE) {
        return bad("traceparent", format!("it is longer than {MAX_TRACE} bytes"));
    }
    Ok(())
}

fn check_attribute(name: &str, value: &str) -> Result<(), PublishError> {
    let bad = |problem: String| Err(PublishError::BadOption { option: "attributes", problem });
    if !(1..=MAX_NAME).contains(&name.len()) {
        return bad(format!("the name `{name}` has {} bytes, 1 to {MAX_NAME} are allowed", name.len()));
    }
    if let Some(other) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.".contains(*c))) {
        return bad(format!(
            "`{other}` is not allowed in the name `{name}`; letters, digits, `_`, `-` and `.` are"
        ));
    }
    if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        return bad(format!("the name `{name}` has a `.` at its begin or end, or two in a row"));
    }
    if is_reserved_attribute(name) {
        return bad(format!("the name `{name}` is taken: `less`, `AWS.…` and `Amazon.…` are not yours"));
    }
    if value.is_empty() {
        return bad(format!("`{name}` is empty"));
    }
    check_characters(&format!("attribute `{name}`"), value.as_bytes())
}

/// Characters that XML 1.0 has no place for are none that SNS and SQS take. `text` is UTF-8.
fn check_characters(place: &str, text: &[u8]) -> Result<(), PublishError> {
    // Most texts have neither; without an early end this is done many bytes at once.
    let suspect = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == 0xEF);
    if text.iter().fold(0, |found, byte| found | suspect(byte)) == 0 {
        return Ok(());
    }
    let bad = |character| Err(PublishError::BadCharacter { place: place.to_owned(), character });
    let control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    if let Some(byte) = text.iter().find(|byte| control(byte)) {
        return bad(char::from(*byte));
    }
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    if text.contains(&0xEF)
        && let Some(found) = text.windows(3).find(|bytes| matches!(bytes, [0xEF, 0xBF, 0xBE | 0xBF]))
    {
        return bad(if found[2] == 0xBE { '\u{FFFE}' } else { '\u{FFFF}' });
    }
    Ok(())
}

/// What SNS and SQS would count, at least: body, attributes with their names and types, and what Less sends along.
fn size(body: &[u8], options: &Publish) -> usize {
    let attribute = |(name, value): (&String, &String)| name.len() + TYPE + value.len();
    let length = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() * ESCAPED);
    // Of ten attributes one goes where Less's own things are, as JSON.
    let inside = if options.attributes.len() < MAX_ATTRIBUTES {
        0
    } else {
        options.attributes.values().map(|value| value.len() * (ESCAPED - 1)).max().unwrap_or(0)
    };
    body.len()
        + options.attributes.iter().map(attribute).sum::<usize>()
        + OWN
        + inside
        + length(&options.key)
        + length(&options.traceparent)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(order: Order) -> Limits {
        Limits { topic: "t".to_owned(), size: 1024, setting: "max_message", order }
    }

    fn refusal(body: &str, options: &Publish) -> String {
        let checked = limits(Order::Free).check(body.as_bytes(), options);
        checked.map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn what_sns_would_refuse_is_refused() {
        let with = |name: &str, value: &str| Publish::new().attribute(name, value);
        let cases = [
            ("1", with("a.b-c_1", "ä"), "fine"),
            ("\"\u{FFFD}\u{10FFFF}\"", Publish::new(), "fine"),
            (
                "\"\u{FFFF}\"",
                Publish::new(),
                "the body holds the character U+FFFF, which SNS and SQS do not take",
            ),
            (
                "1",
                with("a", "\u{1}"),
                "attribute `a` holds the character U+0001, which SNS and SQS do not take",
            ),
            (
                "1",
                Publish::new().key("\u{FFFE}"),
                "the key holds the character U+FFFE, which SNS and SQS do not take",
            ),
            ("1", with("a", ""), "attributes: `a` is empty"),
            ("1", with("", "x"), "attributes: the name `` has 0 bytes, 1 to 256 are allowed"),
            (
                "1",
                with("a b", "x"),
                "attributes: ` ` is not allowed in the name `a b`; letters, digits, `_`, `-` and `.` are",
            ),
            (
                "1",
                with("a..b", "x"),
                "attributes: the name `a..b` has a `.` at its begin or end, or two in a row",
            ),
            (
                "1",
                with("AWS.x", "x"),
                "attributes: the name `AWS.x` is taken: `less`, `AWS.…` and `Amazon.…` are not yours",
            ),
            (
                "1",
                with("Less", "x"),
                "attributes: the name `Less` is taken: `less`, `AWS.…` and `Amazon.…` are not yours",
            ),
        ];
        for (body, options, expected) in cases {
            assert_eq!(refusal(body, &options), expected);
        }
    }

    #[test]
    fn attributes_and_what_less_adds_count_as_sns_counts_them() {
        let body = "x".repeat(1024 - OWN);
        assert_eq!(refusal(&body, &Publish::new()), "fine");
        assert_eq!(
            refusal(&format!("{body}x"), &Publish::new()),
            "the message has 1025 bytes, the most is 1024 (`max_message`)"
        );
        let attribute = Publish::new().attribute("abc", "d");
        assert_eq!(refusal(&body[10..], &attribute), "fine");
        assert_eq!(
            refusal(&body[9..], &attribute),
            "the message has 1025 bytes, the most is 1024 (`max_message`)"
        );
    }

    #[test]
    fn an_app_with_a_stage_on_sns_declares_its_order() {
        let refused = |order, options: Publish| limits(order).check(b"1", &options).is_err();
        let keyed = || Publish::new().key("k");
        let once = || Publish::new().idempotency_key("k");
        let later = || Publish::new().delay(Duration::from_secs(1));
        assert_eq!([keyed(), once(), later()].map(|o| refused(Order::Free, o)), [false, false, false]);
        assert_eq!([keyed(), once(), later()].map(|o| refused(Order::Undeclared, o)), [true, true, false]);
        assert_eq!([keyed(), once(), later()].map(|o| refused(Order::Fifo, o)), [false, false, true]);
        assert!(!refused(Order::Fifo, Publish::new().delay(Duration::ZERO)));
    }
}
