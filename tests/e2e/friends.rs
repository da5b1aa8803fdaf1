//! Two apps, one of which subscribes to the other's topic, as `examples/friends` and its README have them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{
    Connection, Process, assert_balanced, copy, free_address, less, run, status, text, until, write,
};

const NAME: &str = "create_friend_suggestions";

/// The two apps in one language, in a folder of their own, where nobody else finds them.
struct Two {
    folder: tempfile::TempDir,
}

/// One of them, while it runs.
struct Running {
    process: Process,
    address: SocketAddr,
}

impl Two {
    fn copy(language: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/friends");
        copy(&examples.join(language), folder.path());
        std::fs::create_dir(folder.path().join("run")).expect("a folder");
        Self { folder }
    }

    fn app(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `less` in one of the apps.
    fn less(&self, app: &str, arguments: &[&str]) -> Command {
        let mut command = less(&self.app(app));
        command.env("XDG_RUNTIME_DIR", self.folder.path().join("run")).args(arguments);
        command
    }

    /// What `less` prints, all of it, and how it ends.
    fn says(&self, app: &str, arguments: &[&str]) -> (String, i32) {
        let output = self.less(app, arguments).output().expect("less can be started");
        (format!("{}{}", text(&output.stdout), text(&output.stderr)), output.status.code().unwrap_or(-1))
    }

    fn dev(&self, app: &str) -> Running {
        let address = free_address();
        let mut process = Process::start(&mut self.less(app, &["dev", "--listen", &address.to_string()]));
        process.wait_for("is live on", 0);
        Running { process, address }
    }
}

impl Running {
    fn publish(&self, id: u64, email: &str) {
        let body = format!(r#"{{"user_id":{id},"email":"{email}","name":"Ada"}}"#);
        let mut connection = Connection::open(self.address).expect("it listens");
        assert_eq!(connection.post("/topics/user_created", &body).expect("an answer").status, 202);
    }

    /// A row of its books, once that is so.
    fn row(&self, what: &str, topic: &str, subscriber: &str, so: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            let books = status(self.address)?;
            assert_balanced(&books);
            let rows = books["subscribers"].as_array().cloned().unwrap_or_default();
            let row = rows.into_iter().find(|row| row["topic"] == topic && row["subscriber"] == subscriber);
            row.filter(&so).ok_or_else(|| books.to_string())
        })
    }

    /// What this app keeps for the other one.
    fn kept(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        self.row(what, "user_created", &format!("friends:{NAME}"), so)
    }

    fn kill(mut self) {
        self.process.child.kill().expect("it runs");
        self.process.child.wait().expect("it ends");
    }
}

fn both_talk(language: &str) {
    let two = Two::copy(language);
    // In whichever order they are started.
    let mut friends = two.dev("friends");
    let mut users = two.dev("user_management_service");
    friends.process.wait_for("linked to app `user_management_service`", 0);
    users.publish(7, "ada@example.com");
    users.process.wait_for("welcomed Ada <ada@example.com>", 0);
    let suggested = format!("[{NAME}] suggested to Ada (user 7) everybody at example.com");
    friends.process.wait_for(&suggested, 0);
    let theirs =
        friends.row("it is done", "user_management_service:user_created", NAME, |row| row["done"] == 1);
    assert_eq!(theirs["published"], 1, "{theirs}");
    users.kept("it is done there, too", |row| row["done"] == 1);

    // The other app may be away for as long as it likes.
    assert!(friends.process.terminate().contains("stopped; nothing is lost"));
    users.publish(8, "grace@example.org");
    let kept = users.kept("it waits", |row| row["pending"] == 1);
    assert_eq!(kept["published"], 2, "{kept}");
    let (said, _) =
        two.says("user_management_service", &["status", "--url", &format!("http://{}", users.address)]);
    assert!(said.contains("app `friends` is not linked now; its messages wait here"), "{said}");
    let mut friends = two.dev("friends");
    friends.process.wait_for("suggested to Ada (user 8) everybody at example.org", 0);

    // And so may the one that publishes.
    users.kept("the second one is done", |row| row["done"] == 2);
    users.kill();
    friends.process.wait_for("no link to app `user_management_service`", 0);
    let url = format!("http://{}", friends.address);
    let (said, _) = two.says("friends", &["status", "--url", &url]);
    assert!(said.contains("no link to app `user_management_service`: "), "{said}");
    let mark = friends.process.printed().len();
    let users = two.dev("user_management_service");
    friends.process.wait_for("linked to app `user_management_service`", mark);
    users.publish(9, "ada@example.com");
    friends.process.wait_for("suggested to Ada (user 9)", mark);
    let (said, code) = two.says("friends", &["check"]);
    assert_eq!(
        (said.as_str(), code),
        ("[less] `friends` is fine: 0 topics, 0 subscribers, 1 subscriber of other apps' topics\n", 0)
    );
    assert!(friends.process.terminate().contains("stopped; nothing is lost"));
    assert!(users.process.terminate().contains("stopped; nothing is lost"));
}

#[test]
fn the_friends_example_runs_in_rust() {
    both_talk("rust");
}

#[test]
fn the_friends_example_runs_in_python() {
    both_talk("python");
}

