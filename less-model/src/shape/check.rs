//! Whether a message fits.

use serde_json::{Map, Value};

use super::pointer::segment;
use super::{Array, Bounds, Integer, Kind, Node, Object, Shape, Text, Union};

/// Deeper messages fit nothing, so that no message can exhaust the stack. The reader of JSON text stops at 128.
const MAX_DEPTH: usize = 200;

/// Why a message does not fit: the first place that does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Misfit {
    /// Where, as a JSON pointer (RFC 6901); for a missing field the object that lacks it.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Shape {
    /// Whether a message fits. Its cost grows with the message and the number of properties of what it consists of.
    pub fn check(&self, message: &Value) -> Result<(), Misfit> {
        self.fits_node(&self.root().node, message, 0).map_err(|(mut path, message)| {
            path.reverse();
            Misfit { pointer: path.concat(), message }
        })
    }

    fn fits_node(&self, node: &Node, value: &Value, depth: usize) -> Checked {
        if depth > MAX_DEPTH {
            return wrong("this is nested too deeply");
        }
        if value.is_null() && node.nullable {
            return Ok(());
        }
        match &node.kind {
            Kind::Any => Ok(()),
            Kind::Null => {
                if value.is_null() {
                    Ok(())
                } else {
                    expected("null", value)
                }
            }
            Kind::Boolean => {
                if value.is_boolean() {
                    Ok(())
                } else {
                    expected("true or false", value)
                }
            }
            Kind::Integer(range) => integer(*range, value),
            Kind::Number(bounds) => number(bounds, value),
            Kind::Text(rules) => text(*rules, value),
            Kind::Choice(allowed) => choice(allowed, value),
            Kind::Array(array) => self.fits_array(array, value, depth),
            Kind::Map(values) => match value {
                Value::Object(map) => map.iter().try_for_each(|(key, value)| {
                    self.fits_node(values, value, depth + 1).map_err(|error| within(error, segment(key)))
                }),
                _ => expected("an object", value),
            },
            Kind::Object(object) => match value {
                Value::Object(map) => self.fits_object(object, map, None, depth),
                _ => expected("an object", value),
            },
            Kind::Union(union) => self.fits_union(union, value, depth),
            Kind::External(all) => self.fits_external(all, value, depth),
            // No chain of references comes back to where it began, see `sound`.
            Kind::Ref(at) => self.fits_node(&self.types[*at].node, value, depth),
        }
    }

    fn fits_array(&self, array: &Array, value: &Value, depth: usize) -> Checked {
        let Value::Array(items) = value else { return expected("an array", value) };
        let count = items.len() as u64;
        if count < array.min_items {
            return wrong(format!("expected at least {}, found {count}", elements(array.min_items)));
        }
        if let Some(max) = array.max_items.filter(|max| count > *max) {
            return wrong(format!("expected at most {}, found {count}", elements(max)));
        }
        items.iter().enumerate().try_for_each(|(at, item)| {
            self.fits_node(&array.items, item, depth + 1).map_err(|error| within(error, format!("/{at}")))
        })
    }

    /// `tag` is a property that was looked at already.
    fn fits_object(
        &self,
        object: &Object,
        map: &Map<String, Value>,
        tag: Option<&str>,
        depth: usize,
    ) -> Checked {
        let mut known = usize::from(tag.is_some());
        for property in &object.properties {
            match map.get(&property.name) {
                Some(value) => {
                    known += 1;
                    let checked = self.fits_node(&property.node, value, depth + 1);
                    checked.map_err(|error| within(error, segment(&property.name)))?;
                }
                None if property.required => {
                    return wrong(format!("missing field `{}`", short(&property.name)));
                }
                None => {}
            }
        }
        if object.open || known == map.len() {
            return Ok(());
        }
        let names = || object.properties.iter().map(|property| property.name.as_str()).chain(tag);
        let unknown = map.keys().find(|key| !names().any(|name| name == *key));
        let Some(unknown) = unknown else { return Ok(()) };
        // Whoever publishes chooses what is compared: nothing long.
        let names = names().filter(|name| name.len() < 100).take(100);
        let near = if unknown.len() < 100 { crate::name::nearest(unknown, names) } else { None };
        let message = match near {
            Some(near) => format!("unknown field `{unknown}`, did you mean `{near}`?"),
            None => format!("unknown field `{}`", short(unknown)),
        };
        Err((vec![segment(unknown)], message))
    }

    fn fits_union(&self, union: &Union, value: &Value, depth: usize) -> Checked {
        let Value::Object(map) = value else { return expected("an object", value) };
        let Some(tag) = map.get(&union.tag) else {
            return wrong(format!("missing field `{}`", short(&union.tag)));
        };
        match union.variants.iter().find(|variant| tag.as_str() == Some(&variant.value)) {
            Some(variant) => self.fits_object(&variant.object, map, Some(&union.tag), depth),
            None => one_of(union.variants.iter().map(|variant| variant.value.as_str()), tag)
                .map_err(|error| within(error, segment(&union.tag))),
        }
    }

    fn fits_external(&self, all: &[super::Alternative], value: &Value, depth: usize) -> Checked {
        match value {
            Value::Object(map) if map.len() == 1 => {
                let keys = all.iter().filter(|one| one.content.is_some()).map(|one| one.value.as_str());
                let (key, inner) =
                    map.iter().next().map_or(("", value), |(key, inner)| (key.as_str(), inner));
                match all.iter().find(|one| one.value == key).and_then(|one| one.content.as_ref()) {
                    Some(content) => {
                        self.fits_node(content, inner, depth + 1).map_err(|error| within(error, segment(key)))
                    }
                    None => Err((
                        vec![segment(key)],
                        format!("unknown field `{}`, expected {}", short(key), list(keys)),
                    )),
                }
            }
            Value::Object(_) => wrong("expected an object with one field"),
            _ => {
                let plain: Vec<&str> =
                    all.iter().filter(|one| one.content.is_none()).map(|one| one.value.as_str()).collect();
                match plain.is_empty() {
                    true => expected("an object", value),
                    false if plain.iter().any(|one| value.as_str() == Some(one)) => Ok(()),
                    false => one_of(plain.into_iter(), value),
                }
            }
        }
    }
}

