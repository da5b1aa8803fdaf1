//! Which crates a file may need: the first segments of the paths in it.

use std::collections::BTreeSet;

use proc_macro2::{Spacing, TokenStream, TokenTree};

/// First segments of all paths in `tokens`, those in macros and in the strings of attributes included, such as
/// `#[serde(with = "chrono::serde::ts_seconds")]`. Without the language's own (`std`, `crate`, …). Sorted.
///
/// Works on tokens, so that code which only a macro understands counts too. Types with associated functions (`Uuid::nil()`) show up as well:
/// the names are candidates, to be compared with the dependencies that there are.
pub(crate) fn roots(tokens: &TokenStream) -> Vec<String> {
    let mut out = BTreeSet::new();
    collect(tokens.clone(), Place::Code, &mut out);
    for own in ["Self", "alloc", "core", "crate", "self", "std", "super"] {
        out.remove(own);
    }
    out.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    Attribute,
    /// The tree of a `use`, where a single name can be a crate.
    Use,
}

fn collect(tokens: TokenStream, place: Place, out: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let punct = |at, expected| is_punct(&tokens, at, expected);
    let ident = |at, expected| is_ident(&tokens, at, expected);
    let mut in_use = place == Place::Use;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(name) => {
                let follows = path_separator(&tokens, at + 1);
                // `::` before it: part of a longer path, unless that begins with `::`.
                let within = punct(at.checked_sub(1), ':')
                    && punct(at.checked_sub(2), ':')
                    && at.checked_sub(3).is_some_and(|before| path_end(&tokens[before]));
                let alone = (in_use && !ident(at.checked_sub(1), "as") && name != "as")
                    || (ident(at.checked_sub(1), "crate") && ident(at.checked_sub(2), "extern"));
                if !within && (follows || alone) && name != "use" {
                    let name = name.to_string();
                    out.insert(name.strip_prefix("r#").unwrap_or(&name).to_owned());
                }
                in_use |= name == "use";
            }
            TokenTree::Punct(punct) => in_use &= punct.as_char() != ';',
            TokenTree::Group(group) => {
                let attribute = punct(at.checked_sub(1), '#')
                    || (punct(at.checked_sub(1), '!') && punct(at.checked_sub(2), '#'));
                let first = group.stream().into_iter().next();
                let doc = matches!(&first, Some(TokenTree::Ident(name)) if name == "doc");
                let nested = punct(at.checked_sub(1), ':');
                let inner = match place {
                    // Inside `a::{b, c}` nothing is a first segment by standing alone.
                    _ if in_use => {
                        if nested {
                            continue;
                        }
                        Place::Use
                    }
                    _ if attribute => Place::Attribute,
                    place => place,
                };
                if !(attribute && doc) {
                    collect(group.stream(), inner, out);
                }
            }
            TokenTree::Literal(literal) => {
                if place == Place::Attribute
                    && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    && let Ok(tokens) = text.value().parse::<TokenStream>()
                {
                    collect(tokens, Place::Code, out);
                }
            }
        }
    }
}

/// Keywords after which a path can begin with `::`.
const BEFORE_A_PATH: [&str; 14] = [
    "as", "const", "dyn", "else", "for", "if", "impl", "in", "match", "mut", "return", "use", "where",
    "while",
];

fn path_end(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(ident) => !BEFORE_A_PATH.iter().any(|keyword| ident == keyword),
        TokenTree::Punct(punct) => punct.as_char() == '>',
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    }
}

/// Whether `::` stands at `at`; the two of `a: ::b` do not.
fn path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let joint = matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Joint);
    joint && is_punct(tokens, Some(at), ':') && is_punct(tokens, Some(at + 1), ':')
}

fn is_punct(tokens: &[TokenTree], at: Option<usize>, expected: char) -> bool {
    let token = at.and_then(|at| tokens.get(at));
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

fn is_ident(tokens: &[TokenTree], at: Option<usize>, expected: &str) -> bool {
    let token = at.and_then(|at| tokens.get(at));
    matches!(token, Some(TokenTree::Ident(ident)) if ident == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> Vec<String> {
        roots(&code.parse().unwrap())
    }

    #[test]
    fn the_first_segment_of_every_path_is_a_root() {
        assert_eq!(of("use chrono::{DateTime, serde::ts}; use uuid;"), ["chrono", "uuid"]);
        assert_eq!(of("use {a::X as Y, b as c, d::*};"), ["a", "b", "d"]);
        assert_eq!(of("use ::leading::Path; extern crate old;"), ["leading", "old"]);
        assert_eq!(of("pub struct S { a: ::x::Y<z::W>, b: Option<std::time::Duration> }"), ["x", "z"]);
        assert_eq!(of("impl S { fn f() { let v = m::json!({ n::x() }); self::g(); } }"), ["m", "n"]);
    }

    #[test]
    fn attributes_count_with_their_strings_but_comments_do_not() {
        let code = r#"
            /// see other::thing
            #[derive(schemars::JsonSchema)]
            #[serde(with = "chrono::serde::ts_seconds", default = "Default::default")]
            struct S { text: &'static str }
            const T: &str = "not::a::path";
        "#;
        assert_eq!(of(code), ["Default", "chrono", "schemars"]);
    }

    #[test]
    fn a_module_inside_a_path_is_no_root() {
        assert_eq!(of("fn f() { a::b::c(); <X as t::T>::d::e(); }"), ["a", "t"]);
    }
}
