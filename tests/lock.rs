//! `less.lock`, as commands write it, refuse because of it, and leave it alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use less_cli::lock::{Locking, review};
use less_cli::project::Project;
use tempfile::TempDir;

mod files;

const OLD: &str = r#"{"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": "string"}}, "required": ["id", "email"]}"#;
const NEW: &str = r#"{"type": "object", "properties": {"id": {"type": "string"}, "email": {"type": "string"}}, "required": ["id", "email"]}"#;
const SCHEMA: &str = "less/topics/user_created/message.schema.json";
const HANDLER: &str = "exports.process = async () => {};\n";
const BUILT: &str =
    "[less] built .less; there is nothing to compile: `less dev` or `less start` runs this app\n";

/// What `NEW` breaks, as a warning or an error.
fn broken(severity: &str) -> String {
    format!(
        "{severity}[breaking-change]: topic `user_created`: `/id` was an integer, and is a string now
  --> {SCHEMA}:1:35
note: recorded here
  --> less.lock:15:5
note: messages that are stored, in flight, or published by a program that was not built anew may not fit
note: other apps, and programs that were not built anew, do not expect that
hint: add a field of another name, and keep this one until nobody has such messages or reads it
hint: or take it as it is: `less build --accept-breaking`

1 {severity}
"
    )
}

fn less(app: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_less"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LESS") || name.starts_with("AWS")) {
            command.env_remove(name);
        }
    }
    command.current_dir(app).env("NO_COLOR", "1").stdin(Stdio::null()).args(arguments);
    let output = command.output().expect("less can be started");
    let code = output.status.code().expect("no signal ended it");
    (code, String::from_utf8(output.stderr).expect("it prints UTF-8"))
}

fn write(app: &Path, path: &str, text: &str) {
    files::write(app, [(path, text)]);
}

fn lock(app: &Path) -> String {
    std::fs::read_to_string(app.join("less.lock")).expect("there is a lock")
}

/// An app that needs no compiler, built once.
fn built() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let app = folder.path();
    write(app, "less.toml", "name = \"shop\"\n[stages.prod]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n");
    write(app, SCHEMA, OLD);
    write(app, "less/topics/user_created/welcome/index.js", HANDLER);
    assert_eq!(less(app, &["build"]), (0, format!("[less] wrote less.lock: commit it\n{BUILT}")));
    folder
}

#[test]
fn the_first_build_writes_a_lock_that_all_may_read_and_the_second_nothing() {
    let folder = built();
    let app = folder.path();
    let expected = r#"# Written by `less build`: what this app's topics look like to other programs and to stored messages.
# Commit it, and leave it to `less`.
version = 1

[topics.user_created]
subscribers = [
  "welcome",
]
message = "message.schema.json"
fingerprint = "FINGERPRINT"
schema = '''
{
  "properties": {
    "email": {"type":"string"},
    "id": {"type":"integer"}
  },
  "required": ["email","id"],
  "type": "object"
}
'''
"#;
    let fingerprint = lock(app).lines().nth(9).expect("a line").split('"').nth(1).expect("a text").to_owned();
    assert_eq!(lock(app), expected.replace("FINGERPRINT", &fingerprint));
    assert_eq!(fingerprint.len(), 32);
    let mode = |name: &str| app.join(name).metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode("less.lock"), mode("less.toml"));
    assert_eq!(less(app, &["build"]), (0, BUILT.to_owned()));
    assert_eq!(less(app, &["build", "--check"]), (0, String::new()));
}

#[test]
fn what_breaks_others_is_refused_by_build_start_and_deploy_told_by_check_and_taken_when_asked() {
    let folder = built();
    let app = folder.path();
    write(app, SCHEMA, NEW);
    let before = files::read(app);
    for refusing in [&["build"][..], &["build", "--check"], &["start"]] {
        assert_eq!(less(app, refusing), (1, broken("error")), "{refusing:?}");
    }
    let building = format!("[less] Building... ⚙️\n{}", broken("error"));
    assert_eq!(less(app, &["deploy", "--stage", "prod", "--yes"]), (1, building));
    let fine = format!("{}[less] `shop` is fine: 1 topic, 1 subscriber\n", broken("warning"));
    assert_eq!(less(app, &["check"]), (0, fine));
    assert_eq!(files::read(app), before, "nothing was written");

    let taken = format!(
        "{}[less] updated less.lock: commit it
[less] accepted 1 breaking change
[less] messages of `user_created` that are stored and no longer fit become dead letters with the reason `schema`, without a retry; `less dlq list` shows them
{BUILT}",
        broken("warning")
    );
    assert_eq!(less(app, &["build", "--accept-breaking"]), (0, taken));
    assert_eq!(less(app, &["build", "--check"]), (0, String::new()));
    let both = less(app, &["build", "--check", "--accept-breaking"]);
    assert_eq!(both.0, 1, "{}", both.1);
}

