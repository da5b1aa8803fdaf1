//! Message types in TypeScript.

use less_model::shape::{Kind, Named, Node, Object, Property, Variant};

use super::docs;
use super::names::Types;

/// The declarations of a topic's types: the message's own, and a namespace with those inside it.
pub(super) fn declarations(types: &Types) -> String {
    let printer = Printer { types };
    let mut out = printer.declaration(types.root(), 0);
    let variants = printer.variants(types.root());
    let nested = types.nested().iter().map(|named| printer.declaration(named, 1) + &printer.variants(named));
    let inside = variants + &nested.collect::<String>();
    if !inside.is_empty() {
        out.extend([format!("export namespace {} {{\n{inside}}}\n", types.root().name)]);
    }
    out
}

struct Printer<'a> {
    types: &'a Types,
}

impl Printer<'_> {
    fn declaration(&self, named: &Named, depth: usize) -> String {
        let tab = "  ".repeat(depth);
        let head = comment(&docs::lines(&named.node), depth);
        let name = &named.name;
        match &named.node.kind {
            Kind::Object(object) if !object.properties.is_empty() => {
                format!("{head}{tab}export interface {name} {}\n", self.body(object, None, depth))
            }
            _ => format!("{head}{tab}export type {name} = {};\n", self.node(&named.node, depth)),
        }
    }

    /// The interfaces of a union's variants.
    fn variants(&self, named: &Named) -> String {
        let Kind::Union(union) = &named.node.kind else { return String::new() };
        let one = |variant: &Variant| {
            let head = comment(&docs::text_lines(variant.docs.as_deref()), 1);
            let name = variant.name.as_deref().unwrap_or_default();
            let tag = Some((union.tag.as_str(), variant.value.as_str()));
            format!("{head}  export interface {name} {}\n", self.body(&variant.object, tag, 1))
        };
        union.variants.iter().map(one).collect()
    }

    fn body(&self, object: &Object, tag: Option<(&str, &str)>, depth: usize) -> String {
        let tab = "  ".repeat(depth);
        let tag = tag.map(|(name, value)| format!("{tab}  {}: {};\n", key(name), literal(value)));
        let property = |property: &Property| {
            let head = comment(&docs::lines(&property.node), depth + 1);
            let mark = if property.required { "" } else { "?" };
            format!("{head}{tab}  {}{mark}: {};\n", key(&property.name), self.node(&property.node, depth + 1))
        };
        let lines: String = tag.into_iter().chain(object.properties.iter().map(property)).collect();
        format!("{{\n{lines}{tab}}}")
    }

    fn node(&self, node: &Node, depth: usize) -> String {
        let text = match &node.kind {
            Kind::Any => "Json".to_owned(),
            Kind::Null => "null".to_owned(),
            Kind::Boolean => "boolean".to_owned(),
            Kind::Integer(_) | Kind::Number(_) => "number".to_owned(),
            Kind::Text(_) => "string".to_owned(),
            Kind::Choice(all) => either(all.iter().map(|text| literal(text))),
            Kind::Array(array) => {
                let items = self.node(&array.items, depth);
                if items.contains([' ', '\n']) { format!("({items})[]") } else { format!("{items}[]") }
            }
            Kind::Map(values) => format!("{{ [key: string]: {} }}", self.node(values, depth)),
            // An interface without properties would take anything.
            Kind::Object(object) if object.properties.is_empty() => {
                format!("{{ [key: string]: {} }}", if object.open { "Json" } else { "never" })
            }
            Kind::Object(object) => self.body(object, None, depth),
            Kind::Union(union) => either(
                union.variants.iter().map(|variant| self.nested(variant.name.as_deref().unwrap_or_default())),
            ),
            Kind::External(all) => either(all.iter().map(|one| match &one.content {
                None => literal(&one.value),
                Some(content) => format!("{{ {}: {} }}", key(&one.value), self.node(content, depth)),
            })),
            Kind::Ref(0) => self.types.root().name.clone(),
            Kind::Ref(at) => self.nested(&self.types.list[*at].name),
        };
        if node.nullable { format!("{text} | null") } else { text }
    }

    fn nested(&self, name: &str) -> String {
        format!("{}.{name}", self.types.root().name)
    }
}

fn either(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join(" | ")
}

/// A property's name.
fn key(name: &str) -> String {
    let mut chars = name.chars();
    let identifier = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    // As an identifier it would be a construct signature, and no property.
    if identifier && name != "new" && name != "constructor" { name.to_owned() } else { literal(name) }
}

/// A string literal, in ASCII.
fn literal(text: &str) -> String {
    let mut out = String::from('"');
    for unit in text.encode_utf16() {
        match char::from_u32(unit.into()) {
            Some(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Some(c @ ' '..='~') => out.push(c),
            Some(_) | None => out.extend([format!("\\u{unit:04x}")]),
        }
    }
    out + "\""
}

/// A comment of these lines.
fn comment(lines: &[String], depth: usize) -> String {
    let tab = "  ".repeat(depth);
    let lines: Vec<String> = lines.iter().map(|line| line.replace("*/", "*\\/")).collect();
    match &lines[..] {
        [] => String::new(),
        [line] => format!("{tab}/** {line} */\n"),
        many => {
            let many: String =
                many.iter().map(|line| format!("{tab} * {line}").trim_end().to_owned() + "\n").collect();
            format!("{tab}/**\n{many}{tab} */\n")
        }
    }
}
