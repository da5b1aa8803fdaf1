//! Message types in Python: `TypedDict`s, in a stub that only type checkers read.
//!
//! A stub may refer to what comes later in it. What is inside a topic's type is called `UserCreated_Address`: no topic's type has a `_`.

use less_model::shape::{Kind, Named, Node, Object, Variant};

use super::docs;
use super::names::{Types, pascal};

/// The classes of a topic's types, the message's own first, and the names of all of them.
pub(super) fn declarations(types: &Types) -> (String, Vec<String>) {
    let mut printer = Printer { types, names: Vec::new() };
    let text = types.list.iter().map(|named| printer.declaration(named)).collect();
    (text, printer.names)
}

struct Printer<'a> {
    types: &'a Types,
    names: Vec<String>,
}

/// A field of a `TypedDict`.
struct Field<'a> {
    name: &'a str,
    required: bool,
    ty: String,
    docs: Vec<String>,
}

impl Printer<'_> {
    fn name(&self, name: &str) -> String {
        let root = &self.types.root().name;
        if name == root { root.clone() } else { format!("{root}_{name}") }
    }

    fn declaration(&mut self, named: &Named) -> String {
        let name = self.name(&named.name);
        self.names.push(name.clone());
        let docs = docs::lines(&named.node);
        match &named.node.kind {
            Kind::Object(object) => self.dict(&name, object, None, &docs),
            Kind::Union(union) => {
                let mut out = String::new();
                for variant in &union.variants {
                    let name = self.variant(variant);
                    self.names.push(name.clone());
                    let tag = Some((union.tag.as_str(), variant.value.as_str()));
                    out +=
                        &self.dict(&name, &variant.object, tag, &docs::text_lines(variant.docs.as_deref()));
                }
                out + &alias(&name, &self.node(&named.node), &docs)
            }
            Kind::External(all) => {
                let mut out = String::new();
                let mut kinds = Vec::new();
                for one in all {
                    let Some(content) = &one.content else {
                        kinds.push(format!("_t.Literal[{}]", literal(&one.value)));
                        continue;
                    };
                    let name = self.free(&format!("{name}_{}", pascal(&one.value, "Type")));
                    let field =
                        Field { name: &one.value, required: true, ty: self.node(content), docs: Vec::new() };
                    out += &dict(&name, &[field], &docs::text_lines(one.docs.as_deref()));
                    kinds.push(name);
                }
                out + &alias(&name, &union(kinds), &docs)
            }
            _ => alias(&name, &self.node(&named.node), &docs),
        }
    }

    /// The name, or one like it that is free; it is taken from now on.
    fn free(&mut self, name: &str) -> String {
        let mut candidates = std::iter::once(name.to_owned()).chain((2..).map(|n: u64| format!("{name}{n}")));
        let free = candidates.find(|candidate| !self.names.contains(candidate)).unwrap_or_default();
        self.names.push(free.clone());
        free
    }

    fn variant(&self, variant: &Variant) -> String {
        self.name(variant.name.as_deref().unwrap_or_default())
    }

    fn dict(&self, name: &str, object: &Object, tag: Option<(&str, &str)>, docs: &[String]) -> String {
        let tag = tag.map(|(name, value)| Field {
            name,
            required: true,
            ty: format!("_t.Literal[{}]", literal(value)),
            docs: Vec::new(),
        });
        let fields: Vec<Field> = tag
            .into_iter()
            .chain(object.properties.iter().map(|property| Field {
                name: &property.name,
                required: property.required,
                ty: self.node(&property.node),
                docs: docs::lines(&property.node),
            }))
            .collect();
        dict(name, &fields, docs)
    }

    fn node(&self, node: &Node) -> String {
        let text = match &node.kind {
            // Objects and enums stand alone, and are printed there.
            Kind::Any | Kind::Object(_) | Kind::External(_) => "_t.Any".to_owned(),
            Kind::Null => "None".to_owned(),
            Kind::Boolean => "bool".to_owned(),
            Kind::Integer(_) => "int".to_owned(),
            Kind::Number(_) => "float".to_owned(),
            Kind::Text(_) => "str".to_owned(),
            Kind::Choice(all) => {
                format!("_t.Literal[{}]", all.iter().map(|text| literal(text)).collect::<Vec<_>>().join(", "))
            }
            Kind::Array(array) => format!("_t.List[{}]", self.node(&array.items)),
            Kind::Map(values) => format!("_t.Dict[str, {}]", self.node(values)),
            Kind::Union(inner) => union(inner.variants.iter().map(|variant| self.variant(variant)).collect()),
            Kind::Ref(at) => self.name(&self.types.list[*at].name),
        };
        if node.nullable { format!("_t.Optional[{text}]") } else { text }
    }
}

