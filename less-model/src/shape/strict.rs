//! JSON whose objects have each key once.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{Misfit, Shape};

/// Why a text is no message.
#[derive(Debug)]
pub enum Refusal {
    /// It is no JSON.
    NotJson(serde_json::Error),
    /// It does not fit.
    Misfit(Misfit),
}

impl Shape {
    /// Whether a JSON text fits. Of a key that an object has twice, languages take the first, the last, or none: such a text fits nothing.
    pub fn check_text(&self, text: &[u8]) -> Result<(), Refusal> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = Strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        match value {
            Ok(value) => self.check(&value).map_err(Refusal::Misfit),
            Err(error) if error.is_data() => {
                Err(match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
                    Ok(_) => Refusal::Misfit(Misfit { pointer: String::new(), message: error.to_string() }),
                    // It goes wrong behind that as well.
                    Err(error) => Refusal::NotJson(error),
                })
            }
            Err(error) => Err(Refusal::NotJson(error)),
        }
    }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(item) = seq.next_element_seed(Self)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Self)?;
            if out.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate field `{key}`")));
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}
