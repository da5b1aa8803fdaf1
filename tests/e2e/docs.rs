//! What the documents show works.

use std::path::Path;
use std::process::Command;

use crate::support::{less, run, target, text, write};

/// The code of these blocks, each with the path that its first line names.
fn blocks<'a>(document: &'a str, language: &str, comment: &str) -> Vec<(&'a str, &'a str)> {
    let opening = format!("```{language}\n{comment} ");
    let found = document.split(opening.as_str()).skip(1);
    found
        .map(|block| {
            let block = block.split("```").next().expect("it has an end");
            block.split_once('\n').expect("it has a first line")
        })
        .collect()
}

#[test]
fn the_examples_of_the_page_on_rust_compile_and_their_test_passes() {
    let document = include_str!("../../docs/rust.md");
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["new", "shop"]);
    let app = folder.path().join("shop");
    std::fs::remove_dir_all(app.join("less")).expect("it was made");
    let files = blocks(document, "rust", "//");
    assert_eq!(files.len(), document.matches("```rust\n").count(), "a block without a path is not compiled");
    for (path, code) in files {
        write(&app.join(path), code);
    }
    let dependency = blocks(document, "toml", "#")[0].1.lines().last().expect("it has lines");
    let manifest = std::fs::read_to_string(app.join("Cargo.toml")).expect("it was made");
    let manifest = manifest.replace("[dependencies]\n", &format!("[dependencies]\n{dependency}\n"));
    // In a workspace around it: cargo tells packages of other workspaces, which share the target folder, apart by their paths in them.
    let (package, workspace) = manifest.split_once("[workspace]\n").expect("it is one");
    write(&app.join("Cargo.toml"), package);
    let members = workspace.replace("\".less/app\"", "\"shop\", \"shop/.less/app\"");
    write(&folder.path().join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\n{members}"));
    run(&app, &["build"]);
    let printed = cargo(&app, &["test", "--lib"]);
    assert!(printed.contains("test tests::a_user_is_published_once ... ok"), "{printed}");
    cargo(&app, &["build", "--bin", "sign_up"]);
    // Without an app that runs, what `main` returns is readable, and says what to do.
    let output = Command::new(target().join("debug/sign_up"))
        .current_dir(&app)
        .env_remove("LESS_URL")
        .env_remove("LESS_DATA")
        .output()
        .expect("it can be started");
    let expected = "Error: no running app was found\nhint: start it with `less dev` in the app's folder, or set LESS_URL to where it runs\n";
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(1), expected));
}

/// Runs cargo as `less` does, and expects success.
fn cargo(app: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    // What steers this command steers that one.
    command.current_dir(app).env("CARGO_TARGET_DIR", target()).args(arguments);
    for (name, value) in less(app).get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().expect("cargo can be started");
    assert!(output.status.success(), "cargo {arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
