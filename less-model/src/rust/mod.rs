//! A Rust file of the user's, with places in bytes of that file.

use std::ops::Range;

use proc_macro2::{Span, TokenStream};

use crate::diagnostic::{Diagnostic, Place};

mod depth;
pub(crate) mod imports;
pub(crate) mod roots;

/// Stack that parsing needs at most: [`depth`] bounds the parser's recursion to less than this, also in a debug build.
pub(crate) const STACK: usize = 256 << 20;

/// A parsed file.
pub(crate) struct RustFile {
    pub(crate) tokens: TokenStream,
    pub(crate) file: syn::File,
    /// Bytes before the first that was parsed: a byte order mark, a shebang line.
    skipped: usize,
}

impl RustFile {
    /// The bytes of the file that `span` covers.
    pub(crate) fn range(&self, span: Span) -> Range<usize> {
        let range = span.byte_range();
        self.skipped + range.start..self.skipped + range.end
    }
}

/// Parses a file; everything that is wrong with its syntax otherwise.
///
/// Fills `proc_macro2`'s map of sources, which belongs to the thread and only grows: call it in a thread that ends.
pub(crate) fn parse(path: &str, text: &str) -> Result<RustFile, Vec<Diagnostic>> {
    let skipped = preamble(text);
    let code = &text[skipped..];
    let at = |span: Range<usize>| Place::span(path, skipped + span.start..skipped + span.end);
    let error = |message: &str, span| vec![Diagnostic::error("rust-syntax", message).at(at(span))];

    let tokens: TokenStream = code.parse().map_err(|lex: proc_macro2::LexError| {
        let start = floor(code, lex.span().byte_range().start);
        let found = code[start..].chars().next();
        let end = start + found.map_or(0, char::len_utf8);
        let message = match found {
            Some(open @ ('(' | '[' | '{')) => format!("this `{open}` is never closed"),
            Some(close @ (')' | ']' | '}')) => format!("this `{close}` does not close what was opened last"),
            Some(_) | None => "no Rust token begins here, or it never ends".to_owned(),
        };
        error(&message, start..end)
    })?;
    if let Some(span) = depth::too_complex(&tokens) {
        return Err(error("this code is nested too deeply to be read", span.byte_range()));
    }
    match syn::parse2::<syn::File>(tokens.clone()) {
        Ok(file) => Ok(RustFile { tokens, file, skipped }),
        Err(errors) => Err(errors
            .into_iter()
            .flat_map(|found| {
                let span = found.span().byte_range();
                // Only the end of the file has no span of its own.
                let span = if span.is_empty() { code.trim_end().len()..code.trim_end().len() } else { span };
                error(&found.to_string(), span)
            })
            .collect()),
    }
}

/// How many bytes of the file come before its first token as `proc_macro2` counts.
fn preamble(text: &str) -> usize {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let code = &text[mark..];
    if code.starts_with("#!") && !code[2..].trim_start().starts_with('[') {
        mark + code.find('\n').unwrap_or(code.len())
    } else {
        mark
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