/// What is wrong, with the segments of the place from the innermost.
type Checked = Result<(), (Vec<String>, String)>;

fn wrong(message: impl Into<String>) -> Checked {
    Err((Vec::new(), message.into()))
}

fn within((mut path, message): (Vec<String>, String), segment: String) -> (Vec<String>, String) {
    path.push(segment);
    (path, message)
}

fn expected(what: &str, found: &Value) -> Checked {
    wrong(format!("expected {what}, found {}", name(found)))
}

fn name(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if number.is_f64() => format!("the number {number}"),
        Value::Number(_) => "an integer".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn integer(range: Integer, value: &Value) -> Checked {
    let number = value.as_number().and_then(serde_json::Number::as_i128);
    match number {
        None => expected("an integer", value),
        Some(number) if number < range.min => wrong(format!("{number} is less than {}", range.min)),
        Some(number) if number > range.max => wrong(format!("{number} is more than {}", range.max)),
        Some(_) => Ok(()),
    }
}

fn number(bounds: &Bounds, value: &Value) -> Checked {
    let Some(number) = value.as_f64() else { return expected("a number", value) };
    if let Some(min) = &bounds.min
        && let Some(bound) = min.value.as_f64()
    {
        match min.exclusive {
            true if number <= bound => return wrong(format!("{value} is not more than {}", min.value)),
            false if number < bound => return wrong(format!("{value} is less than {}", min.value)),
            true | false => {}
        }
    }
    if let Some(max) = &bounds.max
        && let Some(bound) = max.value.as_f64()
    {
        match max.exclusive {
            true if number >= bound => return wrong(format!("{value} is not less than {}", max.value)),
            false if number > bound => return wrong(format!("{value} is more than {}", max.value)),
            true | false => {}
        }
    }
    Ok(())
}

fn text(rules: Text, value: &Value) -> Checked {
    let Value::String(text) = value else { return expected("a string", value) };
    if rules.min_length > 0 || rules.max_length.is_some() {
        let count = text.chars().count() as u64;
        if count < rules.min_length {
            return wrong(format!("expected at least {}, found {count}", characters(rules.min_length)));
        }
        if let Some(max) = rules.max_length.filter(|max| count > *max) {
            return wrong(format!("expected at most {}, found {count}", characters(max)));
        }
    }
    match rules.format {
        Some(format) if !format.fits(text) => {
            wrong(format!("`{}` is no `{}`, such as `{}`", short(text), format.id(), format.example()))
        }
        Some(_) | None => Ok(()),
    }
}

fn choice(allowed: &[String], value: &Value) -> Checked {
    match value {
        Value::String(text) if allowed.iter().any(|one| one == text) => Ok(()),
        _ => one_of(allowed.iter().map(String::as_str), value),
    }
}

/// The refusal of what is none of these strings.
fn one_of<'a>(allowed: impl Iterator<Item = &'a str> + Clone, value: &Value) -> Checked {
    let found = match value {
        Value::String(text) => format!("`{}`", short(text)),
        _ => name(value),
    };
    wrong(format!("expected {}, found {found}", list(allowed)))
}

fn list<'a>(all: impl Iterator<Item = &'a str> + Clone) -> String {
    let shown: Vec<String> = all.clone().take(10).map(|one| format!("`{}`", short(one))).collect();
    match all.count() {
        1 => shown.concat(),
        more if more > shown.len() => format!("one of {}, …", shown.join(", ")),
        _ => format!("one of {}", shown.join(", ")),
    }
}

fn short(text: &str) -> String {
    if text.chars().nth(60).is_some() {
        text.chars().take(60).chain(['…']).collect()
    } else {
        text.to_owned()
    }
}

fn elements(count: u64) -> String {
    if count == 1 { "1 element".to_owned() } else { format!("{count} elements") }
}

fn characters(count: u64) -> String {
    if count == 1 { "1 character".to_owned() } else { format!("{count} characters") }
}
