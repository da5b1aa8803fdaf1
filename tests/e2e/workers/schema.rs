//! A topic's type changed while messages of the old one were waiting.

use serde_json::json;

use super::App;
use crate::support::{run, until, write};

const SCHEMA: &str = "topics/t/message.schema.json";
const OLD: &str = r#"{"type": "object", "properties": {"n": {"type": "integer"}}}"#;
const NEW: &str = r#"{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}"#;
const WAITS_JS: &str = "exports.process = async (m, context) => { context.retryAfter('1s'); };\n";
const WAITS_PY: &str = "def process(message, context):\n    context.retry_after('1s')\n";
const NOTES_JS: &str = "const fs = require('node:fs');\nexports.process = (m) => { fs.appendFileSync('log', `js ${JSON.stringify(m)}\\n`); };\n";
const NOTES_PY: &str =
    "def process(message):\n    with open('log', 'a') as log:\n        log.write(f'py {message}\\n')\n";

#[test]
fn stored_messages_that_no_longer_fit_are_dead_at_once_in_every_language_and_the_others_are_handled() {
    let app = App::start(
        "start",
        &[(SCHEMA, OLD), ("topics/t/js/index.js", WAITS_JS), ("topics/t/py/__init__.py", WAITS_PY)],
        &[],
    );
    app.publish("t", &[json!({}), json!({"n": 1})]);
    for subscriber in ["js", "py"] {
        app.until(subscriber, "both to wait for their next attempt", |found| found["scheduled"] == 2);
    }
    let App { folder, process, .. } = app;
    process.terminate();

    let write = |path: &str, text: &str| write(&folder.path().join("less").join(path), text);
    write(SCHEMA, NEW);
    write("topics/t/js/index.js", NOTES_JS);
    write("topics/t/py/__init__.py", NOTES_PY);
    run(folder.path(), &["build", "--accept-breaking"]);
    let app = App::at(folder, "start", &[]);
    for subscriber in ["js", "py"] {
        app.until(subscriber, "one done and one dead", |found| found["done"] == 1 && found["dead"] == 1);
        let dead = &app.dead_letters("t", subscriber)[0];
        assert_eq!(dead["reason"], "schema", "{dead}");
        assert_eq!(dead["body"], json!({}), "{dead}");
    }
    let log = until("both lines", || {
        let log = app.log();
        if log.lines().count() == 2 { Ok(log) } else { Err(log) }
    });
    assert!(log.contains("js {\"n\":1}") && log.contains("py {'n': 1}"), "{log}");
}
