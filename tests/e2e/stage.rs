//! An app's whole life on SNS and SQS: deployed, run, drained, killed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Connection, Process, free_address, less, text, until, write};

/// What points the SDK, in every process, at a server for tests.
struct Cloud {
    url: String,
    account: String,
}

impl Cloud {
    fn new() -> Self {
        let url = std::env::var("LESS_TEST_LOCALSTACK").unwrap_or_else(|_| {
            panic!("LESS_TEST_LOCALSTACK is not set\nhint: `tests/aws/servers.sh cargo test …` starts the servers and sets it")
        });
        // On this server every 12-digit key id is an account of its own.
        let nanos = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_nanos();
        Self { url, account: format!("2{:011}", nanos / 1_000 % 100_000_000_000) }
    }

    fn in_it<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_ACCESS_KEY_ID", &self.account)
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Runs `less` to its end and gives what it printed.
    fn less(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.in_it(less(folder).args(arguments)).output().expect("less can be started");
        assert!(output.status.success(), "less {arguments:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout)
    }
}

const SETTINGS: &str =
    "name = \"cloudy\"\n\n[stages.production]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n";

fn publish(address: SocketAddr, topic: &str, items: &[Value]) {
    let mut connection = Connection::open(address).expect("the app listens");
    let body = Value::Array(items.to_vec()).to_string();
    let answer = connection.post(&format!("/_less/topics/{topic}/batch"), &body).expect("an answer");
    let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
    let results = answer["results"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert!(
        results.len() == items.len() && results.iter().all(|one| one["message_id"].is_string()),
        "{answer}"
    );
}

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

const MESSAGE: &str = "#[less::message]\npub struct Booked {\n    pub seat: u32,\n}\n";
const HANDLER: &str = "use std::io::Write as _;\n\nuse less::topics::booked::Booked;\n\npub async fn process(m: Booked, context: less::Context) -> less::Result<()> {\n    let mut log = std::fs::OpenOptions::new().append(true).create(true).open(std::env::var(\"LOG\")?)?;\n    // In one write: handlers run beside each other.\n    let line = format!(\"NAME {} {} {}\\n\", context.key().unwrap_or_default(), m.seat, context.attempt());\n    log.write_all(line.as_bytes())?;\n    Ok(())\n}\n";

#[test]
fn the_built_program_alone_runs_a_stage_that_was_deployed() {
    let cloud = Cloud::new();
    let app = tempfile::tempdir().expect("a folder");
    let file = |path: &str, contents: &str| write(&app.path().join(path), contents);
    file("less.toml", SETTINGS);
    file("less/topics/booked/topic.toml", "ordered = true\n");
    file("less/topics/booked/message.rs", MESSAGE);
    for name in ["ledger", "mail"] {
        let handler = HANDLER.replace("NAME", name);
        file(&format!("less/topics/booked/{name}/mod.rs"), &handler);
    }
    let root = app.path();
    cloud.less(root, &["deploy", "--stage", "production", "--yes", "--no-build"]);
    let output = less(root).arg("build").output().expect("less can be started");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let built = said.lines().find_map(|line| line.split_once("built ")).expect("it says what it built").1;
    let environment: BTreeMap<String, Value> =
        serde_json::from_str(&cloud.less(root, &["env", "--stage", "production", "--json"])).expect("JSON");

    // As in a container: the program, in a folder of its own, and what `less env` says.
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("app");
    std::fs::copy(root.join(built), &program).expect("the program can be copied");
    let address = free_address();
    let log = folder.path().join("log");
    let mut command = Command::new(&program);
    command.current_dir(folder.path()).args(["--listen", &address.to_string()]).env("LOG", &log);
    for (name, value) in &environment {
        command.env(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let mut process = Process::start(cloud.in_it(&mut command));
    process.wait_for("listens on http", 0);
    let items: Vec<Value> =
        (0..40).map(|n| json!({"body": {"seat": n}, "key": format!("k{}", n % 4)})).collect();
    publish(address, "booked", &items);
    let found = until("everything to be handled", || {
        let found = lines(&log);
        if found.len() < 80 { Err(format!("{found:?}\n{}", process.printed())) } else { Ok(found) }
    });
    for subscriber in ["ledger", "mail"] {
        for key in 0..4 {
            let begin = format!("{subscriber} k{key} ");
            let seats: Vec<&str> = found.iter().filter_map(|line| line.strip_prefix(&begin)).collect();
            let expected: Vec<String> = (0..10).map(|n| format!("{} 1", n * 4 + key)).collect();
            assert_eq!(seats, expected, "in publish order, each once, the first attempt");
        }
    }
    let printed = process.terminate();
    assert!(printed.contains("stopped; nothing is lost"), "{printed}");
}

const JS: &str = "const fs = require('node:fs');\nexports.process = async (n, context) => { fs.appendFileSync('begun', `${n}\\n`); await new Promise((ok) => setTimeout(ok, 20 + (n % 5) * 10)); fs.appendFileSync('js', `${n} ${context.attempt}\\n`); };\n";
const PY: &str = "import asyncio\n\nasync def process(n, context):\n    await asyncio.sleep(0.02 + n % 5 / 100)\n    with open('py', 'a') as log:\n        log.write(f'{n} {context.attempt}\\n')\n";

#[test]
fn a_stage_is_drained_without_charging_attempts_and_survives_kills() {
    let cloud = Cloud::new();
    let app = tempfile::tempdir().expect("a folder");
    let root = app.path();
    write(&root.join("less.toml"), SETTINGS);
    write(&root.join("less/topics/n/js/index.js"), JS);
    write(&root.join("less/topics/n/py/__init__.py"), PY);
    cloud.less(root, &["deploy", "--stage", "production", "--yes"]);
    let address = free_address();
    let start = || {
        let mut command = less(root);
        command.args(["start", "--stage", "production", "--listen", &address.to_string()]);
        let mut process = Process::start(cloud.in_it(&mut command));
        process.wait_for("listens on http", 0);
        process
    };
    let handled = |name: &str| -> Vec<(u32, u32)> {
        let pair = |line: &String| {
            let (number, attempt) = line.split_once(' ')?;
            Some((number.parse().ok()?, attempt.parse().ok()?))
        };
        lines(&root.join(name)).iter().filter_map(pair).collect()
    };
    let numbers = |from: u32, to: u32| (from..to).map(|n| json!({ "body": n })).collect::<Vec<_>>();
    let all = |count: u32, process: &Process| {
        until("everything to be handled", || {
            for name in ["js", "py"] {
                let found: BTreeSet<u32> = handled(name).into_iter().map(|(n, _)| n).collect();
                if found.len() < count as usize {
                    return Err(format!("{name}: {} of {count}\n{}", found.len(), process.printed()));
                }
            }
            Ok(())
        });
    };

    // Stopped in the middle, three times: what was begun is finished, the rest is handed back, and no attempt is charged.
    let mut process = start();
    let mut log = String::new();
    publish(address, "n", &numbers(0, 300));
    for round in 1..=3 {
        until("work to go on", || {
            let count = lines(&root.join("begun")).len();
            if count < round * 60 { Err(format!("{count}\n{}", process.printed())) } else { Ok(()) }
        });
        let printed = process.terminate();
        assert!(printed.contains("stopped; nothing is lost"), "{printed}");
        log.push_str(&printed);
        process = start();
    }
    all(300, &process);
    for name in ["js", "py"] {
        let charged: Vec<_> = handled(name).into_iter().filter(|(_, attempt)| *attempt != 1).collect();
        let again: Vec<_> =
            handled(name).into_iter().filter(|(n, _)| charged.iter().any(|(c, _)| c == n)).collect();
        assert!(charged.is_empty(), "{name}: {again:?}\n{log}{}", process.printed());
    }

    // Killed while handlers run: what they held comes again when its visibility ends.
    publish(address, "n", &numbers(300, 400));
    until("work to go on", || {
        if lines(&root.join("begun")).len() < 320 { Err("") } else { Ok(()) }.map_err(str::to_owned)
    });
    process.signal("KILL");
    drop(process);
    let began = Instant::now();
    let process = start();
    all(400, &process);
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    let status = cloud.less(root, &["dlq", "list", "--url", &format!("http://{address}")]);
    assert_eq!(status, "", "nothing is dead");
    process.terminate();
}
