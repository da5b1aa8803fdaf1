//! Message types in Rust, for topics whose type is a `message.schema.json` or in another app's contract. What fits the schema can be read into them.

use less_model::shape::{Kind, Named, Node, Object, Property, Shape, Union};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::docs;
use super::names::Types;
use super::rust_names;

/// The types of a topic's module, the message's own first.
pub(in crate::render) fn tokens(shape: &Shape, type_name: &str) -> TokenStream {
    let types = Types::of(shape, type_name);
    let printer = Printer { types: &types };
    let items = (0..types.list.len()).map(|at| printer.item(at));
    quote!(#(#items)*)
}

struct Printer<'a> {
    types: &'a Types,
}

/// What every type derives beside `Message`.
fn derives() -> TokenStream {
    quote!(#[::less::message] #[derive(Debug, Clone, PartialEq)])
}

impl Printer<'_> {
    fn item(&self, at: usize) -> TokenStream {
        let named = &self.types.list[at];
        let docs = doc(&docs::text_lines(named.node.docs.as_deref()));
        let derives = derives();
        let name = ident(&named.name);
        match &named.node.kind {
            Kind::Object(object) => {
                let fields = self.fields(object, at, &quote!(pub));
                quote!(#docs #derives pub struct #name { #fields })
            }
            Kind::Union(union) => {
                let variants = self.variants(union, at);
                let tag = &union.tag;
                quote!(#docs #derives #[serde(tag = #tag)] pub enum #name { #variants })
            }
            Kind::Choice(all) => {
                let idents = rust_names::variants(all.iter().map(String::as_str));
                let variants = all.iter().zip(idents).map(|(value, (ident, renamed))| {
                    let rename = rename(renamed, value);
                    quote!(#rename #ident)
                });
                quote!(#docs #derives pub enum #name { #(#variants),* })
            }
            Kind::External(all) => {
                let idents = rust_names::variants(all.iter().map(|one| one.value.as_str()));
                let variants = all.iter().zip(idents).map(|(one, (ident, renamed))| {
                    let rename = rename(renamed, &one.value);
                    let docs = doc(&docs::text_lines(one.docs.as_deref()));
                    let content = one.content.as_ref().map(|node| {
                        let ty = self.ty(node, Some(at));
                        quote!((#ty))
                    });
                    quote!(#docs #rename #ident #content)
                });
                quote!(#docs #derives pub enum #name { #(#variants),* })
            }
            _ => self.alias(at, named, &docs),
        }
    }

    fn alias(&self, at: usize, named: &Named, docs: &TokenStream) -> TokenStream {
        let name = ident(&named.name);
        let ty = self.ty(&named.node, Some(at));
        // A message's own type has to be a type of its own: another app's `message.rs` may hold a list.
        if at == 0 || self.alias_circle(at) {
            let derives = derives();
            return quote!(#docs #derives pub struct #name(pub #ty););
        }
        quote!(#docs pub type #name = #ty;)
    }

    fn fields(&self, object: &Object, at: usize, vis: &TokenStream) -> TokenStream {
        let names = rust_names::fields(object.properties.iter().map(|property| property.name.as_str()));
        let fields = object.properties.iter().zip(names).map(|(property, (ident, renamed))| {
            let rename = rename(renamed, &property.name);
            let docs = doc(&docs::lines(&property.node));
            let (ty, skip) = self.field(property, at);
            quote!(#docs #rename #skip #vis #ident: #ty)
        });
        quote!(#(#fields),*)
    }

    fn field(&self, property: &Property, at: usize) -> (TokenStream, Option<TokenStream>) {
        let ty = self.ty(&property.node, Some(at));
        if property.required {
            return (ty, None);
        }
        let ty = if property.node.nullable { ty } else { quote!(::std::option::Option<#ty>) };
        (ty, Some(quote!(#[serde(default, skip_serializing_if = "::std::option::Option::is_none")])))
    }

    fn variants(&self, union: &Union, at: usize) -> TokenStream {
        let names = rust_names::variants(union.variants.iter().map(|variant| variant.value.as_str()));
        let variants = union.variants.iter().zip(names).map(|(variant, (ident, renamed))| {
            let rename = rename(renamed, &variant.value);
            let docs = doc(&docs::text_lines(variant.docs.as_deref()));
            if variant.object.properties.is_empty() {
                return quote!(#docs #rename #ident);
            }
            let fields = self.fields(&variant.object, at, &TokenStream::new());
            quote!(#docs #rename #ident { #fields })
        });
        quote!(#(#variants),*)
    }

    /// A type; `within` is the one that holds it by value, where one does.
    fn ty(&self, node: &Node, within: Option<usize>) -> TokenStream {
        let ty = match &node.kind {
            Kind::Any => quote!(::less_runtime::Value),
            Kind::Null => quote!(()),
            Kind::Boolean => quote!(bool),
            Kind::Integer(range) if range.min >= 0 => quote!(u64),
            Kind::Integer(_) => quote!(i64),
            Kind::Number(_) => quote!(f64),
            Kind::Text(_) => quote!(::std::string::String),
            Kind::Array(array) => {
                let items = self.ty(&array.items, None);
                quote!(::std::vec::Vec<#items>)
            }
            Kind::Map(values) => {
                let values = self.ty(values, None);
                quote!(::std::collections::BTreeMap<::std::string::String, #values>)
            }
            Kind::Ref(at) => {
                let name = ident(&self.types.list[*at].name);
                match within {
                    Some(within) if self.holds(*at, within) => quote!(::std::boxed::Box<#name>),
                    Some(_) | None => quote!(#name),
                }
            }
            // They stand alone.
            Kind::Choice(_) | Kind::Object(_) | Kind::Union(_) | Kind::External(_) => {
                quote!(::less_runtime::Value)
            }
        };
        if node.nullable { quote!(::std::option::Option<#ty>) } else { ty }
    }

    /// Whether a type holds another by value, directly or not.
    fn holds(&self, from: usize, wanted: usize) -> bool {
        self.reaches(from, wanted, &by_value)
    }

    /// Whether an alias is made of itself, without a struct or an enum between.
    fn alias_circle(&self, at: usize) -> bool {
        let next = |node: &Node| match &node.kind {
            Kind::Object(_) | Kind::Union(_) | Kind::External(_) | Kind::Choice(_) => Vec::new(),
            _ => all(node),
        };
        next(&self.types.list[at].node).into_iter().any(|first| self.reaches(first, at, &next))
    }

    fn reaches(&self, from: usize, wanted: usize, next: &dyn Fn(&Node) -> Vec<usize>) -> bool {
        let mut seen = vec![false; self.types.list.len()];
        let mut waiting = vec![from];
        while let Some(at) = waiting.pop() {
            if at == wanted {
                return true;
            }
            if !std::mem::replace(&mut seen[at], true) {
                waiting.extend(next(&self.types.list[at].node));
            }
        }
        false
    }
}

/// The types that a type holds by value.
fn by_value(node: &Node) -> Vec<usize> {
    match &node.kind {
        Kind::Array(_) | Kind::Map(_) => Vec::new(),
        Kind::Object(object) => {
            object.properties.iter().flat_map(|property| by_value(&property.node)).collect()
        }
        Kind::Union(union) => union
            .variants
            .iter()
            .flat_map(|variant| &variant.object.properties)
            .flat_map(|property| by_value(&property.node))
            .collect(),
        Kind::External(all) => all.iter().filter_map(|one| one.content.as_ref()).flat_map(by_value).collect(),
        _ => all(node),
    }
}

/// The types that a type without properties names.
fn all(node: &Node) -> Vec<usize> {
    match &node.kind {
        Kind::Array(array) => all(&array.items),
        Kind::Map(values) => all(values),
        Kind::Ref(at) => vec![*at],
        Kind::Any
        | Kind::Null
        | Kind::Boolean
        | Kind::Integer(_)
        | Kind::Number(_)
        | Kind::Text(_)
        | Kind::Choice(_)
        | Kind::Object(_)
        | Kind::Union(_)
        | Kind::External(_) => Vec::new(),
    }
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

fn rename(renamed: bool, name: &str) -> Option<TokenStream> {
    renamed.then(|| quote!(#[serde(rename = #name)]))
}

fn doc(lines: &[String]) -> TokenStream {
    let lines = lines.iter().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote!(#(#[doc = #lines])*)
}
