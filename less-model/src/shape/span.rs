//! Where in a JSON text a pointer leads.

use std::ops::Range;

use serde_json::Value;

use super::pointer::key;

/// The bytes that a pointer leads to: a member's key, or an element; where that is not there the nearest around it. `text` is JSON.
pub(crate) fn span_of(text: &str, pointer: &str) -> Range<usize> {
    let mut scanner = Scanner { text, at: 0 };
    let mut found = scanner.value();
    for wanted in pointer.split('/').skip(1) {
        match scanner.enter(found.inner.clone(), &key(wanted)) {
            Some(next) => found = next,
            None => break,
        }
    }
    found.shown
}

/// A value in the text.
struct Found {
    /// What stands for it: its key, where it has one.
    shown: Range<usize>,
    /// The value itself.
    inner: Range<usize>,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| b" \t\r\n,:".contains(byte)) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// The string that begins here.
    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
        self.at = self.at.min(bytes.len());
        start..self.at
    }

    /// The value that comes next. Counts brackets instead of recursing.
    fn value(&mut self) -> Found {
        self.peek();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        loop {
            match bytes.get(self.at) {
                None => break,
                Some(b'"') => {
                    self.string();
                }
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    open = open.saturating_sub(1);
                    self.at += 1;
                }
                Some(_) if open > 0 => self.at += 1,
                Some(_) => {
                    let rest = &bytes[self.at..];
                    self.at +=
                        rest.iter().position(|byte| b" \t\r\n,:]}".contains(byte)).unwrap_or(rest.len());
                }
            }
            if open == 0 {
                break;
            }
        }
        Found { shown: start..self.at, inner: start..self.at }
    }

    /// What `wanted` is in the object or array at these bytes; of two members with one key the last, as every parser has it.
    fn enter(&mut self, inner: Range<usize>, wanted: &str) -> Option<Found> {
        self.at = inner.start + 1;
        let mut out = None;
        match self.text.as_bytes().get(inner.start)? {
            b'{' => {
                while self.at < inner.end && self.peek()? == b'"' {
                    let name = self.string();
                    let matches = serde_json::from_str::<Value>(self.text.get(name.clone())?)
                        .is_ok_and(|name| name == wanted);
                    let value = self.value();
                    if matches {
                        out = Some(Found { shown: name, ..value });
                    }
                }
                out
            }
            b'[' => {
                for _ in 0..wanted.parse::<usize>().ok()? {
                    if self.peek()? == b']' {
                        return None;
                    }
                    self.value();
                }
                (self.peek()? != b']').then(|| self.value())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::span_of;

    fn at<'a>(text: &'a str, pointer: &str) -> &'a str {
        &text[span_of(text, pointer)]
    }

    #[test]
    fn a_pointer_leads_to_a_members_key_or_to_an_element() {
        let text = r#" {"a": {"b/~\u0041": [1, {"c": "}\"]"}, [2]], "é": null}, "d" : true} "#;
        assert_eq!(at(text, "/a/b~1~0A"), r#""b/~\u0041""#);
        assert_eq!(at(text, "/a/b~1~0A/0"), "1");
        assert_eq!(at(text, "/a/b~1~0A/1/c"), "\"c\"");
        assert_eq!(at(text, "/a/b~1~0A/2/0"), "2");
        assert_eq!(at(text, "/a/é"), "\"é\"");
        assert_eq!(at(text, "/d"), "\"d\"");
        assert_eq!(at(text, ""), text.trim());
    }

    #[test]
    fn what_is_not_there_is_shown_by_what_is_around_it() {
        assert_eq!(at(r#"{"a": [1]}"#, "/a/1"), "\"a\"");
        assert_eq!(at(r#"{"a": [1]}"#, "/a/x"), "\"a\"");
        assert_eq!(at(r#"{"a": 1}"#, "/a/b/c"), "\"a\"");
        assert_eq!(at(r#"{"a": 1, "a": {"b": 2}}"#, "/a/b"), "\"b\"");
        assert_eq!(at("{}", "/a"), "{}");
    }

    #[test]
    fn no_text_makes_it_fail() {
        for text in [
            "", "{", "[", "{\"", "{\"a\"", "{\"a\\", "[1,", "}", "]", "\"\\", "{]", "[}", ",", "é",
            "{\"a\":}",
        ] {
            for pointer in ["", "/", "/a", "/0", "/1/a", "/a/0", "x"] {
                let span = span_of(text, pointer);
                assert!(text.get(span.clone()).is_some(), "{text:?} {pointer:?} {span:?}");
            }
        }
    }
}
