//! `oneOf` and `anyOf`: one of several objects that can be told apart, and `null` beside anything.

use serde_json::{Map, Value};

use super::super::pointer::{key, segment};
use super::super::{Alternative, Kind, Node, Object, Union, Variant};
use super::{MAX_DEPTH, Reader};

/// One of the schemas to choose from, with references followed.
struct Choice<'a> {
    at: String,
    /// The name of the definition that it is.
    name: Option<String>,
    schema: &'a Value,
}

impl<'a> Reader<'a> {
    pub(super) fn union(&mut self, map: &'a Map<String, Value>, at: &str, depth: usize) -> Node {
        let keyword = if map.contains_key("oneOf") { "oneOf" } else { "anyOf" };
        let here = format!("{at}/{keyword}");
        self.only(map, at, &[keyword, "discriminator", "type"], &format!("beside `{keyword}`"));
        let null_type = match map.get("type") {
            None => true,
            Some(Value::String(name)) => name == "null",
            Some(Value::Array(all)) => all.iter().any(|name| name == "null"),
            Some(_) => false,
        };
        let Some(all) = map[keyword].as_array().filter(|all| !all.is_empty()) else {
            self.problem(&here, format!("`{keyword}` is a list of schemas"), "write at least one");
            return Node::any();
        };
        let choices: Vec<Choice> = (0..)
            .zip(all)
            .filter(|(_, schema)| !is_null(schema))
            .map(|(index, schema): (usize, _)| self.followed(schema, format!("{here}/{index}")))
            .collect();
        let nullable = choices.len() < all.len() && null_type;
        let originals: Vec<(String, &Value)> = (0..)
            .zip(all)
            .filter(|(_, schema)| !is_null(schema))
            .map(|(index, schema): (usize, _)| (format!("{here}/{index}"), schema))
            .collect();
        if let [(at, one)] = &originals[..] {
            let node = self.node(one, at, depth + 1);
            return Node { nullable: node.nullable || nullable, ..node };
        }
        if choices.is_empty() {
            return Node::new(Kind::Null);
        }
        let node = self.told_apart(map, &choices, at, depth);
        let Some(kind) = node else {
            self.problem(
                &here,
                "these alternatives can't be told apart",
                "give each object a required property such as `kind`, with another `const` in each",
            );
            return Node::any();
        };
        if let Some(name) = map.get("type")
            && !matches!(kind, Kind::Union(_) if name == "object" || !name.is_string())
        {
            self.problem(
                &format!("{at}/type"),
                format!("`type` means nothing beside this `{keyword}`"),
                "leave it out",
            );
        }
        Node { docs: None, nullable, kind }
    }

