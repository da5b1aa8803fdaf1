//! The attributes of Less. Users reach them as `#[less::message]` and `#[less::test]`.

use proc_macro::TokenStream;

mod message;
mod test;

/// Makes a struct or enum a topic's message type.
///
/// Adds serde's `Serialize` and `Deserialize` (attributes such as `#[serde(rename_all = "camelCase")]` work) and implements `Message`.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (tokens, errors) = message::expand(&arguments.into(), item.into());
    with_errors(tokens, &errors)
}

/// Runs an `async fn` as a test in which `publish` records messages instead of sending them.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let (tokens, errors) = test::expand(&arguments.into(), item.into());
    with_errors(tokens, &errors)
}

fn with_errors(mut tokens: proc_macro2::TokenStream, errors: &[syn::Error]) -> TokenStream {
    tokens.extend(errors.iter().map(syn::Error::to_compile_error));
    tokens.into()
}
