//! A shape as JSON Schema, draft 2020-12, always written the same way: reading it yields the shape again.

use serde_json::{Map, Value, json};

use super::{Alternative, Bound, Bounds, Integer, Kind, Node, Object, Shape, Text, Variant};

impl Shape {
    /// The JSON Schema.
    pub fn to_schema(&self) -> Value {
        let mut root = self.schema(&self.root().node);
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        let mut definitions = Map::new();
        for named in &self.types[1..] {
            definitions.insert(named.name.clone(), Value::Object(self.schema(&named.node)));
        }
        if !definitions.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        Value::Object(root)
    }

    fn schema(&self, node: &Node) -> Map<String, Value> {
        let mut out = match &node.kind {
            Kind::Any => Map::new(),
            Kind::Null => typed("null"),
            Kind::Boolean => typed("boolean"),
            Kind::Integer(range) => integer(*range),
            Kind::Number(bounds) => number(bounds),
            Kind::Text(rules) => text(*rules),
            Kind::Choice(all) => with(typed("string"), "enum", json!(all)),
            Kind::Array(array) => {
                let mut out = typed("array");
                if array.items.kind != Kind::Any || array.items.docs.is_some() {
                    out.insert("items".to_owned(), Value::Object(self.schema(&array.items)));
                }
                if array.min_items > 0 {
                    out.insert("minItems".to_owned(), json!(array.min_items));
                }
                out.extend(array.max_items.map(|max| ("maxItems".to_owned(), json!(max))));
                out
            }
            Kind::Map(values) => {
                with(typed("object"), "additionalProperties", Value::Object(self.schema(values)))
            }
            Kind::Object(object) => self.object_schema(object, None),
            Kind::Union(union) => {
                let variant = |variant: &Variant| {
                    let out = self.object_schema(&variant.object, Some((&union.tag, &variant.value)));
                    // The name it had is its title: nothing else would keep it.
                    let out = described(out, variant.docs.as_ref());
                    Value::Object(match &variant.name {
                        Some(name) => with(out, "title", json!(name)),
                        None => out,
                    })
                };
                one_of(union.variants.iter().map(variant))
            }
            Kind::External(all) => one_of(all.iter().map(|one| self.alternative(one))),
            Kind::Ref(0) => with(Map::new(), "$ref", json!("#")),
            Kind::Ref(at) => {
                let name = super::pointer::segment(&self.types[*at].name);
                with(Map::new(), "$ref", json!(format!("#/$defs{}", percent(&name))))
            }
        };
        if node.nullable {
            out = nullable(out);
        }
        described(out, node.docs.as_ref())
    }

    fn object_schema(&self, object: &Object, tag: Option<(&str, &str)>) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        if let Some((tag, value)) = tag {
            properties.insert(tag.to_owned(), json!({ "const": value }));
            required.push(tag);
        }
        for property in &object.properties {
            properties.insert(property.name.clone(), Value::Object(self.schema(&property.node)));
            if property.required {
                required.push(&property.name);
            }
        }
        // Sorted, as the properties are.
        required.sort_unstable();
        let mut out = typed("object");
        out.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            out.insert("required".to_owned(), json!(required));
        }
        if !object.open {
            out.insert("additionalProperties".to_owned(), json!(false));
        }
        out
    }

    fn alternative(&self, one: &Alternative) -> Value {
        let out = match &one.content {
            None => with(Map::new(), "const", json!(one.value)),
            Some(content) => {
                let mut out = typed("object");
                out.insert("properties".to_owned(), json!({ &one.value: self.schema(content) }));
                out.insert("required".to_owned(), json!([one.value]));
                with(out, "additionalProperties", json!(false))
            }
        };
        Value::Object(described(out, one.docs.as_ref()))
    }
}

fn typed(name: &str) -> Map<String, Value> {
    with(Map::new(), "type", json!(name))
}

fn with(mut map: Map<String, Value>, key: &str, value: Value) -> Map<String, Value> {
    map.insert(key.to_owned(), value);
    map
}

fn described(map: Map<String, Value>, docs: Option<&String>) -> Map<String, Value> {
    match docs {
        Some(docs) => with(map, "description", json!(docs)),
        None => map,
    }
}

fn one_of(all: impl Iterator<Item = Value>) -> Map<String, Value> {
    with(Map::new(), "oneOf", Value::Array(all.collect()))
}

fn nullable(mut map: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(all)) = map.get_mut("enum") {
        all.push(Value::Null);
    }
    if let Some(Value::Array(all)) = map.get_mut("oneOf") {
        all.push(json!({"type": "null"}));
        return map;
    }
    match map.get("type") {
        Some(Value::String(name)) if name != "null" => {
            let both = json!([name, "null"]);
            with(map, "type", both)
        }
        Some(_) => map,
        None if map.is_empty() => map,
        None => with(Map::new(), "anyOf", json!([map, {"type": "null"}])),
    }
}

fn integer(range: Integer) -> Map<String, Value> {
    let mut out = typed("integer");
    let number = |value: i128| serde_json::Number::from_i128(value).map_or(Value::Null, Value::Number);
    if range.min != Integer::ALL.min {
        out.insert("minimum".to_owned(), number(range.min));
    }
    if range.max != Integer::greatest(range.min) {
        out.insert("maximum".to_owned(), number(range.max));
    }
    out
}

fn number(bounds: &Bounds) -> Map<String, Value> {
    let mut out = typed("number");
    let mut put = |bound: &Option<Bound>, inclusive: &str, exclusive: &str| {
        if let Some(bound) = bound {
            let key = if bound.exclusive { exclusive } else { inclusive };
            out.insert(key.to_owned(), Value::Number(bound.value.clone()));
        }
    };
    put(&bounds.min, "minimum", "exclusiveMinimum");
    put(&bounds.max, "maximum", "exclusiveMaximum");
    out
}

fn text(rules: Text) -> Map<String, Value> {
    let mut out = typed("string");
    if rules.min_length > 0 {
        out.insert("minLength".to_owned(), json!(rules.min_length));
    }
    out.extend(rules.max_length.map(|max| ("maxLength".to_owned(), json!(max))));
    out.extend(rules.format.map(|format| ("format".to_owned(), json!(format.id()))));
    out
}

/// A pointer as it stands in a URI's fragment.
fn percent(pointer: &str) -> String {
    pointer
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
