//! All that the `less` command prints, and how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

mod files;

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

fn end(command: &mut Command) -> Ended {
    let output = command.output().expect("it can be started");
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    let code = output.status.code().expect("no signal ended it");
    Ended { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A program, with nothing of the surrounding environment that would steer it.
fn program(path: &str, folder: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LESS")) {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn less(folder: &Path, arguments: &[&str]) -> Ended {
    end(program(env!("CARGO_BIN_EXE_less"), folder).args(arguments))
}

/// A folder with a new app in it, `shop`.
fn shop() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let made = less(folder.path(), &["new", "shop"]);
    assert_eq!(made.code, 0, "{made:?}");
    let app = folder.path().join("shop");
    (folder, app)
}

/// An app that nothing was generated for.
fn app(sources: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    files::write(folder.path(), sources.iter().copied());
    folder
}

#[test]
fn new_makes_an_app_that_is_generated_and_says_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let said = "made shop\n\n  cd shop\n  less dev\n";
    assert_eq!(less(folder.path(), &["new", "shop"]), ended(0, said, ""));
    let app = folder.path().join("shop");
    let made: Vec<String> =
        files::read(&app).into_keys().filter(|path| !path.starts_with(".less/")).collect();
    let expected = [
        ".gitignore",
        "Cargo.toml",
        "README.md",
        "less.toml",
        "less/topics/user_created/message.rs",
        "less/topics/user_created/send_to_analytics/mod.rs",
        "less/topics/user_created/send_welcome_email/mod.rs",
        "src/lib.rs",
    ];
    assert_eq!(made, expected);
    assert_eq!(less(&app, &["check"]), ended(0, "", "[less] `shop` is fine: 1 topic, 2 subscribers\n"));
    // A lock comes with the first build.
    let said =
        "error: `less.lock` is out of date\n  missing: less.lock\nhint: `less build` brings it up to date\n";
    assert_eq!(less(&app, &["build", "--check"]), ended(1, "", said));
}

#[test]
fn new_leaves_a_folder_with_something_in_it_alone() {
    let folder = app(&[("shop/notes.txt", "mine")]);
    let said =
        "error: `shop` exists already\nhint: choose another name, or work in that folder with `less add`\n";
    assert_eq!(less(folder.path(), &["new", "shop"]), ended(1, "", said));
    assert_eq!(files::read(folder.path()).into_keys().collect::<Vec<_>>(), ["shop/notes.txt"]);
}

#[test]
fn new_refuses_a_bad_name_and_says_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    for (name, why, instead) in [
        ("My Shop", "the name begins with a lower-case letter, not with `M`", "my_shop"),
        ("9", "the name begins with a lower-case letter, not with `9`", "app"),
        ("test", "Rust has another use for it", "test_app"),
        ("fn", "Rust has another use for it", "fn_app"),
    ] {
        let refused = less(folder.path(), &["new", name]);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{name}");
        let said = format!("error: `{name}` can't be an app's name: {why}\nhint: less new {instead}\n");
        assert_eq!(refused.stderr, said);
        assert_eq!(less(folder.path(), &["new", instead]).code, 0, "what the hint says works");
    }
}

#[test]
fn two_new_apps_of_one_name_are_the_same_bytes_in_any_folder() {
    let ((_one, first), (_other, second)) = (shop(), shop());
    let first = files::read(&first);
    assert!(first.len() > 15, "{:?}", first.keys());
    assert_eq!(first, files::read(&second));
}

#[test]
fn add_prints_the_paths_it_made_and_how_to_publish() {
    let (_folder, app) = shop();
    let publish = "[less] publish from Rust:  topics::order_placed.publish(&topics::order_placed::OrderPlaced { … }).await?
[less] publish from here:  less publish order_placed '{…}'\n";
    assert_eq!(
        less(&app, &["add", "topic", "order_placed"]),
        ended(
            0,
            "less/topics/order_placed/message.rs\n",
            &format!("[less] next: `less add subscriber order_placed/NAME`\n{publish}")
        )
    );
    let said = "warning[no-subscribers]: topic `order_placed` has no subscribers; its messages are kept for 7d and then discarded
  --> less/topics/order_placed
hint: make one with `less add subscriber order_placed/NAME`

1 warning
[less] `shop` is fine: 2 topics, 2 subscribers\n";
    assert_eq!(less(&app, &["check"]), ended(0, "", said));
    assert_eq!(
        less(&app, &["add", "subscriber", "order_placed/reserve_stock"]),
        ended(
            0,
            "less/topics/order_placed/reserve_stock/mod.rs\n",
            &format!(
                "[less] it is in Rust, as the app's others are; `--lang node|python` chooses another language\n{publish}"
            )
        )
    );
    assert_eq!(less(&app, &["check"]), ended(0, "", "[less] `shop` is fine: 2 topics, 3 subscribers\n"));
}

