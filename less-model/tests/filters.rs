//! Filters do what the table of cases says.
#![cfg(feature = "cases")]

use std::collections::BTreeSet;

use less_model::filter::cases::all;
use less_model::filter::{Candidate, Scope};
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn every_case_is_judged_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in all() {
        let matcher = match case.filter().matcher() {
            Ok(matcher) if case.refused.is_empty() => matcher,
            Ok(_) => {
                wrong.push(format!("{}: it is not refused", case.name));
                continue;
            }
            Err(problems) => {
                let mut printed: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let mut expected = case.refused.clone();
                // An object's keys have no order.
                printed.sort();
                expected.sort();
                if printed != expected {
                    wrong.push(format!("{}: {printed:#?}", case.name));
                }
                continue;
            }
        };
        for message in &case.messages {
            let text = message.text();
            let passes = matcher.passes(&Candidate::new(text.as_bytes(), &message.attributes));
            if passes != message.passes {
                wrong.push(format!("{}: {text} {:?} passes: {passes}", case.name, message.attributes));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_has_its_own_name_and_something_to_judge() {
    let mut names = BTreeSet::new();
    for case in all() {
        assert!(case.refused.is_empty() != case.messages.is_empty(), "{}", case.name);
        assert!(names.insert(case.name.clone()), "two cases are called `{}`", case.name);
        for message in &case.messages {
            assert!(case.scope == Scope::Attributes || message.attributes.is_empty(), "{}", case.name);
        }
    }
}

#[test]
fn a_policy_that_is_too_large_is_refused() {
    let policy = serde_json::json!({ "a": ["x".repeat(256 * 1024)] });
    let filter = serde_json::json!({ "scope": "body", "policy": policy });
    let filter: less_model::filter::Filter = serde_json::from_value(filter).expect("a filter");
    let problems = filter.validate().expect_err("it is too large");
    assert_eq!(problems[0].to_string(), "the policy has 262154 bytes as JSON, SNS takes at most 262144");
    assert!(
        !filter.matches(b"{}", &std::collections::BTreeMap::new()),
        "nothing passes a policy that is refused"
    );
}

fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof!["[ab]{0,2}", Just("$or".to_owned()), operator()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        word.clone().prop_map(Value::from),
        Just(Value::from(">")),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn operator() -> impl Strategy<Value = String> {
    const ALL: [&str; 8] =
        ["anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"];
    prop::sample::select(&ALL[..]).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn whatever_a_policy_and_a_message_are_they_are_judged(policy in json(), body in json(), on_body in any::<bool>()) {
        let scope = if on_body { Scope::Body } else { Scope::Attributes };
        if let Value::Object(policy) = policy {
            let filter = less_model::filter::Filter { scope, policy };
            let passes = filter.matches(body.to_string().as_bytes(), &std::collections::BTreeMap::new());
            prop_assert!(!passes || (filter.validate().is_ok() && body.is_object()));
        }
    }
}
