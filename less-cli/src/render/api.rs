//! The crate `less`: the typed API that the user's code imports.

use less_model::tree::{App, ExternalApp, MessageSource, Topic};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::allow_case;
use super::language::rust_types;

pub(super) fn files(app: &App) -> Vec<(String, TokenStream)> {
    let mut files =
        vec![("less/src/lib.rs".to_owned(), lib(app)), ("less/src/topics/mod.rs".to_owned(), topics(app))];
    files.extend(app.topics.iter().map(|topic| (format!("less/src/topics/{}.rs", topic.name), one(topic))));
    if app.publishers().next().is_some() {
        files.push(("less/src/external_topics/mod.rs".to_owned(), external(app)));
    }
    for other in app.publishers() {
        let folder = format!("less/src/external_topics/{}", other.name.identifier());
        files.push((format!("{folder}/mod.rs"), external_app(other)));
        files.extend(other.topics.iter().map(|topic| (format!("{folder}/{}.rs", topic.name), one(topic))));
    }
    files
}

fn lib(app: &App) -> TokenStream {
    let title = format!(" What the app `{}` publishes, and what its handlers use.", app.name);
    let external = app.publishers().next().map(|_| {
        quote!(
            pub mod external_topics;
        )
    });
    quote! {
        #![doc = #title]
        // Message types say `less::message`, and they are compiled in here.
        extern crate self as less;
        #external
        pub mod topics;
        pub use less_runtime::{
            Context, Error, Message, Publish, PublishError, PublishManyError, Receipt, Result, Topic, Value, message, reject,
            retry_after, test, testing,
        };
        #[doc(hidden)]
        pub use less_runtime::{__private, codegen};
    }
}

fn topics(app: &App) -> TokenStream {
    let own = app.name.as_str();
    let items = app.topics.iter().map(|topic| {
        let name = format_ident!("{}", topic.name.as_str());
        let docs = format!(" The topic `{}`: `{}`.", topic.name, topic.folder);
        let module_docs = format!(" What the topic `{}` carries.", topic.name);
        let message = message_type(topic);
        let allow = allow_case(topic.name.as_str());
        quote! {
            #[doc = #module_docs]
            #allow
            pub mod #name;
            #[doc = #docs]
            #[allow(non_upper_case_globals)]
            pub const #name: ::less_runtime::Topic<#message> = ::less_runtime::Topic::__new(#own, stringify!(#name));
        }
    });
    quote! {
        //! The app's topics.
        #(#items)*
    }
}

/// Modules alone: nobody publishes to another app's topic.
fn external(app: &App) -> TokenStream {
    let modules = app.publishers().map(|other| {
        let name = format_ident!("{}", other.name.identifier());
        let docs = format!(" Topics of the app `{}`: `{}`.", other.name, other.folder);
        let allow = allow_case(&other.name.identifier());
        quote! {
            #[doc = #docs]
            #allow
            pub mod #name;
        }
    });
    quote! {
        //! Topics of other apps that this app subscribes to.
        #(#modules)*
    }
}

fn external_app(other: &ExternalApp) -> TokenStream {
    let modules = other.topics.iter().map(|topic| {
        let name = format_ident!("{}", topic.name.as_str());
        let docs = format!(" What the topic `{}:{}` carries.", other.name, topic.name);
        let allow = allow_case(topic.name.as_str());
        quote! {
            #[doc = #docs]
            #allow
            pub mod #name;
        }
    });
    let title = format!(" Topics of the app `{}`.", other.name);
    quote! {
        #![doc = #title]
        #(#modules)*
    }
}

/// The topic's message type, as `topics` calls it.
fn message_type(topic: &Topic) -> TokenStream {
    match &topic.message {
        MessageSource::Any => quote!(::less_runtime::Value),
        MessageSource::Rust { type_name, .. } | MessageSource::Schema { type_name, .. } => {
            let (module, name) = (format_ident!("{}", topic.name.as_str()), format_ident!("{type_name}"));
            quote!(self::#module::#name)
        }
    }
}

fn one(topic: &Topic) -> TokenStream {
    match &topic.message {
        MessageSource::Any => quote! {
            //! A topic that carries any JSON.
            pub use ::less_runtime::Value;
        },
        MessageSource::Rust { file, .. } => {
            let path = format!("../../../../{file}");
            quote! {
                //! The topic's message type.
                #[path = #path]
                mod message;
                pub use self::message::*;
            }
        }
        MessageSource::Schema { type_name, shape, file } => {
            let types = rust_types(shape, type_name);
            let title = format!(" The topic's message type, from `{file}`.");
            quote! {
                #![doc = #title]
                #types
            }
        }
    }
}
