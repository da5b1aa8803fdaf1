//! A shape for those who read another app's messages: they take what that app may add without breaking anybody.

use super::{Bounds, Integer, Kind, Node, Object, Shape, Text};

impl Shape {
    /// The same where every object may have further properties.
    #[must_use]
    pub fn opened(mut self) -> Self {
        self.types.iter_mut().for_each(|named| each(&mut named.node, &mut open));
        self
    }

    /// The same without bounds and lengths, as far as no language's type knows them: who publishes has asked them, and may widen them.
    #[must_use]
    pub fn unbounded(mut self) -> Self {
        self.types.iter_mut().for_each(|named| each(&mut named.node, &mut unbind));
        self
    }
}

fn open(kind: &mut Kind) {
    match kind {
        Kind::Object(object) => object.open = true,
        Kind::Union(union) => union.variants.iter_mut().for_each(|variant| variant.object.open = true),
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Choice(_)
        | Kind::Array(_)
        | Kind::Map(_)
        | Kind::External(_)
        | Kind::Ref(_) => {}
    }
}

fn unbind(kind: &mut Kind) {
    match kind {
        // The types are `i64`, and `u64` where nothing is negative.
        Kind::Integer(range) if range.min < 0 => *range = Integer::ALL,
        Kind::Integer(range) => *range = Integer { min: 0, max: Integer::greatest(0) },
        Kind::Number(bounds) => *bounds = Bounds::default(),
        Kind::Text(rules) => *rules = Text { format: rules.format, ..Text::default() },
        Kind::Array(array) => (array.min_items, array.max_items) = (0, None),
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Choice(_)
        | Kind::Map(_)
        | Kind::Object(_)
        | Kind::Union(_)
        | Kind::External(_)
        | Kind::Ref(_) => {}
    }
}

/// Does something with every type that a type is made of, itself first.
fn each(node: &mut Node, change: &mut impl FnMut(&mut Kind)) {
    change(&mut node.kind);
    match &mut node.kind {
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Choice(_)
        | Kind::Ref(_) => {}
        Kind::Array(array) => each(&mut array.items, change),
        Kind::Map(values) => each(values, change),
        Kind::Object(object) => each_property(object, change),
        Kind::Union(union) => {
            union.variants.iter_mut().for_each(|variant| each_property(&mut variant.object, change));
        }
        Kind::External(alternatives) => {
            let contents = alternatives.iter_mut().filter_map(|one| one.content.as_mut());
            contents.for_each(|content| each(content, change));
        }
    }
}

fn each_property(object: &mut Object, change: &mut impl FnMut(&mut Kind)) {
    object.properties.iter_mut().for_each(|property| each(&mut property.node, change));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reader_takes_what_the_writer_adds_and_what_it_widens_and_nothing_else() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["id", "name", "at"],
            "properties": {
                "id": {"type": "integer", "minimum": 1, "maximum": 10},
                "name": {"type": "string", "maxLength": 3},
                "at": {"type": "string", "format": "date"},
                "lines": {"type": "array", "maxItems": 1, "items": {"type": "number", "maximum": 5}},
                "inner": {"type": "object", "additionalProperties": false, "properties": {}},
            },
        });
        let strict = Shape::read(&schema, "A").unwrap();
        let lenient = Shape::read_printed(&strict.clone().opened().unbounded().to_schema(), "A").unwrap();
        let fits = |message: serde_json::Value| {
            let text = message.to_string();
            (strict.check_text(text.as_bytes()).is_ok(), lenient.check_text(text.as_bytes()).is_ok())
        };
        let good = json!({"id": 1, "name": "abc", "at": "2026-01-02"});
        let with = |key: &str, value: serde_json::Value| {
            let mut message = good.clone();
            message[key] = value;
            message
        };
        assert_eq!(fits(good.clone()), (true, true));
        for (key, value) in [
            ("new", json!(1)),
            ("id", json!(u64::MAX)),
            ("name", json!("abcdef")),
            ("lines", json!([6, 7.5])),
            ("inner", json!({"new": null})),
        ] {
            assert_eq!(fits(with(key, value.clone())), (false, true), "{key}: {value}");
        }
        for (key, value) in
            [("id", json!(-1)), ("id", json!("1")), ("at", json!("soon")), ("name", json!(null))]
        {
            assert_eq!(fits(with(key, value.clone())), (false, false), "{key}: {value}");
        }
    }
}
