//! Handlers that can't be loaded, and handlers that change while the app runs.

use serde_json::{Value, json};

use super::App;
use crate::support::{less, text, until, write};

/// What `less status` prints about an app, and how it exits.
fn shown(app: &App) -> (Option<i32>, String) {
    let output = less(app.root()).arg("status").output().expect("less can be started");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn failed(found: &Value) -> bool {
    found["worker"]["state"] == "failed"
}

#[test]
fn a_handler_that_cannot_be_loaded_is_shown_with_the_reason_and_its_messages_wait_for_a_better_one() {
    let app = App::dev(&[
        ("topics/t/missing_js/index.js", "require('not-installed');\nexports.process = () => {};\n"),
        ("topics/t/missing_mjs/index.mjs", "import 'not-installed';\nexport const process = () => {};\n"),
        ("topics/t/missing_py/__init__.py", "import not_installed\n\ndef process(message):\n    pass\n"),
        ("topics/t/syntax_js/index.js", "exports.process = () => {\n"),
        ("topics/t/syntax_py/__init__.py", "def process(message)\n    pass\n"),
        ("topics/t/throws_js/index.js", "throw new Error('at load');\n"),
        ("topics/t/throws_py/__init__.py", "raise RuntimeError('at load')\n"),
        ("topics/t/exits_py/__init__.py", "import sys\nsys.exit(7)\n"),
        ("topics/t/nothing_js/index.js", "exports.proces = () => {};\n"),
        ("topics/t/nothing_py/__init__.py", "def proces(message):\n    pass\n"),
        ("topics/t/wrong_py/__init__.py", "def process():\n    pass\n"),
        ("topics/t/fine/index.js", "exports.process = () => {};\n"),
    ]);
    app.publish("t", &[json!(1), json!(2)]);
    app.until("fine", "the one that is fine to go on", |found| found["done"] == 2);
    for (subscriber, reason) in [
        ("missing_js", "Cannot find module 'not-installed'"),
        ("missing_mjs", "Cannot find package 'not-installed'"),
        ("missing_py", "No module named 'not_installed'"),
        ("syntax_js", "SyntaxError"),
        ("syntax_py", "SyntaxError"),
        ("throws_js", "at load"),
        ("throws_py", "at load"),
        ("exits_py", "sys.exit(7)"),
        ("nothing_js", "proces"),
        ("nothing_py", "proces"),
        ("wrong_py", "process"),
    ] {
        let found = app.until(subscriber, &format!("{subscriber} to be failed"), failed);
        let error = found["worker"]["error"].as_str().unwrap_or_default();
        assert!(error.contains(reason), "{subscriber}: {error}");
        assert!(error.contains(&format!("less/topics/t/{subscriber}/")), "no place in {subscriber}: {error}");
        assert!(!error.contains(".less/"), "our own frames in {subscriber}: {error}");
        assert_eq!((found["pending"].as_u64(), found["dead"].as_u64()), (Some(2), Some(0)), "{found}");
    }
    let (code, printed) = shown(&app);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("`t/syntax_py` can't be started, and its messages wait"), "{printed}");

    // Mended, it takes what waited.
    write(&app.path("less/topics/t/syntax_py/__init__.py"), "def process(message):\n    pass\n");
    write(&app.path("less/topics/t/missing_mjs/index.mjs"), "export const process = () => {};\n");
    for subscriber in ["syntax_py", "missing_mjs"] {
        let found = app.until(subscriber, "what waited to be handled", |found| found["done"] == 2);
        assert_eq!(found["worker"]["error"], Value::Null, "{found}");
    }
}

#[test]
fn a_program_that_is_missing_is_named_with_what_to_do() {
    let files = [
        ("topics/t/js/index.js", "exports.process = () => {};\n"),
        ("topics/t/py/__init__.py", "def process(message):\n    pass\n"),
    ];
    let app =
        App::start("dev", &files, &[("LESS_NODE", "/nowhere/node"), ("LESS_PYTHON", "/nowhere/python")]);
    for (subscriber, name) in [("js", "LESS_NODE"), ("py", "LESS_PYTHON")] {
        let found = app.until(subscriber, "it to be failed", failed);
        let error = found["worker"]["error"].as_str().unwrap_or_default();
        assert!(
            error.starts_with(&format!("{name} names /nowhere/")) && error.contains("\nhint: install"),
            "{error}"
        );
    }
}

