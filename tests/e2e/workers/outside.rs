//! Publishing from programs that are no handlers, to an app that asks for a key.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::App;
use crate::support::{Process, less, text, write};

const JS: &str = "const { topics, PublishError, PublishManyError } = require('@chuva.io/less');\n(async () => {\n  try {\n    const one = await topics.t.publish({ n: 1 }, { key: 'k', attributes: { a: 'b' } });\n    const many = await topics.t.publishMany([{ n: 2 }, { n: 3 }]);\n    console.log('published', one.messageId.length, many.length);\n    await topics.t.publishMany([{ n: 4 }, { n: 'five' }]);\n  } catch (e) {\n    if (e instanceof PublishManyError) console.log('many', e.results.map((r) => r.pointer ?? 'ok').join(' '));\n    else if (e instanceof PublishError) console.log(`${e.message}\\n${e.hint}`);\n    else throw e;\n  }\n})();\n";
const PY: &str = "from less import topics, PublishError, PublishManyError\n\ntry:\n    one = topics.t.publish({'n': 1}, key='k', attributes={'a': 'b'})\n    many = topics.t.publish_many([{'n': 2}, {'n': 3}])\n    print('published', len(one.message_id), len(many))\n    topics.t.publish_many([{'n': 4}, {'n': 'five'}])\nexcept PublishManyError as error:\n    print('many', ' '.join(getattr(result, 'pointer', None) or 'ok' for result in error.results))\nexcept PublishError as error:\n    print(f'{error}\\n{error.hint}')\n";
const SCHEMA: &str = r#"{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}"#;
const KEY: &str = "a-key-of-some-length";

/// What a program prints that is started in a folder below the app's, with these variables.
fn printed(app: &Path, program: &str, file: &str, variables: &[(&str, &str)]) -> String {
    let folder = app.join("tools");
    let mut command = Command::new(program);
    command.arg(file).current_dir(&folder);
    command.env("NODE_PATH", app.join(".less/node_modules")).env("PYTHONPATH", app.join(".less/python"));
    for name in ["LESS_URL", "LESS_DATA", "LESS_API_KEY"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().expect("it can be started");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn programs_outside_find_the_app_and_are_told_what_is_wrong_with_a_key_a_message_or_an_address() {
    let files = [
        ("topics/t/message.schema.json", SCHEMA),
        (
            "topics/t/see/__init__.py",
            "def process(message, context):\n    with open('log', 'a') as log:\n        log.write(f\"{message['n']} {context.key} {dict(context.attributes)}\\n\")\n",
        ),
        ("../tools/publish.js", JS),
        ("../tools/publish.py", PY),
    ];
    let app = App::start("start", &files, &[("LESS_API_KEY", KEY)]);
    let url = format!("http://{}", app.address);
    let nowhere = format!("http://{}", crate::support::free_address());
    for (program, file) in [("node", "publish.js"), ("python3", "publish.py")] {
        let run = |variables: &[(&str, &str)]| printed(app.root(), program, file, variables);
        let right = "published 36 2\nmany ok /n\n";
        // By the address file, looked for from the working folder upwards, and by its address.
        assert_eq!(run(&[("LESS_API_KEY", KEY)]), right);
        assert_eq!(run(&[("LESS_API_KEY", KEY), ("LESS_URL", &url)]), right);
        for wrong in [run(&[]), run(&[("LESS_API_KEY", "another-key-of-some-length")])] {
            assert!(wrong.contains("LESS_API_KEY"), "{program}: {wrong}");
        }
        let none = run(&[("LESS_URL", &nowhere)]);
        assert!(
            none.contains(&nowhere) && none.contains("less dev") && none.contains("LESS_URL"),
            "{program}: {none}"
        );
    }
    let key = [("LESS_API_KEY", KEY)];
    let status = || {
        let output = crate::support::less(app.root()).args(["status", "--json"]).envs(key).output();
        serde_json::from_slice::<serde_json::Value>(&output.expect("less can be started").stdout)
    };
    // Four messages of each run that was let in.
    crate::support::until("everything to be handled", || {
        let status = status().map_err(|error| error.to_string())?;
        if status["subscribers"][0]["done"] == 16 { Ok(()) } else { Err(status.to_string()) }
    });
    let log = app.log();
    let count = |line: &str| log.lines().filter(|found| *found == line).count();
    let seen = [count("1 k {'a': 'b'}"), count("2 None {}"), count("3 None {}"), count("4 None {}")];
    assert_eq!(json!(seen), json!([4, 4, 4, 4]), "{log}");
}

#[test]
fn the_address_that_a_killed_app_left_leads_to_no_other_app() {
    const ONE_JS: &str = "const { topics } = require('@chuva.io/less');\ntopics.t.publish({}).then(console.log, (e) => console.log(e.message));\n";
    const ONE_PY: &str = "from less import topics\n\ntry:\n    print(topics.t.publish({}))\nexcept Exception as error:\n    print(error)\n";
    let handler = ("topics/t/see/__init__.py", "def process(message):\n    print('SEEN')\n");
    let files = [handler, ("../tools/publish.js", ONE_JS), ("../tools/publish.py", ONE_PY)];
    let mut killed = App::start("start", &files, &[]);
    killed.process.signal("KILL");
    killed.process.end();

    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("less").join(handler.0), handler.1);
    write(&folder.path().join("less.toml"), "name = \"another\"\n");
    let mut command = less(folder.path());
    let mut other = Process::start(command.args(["start", "--listen", &killed.address.to_string()]));
    other.wait_for("listens on http", 0);

    let url = format!("http://{}", killed.address);
    for (program, file) in [("node", "publish.js"), ("python3", "publish.py")] {
        let ended = printed(killed.root(), program, file, &[]);
        assert!(ended.contains("which has written") && ended.contains("has ended"), "{program}: {ended}");
        let wrong = printed(killed.root(), program, file, &[("LESS_URL", &url)]);
        assert!(
            wrong.contains("this is the app `another`, and the request is for `workers`"),
            "{program}: {wrong}"
        );
    }
    let commands: [&[&str]; 4] =
        [&["publish", "t", "{}"], &["status"], &["dlq", "purge", "t/see", "--all"], &["tail", "t"]];
    for arguments in commands {
        let run = |more: &[&str]| {
            let output = less(killed.root()).args(arguments).args(more).output().expect("it can be started");
            assert!(!output.status.success(), "{arguments:?}");
            text(&output.stderr)
        };
        let ended = run(&[]);
        assert!(ended.contains("has ended") && ended.contains("less dev"), "{arguments:?}: {ended}");
        let wrong = run(&["--url", &url]);
        assert!(wrong.contains("this is the app `another`"), "{arguments:?}: {wrong}");
    }
    assert!(!other.terminate().contains("SEEN"));
}