#[test]
fn add_overwrites_nothing_and_refuses_names_with_a_hint() {
    let (_folder, app) = shop();
    let before = files::read(&app);
    let file = "less/topics/user_created/send_to_analytics/mod.rs";
    for (arguments, said) in [
        (
            ["topic", "user_created"],
            "there is a topic `user_created` already\n  --> less/topics/user_created\nhint: `less add subscriber user_created/NAME` adds to it".to_owned(),
        ),
        (
            ["topic", "User_Created"],
            "there is a topic `user_created` already\n  --> less/topics/user_created\nhint: `less add subscriber user_created/NAME` adds to it".to_owned(),
        ),
        (
            ["subscriber", "user_created/send_to_analytics"],
            format!("`user_created` has a subscriber `send_to_analytics` already\n  --> {file}\nhint: change that file, or choose another name"),
        ),
        (
            ["subscriber", "user_craeted/audit"],
            "there is no topic `user_craeted`\nhint: did you mean `user_created/audit`?".to_owned(),
        ),
        (
            ["subscriber", "invoices/audit"],
            "there is no topic `invoices`\nhint: `less add topic invoices` makes it".to_owned(),
        ),
        (
            ["subscriber", "audit"],
            "`audit` names no topic\nhint: write `less add subscriber TOPIC/audit`".to_owned(),
        ),
        (
            ["subscriber", "user_created"],
            "`user_created` is a topic, and its subscriber needs a name\nhint: `less add subscriber user_created/NAME`".to_owned(),
        ),
        (
            ["topic", "order-placed"],
            "`order-placed` can't be a topic's name: `-` is not allowed in a name; letters, digits and `_` are\nhint: less add topic order_placed".to_owned(),
        ),
        (
            ["topic", "fn"],
            "`fn` can't be a topic's name: `fn` is a keyword of Rust\nhint: less add topic fn_".to_owned(),
        ),
        (
            ["subscriber", "user_created/to-audit"],
            "`to-audit` can't be a subscriber's name: `-` is not allowed in a name; letters, digits and `_` are\nhint: less add subscriber user_created/to_audit".to_owned(),
        ),
    ] {
        let refused = less(&app, &["add", arguments[0], arguments[1]]);
        assert_eq!(refused, ended(1, "", &format!("error: {said}\n")));
    }
    assert_eq!(files::read(&app), before);
}

#[test]
fn check_says_everything_at_once_and_writes_nothing() {
    let app = app(&[
        ("less.toml", "nam = \"shop\"\n"),
        (
            "less/topics/bad-name/s/mod.rs",
            "pub async fn process(m: less::Value) -> less::Result<()> { Ok(()) }\n",
        ),
        (
            "less/topics/user_created/message.rs",
            "#[less::message]\nstruct UserCreated {\n    pub user_id: u64,\n}\n",
        ),
        ("less/topics/user_created/audit/mod.rs", "async fn process() -> less::Result<()> { Ok(()) }\n"),
        ("less/topics/user_created/empty/notes.txt", "later\n"),
        ("less/topics/user_created/__pycache__/x.pyc", ""),
    ]);
    let said = "\
error[unknown-key]: unknown key `nam`
  --> less.toml:1:1
hint: did you mean `name`?

error[bad-name]: `bad-name` is no name for a topic: `-` is not allowed in a name; letters, digits and `_` are
  --> less/topics/bad-name
hint: rename the folder to `bad_name`

error[process-not-public]: `process` is not `pub`
  --> less/topics/user_created/audit/mod.rs:1:10
hint: its signature is `pub async fn process(message: UserCreated) -> less::Result<()>`

error[process-arguments]: `process` takes no argument, but the message is its first
  --> less/topics/user_created/audit/mod.rs:1:17
hint: its signature is `pub async fn process(message: UserCreated) -> less::Result<()>`

error[no-handler]: subscriber `user_created/empty` has no handler
  --> less/topics/user_created/empty
hint: write `less/topics/user_created/empty/mod.rs` with `pub async fn process(message: UserCreated) -> less::Result<()>`, or `index.js` or `__init__.py` with a function `process`, or delete the folder

error[message-not-public]: message type `UserCreated` is not `pub`
  --> less/topics/user_created/message.rs:2:8
hint: write `pub` before it: `pub struct UserCreated` or `pub enum UserCreated`

6 errors
";
    let before = files::read(app.path());
    let checked = less(app.path(), &["check"]);
    assert_eq!(checked, ended(1, "", said));
    assert_eq!(files::read(app.path()), before);
    // Building says the same, and stops there.
    assert_eq!(less(app.path(), &["build"]), checked);
    assert_eq!(files::read(app.path()), before);
}

