//! The signature of a Rust handler: `pub async fn process(message: UserCreated) -> less::Result<()>`.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{FnArg, Item, ItemFn, ReturnType, Type, Visibility};

use crate::diagnostic::{Diagnostic, Place};
use crate::name::nearest;
use crate::rust::imports::{aliases, re_export};
use crate::rust::{self, RustFile};

/// What a handler's signature says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler {
    /// Whether it takes a context as second argument.
    pub takes_context: bool,
}

/// The signature that a handler has, without a context, where its topic carries `message_type`.
pub fn signature(message_type: Option<&str>) -> String {
    let message = message_type.unwrap_or("less::Value");
    format!("pub async fn process(message: {message}) -> less::Result<()>")
}

struct Check<'a> {
    path: &'a str,
    file: &'a RustFile,
    topic: &'a str,
    message_type: Option<&'a str>,
    /// Names that the file itself gives to types it took from elsewhere.
    aliases: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

/// Reads the handler in the file `path`, whose topic carries `message_type`, or any JSON where that is `None`.
pub(crate) fn read(
    path: &str,
    text: &str,
    topic: &str,
    message_type: Option<&str>,
) -> (Option<Handler>, Vec<Diagnostic>) {
    let file = match rust::parse(path, text) {
        Ok(file) => file,
        Err(diagnostics) => return (None, diagnostics),
    };
    let aliases = aliases(&file.file);
    let mut check = Check { path, file: &file, topic, message_type, aliases, diagnostics: Vec::new() };
    // More than one may stand behind different `#[cfg]`s; rustc says when they do not.
    let candidates: Vec<&ItemFn> =
        functions(&file.file).filter(|function| function.sig.ident == "process").collect();
    if candidates.is_empty() {
        check.missing();
    }
    for function in &candidates {
        check.function(function);
    }
    let handler =
        candidates.first().map(|function| Handler { takes_context: function.sig.inputs.len() == 2 });
    (handler, check.diagnostics)
}

fn functions(file: &syn::File) -> impl Iterator<Item = &ItemFn> {
    file.items.iter().filter_map(|item| if let Item::Fn(function) = item { Some(function) } else { None })
}

impl Check<'_> {
    fn report(&mut self, code: &'static str, message: impl Into<String>, span: Span) {
        let place = Place::span(self.path, self.file.range(span));
        let hint = format!("its signature is `{}`", signature(self.message_type));
        self.diagnostics.push(Diagnostic::error(code, message).at(place).hint(hint));
    }

    fn missing(&mut self) {
        if let Some(span) = re_export(&self.file.file, "process") {
            let message = "`process` has to be written in this file, not imported into it";
            return self.report("missing-process", message, span);
        }
        let names: Vec<String> =
            functions(&self.file.file).map(|function| function.sig.ident.to_string()).collect();
        let similar = nearest("process", names.iter().map(String::as_str));
        if let Some(function) =
            functions(&self.file.file).find(|function| similar.is_some_and(|name| function.sig.ident == name))
        {
            let message = format!("no function `process`, but one named `{}`", function.sig.ident);
            return self.report("missing-process", message, function.sig.ident.span());
        }
        let hint = format!("write `{} {{ … }}`", signature(self.message_type));
        let message = "this file has no function `process`";
        self.diagnostics
            .push(Diagnostic::error("missing-process", message).at(Place::path(self.path)).hint(hint));
    }

    fn function(&mut self, function: &ItemFn) {
        let sig = &function.sig;
        if !matches!(function.vis, Visibility::Public(_)) {
            self.report("process-not-public", "`process` is not `pub`", sig.ident.span());
        }
        if sig.asyncness.is_none() {
            self.report("process-not-async", "`process` is not `async`", sig.ident.span());
        }
        if let syn::Safety::Unsafe(token) = &sig.safety {
            self.report("process-qualifier", "`process` can't be `unsafe`", token.span());
        }
        if let Some(abi) = &sig.abi {
            self.report("process-qualifier", "`process` can't be `extern`", abi.span());
        }
        if !sig.generics.params.is_empty() {
            self.report("process-generic", "`process` can't be generic", sig.generics.span());
        }
        self.arguments(function);
        self.output(function);
    }

    fn arguments(&mut self, function: &ItemFn) {
        let sig = &function.sig;
        let code = "process-arguments";
        let arguments: Vec<&FnArg> = sig.inputs.iter().collect();
        if let Some(FnArg::Receiver(receiver)) = arguments.first() {
            return self.report(code, "`process` is a plain function, without `self`", receiver.span());
        }
        if arguments.is_empty() {
            return self.report(
                code,
                "`process` takes no argument, but the message is its first",
                sig.paren_token.span.join(),
            );
        }
        if let Some(third) = arguments.get(2) {
            let message =
                format!("`process` takes a message and at most a context, not {} arguments", arguments.len());
            self.report(code, message, third.span());
        }
        if let Some(FnArg::Typed(first)) = arguments.first() {
            self.message(&first.ty);
        }
        if let Some(FnArg::Typed(second)) = arguments.get(1)
            && !self.is(&second.ty, "Context")
        {
            self.report(code, "the second argument of `process` is not a `less::Context`", second.ty.span());
        }
    }

    fn message(&mut self, ty: &Type) {
        let (expected, carries) = match self.message_type {
            Some(name) => (name, format!("`{name}`")),
            None => ("Value", "any JSON, which is `less::Value`".to_owned()),
        };
        if self.is(ty, expected) {
            return;
        }
        let found = match unwrap(ty) {
            Type::Reference(_) => "a reference".to_owned(),
            Type::Path(path) => path
                .path
                .segments
                .last()
                .map_or_else(|| "a type".to_owned(), |last| format!("`{}`", last.ident)),
            _ => "another type".to_owned(),
        };
        let message = format!("`process` takes {found}, but topic `{}` carries {carries}", self.topic);
        self.report("process-arguments", message, ty.span());
    }

    fn output(&mut self, function: &ItemFn) {
        let code = "process-result";
        let ReturnType::Type(_, ty) = &function.sig.output else {
            return self.report(code, "`process` does not return a result", function.sig.ident.span());
        };
        if !self.is(ty, "Result") {
            return self.report(code, "`process` does not return a `less::Result`", ty.span());
        }
        if let Type::Path(path) = unwrap(ty)
            && let Some(last) = path.path.segments.last()
            && last.ident == "Result"
            && let syn::PathArguments::AngleBracketed(arguments) = &last.arguments
            && let Some(syn::GenericArgument::Type(value)) = arguments.args.first()
            && !matches!(unwrap(value), Type::Tuple(tuple) if tuple.elems.is_empty())
        {
            self.report(code, "a handler's result holds nothing but `()`", value.span());
        }
    }

    /// Whether `ty` is a path that ends in `name`, or a name that this file defines for a type from elsewhere: rustc knows which.
    fn is(&self, ty: &Type, name: &str) -> bool {
        let Type::Path(path) = unwrap(ty) else { return false };
        let Some(last) = path.path.segments.last() else { return false };
        let alias = path.path.segments.len() == 1 && self.aliases.iter().any(|alias| last.ident == alias);
        last.ident == name || alias
    }
}

fn unwrap(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => unwrap(&paren.elem),
        Type::Group(group) => unwrap(&group.elem),
        _ => ty,
    }
}