/// Says its version and its process for each message, and takes its time for `slow`.
fn versioned_js(version: u32) -> String {
    format!(
        "const fs = require('node:fs');\nexports.process = async (message, context) => {{\n  fs.appendFileSync('log', `js ${{message}} v{version} ${{process.pid}} ${{context.attempt}}\\n`);\n  if (message === 'slow') await new Promise((ok) => setTimeout(ok, 400));\n  if (message === 'stuck') await new Promise((ok) => setTimeout(ok, 600000));\n  fs.appendFileSync('log', `js ${{message}} ended\\n`);\n}};\n"
    )
}

#[test]
fn a_change_replaces_the_processes_of_the_changed_subscriber_alone_and_charges_nothing() {
    let other = "import os\n\ndef process(message):\n    with open('log', 'a') as log:\n        log.write(f'py {message} {os.getpid()}\\n')\n";
    let app = App::dev(&[
        ("topics/t/changed/index.js", &versioned_js(1)),
        ("topics/t/changed/subscriber.toml", "timeout = \"1h\"\n"),
        ("topics/t/same/__init__.py", other),
    ]);
    let until_logged = |what: &str| {
        until(what, || {
            let log = app.log();
            if log.contains(what) { Ok(log) } else { Err(format!("{log}\n{}", app.process.printed())) }
        })
    };
    app.publish("t", &[json!("slow"), json!("stuck")]);
    until_logged("js stuck v1");
    write(&app.path("less/topics/t/changed/index.js"), &versioned_js(2));
    // What was held and does not end in time is begun again by the new version, as the same attempt.
    let log = until_logged("js stuck v2");
    let line = log.lines().find(|line| line.starts_with("js stuck v2")).expect("it is there");
    assert!(line.ends_with(" 1"), "an attempt was charged: {line}");
    // What ends in time has ended once.
    assert_eq!(log.matches("js slow ended").count(), 1, "{log}");
    assert_eq!(log.matches("js slow v").count(), 1, "{log}");
    app.publish("t", &[json!("new")]);
    until_logged("js new v2");

    // A version that can't be loaded leaves the one before it running.
    write(&app.path("less/topics/t/changed/index.js"), "exports.process = (\n");
    let found = app.until("changed", "the error to be shown", |found| found["worker"]["error"].is_string());
    assert_eq!(found["worker"]["state"], "ready", "{found}");
    let (code, printed) = shown(&app);
    assert!(code == Some(1) && printed.contains("the newest `t/changed` can't be started"), "{printed}");
    app.publish("t", &[json!("still")]);
    until_logged("js still v2");
    // One that can be loaded again is told of.
    let printed = app.process.printed();
    assert!(printed.contains("keeps running; saving a file of this one tries it again"), "{printed}");
    assert!(!printed.contains("could be loaded, and runs"), "{printed}");
    write(&app.path("less/topics/t/changed/index.js"), &versioned_js(3));
    until("the log to say that it could be loaded", || {
        let printed = app.process.printed();
        if printed.contains("the newest version could be loaded, and runs") { Ok(()) } else { Err(printed) }
    });

    let log = until_logged("py still");
    let mut ids: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("py "))
        .filter_map(|line| line.split(' ').nth(2))
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "the other subscriber's process was replaced: {log}");
    app.until("same", "its messages to be done", |found| found["done"] == 4);
    assert!(app.dead_letters("t", "changed").is_empty());
}

#[test]
fn modules_in_less_shared_are_found_and_a_change_of_one_reaches_its_users() {
    let app = App::dev(&[
        ("shared/greet.js", "exports.greet = (name) => `js one ${name}`;\n"),
        (
            "shared/tools/__init__.py",
            "from .words import WORD\n\ndef greet(name):\n    return f'py {WORD} {name}'\n",
        ),
        ("shared/tools/words.py", "WORD = 'one'\n"),
        (
            "topics/t/cjs/index.js",
            "const { greet } = require('greet');\nexports.process = (m) => console.log('cjs', greet(m));\n",
        ),
        (
            "topics/t/mjs/index.mjs",
            "import { greet } from 'greet';\nexport const process = (m) => console.log('mjs', greet(m));\n",
        ),
        (
            "topics/t/py/__init__.py",
            "from tools import greet\n\ndef process(message):\n    print('py', greet(message))\n",
        ),
        // Beside a handler, and not in the way of the package `less`.
        ("topics/t/py/less.py", "raise RuntimeError('the wrong module')\n"),
        (
            "topics/t/sibling/__init__.py",
            "from less import topics\nfrom . import helper\nimport helper as again\n\ndef process(message):\n    print('sibling', helper.NAME, again.NAME, sorted(dir(topics))[-1:])\n",
        ),
        ("topics/t/sibling/helper.py", "NAME = 'helper'\n"),
        ("topics/t/sibling/less.py", "raise RuntimeError('the wrong module')\n"),
    ]);
    let mut app = app;
    app.publish("t", &[json!("Ada")]);
    for line in [
        "[cjs] cjs js one Ada",
        "[mjs] mjs js one Ada",
        "[py] py py one Ada",
        "[sibling] sibling helper helper",
    ] {
        app.process.wait_for(line, 0);
    }
    let mark = app.process.printed().len();
    write(&app.path("less/shared/tools/words.py"), "WORD = 'two'\n");
    app.process.wait_for("reloading t/py", mark);
    until("the new version to be used", || {
        app.publish("t", &[json!("Eve")]);
        let printed = app.process.printed();
        if printed[mark..].contains("[py] py py two Eve") { Ok(()) } else { Err(printed[mark..].to_owned()) }
    });
}

