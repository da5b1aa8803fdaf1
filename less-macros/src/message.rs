//! `#[less::message]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Error, Item};

/// The item with its derives and its `Message`, and what is wrong with it.
pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> (TokenStream, Vec<Error>) {
    let mut errors = Vec::new();
    if !arguments.is_empty() {
        errors.push(Error::new(arguments.span(), "`#[less::message]` takes no arguments"));
    }
    let parsed = match syn::parse2::<Item>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => return (item, vec![error]),
    };
    let (name, generics) = match &parsed {
        Item::Struct(item) => (&item.ident, &item.generics),
        Item::Enum(item) => (&item.ident, &item.generics),
        _ => {
            errors.push(Error::new(parsed.span(), "`#[less::message]` belongs on a struct or an enum"));
            return (item, errors);
        }
    };
    if !generics.params.is_empty() {
        errors.push(Error::new(generics.span(), "a message type can't be generic: a topic carries one type"));
        return (parsed.to_token_stream(), errors);
    }
    let text = name.to_string();
    let schema = cfg!(feature = "schema").then(|| {
        quote! {
            #[derive(::less::__private::schemars::JsonSchema)]
            #[schemars(crate = "::less::__private::schemars")]
        }
    });
    let schema_method = cfg!(feature = "schema").then(|| {
        quote! {
            fn json_schema() -> ::less::__private::schemars::Schema {
                ::less::__private::schemars::schema_for!(#name)
            }
        }
    });
    let tokens = quote! {
        #[derive(::less::__private::serde::Serialize, ::less::__private::serde::Deserialize)]
        #[serde(crate = "::less::__private::serde")]
        #schema
        #parsed

        impl ::less::Message for #name {
            const NAME: ::core::option::Option<&'static str> = ::core::option::Option::Some(#text);
            #schema_method
        }
    };
    (tokens, errors)
}
