//! From a `message.rs` to a shape, without compiling it: what serde writes and reads for the type, as far as its source shows.
//!
//! What the source does not show (types of other crates and files, `serde(with)`, `untagged`, generics) is any JSON: never wrong.

use std::collections::HashMap;

use syn::{Fields, Item};

use self::attributes::{Container, Field, Rule};
use self::paths::Imports;
use super::{Array, Kind, Named, Node, Object, Property, Shape};

mod attributes;
mod enums;
mod paths;
#[cfg(test)]
mod tests;
mod types;

impl Shape {
    /// The shape of the type called `name` in a file.
    pub(crate) fn of_rust(file: &syn::File, name: &str) -> Self {
        let mut reader = Reader {
            items: items(file),
            imports: Imports::of(file),
            types: vec![Named { name: name.to_owned(), node: Node::any() }],
            ids: HashMap::from([(name.to_owned(), 0)]),
            waiting: vec![(0, name.to_owned())],
        };
        while let Some((id, name)) = reader.waiting.pop() {
            reader.types[id].node = reader.definition(&name);
        }
        let shape = Self { types: reader.types };
        if shape.unsound(&[]).is_empty() {
            return shape;
        }
        // Such a type has no values.
        Self::any(name)
    }
}

/// Deeper types are any JSON, which also ends what would hold itself.
const MAX_DEPTH: usize = 40;

struct Reader<'a> {
    /// The file's own types; `None` for names that are there more than once, behind `#[cfg]`s.
    items: HashMap<String, Option<&'a Item>>,
    imports: Imports,
    types: Vec<Named>,
    ids: HashMap<String, usize>,
    waiting: Vec<(usize, String)>,
}

