//! From JSON Schema to a shape: what is outside of the subset is a problem, and all of them are told at once.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::pointer::{key, segment};
use super::{Array, Kind, Named, Node, Object, Property, Shape};

mod keywords;
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
        let mut reader = Reader { document: schema, ..Reader::default() };
        let (at, root) = reader.beginning();
        reader.types.push(Named { name: name.to_owned(), node: Node::any() });
        reader.places.push(at.clone());
        reader.ids.insert(at.clone(), 0);
        reader.ids.insert(String::new(), 0);
        let node = reader.node(root, &at, 0);
        reader.types[0].node = node;
        reader.check_root(&at);
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
                let hint = match crate::name::nearest(other, keywords::TYPES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", keywords::TYPES.join("`, `")),
                };
                self.problem(&here, format!("there is no type `{other}`"), hint);
                Kind::Any
            }
        };
        Node { docs: None, nullable, kind }
    }

    fn array(&mut self, map: &'a Map<String, Value>, at: &str, depth: usize) -> Kind {
        let items = match map.get("items") {
            None => Node::any(),
            Some(Value::Array(_)) => {
                let (message, hint) = keywords::refusal("prefixItems", &[], "");
                self.problem(&format!("{at}/items"), message, hint);
                Node::any()
            }
            Some(items) => self.node(items, &format!("{at}/items"), depth + 1),
        };
        let (min, max) = (self.count(map, at, "minItems"), self.count(map, at, "maxItems"));
        let min_items = min.unwrap_or(0);
        self.in_order(at, "maxItems", min_items, max);
        Kind::Array(Array { items: Box::new(items), min_items, max_items: max })
    }

    fn object_or_map(&mut self, map: &'a Map<String, Value>, at: &str, depth: usize) -> Kind {
        let additional = map.get("additionalProperties");
        let values = additional.filter(|value| !value.is_boolean());
        let Some(values) = values else {
            let open = additional != Some(&Value::Bool(false));
            // An object of which nothing is known is a map of anything.
            if !map.contains_key("properties") && !map.contains_key("required") && open {
                return Kind::Map(Box::new(Node::any()));
            }
            return Kind::Object(Object { properties: self.properties(map, at, depth), open });
        };
        let here = format!("{at}/additionalProperties");
        if map.get("properties").and_then(Value::as_object).is_some_and(|properties| !properties.is_empty()) {
            self.problem(
                &here,
                "an object has either `properties` or a schema for every key",
                "put the keys that are not known into a property of their own",
            );
            return Kind::Any;
        }
        if map.get("required").and_then(Value::as_array).is_some_and(|all| !all.is_empty()) {
            self.problem(
                &format!("{at}/required"),
                "a map requires no key",
                "leave it out, or describe the key in `properties`",
            );
        }
        Kind::Map(Box::new(self.node(values, &here, depth + 1)))
    }

    fn properties(&mut self, map: &'a Map<String, Value>, at: &str, depth: usize) -> Vec<Property> {
        let empty = Map::new();
        let properties = match map.get("properties") {
            None => None,
            Some(Value::Object(properties)) => Some(properties),
            Some(_) => {
                self.problem(
                    &format!("{at}/properties"),
                    "`properties` is an object",
                    "write a schema for each name",
                );
                return Vec::new();
            }
        };
        let names = properties.unwrap_or(&empty);
        let required = self.required(map, at, names);
        properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                let node = self.node(schema, &format!("{at}/properties{}", segment(name)), depth + 1);
                Property { name: name.clone(), required: required.contains(&name.as_str()), node }
            })
            .collect()
    }

    fn required<'m>(
        &mut self,
        map: &'m Map<String, Value>,
        at: &str,
        names: &Map<String, Value>,
    ) -> std::collections::HashSet<&'m str> {
        let mut out = std::collections::HashSet::new();
        match map.get("required") {
            None => {}
            Some(Value::Array(all)) => {
                for (index, name) in all.iter().enumerate() {
                    match name.as_str() {
                        Some(name) if names.contains_key(name) => {
                            out.insert(name);
                        }
                        Some(name) => {
                            let hint = match crate::name::nearest(
                                name,
                                names.keys().map(String::as_str).take(100),
                            ) {
                                Some(near) => format!("did you mean `{near}`?"),
                                None => "describe it in `properties`; `{}` takes any JSON".to_owned(),
                            };
                            let message = format!("`{name}` is required, but `properties` has no such name");
                            self.problem(&format!("{at}/required/{index}"), message, hint);
                        }
                        None => self.problem(
                            &format!("{at}/required/{index}"),
                            "a required name is a text",
                            "write it as a string",
                        ),
                    }
                }
            }
            Some(_) => {
                self.problem(&format!("{at}/required"), "`required` is a list of names", "write `[\"name\"]`")
            }
        }
        out
    }

    fn reference(&mut self, reference: &Value, at: &str) -> Node {
        let Some(text) = reference.as_str() else {
            self.problem(at, "`$ref` is a text", "write `\"#/$defs/Name\"`");
            return Node::any();
        };
        let Some((place, schema)) = self.target(text) else {
            let (message, hint) = self.no_target(text);
            self.problem(at, message, hint);
            return Node::any();
        };
        if let Some(id) = self.ids.get(&place) {
            return Node::new(Kind::Ref(*id));
        }
        let id = self.types.len();
        let name = self.free_name(&place);
        self.ids.insert(place.clone(), id);
        self.types.push(Named { name, node: Node::any() });
        self.places.push(place.clone());
        self.waiting.push((id, schema, place));
        Node::new(Kind::Ref(id))
    }

    /// Where a reference leads, as a pointer, and what is there.
    fn target(&self, text: &str) -> Option<(String, &'a Value)> {
        let fragment = percent_decoded(text.strip_prefix('#')?)?;
        if fragment.is_empty() {
            return Some((fragment, self.document));
        }
        let (section, name) = fragment.strip_prefix('/')?.split_once('/')?;
        if !["$defs", "definitions"].contains(&section) || name.contains('/') {
            return None;
        }
        let schema = self.document.get(section)?.get(key(name))?;
        Some((format!("/{section}/{name}"), schema))
    }

    fn no_target(&self, text: &str) -> (String, String) {
        let Some(fragment) = text.strip_prefix('#') else {
            let hint = "copy what it refers to into `$defs`, and write `#/$defs/Name`";
            return (format!("`{text}` is in another document"), hint.to_owned());
        };
        let name = ["/$defs/", "/definitions/"].iter().find_map(|start| fragment.strip_prefix(start));
        let Some(name) = name.filter(|name| !name.contains('/')) else {
            let hint = "put what it refers to into `$defs`, and write `#/$defs/Name` at both places";
            return (format!("`{text}` does not lead into `$defs` or `definitions`"), hint.to_owned());
        };
        let sections = ["$defs", "definitions"]
            .into_iter()
            .filter_map(|section| self.document.get(section)?.as_object());
        let names: Vec<&str> = sections.flat_map(Map::keys).map(String::as_str).take(1_000).collect();
        let hint = match crate::name::nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "describe it in `$defs`".to_owned(),
        };
        (format!("there is no definition `{name}`"), hint)
    }

    /// The definition's name, or one like it: `$defs` and `definitions` may both have it.
    fn free_name(&self, place: &str) -> String {
        let name = key(place.rsplit('/').next().unwrap_or_default());
        let taken = |name: &str| self.types.iter().skip(1).any(|named| named.name == name);
        let mut free = name.clone();
        let mut count = 2;
        while taken(&free) {
            free = format!("{name}{count}");
            count += 1;
        }
        free
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
