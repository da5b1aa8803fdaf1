//! The crate with `main`: a table of handlers, a function per topic.

use less_model::language::Language;
use less_model::tree::{App, ExternalApp, MessageSource, Subscriber, Topic};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use self::Owner::{Other, Own};
use super::allow_case;

pub(super) fn files(app: &App) -> Vec<(String, TokenStream)> {
    let mut files = vec![("app/src/main.rs".to_owned(), main(app))];
    files.extend(app.topics.iter().map(|topic| (format!("app/src/{}.rs", module(topic)), one(topic, &Own))));
    for other in app.publishers() {
        let folder = format!("app/src/{}", external_module(other));
        files.push((format!("{folder}/mod.rs"), external(other)));
        let of = Other(other);
        files.extend(
            other.topics.iter().map(|topic| (format!("{folder}/{}.rs", module(topic)), one(topic, &of))),
        );
    }
    files
}

/// Whose topic it is.
enum Owner<'a> {
    /// This app's.
    Own,
    /// Another app's.
    Other(&'a ExternalApp),
}

/// Prefixed, so that no app's name meets a crate's.
fn external_module(other: &ExternalApp) -> Ident {
    format_ident!("external_{}", other.name.identifier())
}

fn external(other: &ExternalApp) -> TokenStream {
    let modules: Vec<Ident> = other.topics.iter().map(module).collect();
    let declarations = other.topics.iter().zip(&modules).map(|(topic, module)| {
        let allow = allow_case(topic.name.as_str());
        quote!(#allow mod #module;)
    });
    let title = format!(" Handlers of topics of the app `{}`.", other.name);
    quote! {
        #![doc = #title]
        #(#declarations)*
        pub fn register(registry: &mut ::less::codegen::Registry) {
            #(#modules::register(registry);)*
        }
    }
}

/// Prefixed, so that no topic's name meets a crate's.
fn module(topic: &Topic) -> Ident {
    format_ident!("topic_{}", topic.name.as_str())
}

fn main(app: &App) -> TokenStream {
    let modules: Vec<Ident> = app.topics.iter().map(module).collect();
    let others: Vec<Ident> = app.publishers().map(external_module).collect();
    let external = app.publishers().zip(&others).map(|(other, module)| {
        let allow = allow_case(&other.name.identifier());
        quote!(#allow mod #module;)
    });
    let all = modules.iter().chain(&others);
    let declarations = app.topics.iter().zip(&modules).map(|(topic, module)| {
        let allow = allow_case(topic.name.as_str());
        quote!(#allow mod #module;)
    });
    let title = format!(" Runs the app `{}`.", app.name);
    let macros = macros();
    quote! {
        #![doc = #title]
        #macros
        #(#external)*
        #(#declarations)*
        fn main() -> ::std::process::ExitCode {
            ::less::codegen::main(include_str!("../manifest.json"), &[#(#all::register),*])
        }
    }
}

/// Handlers share one standard output. These stand before the standard library's macros in every handler's file, and begin each line with the
/// subscriber's name.
fn macros() -> TokenStream {
    let print = |name: &str, to_stderr: bool, newline: bool| {
        let name = format_ident!("{name}");
        quote! {
            #[allow(unused_macros)]
            macro_rules! #name {
                () => {
                    ::less::__private::print(#to_stderr, #newline, ::core::format_args!(""))
                };
                ($($arg:tt)+) => {
                    ::less::__private::print(#to_stderr, #newline, ::core::format_args!($($arg)+))
                };
            }
        }
    };
    let (println, print_, eprintln, eprint) = (
        print("println", false, true),
        print("print", false, false),
        print("eprintln", true, true),
        print("eprint", true, false),
    );
    // As the user knows the file, not by the way that `#[path]` takes to it.
    let file = quote!(::core::file!().rsplit("../").next().unwrap_or_default());
    quote! {
        #println
        #print_
        #eprintln
        #eprint
        #[allow(unused_macros)]
        macro_rules! dbg {
            () => {
                ::less::__private::print(true, true, ::core::format_args!("[{}:{}]", #file, ::core::line!()))
            };
            ($value:expr $(,)?) => {
                match $value {
                    value => {
                        ::less::__private::print(
                            true,
                            true,
                            ::core::format_args!(
                                "[{}:{}] {} = {:#?}", #file, ::core::line!(), ::core::stringify!($value), &value
                            ),
                        );
                        value
                    }
                }
            };
            ($($value:expr),+ $(,)?) => { ($(dbg!($value)),+,) };
        }
    }
}

fn one(topic: &Topic, owner: &Owner) -> TokenStream {
    let (address, folder, up) = match owner {
        Own => (topic.name.to_string(), quote!(topics), "../../.."),
        Other(other) => {
            let module = format_ident!("{}", other.name.identifier());
            (format!("{}:{}", other.name, topic.name), quote!(external_topics::#module), "../../../..")
        }
    };
    let message = match &topic.message {
        MessageSource::Any => quote!(::less::Value),
        MessageSource::Rust { type_name, .. } | MessageSource::Schema { type_name, .. } => {
            let (module, name) = (format_ident!("{}", topic.name.as_str()), format_ident!("{type_name}"));
            quote!(::less::#folder::#module::#name)
        }
    };
    let rust: Vec<&Subscriber> =
        topic.subscribers.iter().filter(|subscriber| subscriber.language == Language::Rust).collect();
    let modules = rust.iter().map(|subscriber| {
        let (name, path) =
            (format_ident!("{}", subscriber.name.as_str()), format!("{up}/{}", subscriber.file));
        let allow = allow_case(subscriber.name.as_str());
        quote! {
            #[path = #path]
            #allow
            mod #name;
        }
    });
    let rows = rust.iter().map(|subscriber| {
        let name = subscriber.name.as_str();
        let module = format_ident!("{name}");
        if subscriber.takes_context {
            quote!(.subscriber(#name, self::#module::process))
        } else {
            quote!(.subscriber(#name, |message, _| self::#module::process(message)))
        }
    });
    let title = format!(" The topic `{address}`.");
    quote! {
        #![doc = #title]
        #(#modules)*
        pub fn register(registry: &mut ::less::codegen::Registry) {
            registry.topic::<#message>(#address) #(#rows)* .done();
        }
    }
}
