//! What becomes of a subscriber whose folder is removed: its backlog is shown and grows, until it is dropped by name.

use serde_json::Value;

use crate::support::{less, run, text};
use crate::workers::App;

const HANDLER: &str = "def process(message):\n    pass\n";

/// As after `kill -9`: nothing is closed.
fn killed(app: App) -> tempfile::TempDir {
    let App { folder, process, .. } = app;
    process.signal("KILL");
    drop(process);
    folder
}

/// What a `less` that fails says; it must be the user's to mend.
fn refused(app: &App, arguments: &[&str]) -> String {
    let output = less(app.root()).args(arguments).output().expect("less can be started");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn a_subscriber_whose_folder_is_gone_is_shown_and_keeps_its_messages_until_it_is_dropped_by_name() {
    let files = [("topics/number/own/__init__.py", HANDLER), ("topics/number/old/__init__.py", HANDLER)];
    let app = App::start("start", &files, &[]);
    app.publish("number", &[1.into(), 2.into()]);
    app.until("old", "both to be done", |row| row["done"] == 2);
    let refusal = refused(&app, &["drop", "number/old", "--yes"]);
    assert!(refusal.contains("`number/old` has a folder"), "{refusal}");
    assert!(refusal.contains("hint: remove less/topics/number/old,"), "{refusal}");

    let folder = killed(app);
    std::fs::remove_dir_all(folder.path().join("less/topics/number/old")).expect("it can be removed");
    let app = App::at(folder, "start", &[]);
    app.publish("number", &[3.into(), 4.into(), 5.into()]);
    app.until("own", "its own messages to be done", |row| row["done"] == 5);
    let row = app.until("old", "its backlog", |row| row["pending"] == 3);
    assert_eq!(row["orphaned"], true);
    let output = run(app.root(), &["status"]);
    assert!(text(&output.stdout).contains("number/old"), "{}", text(&output.stdout));
    let hint = "number/old has no folder any more, and its queue stays, with what is still published; `less drop number/old --drop-messages` ends that";
    assert!(text(&output.stderr).contains(hint), "{}", text(&output.stderr));

    let refusal = refused(&app, &["drop", "number/old", "--yes"]);
    assert!(refusal.contains("number/old: 3 messages waiting"), "{refusal}");
    assert!(refusal.contains("3 messages would be lost; nothing was dropped"), "{refusal}");
    let refusal = refused(&app, &["drop", "number/old", "--drop-messages"]);
    assert!(refusal.contains("`--yes` answers beforehand"), "{refusal}");
    let refusal = refused(&app, &["drop", "number/odl"]);
    assert!(refusal.contains("did you mean `number/old`?"), "{refusal}");
    let output = run(app.root(), &["drop", "number/old", "--drop-messages", "--yes"]);
    assert!(
        text(&output.stderr).contains("dropped `number/old`, with 3 messages"),
        "{}",
        text(&output.stderr)
    );

    // What was said is on the disk: the process is killed, and it is gone all the same.
    let app = App::at(killed(app), "start", &[]);
    let rows = |output: &[u8]| {
        let status: Value = serde_json::from_slice(output).expect("JSON");
        status["subscribers"].as_array().expect("a list").len()
    };
    assert_eq!(rows(&run(app.root(), &["status", "--json"]).stdout), 1);

    // A folder of that name begins anew.
    let folder = killed(app);
    crate::support::write(&folder.path().join("less/topics/number/old/__init__.py"), HANDLER);
    let app = App::at(folder, "start", &[]);
    app.publish("number", &[6.into()]);
    app.until("old", "a new beginning", |row| row["published"] == 1 && row["done"] == 1);
    app.process.terminate();
}
