//! A limit on code that a parser which recurses could not survive.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

/// Deepest nesting of brackets. rustc's own limit for types and macros is 128.
const MAX_LEVELS: usize = 256;
/// Most tokens before one that the parser may be in the middle of, for operators nest it too: those since the last `,` or `;`, in all
/// brackets that are open, and this many more for each bracket.
const MAX_PENDING: usize = 2_500;
const PER_BRACKET: usize = 8;

/// Keywords after which `!` is the operator.
const BEFORE_NOT: [&str; 10] =
    ["break", "else", "if", "in", "let", "match", "move", "return", "while", "yield"];

struct Level {
    tokens: proc_macro2::token_stream::IntoIter,
    /// Tokens since the last `,` or `;`.
    run: usize,
    /// Whether it is what a macro was called with, which stays tokens.
    in_macro: bool,
    last: Last,
}

#[derive(Clone, Copy, PartialEq)]
enum Last {
    Word,
    /// `name!`, and `macro_rules! name` too.
    MacroName,
    Block,
    Else,
}

/// The first token that is too deep, or too far in an expression, for a parser that recurses. Does not recurse itself.
pub(super) fn too_complex(tokens: &TokenStream) -> Option<Span> {
    let level = |tokens: TokenStream, in_macro| Level {
        tokens: tokens.into_iter(),
        run: 0,
        in_macro,
        last: Last::Else,
    };
    let mut levels = vec![level(tokens.clone(), false)];
    // What is pending in the levels below the last one.
    let mut below = 0;
    loop {
        let depth = levels.len();
        let current = levels.last_mut()?;
        let Some(token) = current.tokens.next() else {
            levels.pop();
            below -= levels.last().map_or(0, |level| level.run + PER_BRACKET);
            continue;
        };
        let before = current.last;
        current.step(&token);
        if below + current.run > MAX_PENDING || depth > MAX_LEVELS {
            return Some(token.span());
        }
        let in_macro = current.in_macro || before == Last::MacroName;
        if let TokenTree::Group(group) = token {
            below += current.run + PER_BRACKET;
            levels.push(level(group.stream(), in_macro));
        }
    }
}

impl Level {
    fn step(&mut self, token: &TokenTree) {
        let before = self.last;
        self.run += 1;
        self.last = match token {
            TokenTree::Punct(punct) => {
                // A block ends a statement or an item, unless what comes next continues the expression.
                if matches!(punct.as_char(), ',' | ';') || (before == Last::Block && punct.as_char() == '#') {
                    self.run = 0;
                }
                if punct.as_char() == '!' && before == Last::Word { Last::MacroName } else { Last::Else }
            }
            TokenTree::Ident(ident) => {
                if before == Last::Block && ident != "else" && ident != "as" {
                    self.run = 0;
                }
                if before == Last::MacroName {
                    Last::MacroName
                } else if BEFORE_NOT.iter().any(|keyword| ident == keyword) {
                    Last::Else
                } else {
                    Last::Word
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Last::Block,
            TokenTree::Group(_) | TokenTree::Literal(_) => Last::Else,
        };
        if self.in_macro {
            self.run = 0;
        }
    }
}
