//! What serde is told.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Lit, Meta, Token};

/// How serde renames what has no name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    None,
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

/// Attributes of a struct, an enum or a variant.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is an attribute of serde that is there or not")]
pub(super) struct Container {
    pub(super) rename: Option<String>,
    pub(super) rename_all: Rule,
    pub(super) rename_all_fields: Rule,
    pub(super) tag: Option<String>,
    pub(super) content: Option<String>,
    pub(super) transparent: bool,
    pub(super) default: bool,
    pub(super) deny_unknown_fields: bool,
    /// Of a variant: it is neither written nor read.
    pub(super) skip: bool,
}

/// Attributes of a field.
#[derive(Debug, Clone, Default)]
pub(super) struct Field {
    pub(super) rename: Option<String>,
    /// It is neither written nor read.
    pub(super) skip: bool,
    /// It may be missing.
    pub(super) optional: bool,
    pub(super) flatten: bool,
    /// The module or function that writes it.
    pub(super) with: Option<String>,
}

impl Rule {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// The name of a field that is called `name` in Rust, as serde makes it.
    pub(super) fn field(self, name: &str) -> String {
        match self {
            Self::None | Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => pascal(name),
            Self::Camel => first_lower(&pascal(name)),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// The name of a variant.
    pub(super) fn variant(self, name: &str) -> String {
        match self {
            Self::None | Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => first_lower(name),
            Self::Snake => snake(name),
            Self::ScreamingSnake => snake(name).to_ascii_uppercase(),
            Self::Kebab => snake(name).replace('_', "-"),
            Self::ScreamingKebab => snake(name).to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn pascal(name: &str) -> String {
    let mut out = String::new();
    let mut capital = true;
    for c in name.chars() {
        if c == '_' {
            capital = true;
        } else {
            out.push(if capital { c.to_ascii_uppercase() } else { c });
            capital = false;
        }
    }
    out
}

fn first_lower(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if at > 0 && c.is_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

impl Container {
    /// What the attributes say; `None` where they change the type in a way that can't be told from here, or nothing serialises it.
    pub(super) fn of(attributes: &[Attribute]) -> Option<Self> {
        let serialised = attributes.iter().any(|attribute| {
            let message = attribute.path().segments.last().is_some_and(|last| last.ident == "message");
            let derives = attribute.path().is_ident("derive")
                && attribute.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated).is_ok_and(
                    |paths| {
                        paths
                            .iter()
                            .any(|path| path.segments.last().is_some_and(|last| last.ident == "Serialize"))
                    },
                );
            message || derives
        });
        // Another macro may write the type anew.
        let known = |attribute: &Attribute| {
            let last =
                attribute.path().segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
            [
                "message",
                "derive",
                "serde",
                "doc",
                "allow",
                "warn",
                "expect",
                "deny",
                "non_exhaustive",
                "must_use",
                "deprecated",
                "repr",
                "schemars",
            ]
            .contains(&last.as_str())
        };
        if !serialised || !attributes.iter().all(known) {
            return None;
        }
        Self::of_variant(attributes)
    }

    /// The same for a variant, which its enum serialises.
    pub(super) fn of_variant(attributes: &[Attribute]) -> Option<Self> {
        let mut out = Self {
            rename: None,
            rename_all: Rule::None,
            rename_all_fields: Rule::None,
            tag: None,
            content: None,
            transparent: false,
            default: false,
            deny_unknown_fields: false,
            skip: false,
        };
        for meta in serde(attributes)? {
            let value = || text(&meta);
            match name(&meta).as_str() {
                "rename" => out.rename = Some(value()?),
                "rename_all" => out.rename_all = Rule::of(&value()?)?,
                "rename_all_fields" => out.rename_all_fields = Rule::of(&value()?)?,
                "tag" => out.tag = Some(value()?),
                "content" => out.content = Some(value()?),
                "transparent" => out.transparent = true,
                "default" => out.default = true,
                "deny_unknown_fields" => out.deny_unknown_fields = true,
                "skip" => out.skip = true,
                "crate" | "expecting" | "alias" | "skip_serializing" | "skip_deserializing" => {}
                // `untagged`, `from`, `into`, `with`, `other`, `remote`, …
                _ => return None,
            }
        }
        Some(out)
    }
}

impl Field {
    /// What the attributes say; `None` where not even the field's name can be told.
    pub(super) fn of(attributes: &[Attribute]) -> Option<Self> {
        let mut out = Self::default();
        for meta in serde(attributes)? {
            match name(&meta).as_str() {
                "rename" => out.rename = Some(text(&meta)?),
                "skip" => out.skip = true,
                "default" | "skip_serializing_if" | "skip_serializing" | "skip_deserializing" => {
                    out.optional = true;
                }
                "flatten" => out.flatten = true,
                "with" => out.with = Some(text(&meta)?),
                "alias" | "borrow" | "bound" | "getter" => {}
                _ => out.with = Some(String::new()),
            }
        }
        out.optional |= attributes.iter().any(|attribute| attribute.path().is_ident("cfg"));
        Some(out)
    }
}

/// Everything in `#[serde(…)]`; `None` where that, or whether it is there at all, can't be told.
fn serde(attributes: &[Attribute]) -> Option<Vec<Meta>> {
    let mut out = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("cfg_attr") {
            return None;
        }
        if attribute.path().is_ident("serde") {
            out.extend(attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?);
        }
    }
    Some(out)
}

fn name(meta: &Meta) -> String {
    meta.path().get_ident().map(ToString::to_string).unwrap_or_default()
}

fn text(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) => literal(&pair.value),
        _ => None,
    }
}

fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// The documentation comments, without the space that they begin with.
pub(super) fn docs(attributes: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => literal(&pair.value),
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    let text = lines.join("\n").trim().to_owned();
    (!text.is_empty()).then_some(text)
}
