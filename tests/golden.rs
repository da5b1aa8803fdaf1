//! What is generated for whole apps, byte for byte: `tests/golden/<case>/app` becomes `tests/golden/<case>/expected`.
//!
//! `UPDATE_GOLDENS=1 cargo test -p less-cli --test golden` rewrites what is expected.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use less_cli::project::Project;
use less_cli::render::{RuntimeSource, render, static_files};
use less_model::diagnostic::{Diagnostic, plain};

mod files;
use files::Files;

/// The runtime as `app/.less/less` sees it, so that what is expected names no place of one machine.
const RUNTIME: &str = "../../../../../../less-runtime";

/// The generated `.gitignore`, and its name among the expected files: there it would hide them from git.
const IGNORED: (&str, &str) = (".gitignore", "gitignore");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn case(name: &str) -> PathBuf {
    repository().join("tests/golden").join(name)
}

/// The expected files, named as they are generated.
fn expected(name: &str) -> Files {
    let mut files = files::read(&case(name).join("expected"));
    rename(&mut files, IGNORED.1, IGNORED.0);
    files
}

fn rename(files: &mut Files, from: &str, to: &str) {
    if let Some(contents) = files.remove(from) {
        files.insert(to.to_owned(), contents);
    }
}

fn update(name: &str, mut generated: Files) {
    let folder = case(name).join("expected");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the old files can be removed");
    }
    rename(&mut generated, IGNORED.0, IGNORED.1);
    write(&folder, &generated);
}

fn write(folder: &Path, files: &Files) {
    files::write(folder, files.iter().map(|(path, contents)| (path.as_str(), contents.as_str())));
}

/// What is generated for the app in a folder.
fn generated(app: &Path) -> Files {
    let read = Project { root: app.to_owned() }.read().expect("the app can be read");
    assert!(!read.diagnostics.iter().any(Diagnostic::is_error), "{}", plain(&read.diagnostics, &read.tree));
    let mut files =
        render(&read.app, || Ok(RuntimeSource::Path(RUNTIME.into()))).expect("the app can be rendered");
    for (path, text) in static_files() {
        assert_eq!(files.remove(&path), Some(text), "{path}");
    }
    files
}

/// A file that is in `less-cli/languages` alone would not be there when someone's handler asks for it.
#[test]
fn every_file_of_the_packages_gets_into_every_app() {
    let languages = repository().join("less-cli/languages");
    let mut sources: Vec<String> = Vec::new();
    for (folder, below, apart) in [
        ("node", "node_modules/@chuva.io/less", ["test/", "client.d.ts"]),
        ("python", "python", ["tests/", "client.pyi"]),
    ] {
        let found = files::read(&languages.join(folder)).into_keys();
        let found = found.filter(|path| !apart.iter().any(|apart| path.starts_with(apart)));
        let found = found.filter(|path| !path.contains("__pycache__/") && !path.contains("node_modules/"));
        sources.extend(found.map(|path| format!("{below}/{path}")));
    }
    sources.sort();
    assert_eq!(static_files().into_keys().collect::<Vec<_>>(), sources);
}

fn compare(name: &str) {
    let generated = generated(&case(name).join("app"));
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        return update(name, generated);
    }
    let expected = expected(name);
    let hint = "UPDATE_GOLDENS=1 cargo test -p less-cli --test golden";
    let paths = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(paths(&generated), paths(&expected), "other files are generated; if that is meant: {hint}");
    for (path, text) in &generated {
        let old = &expected[path];
        assert!(
            text == old,
            "{name}: {path} has changed; if that is meant: {hint}\nexpected:\n{old}\ngenerated:\n{text}"
        );
    }
}

/// Compiles the expected packages, not what is generated now: both are the same, or the comparison fails.
fn compile(name: &str) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    write(folder.path(), &files::read(&case(name).join("app")));
    let mut expected = expected(name);
    let manifest = expected.get_mut("less/Cargo.toml").expect("the generated crate has a manifest");
    assert!(manifest.contains(RUNTIME), "{manifest}");
    let runtime = repository().join("less-runtime");
    *manifest = manifest.replace(RUNTIME, runtime.to_str().expect("the repository's path is UTF-8"));
    write(&folder.path().join(".less"), &expected);
    // The target folder that the end-to-end tests use as well: the runtime is compiled once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--manifest-path"])
        .arg(folder.path().join(".less/app/Cargo.toml"))
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "", "generated code compiles without a warning");
}

#[test]
fn an_app_with_types_a_library_and_contexts_is_generated_as_expected_and_compiles() {
    compare("typed");
    compile("typed");
}

#[test]
fn an_app_with_schemas_and_handlers_in_three_languages_is_generated_as_expected_and_compiles() {
    compare("polyglot");
    compile("polyglot");
}

#[test]
fn an_app_that_subscribes_to_other_apps_topics_in_three_languages_is_generated_as_expected_and_compiles() {
    compare("external");
    compile("external");
}

#[test]
fn an_app_without_rust_is_generated_as_expected_and_has_nothing_to_compile() {
    compare("no_rust");
    let folders: BTreeSet<String> =
        expected("no_rust").into_keys().filter_map(|path| Some(path.split_once('/')?.0.to_owned())).collect();
    assert_eq!(folders, ["app", "node_modules", "python"].map(str::to_owned).into());
}

#[test]
fn an_app_without_types_and_package_is_generated_as_expected_and_compiles() {
    compare("untyped_no_package");
    compile("untyped_no_package");
}

#[test]
fn an_app_with_inherited_path_and_workspace_dependencies_is_generated_as_expected_and_compiles() {
    compare("library");
    compile("library");
}

#[test]
fn an_app_whose_package_is_no_workspace_is_generated_as_expected_and_compiles() {
    compare("own_workspace");
    compile("own_workspace");
}

#[test]
fn an_app_whose_names_meet_those_of_crates_macros_and_generated_items_compiles() {
    compare("names");
    compile("names");
}

#[test]
fn the_same_app_in_two_folders_generates_the_same_bytes() {
    for name in ["typed", "untyped_no_package", "library", "polyglot"] {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, other) = (one.path().join("a"), other.path().join("somewhere/far below/B"));
        for folder in [&one, &other] {
            write(folder, &files::read(&case(name).join("app")));
            let project = Project { root: folder.clone() };
            less_cli::output::write(&project, &generated(folder)).unwrap();
        }
        let bytes = files::read(&one.join(".less"));
        assert!(bytes.len() > 5, "{name}: {:?}", bytes.keys());
        assert_eq!(bytes, files::read(&other.join(".less")), "{name}");
    }
}
