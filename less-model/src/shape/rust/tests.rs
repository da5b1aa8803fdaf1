use serde_json::{Value, json};

use super::*;

/// The JSON Schema of type `A` in a source.
fn schema(source: &str) -> Value {
    let file = syn::parse_file(source).unwrap();
    let mut schema = Shape::of_rust(&file, "A").to_schema();
    schema.as_object_mut().unwrap().remove("$schema");
    schema
}

/// What the property `a` of type `ty` is.
fn field(ty: &str) -> Value {
    let prelude = "use std::collections::*; use std::collections::{HashMap, BTreeMap, HashSet}; use chrono::{DateTime, Utc, NaiveDate};";
    schema(&format!("{prelude} #[less::message] pub struct A {{ a: {ty} }}"))["properties"]["a"].take()
}

#[test]
fn fields_have_the_types_that_serde_writes() {
    let text = json!({"type": "string"});
    for (ty, expected) in [
        ("u8", json!({"type": "integer", "minimum": 0, "maximum": 255})),
        ("i64", json!({"type": "integer"})),
        ("u64", json!({"type": "integer", "minimum": 0})),
        ("f64", json!({"type": "number"})),
        ("bool", json!({"type": "boolean"})),
        ("String", text.clone()),
        ("&'static str", text.clone()),
        ("std::borrow::Cow<'static, str>", text.clone()),
        ("char", json!({"type": "string", "minLength": 1, "maxLength": 1})),
        ("()", json!({"type": "null"})),
        ("Option<String>", json!({"type": ["string", "null"]})),
        ("Box<Vec<Option<bool>>>", json!({"type": "array", "items": {"type": ["boolean", "null"]}})),
        ("HashSet<String>", json!({"type": "array", "items": text})),
        (
            "[u8; 2]",
            json!({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}, "minItems": 2, "maxItems": 2}),
        ),
        ("(u8, String)", json!({"type": "array", "minItems": 2, "maxItems": 2})),
        ("HashMap<String, bool>", json!({"type": "object", "additionalProperties": {"type": "boolean"}})),
        (
            "std::collections::BTreeMap<u32, bool>",
            json!({"type": "object", "additionalProperties": {"type": "boolean"}}),
        ),
        ("DateTime<Utc>", json!({"type": "string", "format": "date-time"})),
        ("chrono::NaiveDate", json!({"type": "string", "format": "date"})),
        ("uuid::Uuid", json!({"type": "string", "format": "uuid"})),
        ("std::net::Ipv4Addr", json!({"type": "string", "format": "ipv4"})),
        ("rust_decimal::Decimal", text),
        ("std::num::NonZeroU32", json!({"type": "integer", "minimum": 1, "maximum": u32::MAX})),
    ] {
        assert_eq!(field(ty), expected, "{ty}");
    }
}

#[test]
fn what_the_source_does_not_show_is_any_json() {
    for ty in [
        "less::Value",
        "serde_json::Value",
        "std::time::Duration",
        "Uuid",
        "other::Uuid",
        "other::String",
        "crate::Thing",
        "Missing",
        "Wrapper<u8>",
        "<u8 as Trait>::Type",
        "Vec<u8>::X",
        "fn(u8) -> u8",
        "time::OffsetDateTime",
    ] {
        let source = format!("pub struct Wrapper<T>(T); #[less::message] pub struct A {{ a: {ty} }}");
        match syn::parse_file(&source) {
            Ok(_) => {
                let mut schema = schema(&source);
                let mut found = schema["properties"]["a"].take();
                if let Some(name) = found["$ref"].as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                    found = schema["$defs"][name].take();
                }
                assert_eq!(found, json!({}), "{ty}");
            }
            Err(_) => assert_eq!(ty, "Vec<u8>::X"),
        }
    }
}

#[test]
fn the_same_names_from_elsewhere_are_not_taken_for_those_of_the_language() {
    let source = "use other::{String, Map as HashMap}; #[less::message] pub struct A { a: String, b: HashMap<u8, u8>, c: Vec<Bool> } type Bool = bool; ";
    let schema = schema(source);
    assert_eq!(schema["properties"]["a"], json!({}));
    assert_eq!(schema["properties"]["b"], json!({}));
    assert_eq!(schema["$defs"]["Bool"], json!({"type": "boolean"}));
}

#[test]
fn attributes_of_serde_rename_skip_flatten_and_default() {
    let schema = schema(
        r#"
        /// A thing.
        ///
        /// It is good.
        #[derive(Debug, serde::Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct A {
            user_id: u64,
            /// Its name.
            #[serde(rename = "the-name", alias = "x")]
            name: String,
            #[serde(skip)]
            hidden: u8,
            #[serde(default)]
            with_default: u8,
            maybe: Option<u8>,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            list: Vec<u8>,
            r#type: bool,
            #[serde(with = "other")]
            odd: u8,
            #[serde(with = "time::serde::rfc3339")]
            at: time::OffsetDateTime,
        }"#,
    );
    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["at", "list", "maybe", "odd", "the-name", "type", "userId", "withDefault"]);
    assert_eq!(schema["required"], json!(["at", "odd", "the-name", "type", "userId"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["description"], json!("A thing.\n\nIt is good."));
    assert_eq!(schema["properties"]["the-name"], json!({"type": "string", "description": "Its name."}));
    assert_eq!(schema["properties"]["odd"], json!({}));
    assert_eq!(schema["properties"]["at"], json!({"type": "string", "format": "date-time"}));
}

#[test]
fn structs_that_are_flattened_give_their_fields() {
    let schema = schema(
        "#[derive(Serialize)] struct Inner { x: u8, #[serde(flatten)] rest: HashMap<String, u8> }
         #[less::message] pub struct A { a: u8, #[serde(flatten)] inner: Inner, #[serde(flatten)] maybe: Option<Other> }
         #[derive(Serialize)] struct Other { y: u8, a: u8 }",
    );
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.keys().collect::<Vec<_>>(), ["a", "x", "y"]);
    assert_eq!(properties["a"], json!({}), "two fields with one name");
    assert_eq!(schema["required"], json!(["x"]));
    assert_eq!(schema.get("additionalProperties"), None);
}