#[test]
fn a_compatible_change_is_written_and_check_wants_it_written() {
    let folder = built();
    let app = folder.path();
    write(app, SCHEMA, &OLD.replace("\"id\": {", "\"nick\": {\"type\": \"string\"}, \"id\": {"));
    let said = "error: `.less/` and `less.lock` are out of date";
    let checked = less(app, &["build", "--check"]);
    assert!(checked.0 == 1 && checked.1.starts_with(said), "{}", checked.1);
    assert_eq!(less(app, &["build"]), (0, format!("[less] updated less.lock: commit it\n{BUILT}")));
    assert!(lock(app).contains("\"nick\": {\"type\":\"string\"}"));
    std::fs::remove_file(app.join("less.lock")).expect("it is there");
    let missing =
        "error: `less.lock` is out of date\n  missing: less.lock\nhint: `less build` brings it up to date\n";
    assert_eq!(less(app, &["build", "--check"]), (1, missing.to_owned()));
}

#[test]
fn a_lock_that_cannot_be_read_stops_build_and_check_and_is_left_as_it_is() {
    let folder = built();
    let app = folder.path();
    let merged = format!("<<<<<<< HEAD\n{0}=======\n{0}>>>>>>> other\n", lock(app));
    write(app, "less.lock", &merged);
    let said = "error[lock-conflict]: `less.lock` holds an unfinished merge
  --> less.lock:1:1
hint: merge the sources first, then take the lock of the side that runs already, such as `git checkout --ours less.lock`, and run `less build`

1 error
";
    for arguments in [&["build"][..], &["check"], &["build", "--accept-breaking"]] {
        assert_eq!(less(app, arguments), (1, said.to_owned()), "{arguments:?}");
    }
    assert_eq!(lock(app), merged);
}

/// As `less dev` does it at every change.
#[test]
fn dev_is_told_once_of_each_change_and_gets_nothing_to_write() {
    let folder = built();
    let app = folder.path();
    let project = Project { root: app.to_owned() };
    let mut told = Vec::new();
    let mut tell = |schema: &str| {
        write(app, SCHEMA, schema);
        let (pending, said) = review(&project.read().expect("it can be read"), Locking::Tell(&mut told));
        pending.write(&project).expect("nothing is to be written");
        let errors = said.iter().filter(|found| found.is_error()).count();
        assert_eq!(errors, 0);
        said.iter().map(|found| found.message.clone()).collect::<Vec<_>>()
    };
    let before = lock(app);
    let other = NEW.replace("\"email\": {\"type\": \"string\"}", "\"email\": {\"type\": \"boolean\"}");
    let id = "topic `user_created`: `/id` was an integer, and is a string now".to_owned();
    let email = "topic `user_created`: `/email` was a string, and is a boolean now".to_owned();
    assert_eq!(tell(NEW), std::slice::from_ref(&id));
    assert_eq!(tell(NEW), [""; 0]);
    assert_eq!(tell(&other), [&*email, &*id]);
    assert_eq!(tell(OLD), [""; 0]);
    assert_eq!(tell(NEW), [id]);
    assert_eq!(lock(app), before);
}

/// `UPDATE_GOLDENS=1 cargo test -p less-cli --test lock` rewrites them.
#[test]
fn the_examples_locks_are_what_building_them_writes() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let folders =
        examples.read_dir().expect("there are examples").map(|entry| entry.expect("an entry").path());
    let mut found = 0;
    for root in folders.filter(|folder| folder.join("less").is_dir()) {
        let read = Project { root: root.clone() }.read().expect("it can be read");
        let review = less_model::lock::review(&read.tree, &read.app);
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            std::fs::write(root.join("less.lock"), &review.text).expect("it can be written");
        } else {
            assert!(!review.stale, "{} is not what `less build` writes", root.join("less.lock").display());
        }
        found += 1;
    }
    assert!(found >= 3, "{found}");
}