    fn followed(&self, schema: &'a Value, at: String) -> Choice<'a> {
        let mut choice = Choice { at, name: None, schema };
        for _ in 0..MAX_DEPTH {
            let Some(text) = choice.schema.get("$ref").and_then(Value::as_str) else { break };
            let Some((at, schema)) = self.target(text) else { break };
            let name = at.rsplit('/').next().map(key).filter(|name| !name.is_empty());
            choice = Choice { at, name, schema };
        }
        choice
    }

    fn told_apart(
        &mut self,
        map: &Map<String, Value>,
        choices: &[Choice<'a>],
        at: &str,
        depth: usize,
    ) -> Option<Kind> {
        if let Some(texts) = choices.iter().map(|choice| single(choice.schema)).collect::<Option<Vec<_>>>()
            && differ(&texts)
        {
            return Some(if choices.iter().any(|choice| choice.schema.get("description").is_some()) {
                let alternative = |(choice, text): (&Choice, &&str)| Alternative {
                    value: (*text).to_owned(),
                    docs: described(choice.schema),
                    content: None,
                };
                Kind::External(choices.iter().zip(&texts).map(alternative).collect())
            } else {
                Kind::Choice(texts.into_iter().map(str::to_owned).collect())
            });
        }
        if let Some(tag) = self.tag(map, choices, at) {
            return Some(self.internal(tag, choices, depth));
        }
        let all = choices.iter().map(|choice| external(choice.schema)).collect::<Option<Vec<_>>>()?;
        let all: Vec<(&str, Option<&'a Value>, &Choice)> = all
            .into_iter()
            .zip(choices)
            .flat_map(|(found, choice)| {
                found.into_iter().map(move |(value, content)| (value, content, choice))
            })
            .collect();
        if !differ(&all.iter().map(|(value, _, _)| *value).collect::<Vec<_>>()) {
            return None;
        }
        let alternatives = all.into_iter().map(|(value, content, choice)| Alternative {
            value: value.to_owned(),
            docs: described(choice.schema),
            content: content.map(|schema| {
                self.node(schema, &format!("{}/properties{}", choice.at, segment(value)), depth + 2)
            }),
        });
        Some(Kind::External(alternatives.collect()))
    }

    /// The property that tells the alternatives apart: the one that `discriminator` names, else the first that does.
    fn tag(&mut self, map: &Map<String, Value>, choices: &[Choice<'a>], at: &str) -> Option<&'a str> {
        let properties = |schema: &'a Value| schema.get("properties").and_then(Value::as_object);
        let value = |choice: &Choice<'a>, name: &str| {
            let schema = choice.schema;
            let text = single(properties(schema)?.get(name)?)?;
            let object = schema.get("type").is_some_and(|name| name == "object");
            let required = schema.get("required").and_then(Value::as_array)?.iter().any(|one| one == name);
            (object && required).then_some(text)
        };
        let mut tags = properties(choices.first()?.schema)?.keys().map(String::as_str).filter(|name| {
            let values: Option<Vec<&str>> = choices.iter().map(|choice| value(choice, name)).collect();
            values.is_some_and(|values| differ(&values))
        });
        let Some(discriminator) = map.get("discriminator") else { return tags.next() };
        let wanted = discriminator.get("propertyName").and_then(Value::as_str).unwrap_or_default();
        let found = tags.find(|tag| *tag == wanted);
        if found.is_none() {
            let message = format!("`{wanted}` does not tell the alternatives apart");
            let hint = "it has to be required everywhere, with another `const` in each";
            self.problem(&format!("{at}/discriminator"), message, hint);
        }
        found
    }

    fn internal(&mut self, tag: &str, choices: &[Choice<'a>], depth: usize) -> Kind {
        let variants = choices.iter().map(|choice| {
            let node = self.node(choice.schema, &choice.at, depth + 1);
            let mut object = match node.kind {
                Kind::Object(object) => object,
                // What is wrong with it has been told.
                _ => Object::default(),
            };
            let told = object.properties.iter().position(|property| property.name == tag);
            let value = match told.map(|at| object.properties.remove(at).node.kind) {
                Some(Kind::Choice(values)) => values.into_iter().next().unwrap_or_default(),
                Some(_) | None => String::new(),
            };
            let title = choice.schema.get("title").and_then(Value::as_str).map(str::to_owned);
            Variant { value, name: choice.name.clone().or(title), docs: described(choice.schema), object }
        });
        Kind::Union(Union { tag: tag.to_owned(), variants: variants.collect() })
    }
}

fn described(schema: &Value) -> Option<String> {
    schema
        .get("description")
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null") || schema.get("const").is_some_and(Value::is_null)
}

/// The one string that fits.
fn single(schema: &Value) -> Option<&str> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(value), None) => value.as_str(),
        (None, Some(all)) if all.len() == 1 => all[0].as_str(),
        _ => None,
    }
}

/// The strings, or the one key, that a part of an externally tagged enum takes.
fn external(schema: &Value) -> Option<Vec<(&str, Option<&Value>)>> {
    if let Some(text) = single(schema) {
        return Some(vec![(text, None)]);
    }
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        return all.iter().map(|one| Some((one.as_str()?, None))).collect();
    }
    let properties = schema.get("properties")?.as_object().filter(|properties| properties.len() == 1)?;
    let (name, content) = properties.iter().next()?;
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let required = schema.get("required")?.as_array()?;
    let object = schema.get("type").is_some_and(|name| name == "object");
    (object && closed && required.len() == 1 && required[0] == name.as_str())
        .then(|| vec![(name.as_str(), Some(content))])
}

fn differ(texts: &[&str]) -> bool {
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}