#[test]
fn dead_letters_and_what_a_removed_folder_left_are_looked_after_from_either_side() {
    let two = Two::copy("python");
    let handler = two
        .app("friends")
        .join(format!("less/external_topics/user_management_service/user_created/{NAME}/__init__.py"));
    write(&handler, "def process(message, context):\n    context.reject('no friends')\n");
    let users = two.dev("user_management_service");
    let mut friends = two.dev("friends");
    friends.process.wait_for("linked to app", 0);
    users.publish(1, "ada@example.com");
    friends.row("it is dead", "user_management_service:user_created", NAME, |row| row["dead"] == 1);
    let (here, there) = (format!("http://{}", users.address), format!("http://{}", friends.address));
    let address = format!("user_management_service:user_created/{NAME}");
    let (said, _) = two.says("friends", &["dlq", "list", "--url", &there]);
    assert!(said.contains("rejected") && said.contains("no friends"), "{said}");
    let (said, code) = two.says("friends", &["dlq", "release", &address, "--all", "--url", &there]);
    assert!(said.contains("released 1") && code == 0, "{said}");
    let kept = format!("user_created/friends:{NAME}");
    users.kept("it is dead again", |row| row["dead"] == 1);
    let (said, _) = two.says("user_management_service", &["dlq", "list", &kept, "--url", &here]);
    assert!(said.contains("no friends"), "{said}");
    let (said, code) = two.says("user_management_service", &["drop", &kept, "--yes", "--url", &here]);
    assert!(code == 1 && said.contains("1 dead letter"), "{said}");

    // Its folder goes: what was kept for it stays until somebody drops it by name.
    friends.process.terminate();
    std::fs::remove_dir_all(handler.parent().expect("a folder")).expect("it is there");
    let other = handler.parent().expect("a folder").with_file_name("count").join("__init__.py");
    write(&other, "def process(message):\n    pass\n");
    let mut friends = two.dev("friends");
    friends.process.wait_for(
        &format!(
            "app `user_management_service` keeps 0 messages and 1 dead letters of topic `user_created` for `{NAME}`, which has no folder here any more"
        ),
        0,
    );
    users.publish(2, "ada@example.com");
    users.kept("it still gets what is published", |row| row["pending"] == 1 && row["dead"] == 1);
    let (said, code) =
        two.says("user_management_service", &["drop", &kept, "--yes", "--drop-messages", "--url", &here]);
    assert_eq!(code, 0, "{said}");
    let (said, _) = two.says("user_management_service", &["status", "--url", &here]);
    assert!(!said.contains(NAME) && said.contains("friends:count"), "{said}");
    friends.process.terminate();
    users.process.terminate();
}

#[test]
fn an_app_at_a_url_asks_for_its_token_and_says_what_is_wrong() {
    let two = Two::copy("python");
    let address = free_address();
    let users = |token: &str| {
        let mut command = two.less("user_management_service", &["start", "--listen", &address.to_string()]);
        command.env("LESS_LINK_TOKEN", token);
        let mut process = Process::start(&mut command);
        process.wait_for("listens on", 0);
        process
    };
    let settings = |url: &str, more: &str| {
        let text =
            format!("name = \"friends\"\n\n[external.user_management_service]\nurl = \"{url}\"\n{more}");
        write(&two.app("friends").join("less.toml"), &text);
    };
    let listen = free_address().to_string();
    let starts = |token: Option<&str>| {
        let mut command = two.less("friends", &["start", "--listen", &listen]);
        token.map(|token| command.env("USERS", token));
        command
    };
    let refused = |token: Option<&str>| {
        let output = starts(token).output().expect("less can be started");
        (text(&output.stderr), output.status.code())
    };
    settings("http://10.1.2.3:4100", "");
    let (said, code) = refused(None);
    assert!(said.contains("has a URL on another machine and no token\nhint: write `token_env"), "{said}");
    assert_eq!(code, Some(1));
    settings("http://10.1.2.3:4100", "token_env = \"USERS\"\n");
    let (said, _) = refused(None);
    assert!(said.contains("takes its token from USERS, which is not set\nhint: it holds"), "{said}");
    let (said, _) = refused(Some("short"));
    assert!(said.contains("the token in USERS has fewer than 16 characters"), "{said}");

    settings(&format!("http://{address}"), "token_env = \"USERS\"\n");
    run(&two.app("friends"), &["build"]);
    let right = "a token that only these two know";
    let running = users(right);
    let mut friends = Process::start(&mut starts(Some("another token, of another app")));
    friends.wait_for(
        "refuses the link: the token is not this app's; LESS_LINK_TOKEN in its environment says",
        0,
    );
    friends.terminate();
    let mut friends = Process::start(&mut starts(Some(right)));
    friends.wait_for("linked to app `user_management_service`", 0);
    let body = r#"{"user_id":3,"email":"ada@example.com","name":"Ada"}"#;
    Connection::open(address).and_then(|mut it| it.post("/topics/user_created", body)).expect("an answer");
    friends.wait_for("suggested to Ada (user 3)", 0);
    assert!(!friends.printed().contains(right) && !running.printed().contains(right), "no secret is logged");
    friends.terminate();
    running.terminate();
}
