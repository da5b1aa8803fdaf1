//! What the checks print, whole: each file in `cases/` is an app, a line `//= prints`, and everything that checking it prints.
//!
//! `UPDATE=1 cargo test -p less-model --features parse --test check` rewrites the second halves; the diff is to be read.
#![cfg(feature = "parse")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use less_model::diagnostic::plain;
use less_model::scan::scan;
use less_model::source::SourceTree;

const SEPARATOR: &str = "//= prints\n";

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_case_prints_what_it_says() {
    let mut wrong = Vec::new();
    for path in cases() {
        let text = fs::read_to_string(&path).unwrap();
        let (app, expected) = text.split_once(SEPARATOR).unwrap_or((&text, "no expectation yet"));
        let tree = SourceTree::fixture(app);
        let printed = plain(&scan(&tree, "folder").1, &tree);
        if printed != expected {
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, format!("{app}{SEPARATOR}{printed}")).unwrap();
            } else {
                wrong.push(format!("{}\n--- expected\n{expected}\n--- printed\n{printed}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The codes that the sources name, as `error("code"` and `warning("code"` or as the first argument of a helper.
fn codes_in_sources(folder: &Path, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in_sources(&path, out);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for start in ["Diagnostic::error(", "Diagnostic::warning(", "self.report(", ".error(", "code = "] {
            for rest in code.split(start).skip(1) {
                let Some(literal) = rest.trim_start().strip_prefix('"') else { continue };
                let word = literal.split('"').next().unwrap();
                if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                {
                    out.insert(word.to_owned());
                }
            }
        }
    }
}

#[test]
fn every_code_is_printed_by_a_case_or_needs_a_real_folder() {
    let mut codes = BTreeSet::new();
    codes_in_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut codes);
    assert!(codes.len() > 25, "{codes:?}");
    // Those about `less.lock` and contracts are shown by the tests in `lock.rs` and `contract.rs`.
    let others = ["tests/lock", "tests/contract"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap());
    let paths = cases().into_iter().chain(others.map(|entry| entry.unwrap().path()));
    let printed: String = paths.map(|path| fs::read_to_string(path).unwrap()).collect();
    codes.retain(|code| !printed.contains(&format!("[{code}]: ")));
    // Shown by the tests in `folders.rs`.
    let real =
        ["broken-link", "file-too-large", "link-cycle", "link-leaves-project", "not-a-file", "not-utf8"];
    assert_eq!(codes, real.map(str::to_owned).into());
}
