//! A lock as text: sorted, a table per topic, a line per subscriber and property, so that changes are small and merge.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Lock, VERSION};

const HEADER: &str = "\
# Written by `less build`: what this app's topics look like to other programs and to stored messages.
# Commit it, and leave it to `less`.
";

/// The lock's text.
pub(super) fn print(lock: &Lock) -> String {
    let mut out = format!("{HEADER}version = {VERSION}\n");
    for (name, topic) in &lock.topics {
        let lines: String =
            topic.subscribers.iter().flat_map(|name| ["  \"", name.as_str(), "\",\n"]).collect();
        let subscribers = if lines.is_empty() { "[]".to_owned() } else { format!("[\n{lines}]") };
        out.extend(["\n[topics.", name.as_str(), "]\nsubscribers = ", &subscribers, "\n"]);
        if let Some(message) = &topic.message {
            let (fingerprint, schema) = (fingerprint(&message.schema), literal(&message.schema));
            out.extend(["message = \"", message.written.file(), "\"\nfingerprint = \"", &fingerprint]);
            out.extend(["\"\nschema = '''\n", &schema, "'''\n"]);
        }
    }
    out
}

/// Half of SHA-256 of the schema without white space, as hexadecimal digits.
pub(super) fn fingerprint(schema: &Value) -> String {
    let hash = Sha256::digest(schema.to_string());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    format!("{:032x}", u128::from_be_bytes(half))
}

/// The schema, as it can stand between three apostrophes.
fn literal(schema: &Value) -> String {
    let mut out = String::new();
    write(schema, 0, &mut out);
    out.push('\n');
    // Both are in strings alone, where JSON has another way to write them.
    out.replace('\'', "\\u0027").replace('\u{7f}', "\\u007f")
}

/// What holds other types is spread over lines, and nothing else.
fn write(value: &Value, indent: usize, out: &mut String) {
    let inner = "  ".repeat(indent + 1);
    let (items, brackets): (Vec<(String, &Value)>, _) = match value {
        Value::Object(map) if spreads(value) => (
            map.iter().map(|(key, value)| (format!("{}: ", Value::from(key.as_str())), value)).collect(),
            ['{', '}'],
        ),
        Value::Array(all) if spreads(value) => {
            (all.iter().map(|value| (String::new(), value)).collect(), ['[', ']'])
        }
        _ => return out.push_str(&value.to_string()),
    };
    out.push(brackets[0]);
    for (at, (key, value)) in items.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&inner);
        out.push_str(key);
        write(value, indent + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(indent));
    out.push(brackets[1]);
}

/// Whether there are several types in it.
fn spreads(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            let holds = ["properties", "oneOf", "anyOf", "$defs"];
            map.keys().any(|key| holds.contains(&key.as_str())) || map.values().any(Value::is_object)
        }
        Value::Array(all) => all.iter().any(Value::is_object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
