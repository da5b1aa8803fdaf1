//! What the names in a file stand for.

use std::collections::HashMap;

use syn::{Item, ItemImpl, Type, UseTree};

use super::plain;

/// The full paths of what a file imports, by the names that it gives to them.
pub(super) struct Imports(HashMap<String, Vec<String>>);

impl Imports {
    pub(super) fn of(file: &syn::File) -> Self {
        let mut out = HashMap::new();
        for item in &file.items {
            if let Item::Use(item) = item {
                collect(&item.tree, &mut Vec::new(), &mut out);
            }
        }
        Self(out)
    }

    /// The full path of a type: a single name for what is the file's own, or the language's.
    pub(super) fn full(&self, path: &syn::Path) -> Vec<String> {
        let mut names: Vec<String> = path.segments.iter().map(|segment| plain(&segment.ident)).collect();
        if names.len() == 2 && names[0] == "self" {
            names.remove(0);
        }
        match names.first().and_then(|first| self.0.get(first)) {
            Some(full) if path.leading_colon.is_none() => {
                full.iter().cloned().chain(names.into_iter().skip(1)).collect()
            }
            _ => names,
        }
    }

    /// The name of a type of this file.
    pub(super) fn local(&self, ty: &Type) -> Option<String> {
        let Type::Path(path) = ty else { return None };
        let mut full = self.full(&path.path);
        let plain =
            path.qself.is_none() && path.path.segments.iter().all(|segment| segment.arguments.is_empty());
        if plain && full.len() == 1 { full.pop() } else { None }
    }
}

fn collect(tree: &UseTree, path: &mut Vec<String>, out: &mut HashMap<String, Vec<String>>) {
    let mut add = |path: &[String], original: &syn::Ident, name: &syn::Ident| {
        let mut full = path.to_vec();
        if original != "self" {
            full.push(plain(original));
        }
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { plain(name) };
        out.insert(name, full);
    };
    match tree {
        UseTree::Path(part) => {
            path.push(plain(&part.ident));
            collect(&part.tree, path, out);
            path.pop();
        }
        UseTree::Name(last) => add(path, &last.ident, &last.ident),
        UseTree::Rename(last) => add(path, &last.ident, &last.rename),
        UseTree::Group(group) => {
            for tree in &group.items {
                collect(tree, path, out);
            }
        }
        UseTree::Glob(_) => {}
    }
}

/// The type that an `impl Serialize for …` or `impl Deserialize for …` is about.
pub(super) fn serialized_by_hand(item: &ItemImpl) -> Option<String> {
    let (path, _) = item.trait_.as_ref()?;
    let last = path.segments.last()?;
    if last.ident != "Serialize" && last.ident != "Deserialize" {
        return None;
    }
    match &*item.self_ty {
        Type::Path(path) => path.path.segments.last().map(|last| plain(&last.ident)),
        _ => None,
    }
}
