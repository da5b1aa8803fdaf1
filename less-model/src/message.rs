//! A topic's `message.rs`: which type it holds, what that looks like as JSON, and which crates it needs.

use proc_macro2::Span;
use syn::{Attribute, Generics, Ident, Item, Visibility};

use crate::diagnostic::{Diagnostic, Place};
use crate::name::nearest;
use crate::rust::imports::{names_of, re_export};
use crate::rust::roots::roots;
use crate::rust::{self, RustFile};
use crate::shape::Shape;

/// A struct or an enum of the file.
struct Type<'a> {
    name: &'a Ident,
    vis: &'a Visibility,
    attributes: &'a [Attribute],
    generics: &'a Generics,
}

/// What a `message.rs` holds.
pub(crate) struct Message {
    /// The roots of its paths.
    pub(crate) roots: Vec<String>,
    /// The shape of its message type.
    pub(crate) shape: Shape,
}

/// Reads the file, and says what is wrong with it.
pub(crate) fn read(path: &str, text: &str, type_name: &str) -> (Message, Vec<Diagnostic>) {
    let file = match rust::parse(path, text) {
        Ok(file) => file,
        Err(diagnostics) => {
            return (Message { roots: Vec::new(), shape: Shape::any(type_name) }, diagnostics);
        }
    };
    let types: Vec<Type> = file.file.items.iter().filter_map(message_type).collect();
    let diagnostics = match types.iter().find(|found| found.name == type_name) {
        Some(found) => check(path, &file, found),
        None => vec![missing(path, &file, &types, type_name)],
    };
    let shape = Shape::of_rust(&file.file, type_name);
    (Message { roots: roots(&file.tokens), shape }, diagnostics)
}

fn message_type(item: &Item) -> Option<Type<'_>> {
    match item {
        Item::Struct(item) => Some(Type {
            name: &item.ident,
            vis: &item.vis,
            attributes: &item.attrs,
            generics: &item.generics,
        }),
        Item::Enum(item) => Some(Type {
            name: &item.ident,
            vis: &item.vis,
            attributes: &item.attrs,
            generics: &item.generics,
        }),
        _ => None,
    }
}

fn check(path: &str, file: &RustFile, found: &Type) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let name = found.name;
    let place = |span: Span| Place::span(path, file.range(span));
    if !found.attributes.iter().any(|attribute| is_message(attribute, &file.file)) {
        out.push(
            Diagnostic::error("message-attribute", format!("`{name}` has no attribute `#[less::message]`"))
                .at(place(name.span()))
                .hint("write `#[less::message]` on the line above it"),
        );
    }
    if !matches!(found.vis, Visibility::Public(_)) {
        out.push(
            Diagnostic::error("message-not-public", format!("message type `{name}` is not `pub`"))
                .at(place(name.span()))
                .hint(format!("write `pub` before it: `pub struct {name}` or `pub enum {name}`")),
        );
    }
    if let Some(first) = found.generics.params.first() {
        let message = format!("message type `{name}` is generic, but a topic carries one type");
        out.push(
            Diagnostic::error("message-generic", message)
                .at(place(syn::spanned::Spanned::span(first)))
                .hint("write the types of its fields out"),
        );
    }
    out
}

fn is_message(attribute: &Attribute, file: &syn::File) -> bool {
    let segments: Vec<String> =
        attribute.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
    match &segments[..] {
        [name] => names_of(file, "less", "message").contains(name),
        [krate, name] => krate == "less" && name == "message",
        _ => false,
    }
}

fn missing(path: &str, file: &RustFile, types: &[Type], type_name: &str) -> Diagnostic {
    let error = |message: String| Diagnostic::error("missing-message-type", message);
    let hint = format!(
        "a topic's message type is named after its folder: `#[less::message] pub struct {type_name} {{ … }}`"
    );
    if let Some(span) = re_export(&file.file, type_name) {
        return error(format!("`{type_name}` has to be written in this file, not imported into it"))
            .at(Place::span(path, file.range(span)))
            .hint(hint);
    }
    let marked: Vec<String> = types
        .iter()
        .filter(|found| found.attributes.iter().any(|attribute| is_message(attribute, &file.file)))
        .map(|found| found.name.to_string())
        .collect();
    let all: Vec<String> = types.iter().map(|found| found.name.to_string()).collect();
    let likely = match &marked[..] {
        [only] => Some(only.as_str()),
        _ => nearest(type_name, all.iter().map(String::as_str)),
    };
    let found = types.iter().find(|found| likely.is_some_and(|likely| found.name == likely));
    match found {
        Some(found) => error(format!("no struct or enum `{type_name}`, but one named `{}`", found.name))
            .at(Place::span(path, file.range(found.name.span()))),
        None => error(format!("this file has no struct or enum `{type_name}`")).at(Place::path(path)),
    }
    .hint(hint)
}
