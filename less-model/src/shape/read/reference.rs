//! `$ref`: into `$defs` or `definitions` of the same document, or to its root.

use serde_json::{Map, Value};

use super::super::pointer::key;
use super::super::{Kind, Named, Node};
use super::{Reader, near};

impl<'a> Reader<'a> {
    pub(super) fn reference(&mut self, reference: &Value, at: &str) -> Node {
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
    pub(super) fn target(&self, text: &str) -> Option<(String, &'a Value)> {
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
        let names: Vec<&str> = sections.flat_map(Map::keys).map(String::as_str).collect();
        let hint = match near(name, names) {
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
