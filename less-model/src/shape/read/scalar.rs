//! Numbers, strings and their bounds.

use serde_json::{Map, Number, Value};

use super::super::{Bound, Bounds, Format, Integer, Kind, Node, Text};
use super::{Reader, near};

impl Reader<'_> {
    /// A count such as `minLength`.
    pub(super) fn count(&mut self, map: &Map<String, Value>, at: &str, keyword: &str) -> Option<u64> {
        let value = map.get(keyword)?;
        if value.as_u64().is_none() {
            self.problem(
                &format!("{at}/{keyword}"),
                format!("`{keyword}` is a whole number from 0"),
                "leave it out",
            );
        }
        value.as_u64()
    }

    pub(super) fn in_order(&mut self, at: &str, keyword: &str, min: u64, max: Option<u64>) {
        if max.is_some_and(|max| max < min) {
            self.problem(
                &format!("{at}/{keyword}"),
                "nothing fits both bounds",
                "make the greatest at least the least",
            );
        }
    }

    pub(super) fn text(&mut self, map: &Map<String, Value>, at: &str) -> Text {
        let min_length = self.count(map, at, "minLength").unwrap_or(0);
        let max_length = self.count(map, at, "maxLength");
        self.in_order(at, "maxLength", min_length, max_length);
        let format = map.get("format").and_then(|value| {
            let found = Format::ALL.into_iter().find(|format| value.as_str() == Some(format.id()));
            if found.is_none() {
                self.no_format(value, at);
            }
            found
        });
        Text { min_length, max_length, format }
    }

    fn no_format(&mut self, value: &Value, at: &str) {
        let text = value.as_str().unwrap_or_default();
        let names = Format::ALL.map(Format::id);
        let hint = match near(text, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are `{}`; leave it out for any text", names.join("`, `")),
        };
        self.problem(&format!("{at}/format"), format!("the format `{text}` is not understood"), hint);
    }

    pub(super) fn number(&mut self, map: &Map<String, Value>, at: &str) -> Bounds {
        if let Some(format) = map.get("format")
            && !["double", "float"].iter().any(|name| format == name)
        {
            let message = "a number's format is `double` or `float`, which says nothing more";
            self.problem(&format!("{at}/format"), message, "leave it out");
        }
        let bounds = Bounds {
            min: self.bound(map, at, ["minimum", "exclusiveMinimum"], |a, b| a > b),
            max: self.bound(map, at, ["maximum", "exclusiveMaximum"], |a, b| a < b),
        };
        if let (Some(min), Some(max)) = (&bounds.min, &bounds.max) {
            let (low, high) = (min.value.as_f64().unwrap_or(0.0), max.value.as_f64().unwrap_or(0.0));
            // Bounds are what they were written as: equal ones are equal to the bit.
            #[allow(clippy::float_cmp, reason = "two numbers that were read are compared, not computed ones")]
            if low > high || (low == high && (min.exclusive || max.exclusive)) {
                self.problem(at, "no number fits both bounds", "make the greatest at least the least");
            }
        }
        bounds
    }

    /// The stricter of a bound and its exclusive sister.
    fn bound(
        &mut self,
        map: &Map<String, Value>,
        at: &str,
        keywords: [&str; 2],
        stricter: fn(f64, f64) -> bool,
    ) -> Option<Bound> {
        let [inclusive, exclusive] = keywords.map(|keyword| self.limit(map, at, keyword));
        let value = |number: &Number| number.as_f64().unwrap_or(0.0);
        match (inclusive, exclusive) {
            (Some(a), Some(b)) if stricter(value(&a), value(&b)) => {
                Some(Bound { value: a, exclusive: false })
            }
            (_, Some(b)) => Some(Bound { value: b, exclusive: true }),
            (a, None) => a.map(|value| Bound { value, exclusive: false }),
        }
    }

    fn limit(&mut self, map: &Map<String, Value>, at: &str, keyword: &str) -> Option<Number> {
        let value = map.get(keyword)?;
        if value.as_number().is_none() {
            let hint = if value.is_boolean() {
                "since draft 6 it holds the bound itself"
            } else {
                "write it without quotes"
            };
            self.problem(&format!("{at}/{keyword}"), format!("`{keyword}` is a number"), hint);
        }
        value.as_number().cloned()
    }

    pub(super) fn integer(&mut self, map: &Map<String, Value>, at: &str) -> Integer {
        let mut min = i128::MIN;
        let mut max = i128::MAX;
        if let Some(format) = map.get("format") {
            if let Some(width) = format.as_str().and_then(width) {
                (min, max) = width;
            } else {
                let message = "an integer's format is `int8` to `int64` or `uint8` to `uint64`";
                let hint = "leave it out, or use `minimum` and `maximum`";
                self.problem(&format!("{at}/format"), message, hint);
            }
        }
        if let Some(number) = self.limit(map, at, "minimum") {
            min = min.max(whole(&number, f64::ceil));
        }
        if let Some(number) = self.limit(map, at, "exclusiveMinimum") {
            min = min.max(whole(&number, f64::floor).saturating_add(1));
        }
        if let Some(number) = self.limit(map, at, "maximum") {
            max = max.min(whole(&number, f64::floor));
        }
        if let Some(number) = self.limit(map, at, "exclusiveMaximum") {
            max = max.min(whole(&number, f64::ceil).saturating_sub(1));
        }
        let min = min.max(Integer::ALL.min);
        let max = max.min(Integer::greatest(min));
        if min > max {
            self.problem(
                at,
                "no integer fits both bounds",
                "make `maximum` at least `minimum`; integers have 64 bits",
            );
            return Integer::ALL;
        }
        Integer { min, max }
    }

    pub(super) fn choice(&mut self, map: &Map<String, Value>, at: &str) -> Node {
        self.only(map, at, &["type", "enum", "const"], "beside `enum` and `const`");
        let (keyword, values): (&str, Vec<&Value>) = match (map.get("enum"), map.get("const")) {
            (Some(Value::Array(all)), None) => ("enum", all.iter().collect()),
            (_, Some(value)) => ("const", vec![value]),
            (_, None) => ("enum", Vec::new()),
        };
        let here = format!("{at}/{keyword}");
        let mut texts: Vec<String> = Vec::new();
        for value in &values {
            match value {
                Value::Null => {}
                Value::String(text) => {
                    if !texts.contains(text) {
                        texts.push(text.clone());
                    }
                }
                _ => {
                    let message = format!("`{keyword}` holds strings, and `null` where that is allowed");
                    let hint = "write the values as strings; for numbers use `minimum` and `maximum`";
                    self.problem(&here, message, hint);
                    return Node::any();
                }
            }
        }
        if values.is_empty() || (keyword == "const" && map.contains_key("enum")) {
            self.problem(
                &here,
                "`enum` is a list of strings, without `const` beside it",
                "write `[\"one\", \"two\"]`",
            );
            return Node::any();
        }
        let null_listed = values.iter().any(|value| value.is_null());
        let (text_allowed, null_allowed) = match map.get("type") {
            None => (true, true),
            Some(Value::String(name)) => (name == "string", name == "null"),
            Some(Value::Array(all)) => {
                let has = |name: &str| all.iter().any(|one| one == name);
                (has("string"), has("null"))
            }
            Some(_) => (false, false),
        };
        if (!text_allowed && !texts.is_empty()) || (null_listed && !null_allowed) {
            let hint = if null_listed && text_allowed {
                "write `[\"string\", \"null\"]`"
            } else {
                "write `\"string\"`"
            };
            self.problem(
                &format!("{at}/type"),
                format!("`type` does not allow what `{keyword}` lists"),
                hint,
            );
            return Node::any();
        }
        if texts.is_empty() {
            return Node::new(Kind::Null);
        }
        Node { docs: None, nullable: null_listed, kind: Kind::Choice(texts) }
    }
}

/// The range of a format such as `uint32`.
fn width(format: &str) -> Option<(i128, i128)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "int64" | "int" => (i64::MIN.into(), i64::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint64" | "uint" => (0, u64::MAX.into()),
        _ => return None,
    })
}

fn whole(number: &Number, round: fn(f64) -> f64) -> i128 {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "beyond an i128 it saturates, and 64 bits are the limit anyway"
    )]
    number.as_i128().unwrap_or_else(|| round(number.as_f64().unwrap_or(0.0)) as i128)
}
