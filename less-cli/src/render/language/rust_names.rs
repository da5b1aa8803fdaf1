//! Identifiers of Rust for names that can be anything.

use proc_macro2::{Ident, Span};

use super::names::pascal;

/// Names for the fields of one struct, or for the variants of one enum. They differ.
#[derive(Default)]
pub(super) struct Names {
    taken: Vec<String>,
}

impl Names {
    /// A field's name, and whether serde has to be told the real one.
    pub(super) fn field(&mut self, name: &str) -> (Ident, bool) {
        let free = self.free(snake(name));
        let renamed = free != name;
        // `r#type` is called `type` by serde as well.
        let ident = if syn::parse_str::<Ident>(&free).is_ok() {
            Ident::new(&free, Span::call_site())
        } else {
            Ident::new_raw(&free, Span::call_site())
        };
        (ident, renamed)
    }

    /// A variant's name, and whether serde has to be told the real one.
    pub(super) fn variant(&mut self, name: &str) -> (Ident, bool) {
        let free = self.free(pascal(name, "Value"));
        let renamed = free != name;
        (Ident::new(&free, Span::call_site()), renamed)
    }

    fn free(&mut self, name: String) -> String {
        let mut candidates = std::iter::once(name.clone()).chain((2..).map(|n: u64| format!("{name}_{n}")));
        let free = candidates.find(|candidate| !self.taken.contains(candidate)).unwrap_or(name);
        self.taken.push(free.clone());
        free
    }
}

/// The name in snake case, with what Rust allows.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
        before = c;
    }
    let out = out.trim_end_matches('_').to_owned();
    match out.as_str() {
        "" => "field".to_owned(),
        // These can't be written with `r#`.
        "self" | "super" | "crate" => format!("{out}_"),
        _ if out.starts_with(|c: char| c.is_ascii_digit()) => format!("field_{out}"),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_gets_an_identifier_of_its_own() {
        let mut names = Names::default();
        let all = [
            "user_id",
            "userId",
            "user-id",
            "type",
            "self",
            "Self",
            "",
            "é",
            "1st",
            "URLPath",
            "_",
            "__proto__",
            "a__b",
            "gen",
        ];
        let shown: Vec<String> = all
            .iter()
            .map(|name| {
                let (ident, renamed) = names.field(name);
                format!("{ident}{}", if renamed { "*" } else { "" })
            })
            .collect();
        assert_eq!(
            shown,
            [
                "user_id",
                "user_id_2*",
                "user_id_3*",
                "r#type",
                "self_*",
                "self__2*",
                "field*",
                "field_2*",
                "field_1st*",
                "urlpath*",
                "field_3*",
                "proto*",
                "a_b*",
                "r#gen"
            ]
        );
    }
}
