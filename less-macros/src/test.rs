//! `#[less::test]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemFn};

/// A plain test that runs the function's body, and what is wrong with the function.
pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> (TokenStream, Vec<Error>) {
    let mut errors = Vec::new();
    if !arguments.is_empty() {
        errors.push(Error::new(arguments.span(), "`#[less::test]` takes no arguments"));
    }
    let function = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => function,
        Err(error) => return (item, vec![error]),
    };
    if function.sig.asyncness.is_none() {
        errors.push(Error::new(function.sig.fn_token.span(), "`#[less::test]` belongs on an `async fn`"));
    }
    if !function.sig.inputs.is_empty() {
        errors.push(Error::new(function.sig.inputs.span(), "a test takes no arguments"));
    }
    if !errors.is_empty() {
        return (TokenStream::new(), errors);
    }
    let ItemFn { attrs, vis, sig, block, .. } = &function;
    let (name, output) = (&sig.ident, &sig.output);
    let tokens = quote! {
        #(#attrs)*
        #[::core::prelude::v1::test]
        #vis fn #name() #output {
            ::less::testing::run(async move #block)
        }
    };
    (tokens, errors)
}