#[test]
fn outside_an_app_every_command_says_how_to_get_into_one() {
    let folder = tempfile::tempdir().unwrap();
    let said = "error: no `less` folder here or above\nhint: `less new APP` makes an app, `--app FOLDER` names another folder\n";
    let commands: [&[&str]; 7] =
        [&["check"], &["build"], &["list"], &["config"], &["dev"], &["start"], &["add", "topic", "t"]];
    for arguments in commands {
        assert_eq!(less(folder.path(), arguments), ended(1, "", said), "{arguments:?}");
    }
    let said = "error: can't open nowhere: No such file or directory (os error 2)\n";
    for arguments in [&["-C", "nowhere", "check"][..], &["--app", "nowhere", "status"]] {
        assert_eq!(less(folder.path(), arguments), ended(1, "", said));
    }
    // Those that ask a running app may be told where it is instead.
    let said = "error: no `less` folder here or above\nhint: `less new APP` makes an app, `--app FOLDER` names another folder; `--url URL` or LESS_URL names an app that runs\n";
    let commands: [&[&str]; 4] = [&["status"], &["publish", "t", "1"], &["dlq", "list"], &["tail", "t"]];
    for arguments in commands {
        assert_eq!(less(folder.path(), arguments), ended(1, "", said), "{arguments:?}");
    }
    let said = "error: `localhost:21000` is no URL of an app: `http://` or `https://` is missing\nhint: http://localhost:21000\n";
    assert_eq!(less(folder.path(), &["status", "--url", "localhost:21000"]), ended(1, "", said));
}

#[test]
fn a_new_subscriber_is_written_in_what_its_topics_others_are_or_the_apps() {
    let app = app(&[
        ("less/topics/both/a/index.js", "exports.process = () => {};\n"),
        ("less/topics/both/b/__init__.py", "def process(message): pass\n"),
        ("less/topics/py/a/__init__.py", "def process(message): pass\n"),
        ("less/topics/none/message.schema.json", "{\"type\": \"object\"}\n"),
    ]);
    for (path, file, why) in [
        (
            "py/new",
            "less/topics/py/new/__init__.py",
            "Python, as the others of `py` are; `--lang rust|node` chooses",
        ),
        (
            "both/new",
            "less/topics/both/new/index.js",
            "Node.js, as the app has no Rust; `--lang rust|python` chooses",
        ),
        (
            "none/new",
            "less/topics/none/new/index.js",
            "Node.js, as the app has no Rust; `--lang rust|python` chooses",
        ),
        (
            "other:topic/new",
            "less/external_topics/other/topic/new/index.js",
            "Node.js, as the app has no Rust; `--lang rust|python` chooses",
        ),
    ] {
        let made = less(app.path(), &["add", "subscriber", path]);
        assert_eq!((made.code, made.stdout), (0, format!("{file}\n")), "{path}");
        assert!(
            made.stderr.starts_with(&format!("[less] it is in {why} another language\n")),
            "{}",
            made.stderr
        );
    }
    let topic = less(app.path(), &["add", "topic", "more"]);
    assert_eq!(topic.stdout, "less/topics/more/message.schema.json\n", "{}", topic.stderr);
    let told = less(app.path(), &["add", "subscriber", "py/third", "--lang", "node"]);
    assert_eq!(told.stdout, "less/topics/py/third/index.js\n");
    assert!(!told.stderr.contains("it is in"), "{}", told.stderr);
}

