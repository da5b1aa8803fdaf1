//! From JSON Schema to a shape: what is outside of the subset is a problem, and all of them are told at once.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::pointer::segment;
use super::{Kind, Named, Node, Shape};

mod keywords;
mod object;
mod reference;
mod scalar;
mod union;

/// Schemas that are nested deeper are refused, so that nothing that walks them can exhaust the stack.
const MAX_DEPTH: usize = 64;
/// Most types, properties and elements together: unions copy what they refer to.
const MAX_NODES: usize = 50_000;
/// Most definitions: what is asked about all of them at once costs their square.
const MAX_TYPES: usize = 5_000;
/// More problems than that help nobody.
const MAX_PROBLEMS: usize = 100;

/// Something in a schema that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Shape {
    /// The type that a JSON Schema describes, called `name`; every problem otherwise, sorted.
    pub fn read(schema: &Value, name: &str) -> Result<Self, Vec<Problem>> {
        Self::read_as(schema, name, Root::Message)
    }

    /// Likewise, where the schema is one that a shape printed: a `message.rs` may hold what no schema's root does.
    pub fn read_printed(schema: &Value, name: &str) -> Result<Self, Vec<Problem>> {
        Self::read_as(schema, name, Root::Anything)
    }

    fn read_as(schema: &Value, name: &str, of: Root) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader { document: schema, ..Reader::default() };
        let (at, root) = reader.beginning();
        reader.types.push(Named { name: name.to_owned(), node: Node::any() });
        reader.places.push(at.clone());
        reader.ids.insert(at.clone(), 0);
        reader.ids.insert(String::new(), 0);
        let node = reader.node(root, &at, 0);
        reader.types[0].node = node;
        match of {
            Root::Message => reader.check_root(&at),
            Root::Anything => {}
        }
        // References found on the way wait here: a definition that refers to itself is read once.
        while let Some((id, schema, at)) = reader.waiting.pop() {
            reader.types[id].node = reader.node(schema, &at, 0);
        }
        let shape = Self { types: reader.types };
        if reader.problems.is_empty() {
            reader.problems = shape.unsound(&reader.places);
        }
        if reader.problems.is_empty() {
            return Ok(shape);
        }
        reader.problems.sort();
        reader.problems.dedup();
        Err(reader.problems)
    }
}

/// What a schema's root may be.
#[derive(Clone, Copy)]
enum Root {
    /// What a message is: an object or a union of objects.
    Message,
    /// Any type.
    Anything,
}

struct Reader<'a> {
    document: &'a Value,
    types: Vec<Named>,
    /// Where each type is written.
    places: Vec<String>,
    /// The types by where they are written.
    ids: HashMap<String, usize>,
    waiting: Vec<(usize, &'a Value, String)>,
    problems: Vec<Problem>,
    nodes: usize,
}

impl Default for Reader<'_> {
    fn default() -> Self {
        Self {
            document: &Value::Null,
            types: Vec::new(),
            places: Vec::new(),
            ids: HashMap::new(),
            waiting: Vec::new(),
            problems: Vec::new(),
            nodes: 0,
        }
    }
}

