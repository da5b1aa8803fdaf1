//! Contracts: how they are written, taken, and compared with what the other app says by now.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod files;

const SCHEMA: &str = r#"{"type": "object", "description": "Somebody signed up.", "properties": {"id": {"type": "integer"}, "email": {"type": "string"}}, "required": ["id", "email"]}"#;
const CONTRACT: &str = "less/external_topics/ums/contract.json";
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Longest that anything may take; reaching it fails the test.
const PATIENCE: Duration = Duration::from_secs(120);

/// Two apps beside each other, with a folder of their own for finding each other.
struct Apps {
    folder: TempDir,
}

impl Apps {
    /// `ums` with two topics, and `friends` without any.
    fn new() -> Self {
        let apps = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        apps.write("ums", "less.toml", "name = \"ums\"\n");
        apps.write("ums", "less/topics/user_created/message.schema.json", SCHEMA);
        apps.write("ums", "less/topics/user_deleted/topic.toml", "ordered = true\n");
        apps.write("friends", "less.toml", "name = \"friends\"\n");
        apps.write("friends", "less/shared/x.js", "");
        std::fs::create_dir(apps.path("running")).expect("the folder can be made");
        apps
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, app: &str, path: &str, text: &str) {
        files::write(&self.path(app), [(path, text)]);
    }