#[test]
fn what_a_worker_held_that_ends_and_cannot_be_loaded_again_goes_back_to_its_queue_uncharged() {
    let app = App::dev(&[
        ("topics/t/s/index.js", &versioned_js(1)),
        ("topics/t/s/subscriber.toml", "timeout = \"1h\"\n"),
    ]);
    app.publish("t", &[json!("stuck"), json!("stuck"), json!("stuck")]);
    app.until("s", "all to be begun", |found| found["in_flight"] == 3);
    let log = until("three lines", || {
        let log = app.log();
        if log.matches("stuck v1").count() == 3 { Ok(log) } else { Err(log) }
    });
    let pid = log.lines().next().and_then(|line| line.split(' ').nth(3)).expect("a process").to_owned();
    write(&app.path("less/topics/t/s/index.js"), "exports.process = (\n");
    app.until("s", "the error to be shown", |found| found["worker"]["error"].is_string());
    let killed =
        std::process::Command::new("kill").args(["-KILL", &pid]).status().expect("kill can be started");
    assert!(killed.success());
    let found = app.until("s", "its messages to wait", |found| failed(found) && found["pending"] == 3);
    assert_eq!((found["in_flight"].as_u64(), found["scheduled"].as_u64()), (Some(0), Some(0)), "{found}");

    let fine = "const fs = require('node:fs');\nexports.process = (message, context) => fs.appendFileSync('log', `fine ${context.attempt}\\n`);\n";
    write(&app.path("less/topics/t/s/index.js"), fine);
    app.until("s", "all to be done", |found| found["done"] == 3);
    assert_eq!(app.log().matches("fine 1\n").count(), 3, "{}", app.log());
}

#[test]
fn check_has_node_and_python_read_the_handlers_and_runs_nothing_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let topic = folder.path().join("less/topics/t");
    let run = "require('node:fs').writeFileSync('ran', '');\n";
    for (file, text) in [
        ("js/index.js", format!("{run}exports.process = () => {{}};\n")),
        (
            "esm/index.js",
            "import fs from 'node:fs';\nexport const process = async () => { fs.readFileSync('x'); };\n"
                .to_owned(),
        ),
        ("mjs/index.mjs", "export async function process() {\n  return (\n}\n".to_owned()),
        ("cjs/index.js", "exports.process = () => {\n".to_owned()),
        ("py/__init__.py", "open('ran', 'w')\n\ndef process(message):\n    pass\n".to_owned()),
        ("bad_py/__init__.py", "def process(message):\n    return (\n".to_owned()),
    ] {
        write(&topic.join(file), &text);
    }
    let check = |environment: &[(&str, &str)]| {
        let mut command = less(folder.path());
        let output =
            command.arg("check").envs(environment.iter().copied()).output().expect("less can be started");
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(1), "{said}");
    for error in [
        "`less/topics/t/mjs/index.mjs` can't be read in line 3: SyntaxError: Unexpected token '}'",
        "`less/topics/t/cjs/index.js` can't be read",
        "`less/topics/t/bad_py/__init__.py` can't be read in line 2: SyntaxError: ",
        "3 errors",
    ] {
        assert!(said.contains(error), "{error}\n{said}");
    }
    assert!(!folder.path().join("ran").exists());
    let (code, said) = check(&[("LESS_NODE", "/nowhere/node"), ("LESS_PYTHON", "/nowhere/python")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("handlers in Node.js were not read: LESS_NODE names /nowhere/node"), "{said}");
    assert!(said.contains("handlers in Python were not read: LESS_PYTHON names"), "{said}");
}
