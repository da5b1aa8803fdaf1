//! A message that fits, for the commands that Less prints.

use serde_json::{Map, Value, json};

use super::{Array, Integer, Kind, Node, Object, Shape, Text};

/// Deeper than this only what has to be there is.
const FULL_DEPTH: usize = 3;
/// Larger samples help nobody, and some types have none that is small.
const MAX_VALUES: usize = 200;

impl Shape {
    /// A message with what has to be there; `None` where no small one was found.
    pub fn sample(&self) -> Option<Value> {
        self.sample_with(true)
    }

    /// The same for a type that was read off a source, where "any" may mean "not known".
    pub fn known_sample(&self) -> Option<Value> {
        self.sample_with(false)
    }

    fn sample_with(&self, any: bool) -> Option<Value> {
        let mut sampler = Sampler { shape: self, ranks: self.ranks(), left: MAX_VALUES, any };
        let value = sampler.node(&self.root().node, "", 0)?;
        self.check(&value).is_ok().then_some(value)
    }
}

struct Sampler<'a> {
    shape: &'a Shape,
    ranks: Vec<Option<usize>>,
    left: usize,
    /// Whether anything will do where the type says so.
    any: bool,
}

impl Sampler<'_> {
    fn node(&mut self, node: &Node, key: &str, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let spare = depth > FULL_DEPTH;
        if spare && node.nullable {
            return Some(Value::Null);
        }
        Some(match &node.kind {
            Kind::Any if !self.any => return None,
            Kind::Any | Kind::Map(_) => json!({}),
            Kind::Null => Value::Null,
            Kind::Boolean => json!(true),
            Kind::Integer(range) => integer(*range)?,
            Kind::Number(bounds) => {
                let near = |bound: &super::Bound, step: f64| bound.value.as_f64().map(|value| value + step);
                match (&bounds.min, &bounds.max) {
                    // In Rust it may be a whole number that is wider than 64 bits.
                    (None, None) if !self.any => json!(1),
                    (None, None) => json!(1.5),
                    (Some(min), None) => json!(near(min, 1.0)?),
                    (None, Some(max)) => json!(near(max, -1.0)?),
                    (Some(min), Some(max)) => json!(f64::midpoint(near(min, 0.0)?, near(max, 0.0)?)),
                }
            }
            Kind::Text(rules) => text(*rules, key)?,
            Kind::Choice(all) => json!(all.first()?),
            Kind::Array(array) => self.array(array, key, depth)?,
            Kind::Object(object) => Value::Object(self.object(object, depth)?),
            Kind::Union(union) => {
                let variant = union.variants.iter().min_by_key(|variant| self.rank_of(&variant.object))?;
                let mut out = self.object(&variant.object, depth)?;
                out.insert(union.tag.clone(), json!(variant.value));
                Value::Object(out)
            }
            Kind::External(all) => {
                let rank = |one: &&super::Alternative| {
                    one.content.as_ref().map_or(0, |content| self.rank(content).saturating_add(1))
                };
                let one = all.iter().min_by_key(rank)?;
                match &one.content {
                    None => json!(one.value),
                    Some(content) => json!({ &one.value: self.node(content, &one.value, depth + 1)? }),
                }
            }
            Kind::Ref(at) => self.node(&self.shape.types[*at].node, key, depth)?,
        })
    }

    fn array(&mut self, array: &Array, key: &str, depth: usize) -> Option<Value> {
        let wanted = u64::from(depth <= FULL_DEPTH && array.max_items != Some(0));
        let count = array.min_items.max(wanted);
        let key = key.strip_suffix('s').unwrap_or(key);
        let items = (0..count).map(|_| self.node(&array.items, key, depth + 1));
        items.collect::<Option<Vec<Value>>>().map(Value::Array)
    }

    fn object(&mut self, object: &Object, depth: usize) -> Option<Map<String, Value>> {
        let mut out = Map::new();
        for property in object.properties.iter().filter(|property| property.required) {
            out.insert(property.name.clone(), self.node(&property.node, &property.name, depth + 1)?);
        }
        Some(out)
    }

    fn rank_of(&self, object: &Object) -> usize {
        let required = object.properties.iter().filter(|property| property.required);
        required.map(|property| self.rank(&property.node)).max().unwrap_or(0)
    }

    /// How many rounds a value needs at most where only what must be there is.
    fn rank(&self, node: &Node) -> usize {
        if node.nullable {
            return 0;
        }
        match &node.kind {
            Kind::Ref(at) => self.ranks[*at].map_or(usize::MAX, |rank| rank.saturating_add(1)),
            Kind::Array(array) if array.min_items == 0 => 0,
            Kind::Array(array) => self.rank(&array.items),
            Kind::Object(object) => self.rank_of(object),
            Kind::Union(union) => {
                union.variants.iter().map(|variant| self.rank_of(&variant.object)).min().unwrap_or(0)
            }
            Kind::External(all) => {
                let content = all.iter().map(|one| one.content.as_ref().map_or(0, |node| self.rank(node)));
                content.min().unwrap_or(0)
            }
            Kind::Any
            | Kind::Null
            | Kind::Boolean
            | Kind::Integer(_)
            | Kind::Number(_)
            | Kind::Text(_)
            | Kind::Choice(_)
            | Kind::Map(_) => 0,
        }
    }
}

fn integer(range: Integer) -> Option<Value> {
    serde_json::Number::from_i128(1.clamp(range.min, range.max)).map(Value::Number)
}

fn text(rules: Text, key: &str) -> Option<Value> {
    let key = key.to_lowercase();
    let mut text = match rules.format {
        Some(format) => return Some(json!(format.example())),
        None if key.contains("email") => "ada@example.com",
        None if key == "name" || key.ends_with("_name") => "Ada",
        None => "text",
    }
    .to_owned();
    if let Some(max) = rules.max_length {
        text = text.chars().take(usize::try_from(max).unwrap_or(usize::MAX)).collect();
    }
    let missing = usize::try_from(rules.min_length).ok()?.saturating_sub(text.chars().count());
    // Where long text is demanded, a command to try would be no help.
    (missing < 200).then(|| json!(text + &"x".repeat(missing)))
}
