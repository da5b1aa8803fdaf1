//! What is generated, whole: `tests/golden/<case>/app` becomes `tests/golden/<case>/expected`, and that compiles.
//!
//! `UPDATE_GOLDENS=1 cargo test -p less-cli --test golden` writes the expected trees anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use less_cli::command::build::generate;
use less_cli::project::Project;
use less_cli::render::{RuntimeSource, render};
use less_model::diagnostic::{Diagnostic, plain};
use less_model::scan::scan;
use less_model::source::SourceTree;

/// Where the expected trees say that the runtime is, so that they are the same in every checkout.
const RUNTIME: &str = "/checkout/less-runtime";

type Tree = BTreeMap<String, String>;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    let mut cases: Vec<PathBuf> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 4, "{cases:?}");
    cases
}

fn name(case: &Path) -> &str {
    case.file_name().unwrap().to_str().unwrap()
}

fn rendered(case: &Path) -> Tree {
    let tree = SourceTree::read(&case.join("app")).unwrap();
    let (app, diagnostics) = scan(&tree, name(case));
    assert!(!diagnostics.iter().any(Diagnostic::is_error), "{}", plain(&diagnostics, &tree));
    let files = render(&app, &RuntimeSource::Path(RUNTIME.into())).unwrap();
    // Under its own name, git would take it at its word.
    files.into_iter().map(|(path, text)| (path.replace(".gitignore", "gitignore"), text)).collect()
}

/// Every file below a folder, by its path.
fn read(folder: &Path) -> Tree {
    let mut out = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                out.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    out
}

fn write(folder: &Path, files: &Tree) {
    for (path, text) in files {
        let path = folder.join(path);
        // Written over with the same text, a file would be compiled again.
        if std::fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn every_app_generates_the_tree_that_is_expected() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    for case in cases() {
        let (folder, generated) = (case.join("expected"), rendered(&case));
        if update {
            let _ = std::fs::remove_dir_all(&folder);
            write(&folder, &generated);
        }
        let expected = read(&folder);
        let paths = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        let hint = "UPDATE_GOLDENS=1 cargo test -p less-cli --test golden";
        assert_eq!(paths(&generated), paths(&expected), "{}; to accept: {hint}", name(&case));
        for (path, text) in &generated {
            let case = name(&case);
            assert!(*text == expected[path], "{case}/{path} became:\n{text}\nto accept: {hint}");
        }
    }
}

#[test]
fn every_expected_tree_compiles_without_a_warning() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("less-runtime");
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for case in cases() {
        let folder = tmp.join("golden").join(name(&case));
        let mut files = read(&case.join("app"));
        for (path, text) in read(&case.join("expected")) {
            files.insert(format!(".less/{path}"), text.replace(RUNTIME, runtime.to_str().unwrap()));
        }
        write(&folder, &files);
        for stale in read(&folder).keys().filter(|path| !files.contains_key(*path) && !path.ends_with("Cargo.lock")) {
            std::fs::remove_file(folder.join(stale)).unwrap();
        }
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--manifest-path"])
            .arg(folder.join(".less/app/Cargo.toml"))
            .env("CARGO_TARGET_DIR", tmp.with_file_name("e2e"))
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{}: {}\n{stderr}", name(&case), output.status);
    }
}

#[test]
fn the_same_app_in_two_folders_generates_the_same_bytes() {
    let case = cases().into_iter().find(|case| name(case) == "library").unwrap();
    let made = ["here", "somewhere/deeper/down"].map(|place| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join(place);
        write(&root, &read(&case.join("app")));
        generate(&Project { root: root.clone() }).map_err(|error| format!("{error:?}")).map(drop).unwrap();
        read(&root.join(".less"))
    });
    assert!(made[0].len() > 5);
    assert_eq!(made[0], made[1]);
}