fn union(mut kinds: Vec<String>) -> String {
    if kinds.len() == 1 { kinds.remove(0) } else { format!("_t.Union[{}]", kinds.join(", ")) }
}

fn alias(name: &str, ty: &str, docs: &[String]) -> String {
    let docs = docstring(docs, "");
    format!("\n{name}: _te.TypeAlias = {ty}\n{docs}")
}

/// A `TypedDict`: as a class, where all names allow that.
fn dict(name: &str, fields: &[Field], docs: &[String]) -> String {
    let wrapped = |field: &Field| {
        if field.required { field.ty.clone() } else { format!("_te.NotRequired[{}]", field.ty) }
    };
    // Pyright knows no empty name.
    if fields.iter().any(|field| field.name.is_empty()) {
        return alias(name, "_t.Dict[str, _t.Any]", docs);
    }
    if fields.iter().all(|field| is_attribute(field.name)) {
        let mut out = format!("\nclass {name}(_te.TypedDict):\n{}", docstring(docs, "    "));
        for field in fields {
            let docs = docstring(&field.docs, "    ");
            out.extend([format!("    {}: {}\n{docs}", field.name, wrapped(field))]);
        }
        if fields.is_empty() && docs.is_empty() {
            out += "    pass\n";
        }
        return out;
    }
    let mut out = format!("\n{name} = _te.TypedDict({}, {{\n", literal(name));
    for field in fields {
        out.extend([format!("    {}: {},\n", literal(field.name), wrapped(field))]);
    }
    // No comments: type checkers take some of them for orders.
    let fields = fields.iter().filter(|field| !field.docs.is_empty()).flat_map(|field| {
        [String::new(), format!("`{}`:", docs::text_lines(Some(field.name)).join(" "))]
            .into_iter()
            .chain(field.docs.iter().cloned())
    });
    let docs: Vec<String> = docs.iter().cloned().chain(fields).skip_while(String::is_empty).collect();
    out + "})\n" + &docstring(&docs, "")
}

/// Whether a class may have an attribute of this name that hides nothing which its annotations use: a name of a type may come later.
fn is_attribute(name: &str) -> bool {
    let used = ["bool", "float", "int", "str"];
    is_identifier(name)
        && !name.starts_with('_')
        && !name.starts_with(|c: char| c.is_ascii_uppercase())
        && !used.contains(&name)
}

/// Whether a text is a name in Python, and none of its words.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && KEYWORDS.binary_search(&text).is_err()
}

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// A string literal, in ASCII.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => out.extend([format!("\\U{:08x}", u32::from(c))]),
        }
    }
    out + "\""
}

/// A documentation string of these lines.
pub(super) fn docstring(lines: &[String], tab: &str) -> String {
    let lines: Vec<String> =
        lines.iter().map(|line| line.replace('\\', "\\\\").replace('"', "\\\"")).collect();
    match &lines[..] {
        [] => String::new(),
        [line] => format!("{tab}\"\"\"{line}\"\"\"\n"),
        [first, rest @ ..] => {
            let rest: String =
                rest.iter().map(|line| format!("{tab}{line}").trim_end().to_owned() + "\n").collect();
            format!("{tab}\"\"\"{first}\n{rest}{tab}\"\"\"\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_so_that_binary_search_finds_them() {
        assert!(KEYWORDS.is_sorted());
        assert!(!is_identifier("class") && !is_identifier("1a") && !is_identifier("") && !is_identifier("é"));
        assert!(is_identifier("match") && is_identifier("_a1"));
    }

    #[test]
    fn literals_are_ascii_and_end_nowhere_but_at_their_end() {
        assert_eq!(literal("a\"\\\n\u{2028}é"), "\"a\\\"\\\\\\U0000000a\\U00002028\\U000000e9\"");
        assert_eq!(docstring(&["\"\"\"\\".to_owned()], ""), "\"\"\"\\\"\\\"\\\"\\\\\"\"\"\n");
    }
}