#[test]
fn dead_letters_that_are_not_named_are_asked_for() {
    let (_folder, app) = shop();
    for verb in ["release", "purge"] {
        let refused = end(program(env!("CARGO_BIN_EXE_less"), &app).args([
            "dlq",
            verb,
            "user_created/audit",
            "--url",
            "http://127.0.0.1:1",
        ]));
        let said = format!(
            "error: which dead letters of `user_created/audit` is not said\nhint: `less dlq {verb} user_created/audit ID…` names some, `less dlq {verb} user_created/audit --all` takes all\n"
        );
        assert_eq!(refused, ended(1, "", &said));
    }
}

#[test]
fn build_check_names_every_file_that_is_out_of_date_and_changes_none() {
    let (_folder, app) = shop();
    let generated = app.join(".less");
    std::fs::write(generated.join("less/src/lib.rs"), "// changed by hand\n").unwrap();
    std::fs::write(generated.join("app/src/topic_old.rs"), "").unwrap();
    std::fs::remove_file(generated.join("app/manifest.json")).unwrap();
    let before = files::read(&app);
    let said = "error: `.less/` and `less.lock` are out of date
  missing: .less/app/manifest.json
  changed: .less/less/src/lib.rs
  stale: .less/app/src/topic_old.rs
  missing: less.lock
hint: `less build` brings them up to date\n";
    assert_eq!(less(&app, &["build", "--check"]), ended(1, "", said));
    assert_eq!(files::read(&app), before);
}

#[test]
fn list_shows_topics_and_subscribers_from_any_folder_of_the_app() {
    let (_folder, app) = shop();
    let said = "user_created
  send_to_analytics  Rust  less/topics/user_created/send_to_analytics/mod.rs
  send_welcome_email  Rust  less/topics/user_created/send_welcome_email/mod.rs\n";
    assert_eq!(less(&app.join("less/topics"), &["list"]), ended(0, said, ""));
    let listed = less(&app, &["list", "--json"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""));
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let subscriber = |name: &str| {
        let file = format!("less/topics/user_created/{name}/mod.rs");
        serde_json::json!({ "name": name, "language": "rust", "file": file })
    };
    let expected = serde_json::json!({ "app": "shop", "topics": [{
        "name": "user_created",
        "message": "UserCreated",
        "folder": "less/topics/user_created",
        "subscribers": [subscriber("send_to_analytics"), subscriber("send_welcome_email")],
        "subscribed_by": null,
    }], "external": [] });
    assert_eq!(listed, expected);
}

const USERS: [(&str, &str); 2] = [
    ("less.toml", "name = \"users\"\n"),
    ("less/topics/user_created/audit/index.js", "exports.process = () => {};\n"),
];
const FRIENDS: [(&str, &str); 3] = [
    ("less.toml", "name = \"friends\"\n"),
    ("less/topics/befriended/notify/__init__.py", "def process(message): pass\n"),
    ("less/external_topics/users/user_created/suggest/index.js", "exports.process = () => {};\n"),
];

#[test]
fn list_shows_what_the_app_subscribes_to_elsewhere() {
    let friends = app(&FRIENDS);
    let said = "befriended
  notify  Python  less/topics/befriended/notify/__init__.py
users:user_created
  suggest  Node.js  less/external_topics/users/user_created/suggest/index.js\n";
    assert_eq!(less(friends.path(), &["list"]), ended(0, said, ""));
    let listed = less(friends.path(), &["list", "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let expected = serde_json::json!([{ "app": "users", "folder": "less/external_topics/users", "topics": [{
        "name": "user_created",
        "message": null,
        "folder": "less/external_topics/users/user_created",
        "subscribers": [{
            "name": "suggest",
            "language": "node",
            "file": "less/external_topics/users/user_created/suggest/index.js",
        }],
    }] }]);
    assert_eq!(listed["external"], expected);
}

