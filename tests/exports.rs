//! What `less` prints for others to host an app by, byte for byte: of `tests/exports/app` what is in `tests/exports/expected`.
//!
//! `UPDATE_GOLDENS=1 cargo test -p less-cli --test exports` rewrites what is expected. `tests/exports.sh` has cfn-lint judge the templates.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .join("tests/exports")
}

/// What `less` prints, with nothing of the surrounding environment that would steer it, and nobody to ask.
fn printed(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_less"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LESS") || name.starts_with("AWS")) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder().join("app")).env("NO_COLOR", "1").stdin(Stdio::null());
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let output = command.args(arguments).output().expect("less can be started");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "less {arguments:?}: {stderr}");
    assert_eq!(stderr, "", "less {arguments:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

fn compare(file: &str, arguments: &[&str]) {
    let path = folder().join("expected").join(file);
    let found = printed(arguments);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
        std::fs::write(path, found).expect("the file can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{file} has changed; if that is meant: UPDATE_GOLDENS=1 cargo test -p less-cli --test exports\nexpected:\n{expected}\nprinted:\n{found}"
    );
}

#[test]
fn policies_are_printed_as_expected() {
    compare("iam.json", &["iam", "--stage", "prod"]);
    compare("iam-worker.json", &["iam", "worker", "--stage", "prod"]);
    compare("iam-keyed.json", &["iam", "--stage", "keyed"]);
}

#[test]
fn variables_are_printed_as_expected() {
    compare("env.sh", &["env", "--stage", "prod"]);
    let elsewhere =
        ["env", "--json", "--stage", "prod", "--region", "cn-north-1", "--account", "444455556666"];
    compare("env-elsewhere.json", &elsewhere);
}

#[test]
fn templates_are_printed_as_expected() {
    compare("cloudformation-prod.json", &["export", "cloudformation", "--stage", "prod"]);
    compare("cloudformation-keyed.json", &["export", "cloudformation", "--stage", "keyed"]);
}

#[test]
fn a_dockerfile_is_printed_as_expected() {
    compare("Dockerfile", &["export", "dockerfile"]);
    compare("dockerignore", &["export", "dockerignore"]);
}

#[test]
fn what_is_not_on_aws_has_no_policies() {
    let mut less = Command::new(env!("CARGO_BIN_EXE_less"));
    less.current_dir(folder().join("app")).env("NO_COLOR", "1").env_remove("LESS_STAGE");
    let output = less.args(["iam", "--stage", "prd"]).output().expect("less can be started");
    let said = "error: stage `prd` has nothing on AWS: its transport is the embedded broker\nhint: stages on AWS: `keyed`, `prod`\n";
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(1), said));
}
