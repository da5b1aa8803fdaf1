//! Attributes and tags, as SNS and SQS have them: texts by name.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// Attributes by name.
pub type Attributes = BTreeMap<&'static str, Value>;
/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// What an attribute is to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text; the empty one stands for "not set".
    Text(String),
    /// A document, such as a policy.
    Json(Json),
}

impl Value {
    /// Of a text or a number.
    pub fn text<T: ToString + ?Sized>(text: &T) -> Self {
        Self::Text(text.to_string())
    }

    /// As the calls take it.
    pub fn wire(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Json(json) => json.to_string(),
        }
    }

    /// Whether nothing is to be set.
    pub fn is_unset(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Json(_) => false,
        }
    }

    /// Whether `found` means the same. Documents come back with other spaces and another order of keys than they were written with.
    pub fn is(&self, found: &str) -> bool {
        match self {
            Self::Text(text) => text == found,
            Self::Json(json) => serde_json::from_str::<Json>(found).is_ok_and(|found| same(json, &found)),
        }
    }
}

/// Equality of documents, in which `1` and `1.0` are the same number.
fn same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        // In a policy one that stands alone is a list of one.
        (Json::Array(list), one @ Json::String(_)) | (one @ Json::String(_), Json::Array(list)) => {
            list.len() == 1 && same(&list[0], one)
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Json::Object(left), Json::Object(right)) => {
            let equal =
                |(key, value): (&String, &Json)| right.get(key).is_some_and(|other| same(value, other));
            left.len() == right.len() && left.iter().all(equal)
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_compared_by_what_they_mean() {
        let policy = Value::Json(json!({"a": [1, "x"], "b": true}));
        assert!(policy.is(r#"{ "b": true, "a": [1.0, "x"] }"#));
        assert!(!policy.is(r#"{"a": ["x", 1], "b": true}"#));
        assert!(!policy.is(r#"{"a": [1, "x"]}"#));
        assert!(!policy.is(""));
        let list = Value::Json(json!({"AWS": ["x"]}));
        assert!(list.is(r#"{"AWS": "x"}"#) && !list.is(r#"{"AWS": "y"}"#));
        assert!(Value::text(&60).is("60"));
    }
}
