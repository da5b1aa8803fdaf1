//! What differs between what is needed and what there is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::TAG_CODE;
use super::value::{Attributes, Tags, Value};

/// An attribute or a tag that is not what it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name; of a tag its key, after `tag `.
    pub attribute: String,
    /// What it is, empty where it is not set.
    pub old: String,
    /// What it has to be, empty where nothing is to be set.
    pub new: String,
}

/// Which attributes differ. What there is beside them is nobody's business here.
pub fn attribute_changes(wanted: &Attributes, found: &BTreeMap<String, String>) -> Vec<Change> {
    let changes = wanted.iter().filter_map(|(name, value)| {
        let old = found.get(*name).map(String::as_str).unwrap_or_default();
        let old = if is_unset(name, old) { unset(name) } else { old };
        let change = || Change { attribute: (*name).to_owned(), old: tidy(value, old), new: value.wire() };
        (!value.is(old)).then(change)
    });
    changes.collect()
}

/// Which tags differ. Other tags are the user's own; one without a fingerprint of its code was made by a template, which knows none.
pub fn tag_changes(wanted: &Tags, found: &Tags) -> Vec<Change> {
    let changes = wanted.iter().filter_map(|(key, value)| {
        let old = found.get(key).cloned().unwrap_or_default();
        let no_code = key == TAG_CODE && old.is_empty();
        (!no_code && old != *value).then(|| Change {
            attribute: format!("tag {key}"),
            old,
            new: value.clone(),
        })
    });
    changes.collect()
}

/// A document in the form that ours have, so that what differs stands out.
fn tidy(wanted: &Value, old: &str) -> String {
    let document = match wanted {
        Value::Text(_) => None,
        Value::Json(_) => serde_json::from_str::<serde_json::Value>(old).ok(),
    };
    document.map_or_else(|| old.to_owned(), |document| document.to_string())
}

fn is_unset(name: &str, value: &str) -> bool {
    // A filter that was taken away stays as an empty one.
    value.is_empty() || (name == "FilterPolicy" && value.trim() == "{}")
}

/// What AWS means where it says nothing about an attribute.
fn unset(name: &str) -> &'static str {
    match name {
        "FilterPolicyScope" => "MessageAttributes",
        "FifoThroughputScope" => "Topic",
        "RawMessageDelivery" | "SqsManagedSseEnabled" | "ContentBasedDeduplication" => "false",
        "DelaySeconds" => "0",
        // SNS says it only where it was set; SQS always does.
        "MaximumMessageSize" => "262144",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_aws_does_not_say_is_its_default() {
        let wanted = Attributes::from([
            ("FilterPolicy", Value::text("")),
            ("FilterPolicyScope", Value::text("MessageAttributes")),
            ("KmsMasterKeyId", Value::text("")),
            ("MaximumMessageSize", Value::text(&262_144)),
        ]);
        assert_eq!(attribute_changes(&wanted, &found(&[])), []);
        assert_eq!(attribute_changes(&wanted, &found(&[("FilterPolicy", "{}")])), []);
    }

    #[test]
    fn changes_say_old_and_new() {
        let wanted =
            Attributes::from([("VisibilityTimeout", Value::text(&60)), ("DelaySeconds", Value::text(&0))]);
        let change =
            Change { attribute: "VisibilityTimeout".to_owned(), old: "30".to_owned(), new: "60".to_owned() };
        let found = found(&[("VisibilityTimeout", "30"), ("DelaySeconds", "0"), ("Other", "x")]);
        assert_eq!(attribute_changes(&wanted, &found), [change]);
    }

    #[test]
    fn tags_of_the_user_s_own_stay() {
        let wanted = found(&[("less:app", "shop")]);
        assert_eq!(tag_changes(&wanted, &found(&[("less:app", "shop"), ("team", "x")])), []);
        let change =
            Change { attribute: "tag less:app".to_owned(), old: String::new(), new: "shop".to_owned() };
        assert_eq!(tag_changes(&wanted, &found(&[])), [change]);
    }

    #[test]
    fn what_a_template_made_has_no_fingerprint_and_needs_none() {
        let wanted = found(&[("less:code", "1a")]);
        assert_eq!(tag_changes(&wanted, &found(&[])), []);
        assert_eq!(tag_changes(&wanted, &found(&[("less:code", "2b")])).len(), 1);
    }
}
