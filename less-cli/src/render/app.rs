//! The crate with `main`: a table of handlers, a function per topic.

use less_model::language::Language;
use less_model::tree::{App, MessageSource, Subscriber, Topic};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::allow_case;

pub(super) fn files(app: &App) -> Vec<(String, TokenStream)> {
    let mut files = vec![("app/src/main.rs".to_owned(), main(app))];
    files.extend(app.topics.iter().map(|topic| (format!("app/src/{}.rs", module(topic)), one(topic))));
    files
}

/// Prefixed, so that no topic's name meets a crate's.
fn module(topic: &Topic) -> Ident {
    format_ident!("topic_{}", topic.name.as_str())
}

fn main(app: &App) -> TokenStream {
    let modules: Vec<Ident> = app.topics.iter().map(module).collect();
    let declarations = app.topics.iter().zip(&modules).map(|(topic, module)| {
        let allow = allow_case(topic.name.as_str());
        quote!(#allow mod #module;)
    });
    let title = format!(" Runs the app `{}`.", app.name);
    let macros = macros();
    quote! {
        #![doc = #title]
        #macros
        #(#declarations)*
        fn main() -> ::std::process::ExitCode {
            ::less::codegen::main(include_str!("../manifest.json"), &[#(#modules::register),*])
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

fn one(topic: &Topic) -> TokenStream {
    let name = topic.name.as_str();
    let message = match &topic.message {
        MessageSource::Any => quote!(::less::Value),
        MessageSource::Rust { type_name, .. } | MessageSource::Schema { type_name, .. } => {
            let (module, name) = (format_ident!("{}", topic.name.as_str()), format_ident!("{type_name}"));
            quote!(::less::topics::#module::#name)
        }
    };
    let rust: Vec<&Subscriber> =
        topic.subscribers.iter().filter(|subscriber| subscriber.language == Language::Rust).collect();
    let modules = rust.iter().map(|subscriber| {
        let (name, path) =
            (format_ident!("{}", subscriber.name.as_str()), format!("../../../{}", subscriber.file));
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
    let title = format!(" The topic `{name}`.");
    quote! {
        #![doc = #title]
        #(#modules)*
        pub fn register(registry: &mut ::less::codegen::Registry) {
            registry.topic::<#message>(#name) #(#rows)* .done();
        }
    }
}