#[test]
fn enums_are_read_in_every_representation() {
    let of = |attributes: &str| {
        schema(&format!(
            "{attributes} #[less::message] pub enum A {{ One, #[serde(rename = \"2\")] Two(B), ThreeFour {{ a_b: bool }} }} #[derive(Serialize)] struct B {{ c: u8 }}"
        ))
    };
    let external = of("#[serde(rename_all = \"snake_case\")]");
    let values: Vec<Value> = external["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["const"].as_str().map_or(one["required"][0].clone(), |text| json!(text)))
        .collect();
    assert_eq!(values, [json!("one"), json!("2"), json!("three_four")]);
    assert_eq!(external["oneOf"][1]["properties"]["2"], json!({"$ref": "#/$defs/B"}));

    let internal = of("#[serde(tag = \"kind\", rename_all_fields = \"camelCase\")]");
    assert_eq!(internal["oneOf"][1]["title"], "B");
    assert_eq!(internal["oneOf"][1]["required"], json!(["c", "kind"]));
    assert_eq!(internal["oneOf"][2]["required"], json!(["aB", "kind"]));

    let adjacent = of("#[serde(tag = \"t\", content = \"c\")]");
    assert_eq!(adjacent["oneOf"][0]["required"], json!(["t"]));
    assert_eq!(adjacent["oneOf"][1]["properties"]["c"], json!({"$ref": "#/$defs/B"}));
    assert_eq!(adjacent["oneOf"][2]["properties"]["c"]["required"], json!(["a_b"]));

    assert_eq!(of("#[serde(untagged)]"), json!({}));
    let plain = schema(
        "#[less::message] #[serde(rename_all = \"UPPERCASE\")] pub enum A { B, #[serde(skip)] C, Dd }",
    );
    assert_eq!(plain, json!({"type": "string", "enum": ["B", "DD"]}));
}

#[test]
fn newtypes_and_types_that_hold_themselves_are_read() {
    let read = schema(
        "#[less::message] pub struct A { id: Id, next: Option<Box<A>> } #[derive(Serialize)] struct Id(u8); ",
    );
    assert_eq!(read["properties"]["id"], json!({"$ref": "#/$defs/Id"}));
    assert_eq!(read["properties"]["next"], json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]}));
    assert_eq!(read["$defs"]["Id"]["maximum"], json!(255));
    assert_eq!(
        schema("#[less::message] #[serde(transparent)] pub struct A { b: bool }"),
        json!({"type": "boolean"})
    );
    // No value of these can exist.
    assert_eq!(schema("#[less::message] pub struct A(Box<A>);"), json!({}));
    assert_eq!(schema("#[less::message] pub struct A { a: Box<A> }"), json!({}));
}

#[test]
fn types_whose_form_something_else_decides_are_any_json() {
    for source in [
        "pub struct A { a: u8 }",
        "#[derive(Debug)] pub struct A { a: u8 }",
        "#[serde_as] #[derive(Serialize)] pub struct A { a: u8 }",
        "#[derive(SerializeDisplay)] pub struct A { a: u8 }",
        "#[derive(Serialize)] #[serde(into = \"String\")] pub struct A { a: u8 }",
        "#[derive(Serialize)] #[cfg_attr(x, serde(rename_all = \"camelCase\"))] pub struct A { a: u8 }",
        "#[derive(Serialize)] #[serde(rename_all(serialize = \"camelCase\", deserialize = \"snake_case\"))] pub struct A { a: u8 }",
        "#[derive(Deserialize)] pub struct A { a: u8 } impl serde::Serialize for A {}",
        "#[cfg(a)] #[derive(Serialize)] pub struct A { a: u8 } #[cfg(not(a))] #[derive(Serialize)] pub struct A { b: u8 }",
        "#[derive(Serialize)] pub struct A<T> { a: T }",
        "#[derive(Serialize)] pub enum A {}",
        "#[derive(Serialize)] pub enum A { B, #[serde(other)] C }",
        "some_macro!{}",
    ] {
        assert_eq!(schema(source), json!({}), "{source}");
    }
}

#[test]
fn a_plain_struct_has_a_sample_with_what_is_required_and_one_with_something_unknown_has_none() {
    let sample = |source: &str| Shape::of_rust(&syn::parse_file(source).unwrap(), "A").known_sample();
    let source = "
        #[less::message] #[serde(rename_all = \"camelCase\")]
        pub struct A { pub order_id: u64, pub email: String, pub items: Vec<Item>, pub note: Option<String>, pub kind: Kind }
        #[less::message] pub struct Item { sku: String, price: f64 }
        #[less::message] pub enum Kind { Fast, Slow }";
    let expected = json!({"orderId": 1, "email": "ada@example.com", "items": [{"sku": "text", "price": 1}], "kind": "Fast"});
    assert_eq!(sample(source), Some(expected));
    for source in ["struct A { at: some::Type }", "struct A { #[serde(with = \"x\")] y: u64 }", "struct B {}"]
    {
        assert_eq!(sample(source), None, "{source}");
    }
}
