//! The user's own `Cargo.toml`.

use toml::Table;
use toml::de::{DeTable, DeValue};

use super::table::Doc;
use crate::diagnostic::{Diagnostic, Place};
use crate::tree::{Package, Workspace};

const APP: &str = ".less/app";

/// Reads the manifest: the package, if there is one, the place of its name, and what is wrong. `has_lib` says whether there is a `src/lib.rs`.
pub(super) fn read(path: &str, text: &str, has_lib: bool) -> (Option<(Package, Place)>, Vec<Diagnostic>) {
    let mut doc = Doc::new(path);
    let Some(spans) = doc.parse(text) else { return (None, doc.diagnostics) };
    // The same text again, as plain values: what is inside `[dependencies]` goes into a generated manifest as it is.
    let Ok(manifest) = text.parse::<Table>() else { return (None, doc.diagnostics) };
    let Some(package) = manifest.get("package").and_then(toml::Value::as_table) else {
        return (None, doc.diagnostics);
    };
    let span = |keys: &[&str]| span(&spans, keys).unwrap_or(0..0);
    let Some(name) = package.get("name").and_then(toml::Value::as_str) else {
        let message = "`[package]` has no `name`";
        doc.error("bad-value", message, span(&["package"]));
        return (None, doc.diagnostics);
    };
    let workspace = manifest.get("workspace").and_then(toml::Value::as_table);
    let relation = match workspace {
        None => Workspace::Separate,
        Some(workspace) if excluded(workspace) => Workspace::Separate,
        Some(workspace) => {
            if !list(workspace, "members").any(|member| matches(member, APP)) {
                doc.report(
                    Diagnostic::error(
                        "workspace-members",
                        format!(
                            "this workspace does not have the generated package `{APP}` among its members"
                        ),
                    )
                    .hint(format!("add it in `[workspace]`: `members = [\"{APP}\"]`")),
                    span(&["workspace"]),
                );
            }
            Workspace::Member
        }
    };
    let library = manifest.get("lib").and_then(toml::Value::as_table);
    let library = (has_lib || library.is_some()).then(|| {
        let name_in_lib = library.and_then(|lib| lib.get("name")).and_then(toml::Value::as_str);
        name_in_lib.unwrap_or(name).replace('-', "_")
    });
    if name == "less" || library.as_deref() == Some("less") {
        doc.report(
            Diagnostic::error("reserved-name", "the package can't be called `less`: the generated crate is")
                .hint("give it another name, such as the app's"),
            span(&["package", "name"]),
        );
    }
    let edition = match package.get("edition") {
        Some(toml::Value::String(edition)) => Some(edition.as_str()),
        Some(_) => workspace
            .and_then(|workspace| workspace.get("package"))
            .and_then(|package| package.get("edition"))
            .and_then(toml::Value::as_str),
        None => None,
    };
    let mut dependencies = Table::new();
    for (key, value) in manifest.get("dependencies").and_then(toml::Value::as_table).into_iter().flatten() {
        if key == "less" {
            continue;
        }
        match resolve(key, value, workspace) {
            Some(value) => drop(dependencies.insert(key.clone(), value)),
            None => doc.report(
                Diagnostic::error(
                    "workspace-dependency",
                    format!("`{key}` is inherited, but not from this file's `[workspace.dependencies]`"),
                )
                .hint(format!("write its version here: `{key} = \"1\"`")),
                span(&["dependencies", key]),
            ),
        }
    }
    let edition = edition.unwrap_or("2024").to_owned();
    let found = Package { name: name.to_owned(), library, workspace: relation, dependencies, edition };
    let place = Place::span(path, span(&["package", "name"]));
    (Some((found, place)), doc.diagnostics)
}

fn span(table: &DeTable, keys: &[&str]) -> Option<std::ops::Range<usize>> {
    let (first, rest) = keys.split_first()?;
    let value = table.get(*first)?;
    match value.get_ref() {
        DeValue::Table(table) if !rest.is_empty() => span(table, rest),
        _ => Some(value.span()),
    }
}

fn list<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = &'t str> {
    table.get(key).and_then(toml::Value::as_array).into_iter().flatten().filter_map(toml::Value::as_str)
}

/// Whether the workspace leaves the generated packages alone. A member that is named in full is one all the same, as Cargo has it.
fn excluded(workspace: &Table) -> bool {
    list(workspace, "exclude").any(|path| clean(path) == ".less")
        && !list(workspace, "members").any(|member| clean(member) == APP)
}

fn clean(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

/// Whether a member's glob matches the path, as Cargo's do: `*` and `?` within a name, `**` for any folders.
fn matches(pattern: &str, path: &str) -> bool {
    fn folders(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => {
                folders(rest, path) || path.split_first().is_some_and(|(_, path)| folders(pattern, path))
            }
            (Some((first, rest)), Some((name, path))) => {
                characters(first.as_bytes(), name.as_bytes()) && folders(rest, path)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    fn characters(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                characters(rest, name)
                    || name.split_first().is_some_and(|(_, name)| characters(pattern, name))
            }
            (Some((expected, rest)), Some((found, name))) => {
                (*expected == b'?' || expected == found) && characters(rest, name)
            }
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let pattern: Vec<&str> = clean(pattern).split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    // Far more parts than a path can have would only make the search long.
    pattern.len() <= 16 && folders(&pattern, &path)
}

/// The dependency as it would be without inheritance; `None` where the workspace's table does not have it.
fn resolve(key: &str, value: &toml::Value, workspace: Option<&Table>) -> Option<toml::Value> {
    let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    let (true, Some(own)) = (inherits, value.as_table()) else { return Some(value.clone()) };
    let base = workspace?.get("dependencies")?.get(key)?;
    let mut out = match base {
        toml::Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    for (key, value) in own.iter().filter(|(key, _)| *key != "workspace") {
        let merged = match (key.as_str(), out.get("features"), value) {
            ("features", Some(toml::Value::Array(base)), toml::Value::Array(own)) => {
                let mut all = base.clone();
                all.extend(own.iter().filter(|feature| !base.contains(feature)).cloned());
                toml::Value::Array(all)
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), merged);
    }
    Some(toml::Value::Table(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_cargo_matches_them() {
        for pattern in
            [".less/app", "./.less/app/", ".less/*", "*/app", "**", ".less/**", "**/app", ".l?ss/a*p"]
        {
            assert!(matches(pattern, APP), "{pattern}");
        }
        for pattern in ["", "*", "app", ".less", ".less/app/x", ".less/ap", "crates/*"] {
            assert!(!matches(pattern, APP), "{pattern}");
        }
    }
}
