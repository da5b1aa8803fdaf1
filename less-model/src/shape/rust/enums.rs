//! Enums, in serde's representations.

use syn::{Fields, Item, ItemEnum, Type};

use super::super::{Alternative, Kind, Object, Property, Union, Variant};
use super::attributes::{Container, Rule, docs};
use super::{Reader, plain, types};

impl Reader<'_> {
    /// `None` where it can't be told.
    pub(super) fn enumeration(&mut self, container: &Container, item: &ItemEnum) -> Option<Kind> {
        let mut variants = Vec::new();
        for variant in &item.variants {
            // Whether it is there at all is not known.
            if variant.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
                return None;
            }
            let mut attributes = Container::of_variant(&variant.attrs)?;
            if attributes.skip {
                continue;
            }
            let own = plain(&variant.ident);
            let value = attributes.rename.clone().unwrap_or_else(|| container.rename_all.variant(&own));
            if attributes.rename_all == Rule::None {
                attributes.rename_all = container.rename_all_fields;
            }
            attributes.deny_unknown_fields |= container.deny_unknown_fields;
            variants.push((value, docs(&variant.attrs), attributes, &variant.fields));
        }
        if variants.is_empty() {
            return None;
        }
        let Some(tag) = &container.tag else {
            if container.content.is_some() {
                return None;
            }
            return Some(self.external(variants));
        };
        let variants = variants.into_iter().map(|(value, docs, attributes, fields)| {
            let (name, object) = match &container.content {
                Some(content) => (None, self.adjacent(&attributes, fields, content)),
                None => self.internal(&attributes, fields),
            };
            let clash = object.properties.iter().any(|property| property.name == *tag);
            (!clash).then_some(Variant { value, name, docs, object })
        });
        Some(Kind::Union(Union { tag: tag.clone(), variants: variants.collect::<Option<_>>()? }))
    }

    fn external(&mut self, variants: Vec<(String, Option<String>, Container, &Fields)>) -> Kind {
        if variants.iter().all(|(_, _, _, fields)| matches!(fields, Fields::Unit)) {
            return Kind::Choice(variants.into_iter().map(|(value, ..)| value).collect());
        }
        let all = variants.into_iter().map(|(value, docs, attributes, fields)| {
            let content = self.content(&attributes, fields).map(|(node, _)| node);
            Alternative { value, docs, content }
        });
        Kind::External(all.collect())
    }

    fn internal(&mut self, attributes: &Container, fields: &Fields) -> (Option<String>, Object) {
        // Serde takes any other keys beside the tag there, whatever it is told.
        let unknown = Object { properties: Vec::new(), open: true };
        match fields {
            Fields::Unit => (None, unknown),
            Fields::Named(_) => (None, self.object(attributes, fields, attributes.rename_all, 0)),
            Fields::Unnamed(fields) => match fields.unnamed.first() {
                Some(field) if field.attrs.is_empty() => self
                    .structure_of(&field.ty)
                    .map_or((None, unknown), |(name, object)| (Some(name), object)),
                Some(_) | None => (None, unknown),
            },
        }
    }

    /// The object that a struct of the file is.
    fn structure_of(&mut self, ty: &Type) -> Option<(String, Object)> {
        let (ty, optional) = types::unwrapped(ty);
        let name = self.imports.local(ty)?;
        let Some(Some(Item::Struct(item))) = self.items.get(&name) else { return None };
        let container = Container::of(&item.attrs)?;
        let plain =
            item.generics.params.is_empty() && !container.transparent && container.tag.is_none() && !optional;
        if !plain || !matches!(item.fields, Fields::Named(_)) {
            return None;
        }
        let object = self.object(&container, &item.fields, container.rename_all, 0);
        Some((name, object))
    }

    fn adjacent(&mut self, attributes: &Container, fields: &Fields, content: &str) -> Object {
        let mut object = Object { properties: Vec::new(), open: !attributes.deny_unknown_fields };
        if let Some((node, optional)) = self.content(attributes, fields) {
            object.properties.push(Property { name: content.to_owned(), required: !optional, node });
        } else {
            // Serde lets `null` stand for a unit.
            object.open = true;
        }
        object
    }
}
