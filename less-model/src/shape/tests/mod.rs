//! What is read, what is refused, what fits.

use serde_json::{Map, Value, json};

use super::*;

mod check;
mod total;

fn read(schema: &Value) -> Shape {
    Shape::read(schema, "Order").unwrap_or_else(|problems| panic!("{schema}\n{problems:#?}"))
}

/// The type of the one property `a`.
fn of(schema: &Value) -> Node {
    read(&json!({"type": "object", "properties": {"a": schema}})).types.remove(0).node.kind.property()
}

impl Kind {
    fn property(self) -> Node {
        match self {
            Kind::Object(mut object) => object.properties.remove(0).node,
            other => panic!("{other:?}"),
        }
    }
}

/// Pointer and message of each problem.
fn problems(schema: &Value) -> Vec<(String, String)> {
    let problems = Shape::read(schema, "Order").expect_err(&schema.to_string());
    assert!(problems.iter().all(|problem| !problem.hint.is_empty()), "{problems:#?}");
    problems.into_iter().map(|problem| (problem.pointer, problem.message)).collect()
}

/// The one problem of a property's schema.
fn problem(schema: &Value) -> (String, String) {
    let mut all = problems(&json!({"type": "object", "properties": {"a": schema}}));
    assert_eq!(all.len(), 1, "{all:?}");
    let (pointer, message) = all.remove(0);
    (pointer.strip_prefix("/properties/a").unwrap_or(&pointer).to_owned(), message)
}

fn circle() -> Value {
    json!({"type": "object", "required": ["kind", "r"], "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}}})
}

fn square() -> Value {
    json!({"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["square"]}, "side": {"type": "integer"}}, "additionalProperties": false})
}

#[test]
fn a_schema_with_everything_is_read_printed_and_read_again() {
    let shape = read(&everything());
    let printed = shape.to_schema();
    assert_eq!(read(&printed), shape, "{printed:#}");
    assert_eq!(read(&printed).to_schema(), printed);
    let sample = shape.sample().unwrap();
    assert_eq!(shape.check(&sample), Ok(()), "{sample:#}");
}

pub(super) fn everything() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://example.com/order",
        "title": "Order",
        "description": "An order.",
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "state", "lines", "nothing", "shape", "tree", "anything", "self"],
        "properties": {
            "id": {"type": "integer", "minimum": 1, "description": "Its number."},
            "at": {"type": "string", "format": "date-time"},
            "email": {"type": "string", "format": "email", "maxLength": 100},
            "note": {"type": ["string", "null"], "minLength": 1, "default": null, "examples": ["x"]},
            "state": {"enum": ["new", "paid"]},
            "maybe_state": {"type": ["string", "null"], "enum": ["new", null]},
            "price": {"type": "number", "exclusiveMinimum": 0, "maximum": 1e6},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}, "minItems": 1, "maxItems": 9},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "free": {"type": "object"},
            "nothing": {"type": "null"},
            "shape": {"oneOf": [circle(), square()]},
            "other_shape": {"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}]},
            "external": {"oneOf": [
                {"enum": ["a", "b"]},
                {"type": "object", "required": ["c"], "properties": {"c": {"type": "boolean"}}, "additionalProperties": false},
            ]},
            "documented": {"oneOf": [{"const": "x", "description": "The first."}, {"const": "y"}]},
            "tree": {"$ref": "#/$defs/Tree"},
            "self": {"type": ["object", "null"], "properties": {"again": {"$ref": "#"}}},
            "anything": true,
            "list": {"type": "array"},
            "named~/ %": {"$ref": "#/$defs/a~1b~0%20%C3%A9"},
        },
        "$defs": {
            "Line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}, "count": {"type": "integer", "format": "uint8"}}},
            "Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}},
            "a/b~ é": {"type": "integer"},
            "Unused": {"not": {}},
        },
    })
}

#[test]
fn a_root_that_is_a_reference_is_what_it_refers_to() {
    for section in ["$defs", "definitions"] {
        let text = format!("#/{section}/Node");
        let shape = read(&json!({"$ref": text, section: {
            "Node": {"type": "object", "properties": {"next": {"$ref": text}}},
        }}));
        assert_eq!(shape.types.len(), 1);
        assert_eq!(shape.root().name, "Order");
        assert_eq!(
            shape.check(&json!({"next": {"next": {"next": 1}}})).unwrap_err().pointer,
            "/next/next/next"
        );
    }
}