#[test]
fn graph_shows_this_app_and_those_whose_folders_are_given() {
    let (users, friends) = (app(&USERS), app(&FRIENDS));
    let other = users.path().to_str().unwrap();
    let said = "friends
  ← users:user_created  suggest  Node.js
  befriended
    → notify  Python
users
  user_created
    → audit  Node.js
    → friends:suggest  Node.js\n";
    assert_eq!(less(friends.path(), &["graph", other]), ended(0, said, ""));
    // Where there is no app around, the folders are all there is.
    let nowhere = tempfile::tempdir().unwrap();
    let only = "users\n  user_created\n    → audit  Node.js\n";
    assert_eq!(less(nowhere.path(), &["graph", other]), ended(0, only, ""));
    for (format, begin) in [("svg", "<svg "), ("mermaid", "flowchart LR\n"), ("dot", "digraph less {\n")] {
        let shown = less(friends.path(), &["graph", "--format", format]);
        assert_eq!((shown.code, shown.stdout.starts_with(begin)), (0, true), "{shown:?}");
    }
    let missing = less(nowhere.path(), &["graph"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    let none = end(program(env!("CARGO_BIN_EXE_less"), nowhere.path())
        .args(["graph", "--running"])
        .env("XDG_RUNTIME_DIR", nowhere.path()));
    let said = "error: no app runs on this machine\nhint: `less dev` in an app's folder runs it\n";
    assert_eq!(none, ended(1, "", said));
}

#[test]
fn config_says_where_each_setting_comes_from() {
    let handler = "pub async fn process(m: less::Value) -> less::Result<()> { Ok(()) }\n";
    let settings = "name = \"shop\"\n[http]\nmax_body = \"1KiB\"\n[stages.production]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n[stages.production.http]\nmax_connections = 7\n";
    let app = app(&[("less.toml", settings), ("less/topics/t/s/mod.rs", handler)]);
    let mut command = program(env!("CARGO_BIN_EXE_less"), app.path());
    command.args(["config", "--stage", "production"]).env("LESS_DATA", "/tmp/data");
    command.env("LESS_API_KEY", "a secret that nobody is shown").env("LESS_LOG", "debug");
    let said = "\
stage                  production               --stage
listen                 127.0.0.1:4100           default
transport              aws                      less.toml [stages.production]
data                   /tmp/data                LESS_DATA
http.max_body          1024                     less.toml
http.max_connections   7                        less.toml [stages.production]
http.hosts                                      default
region                 eu-west-1                less.toml [stages.production]
api_key                (set)                    LESS_API_KEY
drain                  25s                      default
log                    debug                    LESS_LOG
";
    assert_eq!(end(&mut command), ended(0, said, ""));
    let wrong = end(program(env!("CARGO_BIN_EXE_less"), app.path()).arg("config").env("LESS_LISTEN", "here"));
    let said = "error: `here` from LESS_LISTEN is no address\nhint: write an IP address or `localhost`, and a port, such as `127.0.0.1:4100`\n";
    assert_eq!(wrong, ended(1, "", said));
}

#[test]
fn config_tells_of_a_setting_that_it_can_not_read() {
    let handler = "pub async fn process(m: less::Value) -> less::Result<()> { Ok(()) }\n";
    let app = app(&[("less.toml", "[http]\nmax_body = 1000\n"), ("less/topics/t/s/mod.rs", handler)]);
    let shown = less(app.path(), &["config", "--json"]);
    assert_eq!(shown.code, 1);
    assert_eq!(
        shown.stderr,
        "error[bad-value]: `max_body` is a size such as `\"256KiB\"`, not a whole number\n  --> less.toml:2:12\n\n1 error\n"
    );
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["http.max_body"], serde_json::json!({ "value": "1048576", "source": "default" }));
}

#[test]
fn a_command_line_that_is_wrong_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let unknown = less(folder.path(), &["biuld"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.starts_with("error: unrecognized subcommand 'biuld'\n"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("'build'"), "{}", unknown.stderr);
    let unknown = less(folder.path(), &["list", "--nope"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (1, ""));
    assert!(unknown.stderr.starts_with("error: unexpected argument '--nope' found\n"), "{}", unknown.stderr);
    let version = format!("less {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(less(folder.path(), &["--version"]), ended(0, &version, ""));
}

#[test]
fn publishing_to_an_app_that_does_not_run_says_how_to_start_it() {
    let (_folder, app) = shop();
    let said = "error: no running app was found\nhint: start it with `less dev` in the app's folder, or set LESS_URL to where it runs\n";
    for arguments in [["publish", "user_created", "{}"].as_slice(), &["status"], &["dlq", "list"]] {
        assert_eq!(less(&app, arguments), ended(2, "", said), "{arguments:?}");
    }
    // A port below those that programs are given.
    let url = "http://127.0.0.1:1";
    let mut command = program(env!("CARGO_BIN_EXE_less"), &app);
    let published = end(command.args(["publish", "user_created", "{}"]).env("LESS_URL", url));
    let said = format!(
        "error: no running app answers at {url}: Connection refused (os error 111)\nhint: start it with `less dev`, or set LESS_URL to where it runs\n"
    );
    assert_eq!(published, ended(2, "", &said));
    let said = "error: the message is no JSON: EOF while parsing an object at line 1 column 1\nhint: less publish user_created '{\"name\": \"value\"}'\n";
    assert_eq!(less(&app, &["publish", "user_created", "{"]), ended(1, "", said));
}

/// A folder with two programs called `less`: this one, and a stand-in for the pager that says how it was called.
fn pagers() -> TempDir {
    let folder = app(&[
        ("pager/less", "#!/bin/sh\necho \"pager LESS=$LESS arguments=$*\"\n[ $# -gt 0 ] || exec cat\n"),
        ("notes.txt", "notes"),
        ("ours/.keep", ""),
        ("none/.keep", ""),
    ]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path().join("pager/less"), mode).expect("it becomes a program");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_less"), folder.path().join("ours/less"))
        .expect("a link can be made");
    folder
}

/// Runs a line of shell where these folders come first on PATH.
fn shell(folder: &Path, first: &[&str], line: &str) -> Ended {
    let mut path: Vec<PathBuf> = first.iter().map(|name| folder.join(name)).collect();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").expect("there is a PATH")));
    let path = std::env::join_paths(path).expect("folders without colons");
    end(program("bash", folder).args(["-c", line]).env("PATH", path))
}

#[test]
fn called_as_a_pager_it_hands_over_to_the_next_less_on_path() {
    let folder = pagers();
    let folder = folder.path();
    let ours = folder.join("ours/less");
    for first in [["ours", "pager"], ["pager", "ours"]] {
        // Whichever is first on PATH, this program is the one that is called.
        let call =
            |line: &str| shell(folder, &first, &line.replace("less ", &format!("{} ", ours.display())));
        assert_eq!(call("printf text | less "), ended(0, "pager LESS= arguments=\ntext", ""));
        assert_eq!(call("less notes.txt"), ended(0, "pager LESS= arguments=notes.txt\n", ""));
        assert_eq!(call("less -R notes.txt"), ended(0, "pager LESS= arguments=-R notes.txt\n", ""));
        assert_eq!(call("printf log | LESS=FRX less "), ended(0, "pager LESS=FRX arguments=\nlog", ""));
        let process = call("less <(printf text)");
        assert_eq!(process.code, 0, "{process:?}");
        assert!(process.stdout.starts_with("pager LESS= arguments=/dev/fd/"), "{process:?}");
    }
}

#[test]
fn a_command_is_never_the_pagers_however_it_is_called() {
    let folder = pagers();
    let said = "error: no `less` folder here or above\nhint: `less new APP` makes an app, `--app FOLDER` names another folder\n";
    let first = ["ours", "pager"];
    assert_eq!(shell(folder.path(), &first, "less check"), ended(1, "", said));
    assert_eq!(shell(folder.path(), &first, "printf text | less check"), ended(1, "", said));
    assert_eq!(shell(folder.path(), &first, "less biuld").code, 1);
}

#[test]
fn a_pager_that_is_not_there_is_said_to_be_missing() {
    let folder = pagers();
    let mut command = program(env!("CARGO_BIN_EXE_less"), folder.path());
    command.arg("notes.txt").env("PATH", folder.path().join("ours"));
    let said = "error: called as a pager, and there is no other `less` on PATH\nhint: install the pager, or set PAGER to another one; `less help` shows what this program does\n";
    assert_eq!(end(&mut command), ended(2, "", said));
}

#[test]
fn cargo_less_is_the_same_program() {
    let (folder, app) = shop();
    let cargo_less = |folder: &Path, arguments: &[&str]| {
        end(program(env!("CARGO_BIN_EXE_cargo-less"), folder).arg("less").args(arguments))
    };
    assert_eq!(cargo_less(&app, &["check"]), less(&app, &["check"]));
    assert_eq!(cargo_less(folder.path(), &["-C", "shop", "list"]), less(&app, &["list"]));
    assert_eq!(cargo_less(folder.path(), &["check"]), less(folder.path(), &["check"]));
    // Help calls the program as it was called.
    let mut help = less(folder.path(), &["help"]);
    help.stdout = help.stdout.replace("Usage: less", "Usage: cargo-less");
    assert_eq!(cargo_less(folder.path(), &[]), help);
}
