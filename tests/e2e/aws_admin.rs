//! A stage on AWS, looked at from the command line without a running app: both servers that stand in for SNS and SQS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Connection, Process, free_address, less, text, until, write};

static ACCOUNTS: AtomicU32 = AtomicU32::new(1);

/// An app with a stage in an account of its own.
pub(crate) struct Stage {
    server: String,
    account: String,
    app: TempDir,
}

impl Stage {
    pub(crate) fn on(variable: &str) -> Self {
        let server = std::env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} says where the server is; `tests/aws/servers.sh cargo test …` starts it")
        });
        let number = ACCOUNTS.fetch_add(1, Ordering::SeqCst);
        let account = format!("62{:010}", u64::from(std::process::id()) * 100 + u64::from(number));
        let app = tempfile::tempdir().expect("a folder");
        let settings = "name = \"shop\"\n\n[stages.prod]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n";
        write(&app.path().join("less.toml"), settings);
        let handler =
            "exports.process = async (message, context) => {\n  if (message.bad) context.reject('bad')\n}\n";
        write(&app.path().join("less/topics/ping/pong/index.js"), handler);
        Self { server, account, app }
    }

    /// Says more about the stage in less.toml.
    pub(crate) fn set(&self, more: &str) {
        let path = self.app.path().join("less.toml");
        let settings = std::fs::read_to_string(&path).expect("it was written");
        write(&path, &(settings + more));
    }

    /// Writes a subscriber, `topic/subscriber`, that does this.
    pub(crate) fn handler(&self, subscriber: &str, code: &str) {
        let handler = format!("exports.process = async (message, context) => {{ {code} }}\n");
        write(&self.app.path().join(format!("less/topics/{subscriber}/index.js")), &handler);
    }

    /// App `friends` in the same account, with a subscriber of this one's topic.
    fn other(&self) -> Self {
        let app = tempfile::tempdir().expect("a folder");
        let settings = "name = \"friends\"\n\n[stages.prod]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n";
        write(&app.path().join("less.toml"), settings);
        let handler = "exports.process = async (message, context) => {\n  console.log('noted', context.topic, JSON.stringify(message))\n  if (message.bad) context.reject('bad')\n}\n";
        write(&app.path().join("less/external_topics/shop/ping/note/index.js"), handler);
        Self { server: self.server.clone(), account: self.account.clone(), app }
    }

    pub(crate) fn start(&self) -> (Process, SocketAddr) {
        let address = free_address();
        let listen = address.to_string();
        let mut app = Process::start(&mut self.less(&["start", "--stage", "prod", "--listen", &listen]));
        app.wait_for("listens on", 0);
        (app, address)
    }

    pub(crate) fn less(&self, arguments: &[&str]) -> Command {
        let mut command = less(self.app.path());
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs([
            ("AWS_ENDPOINT_URL", self.server.as_str()),
            ("AWS_ACCESS_KEY_ID", self.account.as_str()),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        command
    }

    pub(crate) fn end(&self, code: i32, arguments: &[&str]) -> (String, String) {
        ended(code, arguments, &self.less(arguments).output().expect("less can be started"))
    }

    fn tail(&self, arguments: &[&str]) -> Process {
        let arguments = [&["tail", "--stage", "prod"], arguments].concat();
        let mut process = Process::start(&mut self.less(&arguments));
        process.wait_for("[less] watching `ping", 0);
        process
    }

    /// A call of SQS.
    pub(crate) fn sqs(&self, action: &str, body: &Value) -> Value {
        let body = body.to_string();
        let kind = format!("application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.{action}");
        let answer = self.call("sqs", &kind, &body);
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn call(&self, service: &str, kind: &str, body: &str) -> String {
        let address = self.server.strip_prefix("http://").expect("plain HTTP").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).expect("it answers");
        let scope = format!("{}/20260101/eu-west-1/{service}/aws4_request", self.account);
        let request = format!(
            "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: {kind}\r\nauthorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let answer = text(&answer);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// URLs of the queues that tails have made.
    fn tails(&self) -> Vec<String> {
        let listed = self.sqs("ListQueues", &json!({"QueueNamePrefix": "shop-prod-ping-tail-"}));
        let urls = listed["QueueUrls"].as_array().cloned().unwrap_or_default();
        urls.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

fn ended(code: i32, arguments: &[&str], output: &Output) -> (String, String) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "less {arguments:?}: {stdout}{stderr}");
    (stdout, stderr)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn looked_at(variable: &str) {
    let stage = Stage::on(variable);
    let (_, said) = stage.end(2, &["status", "--stage", "prod"]);
    assert!(said.contains("hint: `less deploy --stage prod`"), "{said}");
    stage.end(0, &["deploy", "--stage", "prod", "--yes"]);
    // Before the app was there: a long poll of its that was cut off could still take the message, and hide it.
    without_cloudwatch(&stage);
    let (server, address) = stage.start();

    // What is published is seen beside the subscriber's own queue, and the queue for it is nobody's orphan.
    let mut all = stage.tail(&["ping", "--json", "--limit", "2"]);
    let mut pong = stage.tail(&["ping/pong"]);
    assert_eq!(stage.tails().len(), 2);
    stage.end(0, &["plan", "--stage", "prod"]);
    let mut connection = Connection::open(address).expect("the app answers");
    for body in ["{\"n\":1}", "{\"bad\":true}"] {
        assert_eq!(connection.post("/topics/ping", body).expect("an answer").status, 202);
    }
    assert!(all.child.wait().expect("its end").success(), "{}", all.printed());
    let printed = all.printed();
    let mut bodies: Vec<Value> = printed
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|line| line["body"].clone())
        .collect();
    bodies.sort_by_key(ToString::to_string);
    assert_eq!(bodies, [json!({"bad": true}), json!({"n": 1})], "{printed}");
    pong.wait_for("{\"bad\":true}", 0);
    pong.terminate();
    assert_eq!(stage.tails(), [""; 0], "a tail that ended has left nothing");

    // Dead letters are shown, handed back, and deleted; what SQS does not count is no zero.
    let dead = |count: u64| {
        until(&format!("{count} dead letters"), || {
            let output = stage.less(&["status", "--stage", "prod", "--json"]).output().expect("it ends");
            let row = parsed(&text(&output.stdout))["subscribers"][0].clone();
            if row["dead"] == count { Ok((row, output.status.code())) } else { Err(row.to_string()) }
        })
    };
    let (row, code) = dead(1);
    assert_eq!(code, Some(1));
    assert_eq!(
        (&row["published"], &row["done"], &row["discarded"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let (table, said) = stage.end(1, &["status", "--stage", "prod"]);
    assert!(table.lines().nth(1).is_some_and(|row| row.ends_with("1     -")), "{table}");
    assert_eq!(said, "1 dead; `less dlq list --stage prod` shows them\n");
    let letters = parsed(&stage.end(0, &["dlq", "list", "--json", "--stage", "prod"]).0);
    let id = letters[0]["message_id"].as_str().expect("an id").to_owned();
    assert_eq!((&letters[0]["reason"], &letters[0]["body"]), (&"rejected".into(), &json!({"bad": true})));
    let shown = parsed(&stage.end(0, &["dlq", "--stage", "prod", "show", "pong", &id]).0);
    assert_eq!(shown["history"][0]["message"], "bad");
    let (_, said) = stage.end(0, &["dlq", "release", "ping/pong", &id, "--stage", "prod"]);
    assert_eq!(said, "[less] released 1 of `ping/pong`\n");
    until("it to be rejected once more", || {
        let letters = parsed(&stage.end(0, &["dlq", "list", "pong", "--json", "--stage", "prod"]).0);
        if letters[0]["message_id"] == id.as_str() { Ok(()) } else { Err(letters.to_string()) }
    });
    let (_, said) = stage.end(0, &["dlq", "purge", "ping/pong", "--all", "--stage", "prod"]);
    assert_eq!(said, "[less] purged 1 of `ping/pong`\n");
    dead(0);
    let (_, said) = stage.end(1, &["replay", "ping", "--stage", "prod"]);
    assert_eq!(
        said,
        "error: stage `prod` keeps no finished messages: SNS and SQS do not by themselves\nhint: write `archive = true` into [stages.prod] and deploy: what is published after that can be replayed\n"
    );
    server.terminate();

    left_behind(&stage);
    stage.end(0, &["destroy", "--stage", "prod", "--yes", "--drop-messages"]);
}

/// How old messages are is left open where nobody can say it, and that is said once.
fn without_cloudwatch(stage: &Stage) {
    let form = format!(
        "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A{}%3Ashop-prod-ping&Message=%7B%7D",
        stage.account
    );
    stage.call("sns", "application/x-www-form-urlencoded", &form);
    let (row, said) = until("the message to wait", || {
        let mut command = stage.less(&["status", "--stage", "prod", "--json"]);
        let output =
            command.env("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9").output().expect("it ends");
        let (stdout, stderr) = ended(0, &["status"], &output);
        let row = parsed(&stdout)["subscribers"][0].clone();
        if row["pending"] == 1 { Ok((row, stderr)) } else { Err(row.to_string()) }
    });
    assert_eq!(row["oldest_pending_s"], Value::Null);
    assert_eq!(said.matches("CloudWatch").count(), 1, "{said}");
}

/// What a killed tail leaves goes with the next one, an hour later.
fn left_behind(stage: &Stage) {
    let mut killed = stage.tail(&["ping"]);
    killed.signal("KILL");
    killed.child.wait().expect("its end");
    let left = stage.tails();
    assert_eq!(left.len(), 1);
    stage.tail(&["ping"]).terminate();
    assert_eq!(stage.tails(), left, "it may still be watched, for all that is known");
    stage.sqs_tag(&left[0], "1700000000");
    let second = stage.tail(&["ping"]);
    assert!(!stage.tails().contains(&left[0]));
    second.terminate();
    assert_eq!(stage.tails(), [""; 0]);
}

impl Stage {
    fn sqs_tag(&self, url: &str, stamp: &str) {
        let body = json!({"QueueUrl": url, "Tags": {"less:tail": stamp}}).to_string();
        self.call("sqs", "application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.TagQueue", &body);
    }
}

#[test]
fn a_stage_on_localstack_is_looked_at_without_a_running_app() {
    looked_at("LESS_TEST_LOCALSTACK");
}

#[test]
fn a_stage_on_ministack_is_looked_at_without_a_running_app() {
    looked_at("LESS_TEST_MINISTACK");
}

/// What `shop` publishes is handled in `friends`, whose dead letters are its own.
fn subscribed_to(variable: &str) {
    let shop = Stage::on(variable);
    let friends = shop.other();
    shop.end(0, &["deploy", "--stage", "prod", "--yes"]);
    friends.end(0, &["deploy", "--stage", "prod", "--yes"]);
    let ((publisher, address), (mut subscriber, _)) = (shop.start(), friends.start());
    let mut connection = Connection::open(address).expect("the app answers");
    for body in ["{\"n\":1}", "{\"bad\":true}"] {
        assert_eq!(connection.post("/topics/ping", body).expect("an answer").status, 202);
    }
    subscriber.wait_for("noted ping {\"n\":1}", 0);
    let row = until("a dead letter", || {
        let output = friends.less(&["status", "--stage", "prod", "--json"]).output().expect("it ends");
        let row = parsed(&text(&output.stdout))["subscribers"][0].clone();
        if row["dead"] == 1 { Ok(row) } else { Err(row.to_string()) }
    });
    assert_eq!((&row["topic"], &row["subscriber"]), (&"shop:ping".into(), &"note".into()));
    let letters = parsed(&friends.end(0, &["dlq", "list", "--json", "--stage", "prod"]).0);
    let id = letters[0]["message_id"].as_str().expect("an id").to_owned();
    assert_eq!((&letters[0]["topic"], &letters[0]["body"]), (&"shop:ping".into(), &json!({"bad": true})));
    let (_, said) = friends.end(0, &["dlq", "release", "shop:ping/note", &id, "--stage", "prod"]);
    assert_eq!(said, "[less] released 1 of `shop:ping/note`\n");
    until("it to be rejected once more", || {
        let letters = parsed(&friends.end(0, &["dlq", "list", "note", "--json", "--stage", "prod"]).0);
        if letters[0]["message_id"] == id.as_str() { Ok(()) } else { Err(letters.to_string()) }
    });
    let (_, said) = friends.end(1, &["replay", "shop:ping/note", "--stage", "prod"]);
    assert!(said.contains("error: topic `shop:ping` is that of app `shop`, and so is its archive"), "{said}");
    friends.end(0, &["dlq", "purge", "shop:ping/note", "--all", "--stage", "prod"]);
    let (_, said) = friends.end(1, &["tail", "shop:ping", "--stage", "prod"]);
    assert!(said.contains("`shop:ping` is a topic of app `shop`, and is watched there\n"), "{said}");
    subscriber.terminate();
    publisher.terminate();
    for stage in [&friends, &shop] {
        stage.end(0, &["destroy", "--stage", "prod", "--yes", "--drop-messages"]);
    }
}

#[test]
fn another_app_s_topic_on_localstack_is_handled_here_and_its_dead_letters_are_ours() {
    subscribed_to("LESS_TEST_LOCALSTACK");
}

#[test]
fn another_app_s_topic_on_ministack_is_handled_here_and_its_dead_letters_are_ours() {
    subscribed_to("LESS_TEST_MINISTACK");
}

#[test]
fn a_stage_that_is_not_on_aws_is_the_running_app_s_own() {
    let app = tempfile::tempdir().expect("a folder");
    write(&app.path().join("less.toml"), "name = \"shop\"\n");
    write(&app.path().join("less/topics/ping/topic.toml"), "");
    let address = free_address();
    let mut server = Process::start(less(app.path()).args(["start", "--listen", &address.to_string()]));
    server.wait_for("listens on", 0);
    let end = |code: i32, arguments: &[&str]| run(app.path(), code, arguments);
    end(0, &["status", "--stage", "dev"]);
    let (_, said) = end(1, &["status", "--stage", "prod"]);
    let wanted = format!("error: the app at http://{address} runs as stage `dev`, not `prod`");
    assert!(said.starts_with(&wanted), "{said}");
    server.terminate();
}

fn run(app: &Path, code: i32, arguments: &[&str]) -> (String, String) {
    ended(code, arguments, &less(app).args(arguments).output().expect("less can be started"))
}