    fn read(&self, app: &str, path: &str) -> String {
        let path = self.path(app).join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn command(&self, app: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_less"));
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("LESS") || name.starts_with("AWS")) {
                command.env_remove(name);
            }
        }
        command.current_dir(self.path(app)).env("NO_COLOR", "1").stdin(Stdio::null());
        command.env("XDG_RUNTIME_DIR", self.path("running"));
        command
    }

    /// How a command ends, what it prints on stdout, and on stderr.
    fn less(&self, app: &str, arguments: &[&str]) -> (i32, String, String) {
        Self::run(self.command(app).args(arguments))
    }

    fn run(command: &mut Command) -> (i32, String, String) {
        let output = command.output().expect("less can be started");
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        (output.status.code().expect("no signal ended it"), text(output.stdout), text(output.stderr))
    }

    /// Takes the contract of `ums` from a file.
    fn take(&self) {
        assert_eq!(self.less("ums", &["contract", "export", "--out", "../c.json"]).0, 0);
        let (code, _, said) = self.less("friends", &["contract", "add", "../c.json"]);
        assert_eq!(code, 0, "{said}");
    }

    /// Runs `ums` and waits until it is known, at some address.
    fn start(&self, key: Option<&str>) -> Running {
        let mut command = self.command("ums");
        command.args(["start", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(key.map(|key| ("LESS_API_KEY", key)));
        let running = Running { child: command.spawn().expect("less can be started") };
        let began = Instant::now();
        loop {
            let (code, _, said) = self.less("ums", &["status"]);
            if code == 0 || said.contains("refused the API key") {
                return running;
            }
            assert!(began.elapsed() < PATIENCE, "waited in vain for the app; last: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where the running `ums` is.
    fn url(&self) -> String {
        let text = self.read("ums", ".less/data/address.json");
        let address: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        address["url"].as_str().expect("it has a URL").to_owned()
    }
}

/// A process that ends with the test.
struct Running {
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already, that is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_contract_holds_topics_with_types_and_docs_and_is_the_same_on_stdout_and_in_a_file() {
    let apps = Apps::new();
    let expected = r#"{
  "less_contract": 1,
  "app": "ums",
  "topics": [
    {
      "name": "user_created",
      "docs": "Somebody signed up.",
      "max_message": "256KiB",
      "message_type": "UserCreated",
      "schema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "Somebody signed up.",
        "properties": {
          "email": {
            "type": "string"
          },
          "id": {
            "type": "integer"
          }
        },
        "required": [
          "email",
          "id"
        ],
        "type": "object"
      }
    },
    {
      "name": "user_deleted",
      "ordered": true,
      "max_message": "256KiB"
    }
  ]
}
"#;
    assert_eq!(apps.less("ums", &["contract", "export"]), (0, expected.to_owned(), String::new()));
    let out = apps.less("ums", &["contract", "export", "--out", "c.json"]);
    assert_eq!(out, (0, "c.json\n".to_owned(), String::new()));
    assert_eq!(apps.read("ums", "c.json"), expected);

    apps.write("ums", "less/topics/user_created/message.schema.json", "{");
    let (code, printed, said) = apps.less("ums", &["contract", "export"]);
    assert_eq!((code, printed.as_str()), (1, ""));
    assert!(
        said.ends_with("error: the app has errors\nhint: mend them first; `less check` shows them\n"),
        "{said}"
    );
}

#[test]
fn a_contract_is_taken_whole_until_something_subscribes_and_then_with_what_is_subscribed_to() {
    let apps = Apps::new();
    apps.less("ums", &["contract", "export", "--out", "../c.json"]);
    let said =
        "[less] topics: user_created, user_deleted\n[less] next: `less add subscriber ums:TOPIC/NAME`\n";
    let taken = apps.less("friends", &["contract", "add", "../c.json"]);
    assert_eq!(taken, (0, format!("{CONTRACT}\n"), said.to_owned()));
    assert_eq!(apps.read("friends", CONTRACT), apps.read(".", "c.json"));

    let added = [
        (
            "suggest",
            "rust",
            "mod.rs",
            "use less::external_topics::ums::user_created::UserCreated;\n\npub async fn process(message: UserCreated) -> less::Result<()> {\n    println!(\"{message:?}\");\n    Ok(())\n}\n",
        ),
        (
            "mail",
            "node",
            "index.js",
            "/** @param {import('@chuva.io/less').external_topics.ums.UserCreated} message */\nexports.process = async (message) => {\n  console.log(message);\n};\n",
        ),
        (
            "audit",
            "python",
            "__init__.py",
            "from less.external_topics.ums import UserCreated\n\n\ndef process(message: UserCreated):\n    print(message)\n",
        ),
    ];
    for (name, lang, file, text) in added {
        let path = format!("less/external_topics/ums/user_created/{name}/{file}");
        let made =
            apps.less("friends", &["add", "subscriber", &format!("ums:user_created/{name}"), "--lang", lang]);
        assert_eq!(made, (0, format!("{path}\n"), String::new()));
        assert_eq!(apps.read("friends", &path), text);
    }
    let said = "[less] left out 1 topic that nothing here subscribes to: `--topic TOPIC` or `--all` takes them as well\n";
    let taken = apps.less("friends", &["contract", "add", "../c.json"]);
    assert_eq!(taken, (0, format!("{CONTRACT}\n"), said.to_owned()));
    assert!(!apps.read("friends", CONTRACT).contains("user_deleted"));
    let fine = "[less] `friends` is fine: 0 topics, 0 subscribers, 3 subscribers of other apps' topics\n";
    assert_eq!(apps.less("friends", &["check", "--offline"]), (0, String::new(), fine.to_owned()));

    let unknown = "error: the contract of `ums` here has no topic `user_deleted`
hint: did you mean `ums:user_created/forget`?
hint: `less contract add ums --topic user_deleted` takes it, where `ums` has it by now
";
    let arguments = ["add", "subscriber", "ums:user_deleted/forget", "--lang", "node"];
    assert_eq!(apps.less("friends", &arguments), (1, String::new(), unknown.to_owned()));
    let (code, ..) = apps.less("friends", &["contract", "add", "../c.json", "--topic", "user_deleted"]);
    assert_eq!(code, 0);
    assert_eq!(apps.less("friends", &arguments).0, 0);
    let untyped = "exports.process = async (message) => {\n  console.log(message);\n};\n";
    assert_eq!(apps.read("friends", "less/external_topics/ums/user_deleted/forget/index.js"), untyped);
}

#[test]
fn what_is_misspelt_is_told_with_what_was_meant_and_nothing_is_written() {
    let apps = Apps::new();
    apps.take();
    apps.write("friends", "less/external_topics/shop-eu/t/s/index.js", "exports.process = async () => {};\n");
    let before = files::read(&apps.path("friends"));
    for (arguments, expected) in [
        (
            &["add", "subscriber", "ums:user_craeted/x"][..],
            "error: the contract of `ums` here has no topic `user_craeted`\nhint: did you mean `ums:user_created/x`?\nhint: `less contract add ums --topic user_craeted` takes it, where `ums` has it by now\n",
        ),
        (
            &["add", "subscriber", "friends:t/x"],
            "error: `friends` is this app itself\nhint: less add subscriber t/x\n",
        ),
        (
            &["add", "subscriber", "shop_eu:t/x"],
            "error: apps `shop-eu` and `shop_eu` would be called the same in code\n  --> less/external_topics/shop-eu\nhint: one of them needs another name\n",
        ),
        (
            &["add", "subscriber", "shop-eu:t/S"],
            "error: `t` has a subscriber `s` already\n  --> less/external_topics/shop-eu/t/s/index.js\nhint: change that file, or choose another name\n",
        ),
        (
            &["add", "subscriber", "Ums:t/x"],
            "error: `Ums` is no name for an app: the name begins with a lower-case letter, not with `U`\n",
        ),
        (
            &["contract", "add", "../c.json", "--topic", "user_craeted"],
            "error: `ums` has no topic `user_craeted`\nhint: did you mean `user_created`?\n",
        ),
        (
            &["contract", "add", "nothing.json"],
            "error: can't read nothing.json: No such file or directory (os error 2)\n",
        ),
        (&["contract", "add", "./less"], "error: `./less` is a folder\nhint: name the file in it\n"),
        (
            &["contract", "add", "billing"],
            "error: no app `billing` was found: it does not run on this machine\nhint: start it with `less dev`, give its URL, or a file that `less contract export --out FILE` wrote there\n",
        ),
        (
            &["contract", "add", "http://127.0.0.1:1"],
            "error: no app answers at http://127.0.0.1:1: Connection refused (os error 111)\n",
        ),
    ] {
        assert_eq!(apps.less("friends", arguments), (1, String::new(), expected.to_owned()), "{arguments:?}");
    }
    let own = "error: this is the contract of `ums`, which is this app itself\nhint: subscribers of its own topics are in `less/topics/TOPIC`\n";
    assert_eq!(apps.less("ums", &["contract", "add", "../c.json"]), (1, String::new(), own.to_owned()));
    assert_eq!(files::read(&apps.path("friends")), before);
}

#[test]
fn files_that_are_no_contract_are_refused_with_the_reason() {
    let apps = Apps::new();
    let hint = "hint: `less contract export --out FILE` in the other app's folder writes one\n";
    for (text, expected) in [
        ("{", "this is no JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "this is no contract: it has no `less_contract`"),
        ("{\"less_contract\": 2}", "this contract has version 2, this version of Less reads 1"),
        ("{\"less_contract\": 1}", "this is no contract: missing field `app`"),
        (
            "{\"less_contract\": 1, \"app\": \"ums\", \"topics\": [{\"name\": \"../x\", \"max_message\": \"1KiB\"}]}",
            "this is no contract: a name begins with a letter, not with `.`",
        ),
        (
            "{\"less_contract\": 1, \"app\": \"ums\", \"topics\": [{\"name\": \"x\", \"max_message\": \"1KiB\"}, {\"name\": \"x\", \"max_message\": \"1KiB\"}]}",
            "this is no contract: it has topic `x` twice",
        ),
    ] {
        apps.write(".", "bad.json", text);
        let expected = format!("error: {expected}\n  --> ../bad.json\n{hint}");
        assert_eq!(apps.less("friends", &["contract", "add", "../bad.json"]), (1, String::new(), expected));
    }
    let odd = "{\"less_contract\": 1, \"app\": \"ums\", \"topics\": [{\"name\": \"x\", \"max_message\": \"1KiB\", \"schema\": {\"type\": \"strng\"}}]}";
    apps.write(".", "bad.json", odd);
    let expected =
        "error: the type of topic `x` of `ums`: there is no type `strng`\nhint: did you mean `string`?\n";
    let refused = apps.less("friends", &["contract", "add", "../bad.json"]);
    assert_eq!(refused, (1, String::new(), expected.to_owned()));
    assert!(!apps.path("friends").join("less/external_topics").exists());
}

#[test]
fn a_subscriber_without_a_contract_takes_any_json_and_the_way_to_types_is_told() {
    let apps = Apps::new();
    let (code, _, said) =
        apps.less("friends", &["add", "subscriber", "ums:user_created/x", "--lang", "python"]);
    assert_eq!(code, 0);
    let hint = "[less] without a contract of `ums` its messages are any JSON: `less contract add ums` while it runs here, or from a file or URL, gives them types\n";
    assert_eq!(said, hint);
    let text = apps.read("friends", "less/external_topics/ums/user_created/x/__init__.py");
    assert_eq!(text, "def process(message):\n    print(message)\n");
}

#[test]
fn check_compares_with_the_running_app_and_taking_its_contract_says_what_has_changed() {
    let apps = Apps::new();
    apps.take();
    apps.less("friends", &["add", "subscriber", "ums:user_created/suggest", "--lang", "node"]);
    let fine = "[less] `friends` is fine: 0 topics, 0 subscribers, 1 subscriber of other apps' topics\n";
    let alone = "[less] the contract of `ums` was not compared: it does not run on this machine\n";
    assert_eq!(apps.less("friends", &["check"]), (0, String::new(), format!("{alone}{fine}")));

    let other = SCHEMA.replace("email", "mail");
    apps.write("ums", "less/topics/user_created/message.schema.json", &other);
    let running = apps.start(None);
    let url = apps.url();
    let expected = format!(
        "error[contract-changed]: topic `user_created` of `ums`: `/email` is gone, and it was required
  --> {CONTRACT}:14:11
note: so says the app at {url}; these subscribe to the topic here
note: `ums:user_created/suggest`
  --> less/external_topics/ums/user_created/suggest/index.js
hint: `less contract add ums` takes the new contract: then change what reads the old one; or ask that app to bring back what was

1 error
"
    );
    assert_eq!(apps.less("friends", &["check"]), (1, String::new(), expected.clone()));
    assert_eq!(apps.less("friends", &["check", "--offline"]), (0, String::new(), fine.to_owned()));
    apps.write("friends", "less.toml", &format!("name = \"friends\"\n[external.ums]\nurl = \"{url}\"\n"));
    assert_eq!(apps.less("friends", &["check"]), (1, String::new(), expected));

    let said = "[less] what `ums` has changed:
  breaks user_created: `/email` is gone, and it was required
  user_created: `/mail` is new
[less] look at what reads that here; messages that no longer fit become dead letters (`schema`):
  less/external_topics/ums/user_created/suggest/index.js
[less] left out 1 topic that nothing here subscribes to: `--topic TOPIC` or `--all` takes them as well
";
    let taken = apps.less("friends", &["contract", "add", "ums"]);
    assert_eq!(taken, (0, format!("{CONTRACT}\n"), said.to_owned()));
    assert_eq!(apps.less("friends", &["check"]), (0, String::new(), fine.to_owned()));
    let same = format!("[less] {CONTRACT} is up to date\n");
    let (code, _, said) = apps.less("friends", &["contract", "add", &format!("{url}/_less/contract")]);
    assert!(code == 0 && said.starts_with(&same), "{said}");

    // Somebody else's address.
    apps.write("friends", "less.toml", &format!("name = \"friends\"\n[external.shop]\nurl = \"{url}\"\n"));
    apps.write("friends", "less/external_topics/shop/t/s/index.js", "exports.process = async () => {};\n");
    let expected = format!(
        "error[another-app]: app `ums` answers at {url}, not `shop`
  --> less.toml
hint: write where `shop` is into `[external.shop] url`

1 error
"
    );
    assert_eq!(apps.less("friends", &["check"]), (1, String::new(), expected));
    let expected = format!(
        "error: app `ums` answers at {url}, not `shop`\nhint: write where `shop` is into `[external.shop] url` in less.toml\n"
    );
    assert_eq!(apps.less("friends", &["contract", "add", "shop"]), (1, String::new(), expected));
    drop(running);
}

#[test]
fn an_app_with_a_key_gives_its_contract_to_who_has_a_token_and_its_name_is_enough_on_this_machine() {
    let apps = Apps::new();
    let _running = apps.start(Some(KEY));
    let url = apps.url();
    let refused = format!(
        "error: the app at {url} wants another token\nhint: set LESS_API_KEY to its LESS_LINK_TOKEN or LESS_API_KEY\n"
    );
    assert_eq!(apps.less("friends", &["contract", "add", &url]), (1, String::new(), refused));
    let with_key =
        Apps::run(apps.command("friends").env("LESS_API_KEY", KEY).args(["contract", "add", &url]));
    assert_eq!(with_key.0, 0, "{}", with_key.2);
    assert_eq!(apps.less("friends", &["contract", "add", "ums"]).0, 0, "the registry has a token");

    apps.less("friends", &["add", "subscriber", "ums:user_created/suggest", "--lang", "node"]);
    let settings =
        format!("name = \"friends\"\n[external.ums]\nurl = \"{url}/\"\ntoken_env = \"UMS_TOKEN\"\n");
    apps.write("friends", "less.toml", &settings);
    let (code, _, said) = apps.less("friends", &["check"]);
    let note = format!(
        "[less] the contract of `ums` was not compared: the app at {url} wants another token\n[less] hint: set UMS_TOKEN to its LESS_LINK_TOKEN or LESS_API_KEY\n"
    );
    assert!(code == 0 && said.starts_with(&note), "{said}");
    for arguments in [&["check"][..], &["contract", "add", &url]] {
        let (code, _, said) = Apps::run(apps.command("friends").env("UMS_TOKEN", KEY).args(arguments));
        assert!(code == 0 && !said.contains("not compared"), "{said}");
    }
}

#[test]
fn a_contract_that_is_taken_is_a_file_like_the_users_own_and_is_replaced_whole() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let apps = Apps::new();
    apps.take();
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    let path = apps.path("friends").join(CONTRACT);
    assert_eq!(mode(&path), mode(&apps.path("friends").join("less.toml")));
    let before = path.metadata().expect("it is there").ino();
    apps.take();
    assert_eq!(path.metadata().expect("it is there").ino(), before, "nothing has changed");
    apps.write("ums", "less/topics/user_moved/topic.toml", "");
    apps.take();
    assert_ne!(path.metadata().expect("it is there").ino(), before);
    let files: Vec<_> =
        std::fs::read_dir(path.parent().expect("a folder")).expect("it can be read").collect();
    assert_eq!(files.len(), 1, "{files:?}");
}
