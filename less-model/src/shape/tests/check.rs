//! What fits, and what is said where something does not.

use serde_json::{Value, json};

use super::super::Refusal;
use super::{circle, read, square};

/// Pointer and message of what does not fit property `a`.
fn misfit(schema: &Value, value: &Value) -> (String, String) {
    let shape = read(&json!({"type": "object", "properties": {"a": schema}}));
    let misfit = shape.check(&json!({"a": value})).expect_err(&format!("{schema} {value}"));
    (misfit.pointer, misfit.message)
}

fn fits(schema: &Value, value: &Value) {
    let shape = read(&json!({"type": "object", "properties": {"a": schema}}));
    assert_eq!(shape.check(&json!({"a": value})), Ok(()), "{schema} {value}");
}

#[test]
fn what_does_not_fit_is_told_with_its_place() {
    let say = |schema: Value, value: Value, pointer: &str, message: &str| {
        assert_eq!(misfit(&schema, &value), (pointer.to_owned(), message.to_owned()), "{schema} {value}");
    };
    let object = json!({"type": "object", "required": ["email"], "properties": {"email": {"type": "string"}}, "additionalProperties": false});
    say(object.clone(), json!({}), "/a", "missing field `email`");
    say(object.clone(), json!({"email": 1}), "/a/email", "expected a string, found an integer");
    say(
        object.clone(),
        json!({"email": "", "emial/": 1}),
        "/a/emial~1",
        "unknown field `emial/`, did you mean `email`?",
    );
    say(object, json!([]), "/a", "expected an object, found an array");
    say(json!({"type": "integer"}), json!("1"), "/a", "expected an integer, found a string");
    say(json!({"type": "integer"}), json!(1.0), "/a", "expected an integer, found the number 1.0");
    say(json!({"type": "integer", "minimum": 3}), json!(2), "/a", "2 is less than 3");
    say(
        json!({"type": "integer"}),
        json!(u64::MAX),
        "/a",
        "18446744073709551615 is more than 9223372036854775807",
    );
    say(json!({"type": "number", "exclusiveMaximum": 1}), json!(1), "/a", "1 is not less than 1");
    say(json!({"type": "boolean"}), json!(null), "/a", "expected true or false, found null");
    say(
        json!({"type": "string", "minLength": 2}),
        json!("é"),
        "/a",
        "expected at least 2 characters, found 1",
    );
    say(
        json!({"type": "string", "maxLength": 1}),
        json!("ab"),
        "/a",
        "expected at most 1 character, found 2",
    );
    say(
        json!({"type": "string", "format": "uuid"}),
        json!("x"),
        "/a",
        "`x` is no `uuid`, such as `01890a5d-ac96-774b-bcce-b302099a8057`",
    );
    say(json!({"enum": ["b", "c"]}), json!("d"), "/a", "expected one of `b`, `c`, found `d`");
    say(json!({"const": "b"}), json!(1), "/a", "expected `b`, found an integer");
    say(
        json!({"type": "array", "items": {"type": "null"}, "maxItems": 2}),
        json!([null, 1]),
        "/a/1",
        "expected null, found an integer",
    );
    say(json!({"type": "array", "maxItems": 1}), json!([1, 2]), "/a", "expected at most 1 element, found 2");
    say(
        json!({"type": "object", "additionalProperties": {"type": "null"}}),
        json!({"~": 1}),
        "/a/~0",
        "expected null, found an integer",
    );
    let union = json!({"oneOf": [circle(), square()]});
    say(union.clone(), json!({"r": 1}), "/a", "missing field `kind`");
    say(
        union.clone(),
        json!({"kind": "line"}),
        "/a/kind",
        "expected one of `circle`, `square`, found `line`",
    );
    say(union.clone(), json!({"kind": "circle"}), "/a", "missing field `r`");
    say(
        union.clone(),
        json!({"kind": "square", "kidn": 1}),
        "/a/kidn",
        "unknown field `kidn`, did you mean `kind`?",
    );
    fits(&union, &json!({"kind": "circle", "r": 1, "more": true}));
    fits(&union, &json!({"kind": "square", "side": 2}));
    let external = json!({"oneOf": [{"const": "a"}, {"type": "object", "required": ["b"], "properties": {"b": {"type": "null"}}, "additionalProperties": false}]});
    fits(&external, &json!("a"));
    fits(&external, &json!({"b": null}));
    say(external.clone(), json!("b"), "/a", "expected `a`, found `b`");
    say(external.clone(), json!({"c": null}), "/a/c", "unknown field `c`, expected `b`");
    say(external.clone(), json!({"b": 1}), "/a/b", "expected null, found an integer");
    say(external, json!({}), "/a", "expected an object with one field");
}

#[test]
fn a_text_is_judged_like_the_message_it_holds_and_must_have_each_key_once() {
    let shape = read(
        &json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "object", "properties": {}}}}),
    );
    let judge = |text: &str| match shape.check_text(text.as_bytes()) {
        Ok(()) => "fits".to_owned(),
        Err(Refusal::NotJson(error)) => format!("no JSON: {error}"),
        Err(Refusal::Misfit(misfit)) => format!("{} {misfit}", misfit.pointer),
    };
    assert_eq!(judge(r#"{"a": {"b": [1, -2, 0.5, "x", null, true]}}"#), "fits");
    assert_eq!(judge("{}"), " missing field `a`");
    assert_eq!(judge(r#"{"a": 1}"#), "/a expected an object, found an integer");
    assert_eq!(judge(r#"{"a": {"b": 1, "b": 1}}"#), " duplicate field `b` at line 1 column 22");
    assert_eq!(judge(r#"{"a": {"b": 1, "b": 1}} x"#), "no JSON: trailing characters at line 1 column 25");
    assert_eq!(
        judge(r#"{"a": {"b": 1, "b": 1}"#),
        "no JSON: EOF while parsing an object at line 1 column 22"
    );
    assert_eq!(judge("{\"a\": 1e999}"), "no JSON: number out of range at line 1 column 11");
    let deep = "[".repeat(200_000);
    assert_eq!(judge(&deep), "no JSON: recursion limit exceeded at line 1 column 128");
}
