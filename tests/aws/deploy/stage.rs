//! An app in a folder of its own, and an account on a server that nobody else has.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use less_runtime::transport::aws::{Connection, Site};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The region of every test.
pub(crate) const REGION: &str = "eu-west-1";

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An app, and where it is deployed.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) account: String,
    url: String,
    runtime: Runtime,
    pub(crate) connection: Connection,
}

/// The URL of a server for tests.
fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set\nhint: `tests/aws/servers.sh cargo test -p less-cli --test deploy` starts the servers and sets it")
    })
}

/// An account that nobody else has: on these servers every 12-digit key id is one.
fn account() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis();
    let number = u64::try_from(now % 10_000_000).expect("it fits") * 10_000;
    format!("{:012}", 200_000_000_000 + number + u64::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

impl Stage {
    /// App `shop` with these subscribers (`topic/subscriber`), to be deployed on the server that the variable names.
    pub(crate) fn on(variable: &str, subscribers: &[&str]) -> Self {
        Self::at(server(variable), account(), "shop", subscribers)
    }

    /// Another app on the same server, in the same account.
    pub(crate) fn beside(&self, app: &str, subscribers: &[&str]) -> Self {
        Self::at(self.url.clone(), self.account.clone(), app, subscribers)
    }

    /// Another app on the same server, in an account of its own.
    pub(crate) fn far_from(&self, app: &str, subscribers: &[&str]) -> Self {
        Self::at(self.url.clone(), account(), app, subscribers)
    }

    fn at(url: String, account: String, app: &str, subscribers: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let sdk = runtime.block_on(
            aws_config::defaults(BehaviorVersion::v2026_01_12())
                .endpoint_url(&url)
                .region(Region::new(REGION))
                .credentials_provider(Credentials::new(&account, "x", None, None, "test"))
                .load(),
        );
        let site = Site { region: REGION.to_owned(), account: account.clone() };
        let folder = tempfile::tempdir().expect("a folder can be made");
        let stage = Self { folder, account, url, runtime, connection: Connection::new(sdk, site) };
        stage.write("less.toml", &settings(app, "prod"));
        for subscriber in subscribers {
            stage.add(subscriber);
        }
        stage
    }

    /// Adds a subscriber, `topic/subscriber`, with code of its own.
    pub(crate) fn add(&self, subscriber: &str) {
        let code = format!("exports.process = async () => {{ /* {subscriber} */ }};\n");
        self.write(&format!("less/topics/{subscriber}/index.js"), &code);
    }

    /// Adds a subscriber to another app's topic, `app/topic/subscriber`.
    pub(crate) fn add_external(&self, subscriber: &str) {
        let code = format!("exports.process = async () => {{ /* {subscriber} */ }};\n");
        self.write(&format!("less/external_topics/{subscriber}/index.js"), &code);
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let topics = self.folder.path().join("less/topics");
        std::fs::rename(topics.join(from), topics.join(to)).expect("a folder can be renamed");
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_dir_all(self.folder.path().join("less/topics").join(path))
            .expect("it can be removed");
    }

    /// `less` with these arguments, and nothing of the environment that would steer it elsewhere.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_at(&self.url, arguments)
    }

    /// The same, with something else in the server's place.
    pub(crate) fn command_at(&self, url: &str, arguments: &[&str]) -> Command {
        command(url, &self.account, self.folder.path(), arguments)
    }

    /// The server's URL.
    pub(crate) fn server(&self) -> &str {
        &self.url
    }

    /// Runs `less` to its end.
    pub(crate) fn less(&self, arguments: &[&str]) -> Ended {
        ended(&self.command(arguments).output().expect("it can be started"))
    }

    /// `less deploy --stage prod --yes --no-build`, and what else there is to say; it has to go well.
    pub(crate) fn deploy(&self, more: &[&str]) -> String {
        let ended = self.less(&[&["deploy", "--stage", "prod", "--yes", "--no-build"], more].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
        ended.stderr
    }

    /// The plan, and the exit code.
    pub(crate) fn plan(&self) -> (Value, i32) {
        let ended = self.less(&["plan", "--stage", "prod", "--json"]);
        let plan = serde_json::from_str(&ended.stdout);
        (plan.unwrap_or_else(|error| panic!("{error}: {ended:?}")), ended.code)
    }

    /// Waits for something of the SDK's.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Puts a message into a queue, as its topic would: servers fan out after they have answered a publish, and nobody knows when.
    pub(crate) fn send(&self, queue: &str) {
        let url = self.url(queue);
        self.wait(self.connection.sqs.send_message().queue_url(url).message_body("{}").send())
            .expect("it is sent");
    }

    /// The URL of a queue.
    pub(crate) fn url(&self, queue: &str) -> String {
        let url = self.wait(self.connection.sqs.get_queue_url().queue_name(queue).send());
        url.expect("it exists").queue_url.expect("a queue has a URL")
    }

    /// Where the subscriptions of a topic lead, by the queues' names, sorted.
    pub(crate) fn subscribed(&self, topic: &str) -> Vec<String> {
        let listed = self.connection.sns.list_subscriptions_by_topic();
        let listed = self.wait(listed.topic_arn(self.connection.site.topic_arn(topic)).send());
        let listed = listed.expect("they can be listed");
        let queue = |endpoint: &str| endpoint.rsplit(':').next().unwrap_or_default().to_owned();
        let mut queues: Vec<String> =
            listed.subscriptions().iter().filter_map(|found| found.endpoint().map(queue)).collect();
        queues.sort();
        queues
    }

    /// The names of all queues and topics in the account, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let queues = self.wait(self.connection.sqs.list_queues().send()).expect("queues can be listed");
        let topics = self.wait(self.connection.sns.list_topics().send()).expect("topics can be listed");
        let last = |text: &str, mark: char| text.rsplit(mark).next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = queues.queue_urls().iter().map(|url| last(url, '/')).collect();
        names.extend(topics.topics().iter().filter_map(|topic| Some(last(topic.topic_arn()?, ':'))));
        names.sort();
        names
    }
}

/// A `less.toml` with a stage on AWS.
pub(crate) fn settings(app: &str, stage: &str) -> String {
    format!("name = \"{app}\"\n\n[stages.{stage}]\ntransport = \"aws\"\nregion = \"{REGION}\"\n")
}

fn command(url: &str, account: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_less"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LESS") || name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_ACCESS_KEY_ID", account)
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // Nor what the developer has in the home folder.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command
}

/// How it ended.
pub(crate) fn ended(output: &Output) -> Ended {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints UTF-8");
    Ended {
        code: output.status.code().expect("no signal ended it"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