#[test]
fn nullable_is_written_in_many_ways() {
    let text = Node::new(Kind::Text(Text::default()));
    for schema in [
        json!({"type": ["string", "null"]}),
        json!({"type": ["null", "string"]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
        json!({"oneOf": [{"const": null}, {"type": ["string", "null"]}]}),
    ] {
        assert_eq!(of(&schema), text.clone().or_null(), "{schema}");
    }
    assert_eq!(of(&json!({"type": ["string"]})), text);
    assert_eq!(of(&json!({"anyOf": [{"type": "null"}]})).kind, Kind::Null);
    assert_eq!(of(&json!({"enum": [null]})).kind, Kind::Null);
    let union = of(&json!({"oneOf": [circle(), square(), {"type": "null"}]}));
    assert!(union.nullable && matches!(union.kind, Kind::Union(_)), "{union:?}");
}

#[test]
fn a_union_is_told_apart_by_a_property_that_is_required_everywhere() {
    let Kind::Union(union) = of(&json!({"anyOf": [circle(), square()]})).kind else { panic!() };
    assert_eq!(union.tag, "kind");
    let shown: Vec<_> =
        union.variants.iter().map(|v| (v.value.as_str(), v.object.properties.len(), v.object.open)).collect();
    assert_eq!(shown, [("circle", 1, true), ("square", 1, false)]);
    let Kind::Union(union) = of(&json!({
        "discriminator": {"propertyName": "z"},
        "oneOf": [
            {"type": "object", "required": ["a", "z"], "properties": {"a": {"const": "1"}, "z": {"const": "1"}}},
            {"type": "object", "required": ["a", "z"], "properties": {"a": {"const": "2"}, "z": {"const": "2"}}},
        ],
    })).kind else { panic!() };
    assert_eq!(union.tag, "z");
}

#[test]
fn bounds_of_integers_are_whole_and_within_64_bits() {
    let range = |schema: Value| match of(&schema).kind {
        Kind::Integer(range) => (range.min, range.max),
        other => panic!("{other:?}"),
    };
    assert_eq!(range(json!({"type": "integer"})), (i64::MIN.into(), i64::MAX.into()));
    assert_eq!(range(json!({"type": "integer", "minimum": 0})), (0, u64::MAX.into()));
    assert_eq!(range(json!({"type": "integer", "minimum": 0.5, "exclusiveMaximum": 9})), (1, 8));
    assert_eq!(range(json!({"type": "integer", "exclusiveMinimum": 0.5, "maximum": 7.9})), (1, 7));
    assert_eq!(
        range(json!({"type": "integer", "exclusiveMinimum": -1, "format": "int32"})),
        (0, i32::MAX.into())
    );
    assert_eq!(
        range(json!({"type": "integer", "minimum": -1e300, "maximum": 1e300})),
        (i64::MIN.into(), i64::MAX.into())
    );
    for schema in [
        json!({"type": "integer", "minimum": 2, "maximum": 1}),
        json!({"type": "integer", "minimum": 1e30}),
        json!({"type": "number", "minimum": 1, "exclusiveMaximum": 1}),
        json!({"type": "string", "minLength": 2, "maxLength": 1}),
        json!({"type": "array", "minItems": 2, "maxItems": 1}),
    ] {
        problem(&schema);
    }
}

#[test]
fn what_is_outside_of_the_subset_is_told_with_its_place() {
    let cases = [
        (json!({"allOf": []}), "/allOf", "the keyword `allOf` is not understood"),
        (json!({"not": {}}), "/not", "the keyword `not` is not understood"),
        (
            json!({"type": "object", "patternProperties": {}}),
            "/patternProperties",
            "the keyword `patternProperties` is not understood",
        ),
        (json!({"type": "string", "pattern": "x"}), "/pattern", "the keyword `pattern` is not understood"),
        (json!({"type": "string", "minimum": 1}), "/minimum", "`minimum` means nothing with type `string`"),
        (json!({"type": "string", "maxLenght": 1}), "/maxLenght", "there is no keyword `maxLenght`"),
        (json!({"type": "string", "whatever": 1}), "/whatever", "the keyword `whatever` is not understood"),
        (
            json!({"type": "array", "prefixItems": []}),
            "/prefixItems",
            "lists with a type for each place are not understood",
        ),
        (
            json!({"type": "array", "items": []}),
            "/items",
            "lists with a type for each place are not understood",
        ),
        (
            json!({"type": "array", "uniqueItems": true}),
            "/uniqueItems",
            "the keyword `uniqueItems` is not understood",
        ),
        (json!({"type": ["string", "integer"]}), "/type", "several types at once can't be told apart"),
        (json!({"type": "strng"}), "/type", "there is no type `strng`"),
        (json!({"type": 1}), "/type", "`type` is a name"),
        (json!({"properties": {}}), "", "this schema has no `type`, but keywords of `object`"),
        (json!(false), "", "nothing fits `false`"),
        (json!(1), "", "a schema is an object or `true`"),
        (json!({"enum": [1]}), "/enum", "`enum` holds strings, and `null` where that is allowed"),
        (json!({"enum": []}), "/enum", "`enum` is a list of strings, without `const` beside it"),
        (json!({"const": {"a": 1}}), "/const", "`const` holds strings, and `null` where that is allowed"),
        (json!({"type": "integer", "enum": ["a"]}), "/type", "`type` does not allow what `enum` lists"),
        (json!({"type": "string", "enum": ["a", null]}), "/type", "`type` does not allow what `enum` lists"),
        (json!({"type": "string", "format": "emial"}), "/format", "the format `emial` is not understood"),
        (json!({"type": "string", "minLength": -1}), "/minLength", "`minLength` is a whole number from 0"),
        (json!({"type": "number", "minimum": "1"}), "/minimum", "`minimum` is a number"),
        (
            json!({"type": "number", "minimum": 0, "exclusiveMinimum": true}),
            "/exclusiveMinimum",
            "`exclusiveMinimum` is a number",
        ),
        (json!({"$ref": "other.json#/x"}), "/$ref", "`other.json#/x` is in another document"),
        (
            json!({"$ref": "#/properties/a"}),
            "/$ref",
            "`#/properties/a` does not lead into `$defs` or `definitions`",
        ),
        (json!({"$ref": "#/$defs/X"}), "/$ref", "there is no definition `X`"),
        (json!({"$ref": 1}), "/$ref", "`$ref` is a text"),
        (json!({"$ref": "#", "minimum": 1}), "/minimum", "`minimum` means nothing beside `$ref`"),
        (json!({"oneOf": []}), "/oneOf", "`oneOf` is a list of schemas"),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            "/anyOf",
            "these alternatives can't be told apart",
        ),
        (json!({"oneOf": [circle(), circle()]}), "/oneOf", "these alternatives can't be told apart"),
        (
            json!({"type": "object", "required": ["b"], "properties": {"bb": true}}),
            "/required/0",
            "`b` is required, but `properties` has no such name",
        ),
        (
            json!({"type": "object", "required": "b", "properties": {"b": true}}),
            "/required",
            "`required` is a list of names",
        ),
        (json!({"type": "object", "properties": []}), "/properties", "`properties` is an object"),
        (
            json!({"type": "object", "properties": {"b": true}, "additionalProperties": {}}),
            "/additionalProperties",
            "an object has either `properties` or a schema for every key",
        ),
        (json!({"description": 1}), "/description", "`description` is a text"),
        (
            json!({"type": "string", "nullable": true}),
            "/nullable",
            "the keyword `nullable` is not understood",
        ),
    ];
    for (schema, pointer, message) in cases {
        assert_eq!(problem(&schema), (pointer.to_owned(), message.to_owned()), "{schema}");
    }
}

#[test]
fn a_root_that_is_no_object_and_types_that_never_end_are_refused() {
    let message = |schema: Value| problems(&schema).remove(0);
    let root = |text: &str| (String::new(), text.to_owned());
    assert_eq!(message(json!({"type": "string"})), root("a message's type is an object"));
    assert_eq!(message(json!({})), root("a message's type is an object"));
    assert_eq!(
        message(json!({"type": "object"})),
        root("a message's type is an object with `properties`, not a map")
    );
    assert_eq!(
        message(json!({"type": ["object", "null"], "properties": {}})),
        root("a message can't be null")
    );
    assert_eq!(message(json!({"$ref": "#"})), root("the references at the root lead nowhere"));
    assert_eq!(
        message(json!({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})),
        root("a value of `Order` would never end")
    );
    let circle = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {
        "A": {"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}, "B": {"$ref": "#/$defs/A"},
    }});
    let found = problems(&circle);
    assert_eq!(found[0], ("/$defs/A".to_owned(), "`A` is nothing but a reference to itself".to_owned()));
    assert_eq!(found.len(), 2);
}