impl<'a> Reader<'a> {
    fn problem(&mut self, at: &str, message: impl Into<String>, hint: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                pointer: at.to_owned(),
                message: message.into(),
                hint: hint.into(),
            });
        }
    }

    /// Where the message's own type is written: a root that is nothing but a reference is what it refers to.
    fn beginning(&mut self) -> (String, &'a Value) {
        let mut at = (String::new(), self.document);
        for _ in 0..MAX_DEPTH {
            let Some(map) = at.1.as_object().filter(|map| map.contains_key("$ref")) else { return at };
            if map.keys().any(|key| key != "$ref" && !keywords::is_annotation(key)) {
                return at;
            }
            match map["$ref"].as_str().and_then(|text| self.target(text)) {
                Some(target) => at = target,
                None => return at,
            }
        }
        at
    }

    fn check_root(&mut self, at: &str) {
        let node = &self.types[0].node;
        let fits = matches!(node.kind, Kind::Object(_) | Kind::Union(_) | Kind::External(_));
        if !self.problems.is_empty() || (fits && !node.nullable) {
            return;
        }
        let message = match (&node.kind, node.nullable) {
            (Kind::Ref(_), _) => "the references at the root lead nowhere",
            (_, true) if fits => "a message can't be null",
            (Kind::Map(_), _) => "a message's type is an object with `properties`, not a map",
            _ => "a message's type is an object",
        };
        self.problem(
            at,
            message,
            "write `\"type\": \"object\"` with `properties`; put other values into a property",
        );
    }

    /// The type that a schema describes; any JSON where that could not be made out.
    fn node(&mut self, schema: &'a Value, at: &str, depth: usize) -> Node {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES || self.types.len() > MAX_TYPES {
            let what = if depth > MAX_DEPTH { "nested too deeply" } else { "too large" };
            self.problem(
                at,
                format!("this schema is {what}"),
                "name its parts in `$defs`, and use fewer of them",
            );
            return Node::any();
        }
        let map = match schema {
            Value::Bool(true) => return Node::any(),
            Value::Object(map) => map,
            Value::Bool(false) => {
                self.problem(at, "nothing fits `false`", "leave it out");
                return Node::any();
            }
            _ => {
                self.problem(at, "a schema is an object or `true`", "write `{ \"type\": … }`");
                return Node::any();
            }
        };
        let mut node = if let Some(reference) = map.get("$ref") {
            self.only(map, at, &["$ref"], "beside `$ref`");
            self.reference(reference, &format!("{at}/$ref"))
        } else if map.contains_key("oneOf") || map.contains_key("anyOf") {
            self.union(map, at, depth)
        } else if map.contains_key("enum") || map.contains_key("const") {
            self.choice(map, at)
        } else if let Some(names) = map.get("type") {
            self.typed(map, names, at, depth)
        } else {
            self.untyped(map, at);
            Node::any()
        };
        node.docs = self.docs(map, at).or(node.docs);
        // `null` is JSON like any other.
        node.nullable &= !matches!(node.kind, Kind::Any | Kind::Null);
        node
    }

    fn docs(&mut self, map: &Map<String, Value>, at: &str) -> Option<String> {
        let mut text = |key: &str| match map.get(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
            Some(Value::String(_)) | None => None,
            Some(_) => {
                self.problem(&format!("{at}/{key}"), format!("`{key}` is a text"), "write it as a string");
                None
            }
        };
        text("description").or_else(|| text("title"))
    }

    /// Tells every keyword that means something and is not among these.
    fn only(&mut self, map: &Map<String, Value>, at: &str, known: &[&str], place: &str) {
        for keyword in map.keys() {
            if !known.contains(&keyword.as_str()) && !keywords::is_annotation(keyword) {
                let (message, hint) = keywords::refusal(keyword, known, place);
                self.problem(&format!("{at}{}", segment(keyword)), message, hint);
            }
        }
    }

    fn untyped(&mut self, map: &Map<String, Value>, at: &str) {
        let likely = map.keys().find_map(|keyword| keywords::type_of(keyword));
        match likely {
            Some(name) => {
                let message = format!("this schema has no `type`, but keywords of `{name}`");
                self.problem(at, message, format!("add `\"type\": \"{name}\"`"));
            }
            None => self.only(map, at, &["type"], ""),
        }
    }

    fn typed(&mut self, map: &'a Map<String, Value>, names: &Value, at: &str, depth: usize) -> Node {
        let here = format!("{at}/type");
        let (name, nullable) = match names {
            Value::String(name) => (name.as_str(), false),
            Value::Array(all) => {
                let texts: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
                let others: Vec<&str> = texts.iter().copied().filter(|name| *name != "null").collect();
                match others[..] {
                    [] if texts.len() == all.len() && !all.is_empty() => ("null", false),
                    [one] if texts.len() == all.len() => (one, texts.len() > 1),
                    _ => {
                        self.problem(
                            &here,
                            "several types at once can't be told apart",
                            "name one type, or one and `\"null\"`; or use `oneOf` with objects that a property tells apart",
                        );
                        return Node::any();
                    }
                }
            }
            _ => {
                self.problem(&here, "`type` is a name", "write it as a string");
                return Node::any();
            }
        };
        let known = keywords::of_type(name);
        if !known.is_empty() {
            self.only(map, at, known, &format!("with type `{name}`"));
        }
        let kind = match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer(self.integer(map, at)),
            "number" => Kind::Number(self.number(map, at)),
            "string" => Kind::Text(self.text(map, at)),
            "array" => self.array(map, at, depth),
            "object" => self.object_or_map(map, at, depth),
            other => {
                let hint = match near(other, keywords::TYPES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", keywords::TYPES.join("`, `")),
                };
                self.problem(&here, format!("there is no type `{other}`"), hint);
                Kind::Any
            }
        };
        Node { docs: None, nullable, kind }
    }
}

/// The name that a text is most likely a misspelling of; long ones are nobody's, and to compare them would take long.
fn near<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 100;
    let names = names.into_iter().filter(|name| name.len() <= LONGEST).take(1_000);
    if text.len() <= LONGEST { crate::name::nearest(text, names) } else { None }
}
