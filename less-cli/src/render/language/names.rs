//! Names for all types that a shape is made of: what languages can't write in place gets a type of its own.

use std::collections::HashSet;

use less_model::shape::{Kind, Named, Node, Object, Shape};

/// The types of a shape, the message's own first. Names are ASCII identifiers in camel case, and differ.
///
/// Objects, unions and enums stand alone, never inside another type, and are not nullable themselves; variants of unions are named as well.
pub(super) struct Types {
    pub(super) list: Vec<Named>,
}

impl Types {
    pub(super) fn of(shape: &Shape, root: &str) -> Self {
        let mut namer =
            Namer { taken: HashSet::from([root.to_owned(), "Json".to_owned()]), list: shape.types.clone() };
        for at in 1..shape.types.len() {
            namer.list[at].name = namer.free(&shape.types[at].name, "");
        }
        root.clone_into(&mut namer.list[0].name);
        for at in 0..shape.types.len() {
            let parent = namer.list[at].name.clone();
            let mut node = shape.types[at].node.clone();
            if node.nullable {
                // What is nullable is another name for something that is not.
                namer.hoist(&mut node, &parent, "");
            } else {
                namer.inside(&mut node.kind, &parent);
            }
            namer.list[at].node = node;
        }
        Self { list: namer.list }
    }

    pub(super) fn root(&self) -> &Named {
        &self.list[0]
    }

    pub(super) fn nested(&self) -> &[Named] {
        &self.list[1..]
    }
}

struct Namer {
    taken: HashSet<String>,
    list: Vec<Named>,
}

impl Namer {
    /// A free name: the text's, with the parent's before it, with a number behind it.
    fn free(&mut self, text: &str, parent: &str) -> String {
        let name = pascal(text, "Type");
        let mut candidates = [name.clone(), format!("{parent}{name}")]
            .into_iter()
            .chain((2..).map(|n: u64| format!("{name}{n}")));
        let free = candidates.find(|candidate| !self.taken.contains(candidate)).unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }

    /// Names what is inside a type that stands alone.
    fn inside(&mut self, kind: &mut Kind, parent: &str) {
        match kind {
            Kind::Any
            | Kind::Null
            | Kind::Boolean
            | Kind::Integer(_)
            | Kind::Number(_)
            | Kind::Text(_)
            | Kind::Choice(_)
            | Kind::Ref(_) => {}
            Kind::Array(array) => self.hoist(&mut array.items, &item(parent), parent),
            Kind::Map(values) => self.hoist(values, &format!("{parent}Value"), parent),
            Kind::Object(object) => self.object(object, parent),
            Kind::Union(union) => {
                for variant in &mut union.variants {
                    let name = self.free(variant.name.as_ref().unwrap_or(&variant.value), parent);
                    self.object(&mut variant.object, &name);
                    variant.name = Some(name);
                }
            }
            Kind::External(all) => {
                for one in all {
                    if let Some(content) = &mut one.content {
                        self.hoist(content, &one.value, parent);
                    }
                }
            }
        }
    }

    fn object(&mut self, object: &mut Object, parent: &str) {
        for property in &mut object.properties {
            self.hoist(&mut property.node, &property.name, parent);
        }
    }

    /// Makes a type of what can't be written in place.
    fn hoist(&mut self, node: &mut Node, text: &str, parent: &str) {
        match &mut node.kind {
            Kind::Any
            | Kind::Null
            | Kind::Boolean
            | Kind::Integer(_)
            | Kind::Number(_)
            | Kind::Text(_)
            | Kind::Ref(_) => {}
            Kind::Array(array) => self.hoist(&mut array.items, &item(text), parent),
            Kind::Map(values) => self.hoist(values, &format!("{text} value"), parent),
            Kind::Choice(_) | Kind::Object(_) | Kind::Union(_) | Kind::External(_) => {
                let name = self.free(text, parent);
                let id = self.list.len();
                let mut kind = std::mem::replace(&mut node.kind, Kind::Ref(id));
                self.list.push(Named { name: name.clone(), node: Node::any() });
                self.inside(&mut kind, &name);
                self.list[id].node = Node::new(kind);
            }
        }
    }
}

/// What an element of a list is called: `lines` → `line`.
fn item(text: &str) -> String {
    match text.strip_suffix('s') {
        Some(one) if one.len() > 1 && !one.ends_with('s') => one.to_owned(),
        Some(_) | None => format!("{text} item"),
    }
}

/// An ASCII identifier in camel case; `fallback` stands where there is no letter to begin with.
pub(super) fn pascal(text: &str, fallback: &str) -> String {
    let mut out = String::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        out.push(word.as_bytes()[0].to_ascii_uppercase().into());
        out.push_str(&word[1..]);
    }
    // `Self` is no name in Rust.
    if !out.starts_with(|c: char| c.is_ascii_alphabetic()) || out == "Self" {
        out = format!("{fallback}{out}");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(schema: &serde_json::Value) -> Vec<String> {
        let shape = Shape::read(schema, "Root").unwrap();
        Types::of(&shape, "Root").list.into_iter().map(|named| named.name).collect()
    }

    #[test]
    fn types_are_named_after_their_places_and_differ() {
        let object = json!({"type": "object", "properties": {"address": {"type": "object", "properties": {"root": {"enum": ["a"]}}}}});
        let schema = json!({
            "type": "object",
            "properties": {
                "address": object,
                "lines": {"type": "array", "items": {"enum": ["a", "b"]}},
                "news": {"type": "object", "additionalProperties": {"enum": ["a", "b"]}},
                "self": object,
                "": object,
                "größe!": {"enum": ["a"]},
                "x": {"$ref": "#/$defs/user address"},
            },
            "$defs": {"user address": {"type": "object", "properties": {}}},
        });
        let expected = [
            "Root",
            "UserAddress",
            "Type",
            "Address",
            "AddressRoot",
            "RootAddress",
            "RootAddressAddress",
            "RootAddressAddressRoot",
            "GrE",
            "Line",
            "NewsValue",
            "TypeSelf",
            "TypeSelfAddress",
            "TypeSelfAddressRoot",
        ];
        assert_eq!(names(&schema), expected);
    }
}