fn items(file: &syn::File) -> HashMap<String, Option<&Item>> {
    let mut out = HashMap::new();
    let mut by_hand = Vec::new();
    for item in &file.items {
        let name = match item {
            Item::Struct(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Impl(item) => {
                by_hand.extend(paths::serialized_by_hand(item));
                continue;
            }
            _ => continue,
        };
        let known = out.contains_key(&plain(name));
        out.insert(plain(name), (!known).then_some(item));
    }
    for name in by_hand {
        out.insert(name, None);
    }
    out
}

/// An identifier without `r#`.
fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

impl Reader<'_> {
    /// The type that an item of the file defines.
    fn definition(&mut self, name: &str) -> Node {
        match self.items.get(name).copied().flatten() {
            Some(Item::Struct(item)) if item.generics.params.is_empty() => {
                let Some(container) = Container::of(&item.attrs) else { return Node::any() };
                let kind = self.structure(&container, name, &item.fields);
                Node { docs: attributes::docs(&item.attrs), ..kind }
            }
            Some(Item::Enum(item)) if item.generics.params.is_empty() => {
                let Some(container) = Container::of(&item.attrs) else { return Node::any() };
                let kind = self.enumeration(&container, item).unwrap_or(Kind::Any);
                Node { docs: attributes::docs(&item.attrs), ..Node::new(kind) }
            }
            Some(Item::Type(item)) if item.generics.params.is_empty() => self.node(&item.ty, 0),
            Some(_) | None => Node::any(),
        }
    }

    /// A reference to a type of the file.
    fn named(&mut self, name: &str) -> Node {
        if let Some(id) = self.ids.get(name) {
            return Node::new(Kind::Ref(*id));
        }
        let id = self.types.len();
        self.types.push(Named { name: name.to_owned(), node: Node::any() });
        self.ids.insert(name.to_owned(), id);
        self.waiting.push((id, name.to_owned()));
        Node::new(Kind::Ref(id))
    }

    fn structure(&mut self, container: &Container, name: &str, fields: &Fields) -> Node {
        match fields {
            Fields::Named(fields) if container.transparent => {
                let mut read = fields.named.iter().filter_map(|field| {
                    let attributes = Field::of(&field.attrs)?;
                    (!attributes.skip).then_some((field, attributes))
                });
                match (read.next(), read.next()) {
                    (Some((field, attributes)), None) => self.typed(&attributes, &field.ty, 0),
                    _ => Node::any(),
                }
            }
            Fields::Named(_) => {
                let mut object = self.object(container, fields, container.rename_all, 0);
                if let Some(tag) = &container.tag {
                    let name = container.rename.clone().unwrap_or_else(|| name.to_owned());
                    let node = Node::new(Kind::Choice(vec![name]));
                    add(&mut object, Property { name: tag.clone(), required: false, node });
                }
                Node::new(Kind::Object(object))
            }
            Fields::Unnamed(_) => self.content(container, fields).map_or_else(Node::any, |(node, _)| node),
            Fields::Unit => Node::new(Kind::Null),
        }
    }

    /// What a tuple struct, or a variant, holds, and whether it may be missing.
    fn content(&mut self, container: &Container, fields: &Fields) -> Option<(Node, bool)> {
        match fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) => {
                let Some(kept) =
                    fields.unnamed.iter().map(|field| Field::of(&field.attrs)).collect::<Option<Vec<_>>>()
                else {
                    return Some((Node::any(), true));
                };
                if let ([attributes], Some(field)) = (&kept[..], fields.unnamed.first())
                    && !attributes.skip
                {
                    let node = self.typed(attributes, &field.ty, 0);
                    return Some((node.clone(), node.nullable || attributes.optional));
                }
                if kept.iter().any(|attributes| attributes.skip || attributes.optional) {
                    return Some((Node::any(), true));
                }
                let count = kept.len() as u64;
                let tuple = Array { items: Box::new(Node::any()), min_items: count, max_items: Some(count) };
                Some((Node::new(Kind::Array(tuple)), false))
            }
            Fields::Named(_) => {
                let object = self.object(container, fields, container.rename_all, 0);
                Some((Node::new(Kind::Object(object)), false))
            }
        }
    }

    fn object(&mut self, container: &Container, fields: &Fields, rule: Rule, depth: usize) -> Object {
        let mut object = Object { properties: Vec::new(), open: !container.deny_unknown_fields };
        for field in fields {
            let Some(attributes) = Field::of(&field.attrs) else {
                // Not even its name is known.
                object.open = true;
                continue;
            };
            if attributes.skip {
                continue;
            }
            if attributes.flatten {
                self.flatten(&mut object, &field.ty, depth);
                continue;
            }
            let node = self.typed(&attributes, &field.ty, 0);
            let own = field.ident.as_ref().map(plain).unwrap_or_default();
            let name = attributes.rename.clone().unwrap_or_else(|| rule.field(&own));
            let required = !(attributes.optional || container.default || node.nullable);
            let docs = attributes::docs(&field.attrs);
            add(&mut object, Property { name, required, node: Node { docs, ..node } });
        }
        object
    }

    /// The type of a field with attributes.
    fn typed(&mut self, attributes: &Field, ty: &syn::Type, depth: usize) -> Node {
        match &attributes.with {
            None => self.node(ty, depth),
            Some(with) => types::of_module(with, ty),
        }
    }

    /// Adds the properties of a struct of the file; of anything else nothing is known.
    fn flatten(&mut self, object: &mut Object, ty: &syn::Type, depth: usize) {
        let (ty, optional) = types::unwrapped(ty);
        object.open = true;
        let item = self.imports.local(ty).and_then(|name| self.items.get(&name).copied().flatten());
        let Some(Item::Struct(item)) = item.filter(|_| depth < MAX_DEPTH) else { return };
        let Some(container) = Container::of(&item.attrs) else { return };
        if !item.generics.params.is_empty()
            || container.transparent
            || !matches!(item.fields, Fields::Named(_))
        {
            return;
        }
        let inner = self.object(&container, &item.fields, container.rename_all, depth + 1);
        for property in inner.properties {
            add(object, Property { required: property.required && !optional, ..property });
        }
    }
}

/// Adds a property. Of two with one name, as `#[cfg]` and `flatten` make them, nothing is known.
fn add(object: &mut Object, property: Property) {
    match object.properties.iter_mut().find(|known| known.name == property.name) {
        Some(known) => *known = Property { required: false, node: Node::any(), name: property.name },
        None => object.properties.push(property),
    }
}
