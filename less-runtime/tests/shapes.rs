//! The Rust types that are generated from schemas: whatever fits the schema can be read into them, and what they write fits again.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

extern crate less_runtime as less;

use less_model::shape::{Bounds, Format, Kind, Node, Object, Shape};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

#[path = "../../tests/golden/polyglot/expected/less/src/topics"]
#[rustfmt::skip]
#[allow(dead_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated for others, who use what they need of it")]
mod topics {
    pub(crate) mod class;
    pub(crate) mod context;
    pub(crate) mod nameless;
    pub(crate) mod nothing;
    pub(crate) mod tree;
    pub(crate) mod user_created;
}

/// The schema that the golden app has for a topic.
fn shape(topic: &str, name: &str) -> Shape {
    let path = format!(
        "{}/../tests/golden/polyglot/app/less/topics/{topic}/message.schema.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    Shape::read(&serde_json::from_str(&text).unwrap(), name).unwrap()
}

/// Messages that fit, by chance.
struct Chance<'a> {
    shape: &'a Shape,
    rng: StdRng,
}

impl Chance<'_> {
    fn value(&mut self, node: &Node, depth: usize) -> Value {
        if node.nullable && (depth > 6 || self.rng.random_bool(0.3)) {
            return Value::Null;
        }
        match &node.kind {
            Kind::Any => json!({"any": [1, null]}),
            Kind::Null => Value::Null,
            Kind::Boolean => json!(self.rng.random_bool(0.5)),
            Kind::Integer(range) => {
                let edges = [
                    range.min,
                    range.max,
                    range.min.saturating_add(1).min(range.max),
                    1.clamp(range.min, range.max),
                ];
                let number = edges[self.rng.random_range(0..edges.len())];
                Value::Number(serde_json::Number::from_i128(number).unwrap())
            }
            Kind::Number(Bounds { .. }) => {
                [json!(0), json!(1.5), json!(7), json!(u64::MAX)][self.rng.random_range(0..4)].clone()
            }
            Kind::Text(rules) => match rules.format {
                Some(format) => json!(Format::example(format)),
                None => json!(["", "x", "\u{2028}\"\\\u{0}é"][self.rng.random_range(0..3)]),
            },
            Kind::Choice(all) => json!(all[self.rng.random_range(0..all.len())]),
            Kind::Array(array) => {
                let count =
                    if depth > 4 { array.min_items } else { array.min_items + self.rng.random_range(0..3) };
                (0..count).map(|_| self.value(&array.items, depth + 1)).collect()
            }
            Kind::Map(values) => {
                let keys = ["", "a", "__proto__"].into_iter().take(self.rng.random_range(0..4));
                Value::Object(keys.map(|key| (key.to_owned(), self.value(values, depth + 1))).collect())
            }
            Kind::Object(object) => Value::Object(self.object(object, depth)),
            Kind::Union(union) => {
                // The last variant of the golden unions ends.
                let at = if depth > 4 {
                    union.variants.len() - 1
                } else {
                    self.rng.random_range(0..union.variants.len())
                };
                let variant = &union.variants[at];
                let mut out = self.object(&variant.object, depth);
                out.insert(union.tag.clone(), json!(variant.value));
                Value::Object(out)
            }
            Kind::External(all) => {
                let at = if depth > 4 { 0 } else { self.rng.random_range(0..all.len()) };
                match &all[at].content {
                    None => json!(all[at].value),
                    Some(content) => json!({ &all[at].value: self.value(content, depth + 1) }),
                }
            }
            Kind::Ref(at) => self.value(&self.shape.types[*at].node, depth),
        }
    }

    fn object(&mut self, object: &Object, depth: usize) -> Map<String, Value> {
        let mut out = Map::new();
        for property in &object.properties {
            if property.required || (depth < 4 && self.rng.random_bool(0.5)) {
                out.insert(property.name.clone(), self.value(&property.node, depth + 1));
            }
        }
        out
    }
}

/// A value without what says nothing: members that are `null`, and the way a number is written.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect(),
        ),
        Value::Array(all) => all.iter().map(plain).collect(),
        Value::Number(number) => json!(number.as_f64()),
        _ => value.clone(),
    }
}

fn goes_round<M: Serialize + DeserializeOwned>(topic: &str, name: &str) {
    let shape = shape(topic, name);
    let mut chance = Chance { shape: &shape, rng: StdRng::seed_from_u64(7) };
    let mut different = std::collections::BTreeSet::new();
    for _ in 0..300 {
        let value = chance.value(&shape.root().node, 0);
        assert_eq!(shape.check(&value), Ok(()), "{value}");
        let text = value.to_string();
        let message: M = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let written = serde_json::to_value(&message).unwrap();
        assert_eq!(shape.check(&written), Ok(()), "{written}");
        assert_eq!(plain(&written), plain(&value));
        different.insert(text);
    }
    assert!(different.len() > 1 || topic == "nothing", "{different:?}");
}

#[test]
fn a_message_with_every_kind_of_field_goes_round() {
    goes_round::<topics::user_created::UserCreated>("user_created", "UserCreated");
}

#[test]
fn a_message_whose_fields_no_language_could_name_goes_round() {
    goes_round::<topics::class::Class>("class", "Class");
    goes_round::<topics::nameless::Nameless>("nameless", "Nameless");
}

#[test]
fn a_message_that_holds_itself_goes_round() {
    goes_round::<topics::tree::Tree>("tree", "Tree");
}

#[test]
fn small_messages_go_round() {
    goes_round::<topics::context::Context>("context", "Context");
    goes_round::<topics::nothing::Nothing>("nothing", "Nothing");
}