#[test]
fn every_problem_is_told_at_once() {
    let schema = json!({"type": "object", "required": ["x"], "properties": {
        "a": {"allOf": []}, "b": {"type": "array", "items": {"pattern": "x", "type": "string"}}, "c": {"$ref": "#/$defs/C"},
    }, "$defs": {"C": {"type": "strin"}}});
    let places: Vec<String> = problems(&schema).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(
        places,
        ["/$defs/C/type", "/properties/a/allOf", "/properties/b/items/pattern", "/required/0"]
    );
}

#[test]
fn names_that_scripts_treat_specially_are_names_like_any_other() {
    let names = ["__proto__", "constructor", "", "a/b", "~", "\"", "`", "*/", "\u{2028}", "self", "\u{0}"];
    let properties: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!({"type": "integer"}))).collect();
    let schema =
        json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false});
    let shape = read(&schema);
    assert_eq!(read(&shape.to_schema()), shape);
    let sample = shape.sample().unwrap();
    assert_eq!(sample.as_object().unwrap().len(), names.len());
    for name in names {
        let mut bad = sample.clone();
        bad[name] = json!("x");
        assert_eq!(bad.pointer(&shape.check(&bad).unwrap_err().pointer), Some(&json!("x")), "{name:?}");
    }
}

#[test]
fn a_deep_schema_and_a_deep_message_exhaust_no_stack() {
    let mut schema = json!({"type": "string"});
    for _ in 0..2_000 {
        schema = Value::Object(
            [("type".to_owned(), json!("array")), ("items".to_owned(), schema)].into_iter().collect(),
        );
    }
    let root = Value::Object(
        [("type".to_owned(), json!("object")), ("additionalProperties".to_owned(), schema)]
            .into_iter()
            .collect(),
    );
    let found = Shape::read(&root, "Order").unwrap_err();
    assert_eq!(found[0].message, "this schema is nested too deeply");
    std::mem::forget(root);

    let shape = read(&json!({"type": "object", "properties": {"a": {"$ref": "#"}}}));
    let mut message = json!({});
    for _ in 0..10_000 {
        // `json!` would copy all of it each time.
        message = Value::Object([("a".to_owned(), message)].into_iter().collect());
    }
    assert_eq!(shape.check(&message).unwrap_err().message, "this is nested too deeply");
    // Dropping a value that deep recurses as well, which is not what is tested here.
    std::mem::forget(message);
}

#[test]
fn a_sample_of_what_would_be_huge_is_none_and_takes_no_time() {
    let mut definitions = serde_json::Map::new();
    for level in 0..60 {
        let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
        definitions.insert(
            format!("L{level}"),
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": next, "b": next}}),
        );
    }
    definitions.insert("L60".to_owned(), json!({"type": "null"}));
    let shape = read(&json!({"$ref": "#/$defs/L0", "$defs": definitions}));
    assert_eq!(shape.sample(), None);
}

#[test]
fn a_sample_of_a_type_that_holds_itself_ends() {
    let shape = read(&json!({"$defs": {"T": {"oneOf": [
        {"type": "object", "required": ["k", "l", "r"], "properties": {"k": {"const": "node"}, "l": {"$ref": "#/$defs/T"}, "r": {"$ref": "#/$defs/T"}}},
        {"type": "object", "required": ["k"], "properties": {"k": {"const": "leaf"}}},
    ]}}, "$ref": "#/$defs/T"}));
    assert_eq!(shape.sample(), Some(json!({"k": "leaf"})));
}
