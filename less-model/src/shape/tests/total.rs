//! Whatever a schema is, reading it ends.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Shape;

/// Schemas in which sense and nonsense are mixed.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"type": "string"})),
        Just(json!({"type": "integer", "minimum": 0, "maximum": 5})),
        Just(json!({"type": ["number", "null"], "exclusiveMinimum": 0.5})),
        Just(json!({"enum": ["a", "b"]})),
        Just(json!({"const": "a"})),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/$defs/A"})),
        Just(json!({"$ref": "#/$defs/B"})),
        Just(json!({"type": "null"})),
        Just(json!(1)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let inner2 = inner.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|all| json!({"oneOf": all})),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|all| json!({"anyOf": all})),
            inner.clone().prop_map(|items| json!({"type": "array", "items": items})),
            inner.clone().prop_map(|values| json!({"type": "object", "additionalProperties": values})),
            (prop::collection::btree_map("[a-c]", inner, 0..3), any::<bool>(), any::<bool>()).prop_map(|(properties, all, closed)| {
                let required: Vec<String> = if all { properties.keys().cloned().collect() } else { Vec::new() };
                json!({"type": "object", "properties": properties, "required": required, "additionalProperties": !closed})
            }),
            (inner2, "[a-zA-Z]{1,9}", any::<i8>()).prop_map(|(mut schema, key, value)| {
                if let Some(map) = schema.as_object_mut() {
                    map.insert(key, json!(value));
                }
                schema
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn reading_is_total_and_what_is_read_is_printed_and_read_again(mut root in schema(), a in schema(), b in schema()) {
        if let Some(map) = root.as_object_mut() {
            map.insert("$defs".to_owned(), json!({"A": a, "B": b}));
        }
        match Shape::read(&root, "Order") {
            Ok(shape) => {
                let printed = shape.to_schema();
                prop_assert_eq!(Shape::read(&printed, "Order").map(|again| again.to_schema()), Ok(printed));
                if let Some(sample) = shape.sample() {
                    prop_assert_eq!(shape.check(&sample), Ok(()));
                }
                // Any message is judged, and none makes it fail.
                let _ = (shape.check(&root), shape.check(&json!({"a": {"b": [1, {"c": null}]}})));
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                for problem in &problems {
                    prop_assert!(root.pointer(&problem.pointer).is_some(), "{}", problem.pointer);
                }
            }
        }
    }
}
