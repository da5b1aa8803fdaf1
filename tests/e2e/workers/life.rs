//! How worker processes begin and end.

use std::collections::BTreeSet;

use serde_json::json;

use super::App;
use crate::support::{Process, free_address, less, run, until};

const PID_JS: &str = "const fs = require('node:fs');\nexports.process = async () => { fs.appendFileSync('log', `${process.pid}\\n`); await new Promise((ok) => setTimeout(ok, 30)); };\n";
const PID_PY: &str = "import os, time\n\ndef process(message):\n    with open('log', 'a') as log:\n        log.write(f'{os.getpid()}\\n')\n    time.sleep(0.03)\n";

/// Whether a process runs; one that ended and that nobody has asked about does not.
fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z')))
}

fn pids(app: &App) -> BTreeSet<String> {
    app.log().lines().map(str::to_owned).collect()
}

#[test]
fn workers_end_with_the_app_even_when_it_is_killed_and_even_in_an_endless_loop() {
    for signal in ["KILL", "TERM"] {
        let app = App::start(
            "start",
            &[
                ("topics/t/js/index.js", PID_JS),
                ("topics/t/py/__init__.py", PID_PY),
                (
                    "topics/t/js_loop/index.js",
                    "const fs = require('node:fs');\nexports.process = () => { fs.appendFileSync('log', `${process.pid}\\n`); for (;;); };\n",
                ),
                (
                    "topics/t/py_loop/__init__.py",
                    "import os\n\ndef process(message):\n    with open('log', 'a') as log:\n        log.write(f'{os.getpid()}\\n')\n    while True:\n        pass\n",
                ),
            ],
            &[("LESS_DRAIN", "200ms")],
        );
        app.publish("t", &[json!(1)]);
        let pids = until("four processes to begin", || {
            let pids = pids(&app);
            if pids.len() == 4 { Ok(pids) } else { Err(format!("{pids:?}\n{}", app.process.printed())) }
        });
        assert!(pids.iter().all(|pid| runs(pid)), "{pids:?}");
        app.process.signal(signal);
        until("the workers to end", || {
            let left: Vec<&String> = pids.iter().filter(|pid| runs(pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} after {signal}")) }
        });
    }
}

#[test]
fn several_processes_share_a_subscribers_messages() {
    let app = App::dev(&[
        ("topics/t/js/index.js", PID_JS),
        ("topics/t/js/subscriber.toml", "processes = 3\nconcurrency = 6\n"),
    ]);
    app.until("js", "three processes", |found| found["worker"]["processes"] == 3);
    app.publish("t", &(0..60).map(|n| json!(n)).collect::<Vec<_>>());
    app.until("js", "all to be done", |found| found["done"] == 60);
    assert_eq!(pids(&app).len(), 3, "{}", app.log());
}

#[test]
fn a_stop_lets_handlers_finish_and_hands_back_what_does_not_without_charging_it() {
    let handler = "const fs = require('node:fs');\nexports.process = async (m, context) => {\n  fs.appendFileSync('log', `${m} ${context.attempt} began\\n`);\n  await new Promise((ok) => setTimeout(ok, m === 'long' ? 600000 : 300));\n  fs.appendFileSync('log', `${m} ended\\n`);\n};\n";
    let files = [("topics/t/s/index.js", handler), ("topics/t/s/subscriber.toml", "timeout = \"1h\"\n")];
    let app = App::start("start", &files, &[("LESS_DRAIN", "1s")]);
    app.publish("t", &[json!("short"), json!("long")]);
    until("both to begin", || if app.log().matches("began").count() == 2 { Ok(()) } else { Err(app.log()) });
    let App { folder, process, .. } = app;
    process.terminate();
    let log = std::fs::read_to_string(folder.path().join("log")).expect("the log");
    assert!(log.contains("short ended") && !log.contains("long ended"), "{log}");

    let app = App::at(folder, "start", &[("LESS_DRAIN", "0s")]);
    until("the long one to begin again", || {
        let log = app.log();
        if log.matches("long 1 began").count() == 2 { Ok(()) } else { Err(log) }
    });
    let found = app.until("s", "the short one to be done once", |found| found["done"] == 1);
    assert_eq!(found["in_flight"], 1, "{found}");
    assert_eq!(app.log().matches("short 1 began").count(), 1, "{}", app.log());
}

#[test]
fn a_new_app_in_node_or_python_runs_as_it_is_made_and_needs_no_cargo() {
    for (language, line) in [
        ("node", "[send_welcome_email] to ada@example.com: Welcome, Ada!"),
        ("python", "[send_welcome_email] to ada@example.com: Welcome, Ada!"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        run(folder.path(), &["new", "shop", "--lang", language]);
        let app = folder.path().join("shop");
        let address = free_address();
        let mut command = less(&app);
        command.args(["dev", "--listen", &address.to_string()]).env("CARGO", "/nowhere/cargo");
        let mut dev = Process::start(&mut command);
        dev.wait_for("is live on", 0);
        run(&app, &["publish", "user_created", r#"{"user_id":1,"email":"ada@example.com","name":"Ada"}"#]);
        dev.wait_for(line, 0);
        dev.wait_for("[send_to_analytics] user 1, attempt 1", 0);
        // Another subscriber and another topic, as the commands make them.
        let mark = dev.printed().len();
        run(&app, &["add", "subscriber", "user_created/again"]);
        dev.wait_for("reloaded in", mark);
        run(&app, &["add", "topic", "other"]);
        run(&app, &["add", "subscriber", "other/third"]);
        // A subscriber begins with what is published once it is there.
        until("the new subscriber to be there", || {
            let all = crate::support::status(address)?;
            let there = all["subscribers"].as_array().is_some_and(|all| all.len() == 4);
            if there { Ok(()) } else { Err(all.to_string()) }
        });
        run(&app, &["publish", "other", r#"{"id":7}"#]);
        dev.wait_for("[third]", mark);
        // A message that does not fit is refused before it is accepted.
        let output = less(&app)
            .args(["publish", "user_created", r#"{"user_id":"x"}"#])
            .output()
            .expect("less can be started");
        assert!(!output.status.success(), "{}", crate::support::text(&output.stdout));
        dev.signal("INT");
        assert!(dev.child.wait().expect("it ends").success(), "{}", dev.printed());
    }
}
