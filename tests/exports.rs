//! What `less` prints for others to host an app by, byte for byte: of `tests/exports/app` what is in `tests/exports/expected`.
//!
//! `UPDATE_GOLDENS=1 cargo test -p less-cli --test exports` rewrites what is expected. `tests/exports.sh` has cfn-lint judge the templates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

mod files;

const PATIENCE: Duration = Duration::from_secs(60);

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

/// A call to a server that stands in for AWS: it believes any signature.
fn call(server: &str, account: &str, service: &str, form: &str) -> String {
    let address = server.strip_prefix("http://").expect("it speaks plain HTTP").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("it answers");
    let scope = format!("{account}/20260101/eu-west-1/{service}/aws4_request");
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\nauthorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in UTF-8");
    answer
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        // Writing to a String does not fail.
        let _ = std::fmt::Write::write_fmt(&mut out, format_args!("%{byte:02X}"));
        out
    })
}

#[test]
fn what_the_template_makes_is_what_less_deploy_would_make() {
    let server = std::env::var("LESS_TEST_MINISTACK")
        .expect("LESS_TEST_MINISTACK says where MiniStack is; `tests/aws/servers.sh cargo test …` starts it");
    let account = format!("{:012}", std::process::id());
    let app = tempfile::tempdir().expect("a folder");
    for (path, text) in files::read(&folder().join("app")) {
        // The account is this test's own.
        let text = if path == "less.toml" { text.replace("account = \"111122223333\"", "") } else { text };
        files::write(app.path(), [(path.as_str(), text.as_str())]);
    }
    let template = printed(&["export", "cloudformation", "--stage", "prod"]);
    // That of the app whose topic this one subscribes to: it is in no template of this one.
    let other = call(&server, &account, "sns", "Action=CreateTopic&Name=users-prod-signed_up");
    assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    let made = call(
        &server,
        &account,
        "cloudformation",
        &format!("Action=CreateStack&StackName=shop&TemplateBody={}", encoded(&template)),
    );
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let began = Instant::now();
    loop {
        let stack = call(&server, &account, "cloudformation", "Action=DescribeStacks&StackName=shop");
        if stack.contains("CREATE_COMPLETE") {
            break;
        }
        assert!(stack.contains("CREATE_IN_PROGRESS") && began.elapsed() < PATIENCE, "{stack}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut less = Command::new(env!("CARGO_BIN_EXE_less"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LESS") || name.starts_with("AWS")) {
            less.env_remove(name);
        }
    }
    less.current_dir(app.path()).envs([
        ("AWS_ENDPOINT_URL", server.as_str()),
        ("AWS_ACCESS_KEY_ID", account.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    let output = less.args(["plan", "--stage", "prod", "--json"]).output().expect("less can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let plan: Value = serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("{error}: {stdout}{}", String::from_utf8_lossy(&output.stderr)));
    // MiniStack's CloudFormation passes no attributes of FIFO topics on; everything else is as it would be deployed.
    let names = |list: &str| -> Vec<String> {
        let list = plan[list].as_array().unwrap_or_else(|| panic!("no `{list}`: {stdout}")).iter();
        list.map(|row| row["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names("change"), ["shop-prod-order_placed.fifo"], "{stdout}");
    assert_eq!((names("create").len(), names("keep").len()), (0, 20), "{stdout}");
}
