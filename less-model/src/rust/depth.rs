//! A limit on code that a parser which recurses could not survive.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

/// Deepest nesting of brackets. rustc's own limit for types and macros is 128.
const MAX_DEPTH: usize = 256;
/// Most tokens in a row without `,` or `;` between them: operators nest the parser too.
const MAX_RUN: usize = 10_000;

/// The first token that is too deep, or too far in an expression, for a parser that recurses. Does not recurse itself.
pub(super) fn too_complex(tokens: &TokenStream) -> Option<Span> {
    let mut levels = vec![(tokens.clone().into_iter(), 0_usize, false)];
    while let Some((tokens, run, after_brace)) = levels.last_mut() {
        let Some(token) = tokens.next() else {
            levels.pop();
            continue;
        };
        *run += 1;
        let mut brace = false;
        let mut inner = None;
        match &token {
            TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => *run = 0,
            // A block ends a statement or an item, unless what comes next continues the expression.
            TokenTree::Punct(punct) if *after_brace && punct.as_char() == '#' => *run = 0,
            TokenTree::Ident(ident) if *after_brace && ident != "else" && ident != "as" => *run = 0,
            TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {}
            TokenTree::Group(group) => {
                brace = group.delimiter() == Delimiter::Brace;
                inner = Some(group.stream().into_iter());
            }
        }
        *after_brace = brace;
        if *run > MAX_RUN || levels.len() > MAX_DEPTH {
            return Some(token.span());
        }
        if let Some(inner) = inner {
            levels.push((inner, 0, false));
        }
    }
    None
}
