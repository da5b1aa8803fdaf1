//! A message that fits a `message.rs`, for the commands that Less prints: a newcomer's first `curl` should work as it stands.

use serde_json::{Map, Value, json};
use syn::{Fields, GenericArgument, Item, PathArguments, Type};

/// A JSON text for the type called `type_name` in this source; `None` where its form is not plain enough to guess.
pub fn of_source(source: &str, type_name: &str) -> Option<Value> {
    let file = syn::parse_file(source).ok()?;
    of_type(&file.items, type_name, 0)
}

/// Deeper types than this are not guessed at; it also ends recursion in types that hold themselves.
const MAX_DEPTH: u32 = 4;

fn of_type(items: &[Item], name: &str, depth: u32) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    items.iter().find_map(|item| match item {
        // serde's attributes may rename or reshape fields: then a guess would be wrong.
        Item::Struct(item) if item.ident == name && !has_serde(&item.attrs) => match &item.fields {
            Fields::Named(fields) => {
                let mut object = Map::new();
                for field in &fields.named {
                    let key = field.ident.as_ref()?.to_string();
                    if is_option(&field.ty) {
                        continue;
                    }
                    if has_serde(&field.attrs) {
                        return None;
                    }
                    object.insert(key.clone(), of_field(items, &key, &field.ty, depth)?);
                }
                Some(Value::Object(object))
            }
            Fields::Unnamed(_) | Fields::Unit => None,
        },
        Item::Enum(item) if item.ident == name && !has_serde(&item.attrs) => {
            let plain = item.variants.iter().find(|variant| matches!(variant.fields, Fields::Unit))?;
            Some(json!(plain.ident.to_string()))
        }
        _ => None,
    })
}

fn has_serde(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("serde"))
}

fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn is_option(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == "Option")
}

fn argument(segment: &syn::PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn of_field(items: &[Item], key: &str, ty: &Type, depth: u32) -> Option<Value> {
    let segment = last_segment(ty)?;
    Some(match segment.ident.to_string().as_str() {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
            json!(1)
        }
        "f32" | "f64" => json!(1.5),
        "bool" => json!(true),
        "char" => json!("a"),
        "String" if key.contains("email") => json!("ada@example.com"),
        "String" if key == "name" || key.ends_with("_name") => json!("Ada"),
        "String" => json!("text"),
        "Box" => of_field(items, key, argument(segment)?, depth + 1)?,
        "Vec" | "HashSet" | "BTreeSet" | "VecDeque" => {
            json!([of_field(items, key, argument(segment)?, depth + 1)?])
        }
        "HashMap" | "BTreeMap" | "Value" => json!({}),
        other => of_type(items, other, depth + 1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_struct_has_a_sample_with_every_required_field() {
        let source = "
            #[less::message] pub struct OrderPlaced { pub id: u64, pub email: String, pub items: Vec<Item>, pub note: Option<String>, pub kind: Kind }
            #[less::message] pub struct Item { sku: String, price: f64 }
            #[less::message] pub enum Kind { Fast, Slow }";
        let expected = json!({"id": 1, "email": "ada@example.com", "items": [{"sku": "text", "price": 1.5}], "kind": "Fast"});
        assert_eq!(of_source(source, "OrderPlaced"), Some(expected));
    }

    #[test]
    fn nothing_is_guessed_where_serde_is_told_otherwise_or_the_type_is_foreign() {
        for source in [
            "#[serde(rename_all = \"camelCase\")] struct A { user_id: u64 }",
            "struct A { #[serde(rename = \"x\")] y: u64 }",
            "struct A { at: chrono::DateTime<chrono::Utc> }",
            "struct A { a: Box<A> }",
            "struct A(u64);",
            "struct B {}",
            "not rust",
        ] {
            assert_eq!(of_source(source, "A"), None, "{source}");
        }
    }
}
