//! Which crate may depend on which, and what must never reach a user's program.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml")
}

#[test]
fn our_crates_depend_on_each_other_only_along_the_arrows() {
    let metadata = MetadataCommand::new().manifest_path(workspace()).no_deps().exec().unwrap();
    let mut arrows: Vec<String> = Vec::new();
    for package in &metadata.packages {
        let ours = package.dependencies.iter().filter(|dependency| dependency.name.starts_with("less-"));
        arrows.extend(ours.map(|dependency| format!("{} -> {}", package.name, dependency.name)));
    }
    let allowed = [
        "less-cli -> less-model",
        "less-cli -> less-runtime",
        "less-macros -> less-model",
        "less-runtime -> less-macros",
        "less-runtime -> less-model",
    ];
    arrows.sort();
    arrows.dedup();
    let others: Vec<_> = arrows.iter().filter(|arrow| !allowed.contains(&arrow.as_str())).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(arrows.len() >= 4, "{arrows:?}");
}

#[test]
fn the_model_knows_no_runtime_no_http_and_no_cloud() {
    let linked = linked("less-model", &["--all-features"]);
    assert!(linked.contains(&"serde".to_owned()), "{linked:?}");
    for banned in ["tokio", "hyper", "http", "axum", "rustix", "tracing", "aws-config", "lapin"] {
        assert!(!linked.iter().any(|name| name == banned), "less-model must not depend on {banned}");
    }
}

#[test]
fn no_parser_of_rust_or_toml_reaches_a_users_program() {
    let linked = linked("less-runtime", &[]);
    assert!(linked.contains(&"tokio".to_owned()), "{linked:?}");
    for banned in ["syn", "proc-macro2", "quote", "prettyplease", "toml", "walkdir", "clap"] {
        assert!(!linked.iter().any(|name| name == banned), "less-runtime must not link {banned}");
    }
}

/// The packages that one package links, itself among them; not those that its macros need while they expand. `cargo metadata` can't tell:
/// it joins the features that all of the workspace asks for.
fn linked(package: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"])
        .args(["--manifest-path".as_ref(), workspace().as_os_str()])
        .args(["--package", package])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
