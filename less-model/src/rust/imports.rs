//! What a file calls things that it took from elsewhere.

use proc_macro2::Span;
use syn::{Ident, Item, UseTree, Visibility};

/// Names that the file gives to types from elsewhere: `use … as Name`, `type Name = …`.
pub(crate) fn aliases(file: &syn::File) -> Vec<String> {
    let mut out = Vec::new();
    for item in &file.items {
        match item {
            Item::Use(item) => each(&item.tree, &mut Vec::new(), &mut |_, name, original| {
                if original.is_some_and(|original| original != name) {
                    out.push(name.to_string());
                }
            }),
            Item::Type(item) => out.push(item.ident.to_string()),
            _ => {}
        }
    }
    out
}

/// The place where the file imports `name` for others to see.
pub(crate) fn re_export(file: &syn::File, name: &str) -> Option<Span> {
    let mut span = None;
    for item in &file.items {
        if let Item::Use(item) = item
            && !matches!(item.vis, Visibility::Inherited)
        {
            each(&item.tree, &mut Vec::new(), &mut |_, last, _| {
                if last == name {
                    span = Some(last.span());
                }
            });
        }
    }
    span
}

/// The names under which the file knows `krate::item`; a glob import counts.
pub(crate) fn names_of(file: &syn::File, krate: &str, item: &str) -> Vec<String> {
    let mut out = Vec::new();
    for found in &file.items {
        if let Item::Use(found) = found {
            each(&found.tree, &mut Vec::new(), &mut |path, name, original| {
                let from = path.len() == 1 && path[0] == krate;
                match original {
                    Some(original) if from && original == item => out.push(name.to_string()),
                    None if from => out.push(item.to_owned()),
                    Some(_) | None => {}
                }
            });
        }
    }
    out
}

type Found<'f> = dyn FnMut(&[&Ident], &Ident, Option<&Ident>) + 'f;

/// Calls `found` for each name that the tree imports: the path before it, the name, and the original name (`None` for a glob).
fn each<'a>(tree: &'a UseTree, path: &mut Vec<&'a Ident>, found: &mut Found) {
    match tree {
        UseTree::Path(part) => {
            path.push(&part.ident);
            each(&part.tree, path, found);
            path.pop();
        }
        UseTree::Name(last) => found(path, &last.ident, Some(&last.ident)),
        UseTree::Rename(last) => found(path, &last.rename, Some(&last.ident)),
        UseTree::Group(group) => {
            for tree in &group.items {
                each(tree, path, found);
            }
        }
        UseTree::Glob(glob) => found(path, &Ident::new("glob", glob.star_token.spans[0]), None),
    }
}
