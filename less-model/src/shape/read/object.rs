//! Objects, maps and lists.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::pointer::segment;
use super::super::{Array, Kind, Node, Object, Property};
use super::{Reader, keywords, near};

impl<'a> Reader<'a> {
    pub(super) fn array(&mut self, map: &'a Map<String, Value>, at: &str, depth: usize) -> Kind {
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

    pub(super) fn object_or_map(&mut self, map: &'a Map<String, Value>, at: &str, depth: usize) -> Kind {
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
    ) -> HashSet<&'m str> {
        let mut out = HashSet::new();
        match map.get("required") {
            None => {}
            Some(Value::Array(all)) => {
                for (index, name) in all.iter().enumerate() {
                    match name.as_str() {
                        Some(name) if names.contains_key(name) => {
                            out.insert(name);
                        }
                        Some(name) => {
                            let hint = match near(name, names.keys().map(String::as_str)) {
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
                self.problem(
                    &format!("{at}/required"),
                    "`required` is a list of names",
                    "write `[\"name\"]`",
                );
            }
        }
        out
    }
}
