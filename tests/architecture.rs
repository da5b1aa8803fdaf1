//! Which crate may know which, and other rules that are about what is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const OURS: [&str; 6] =
    ["less-aws-proxy", "less-cli", "less-faults", "less-macros", "less-model", "less-runtime"];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

/// What the manifests say.
fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.cargo_path(env!("CARGO")).manifest_path(repository().join("Cargo.toml")).no_deps();
    command.exec().expect("cargo knows its own workspace")
}

/// Our crates that a crate's manifest names as dependencies of this kind.
fn ours(package: &str, kind: DependencyKind) -> BTreeSet<String> {
    let metadata = metadata();
    let package = metadata.packages.iter().find(|found| found.name.as_str() == package);
    package
        .expect("it is in the workspace")
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == kind && dependency.name.starts_with("less"))
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// Every package that a crate brings with it, with all its features on.
///
/// The resolved graph of `cargo metadata` has the features that the whole workspace asks for together, which would show the runtime
/// the parser that only the command line wants; this is the graph of one crate alone.
fn closure(package: &str, edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--quiet", "--all-features", "--prefix", "none", "--format", "{p}"])
        .args(["--target", "all"])
        .args(["--package", package, "--edges", edges])
        .current_dir(repository())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("packages have plain names");
    let packages: BTreeSet<String> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(packages.contains(package), "{packages:?}");
    packages
}

/// Every Rust file below a folder of the repository.
fn sources(below: &str) -> Vec<PathBuf> {
    let folder = repository().join(below);
    if folder.is_file() {
        return vec![folder];
    }
    let mut found = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{below} has no sources");
    found.sort();
    found
}

#[test]
fn the_workspace_holds_the_four_crates_and_their_proofs_and_arrows_point_down() {
    let metadata = metadata();
    let mut members: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    members.sort_unstable();
    assert_eq!(members, OURS);
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    for (package, allowed) in [
        ("less-model", set(&[])),
        ("less-macros", set(&[])),
        ("less-runtime", set(&["less-macros", "less-model"])),
        ("less-cli", set(&["less-model", "less-runtime"])),
        ("less-faults", set(&["less-model", "less-runtime"])),
        ("less-aws-proxy", set(&[])),
    ] {
        assert_eq!(ours(package, DependencyKind::Normal), allowed, "{package}");
        assert_eq!(ours(package, DependencyKind::Build), set(&[]), "{package}");
    }
}

#[test]
fn the_model_knows_no_tokio_no_http_and_no_cloud() {
    let packages = closure("less-model", "normal");
    let banned = |name: &&String| {
        ["tokio", "hyper", "hyper-util", "axum", "http"].contains(&name.as_str()) || name.starts_with("aws-")
    };
    assert_eq!(packages.iter().find(banned), None);
}

#[test]
fn the_runtime_parses_rust_only_in_macros() {
    let without_macros = closure("less-runtime", "normal,no-proc-macro");
    let parsers = ["syn", "prettyplease", "proc-macro2", "quote"];
    assert_eq!(without_macros.iter().find(|name| parsers.contains(&name.as_str())), None);
    // Were it found nowhere, the rule above would say nothing.
    assert!(closure("less-runtime", "normal").contains("syn"));
}

#[test]
fn the_macros_know_none_of_our_crates() {
    let mut packages = closure("less-macros", "normal,build");
    packages.remove("less-macros");
    assert_eq!(packages.iter().find(|name| OURS.contains(&name.as_str())), None);
}

#[test]
fn nothing_links_a_second_tls_stack_or_one_written_in_c() {
    // Not what is in Cargo.lock: that names what a dependency could turn on as well.
    for package in ["less-runtime", "less-cli", "less-faults"] {
        let packages = closure(package, "normal,build,dev");
        assert!(packages.contains("rustls") == (package != "less-faults"), "{package}");
        for banned in ["ring", "openssl-sys", "native-tls"] {
            assert!(
                !packages.contains(banned),
                "{package} links {banned}; `cargo tree -i {banned}` says why"
            );
        }
    }
}

#[test]
fn workers_http_and_topics_know_no_transport_by_name() {
    for below in ["less-runtime/src/worker", "less-runtime/src/http", "less-runtime/src/topic.rs"] {
        never_says(below, &["embedded", "rabbitmq", "aws"]);
    }
}

#[test]
fn the_runtime_knows_no_language_but_rust() {
    never_says("less-runtime/src", &["node", "nodejs", "python", "npm"]);
}

/// Fails where a source names one of these words; tests may.
fn never_says(below: &str, words: &[&str]) {
    let mut wrong = Vec::new();
    let is_test =
        |path: &Path| path.ends_with("tests.rs") || path.parent().is_some_and(|in_| in_.ends_with("tests"));
    for path in sources(below).into_iter().filter(|path| !is_test(path)) {
        let text = std::fs::read_to_string(&path).expect("a source is text").to_lowercase();
        for (index, line) in text.lines().enumerate() {
            if line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| words.contains(&word)) {
                wrong.push(format!("{}:{}: {line}", path.display(), index + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    for folder in
        ["less-cli", "less-macros", "less-model", "less-runtime", "tests", "benches", "fuzz/fuzz_targets"]
    {
        for path in sources(folder) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines; it holds more than one thing", path.display());
        }
    }
}
