//! `less dev`: reload, failed builds, restarts, messages that survive them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Connection, Process, free_address, less, less_at, run, text, write};

fn handler(app: &Path, body: &str) {
    write(
        &app.join("less/topics/ping/answer/mod.rs"),
        &format!(
            "pub async fn process(message: less::Value) -> less::Result<()> {{\n    {body}\n    Ok(())\n}}\n"
        ),
    );
}

#[test]
fn a_changed_handler_is_live_again_and_a_build_that_fails_keeps_the_last_good_process() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["new", "reload_app"]);
    let app = folder.path().join("reload_app");
    run(&app, &["add", "topic", "ping"]);
    run(&app, &["add", "subscriber", "ping/answer"]);
    // Without a message type the topic takes any JSON.
    std::fs::remove_file(app.join("less/topics/ping/message.rs")).expect("it was made");
    handler(&app, "println!(\"one {message}\");");
    let address = free_address();
    let mut dev = Process::start(less(&app).args(["dev", "--listen", &address.to_string()]));
    dev.wait_for("is live on", 0);
    let publish = |text: &str| {
        let mut connection = Connection::open(address).expect("the socket is open");
        let answer = connection.post("/topics/ping", &format!("\"{text}\"")).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
    };
    publish("a");
    dev.wait_for("[answer] one \"a\"", 0);

    let mark = dev.printed().len();
    handler(&app, "println!(\"two {message}\");");
    dev.wait_for("reloaded in", mark);
    publish("b");
    dev.wait_for("[answer] two \"b\"", mark);

    let mark = dev.printed().len();
    handler(&app, "let x: u32 = message;");
    let printed = dev.wait_for("the last good build keeps running", mark);
    assert!(
        printed.contains("less/topics/ping/answer/mod.rs:2"),
        "rustc names the user's own file:\n{printed}"
    );
    publish("c");
    dev.wait_for("[answer] two \"c\"", mark);

    // A message that kills its process is attempted again by the next build.
    let mark = dev.printed().len();
    handler(&app, "std::process::exit(if message == \"d\" { 9 } else { 0 });");
    dev.wait_for("reloaded in", mark);
    // Its handler may end the process before the answer is out; that it was stored shows below.
    let _ = Connection::open(address).expect("the socket is open").post("/topics/ping", "\"d\"");
    dev.wait_for("the app ended by itself", mark);
    handler(&app, "println!(\"three {message}\");");
    dev.wait_for("[answer] three \"d\"", mark);

    dev.signal("INT");
    assert!(dev.child.wait().expect("it ends").success(), "{}", dev.printed());
}

#[test]
fn a_port_in_use_is_one_clear_error_with_a_next_step() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["new", "port_app"]);
    let app = folder.path().join("port_app");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let output = less(&app).args(["dev", "--listen", &address]).output().expect("less can be started");
    assert_eq!(output.status.code(), Some(2));
    let printed = text(&output.stderr);
    assert!(
        printed.contains(&format!("can't listen on {address}")) && printed.contains("hint:"),
        "{printed}"
    );
}

const PYTHON: &str = "def process(message):\n    print(message)\n";

/// An app in Python, and a `less` of its own that runs it.
fn python_app(folder: &Path) -> (PathBuf, PathBuf) {
    let (app, program) = (folder.join("app"), folder.join("less"));
    write(&app.join("less.toml"), "name = \"python_app\"\n");
    write(&app.join("less/topics/ping/answer/__init__.py"), PYTHON);
    std::fs::copy(env!("CARGO_BIN_EXE_less"), &program).expect("it can be copied");
    (app, program)
}

#[test]
fn a_less_that_is_installed_meanwhile_leaves_the_one_that_runs_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (app, program) = python_app(folder.path());
    let mut dev = Process::start(less_at(&program, &app).args(["dev", "--listen", "127.0.0.1:0"]));
    dev.wait_for("is live on", 0);

    // As a package manager does it: another file takes the name.
    let newer = folder.path().join("less.new");
    write(&newer, "#!/bin/sh\necho 'the newer less runs'\nexit 3\n");
    std::fs::set_permissions(&newer, std::fs::Permissions::from_mode(0o755)).expect("it is there");
    std::fs::rename(&newer, &program).expect("it can be renamed");
    write(&app.join("less/topics/ping/other/__init__.py"), PYTHON);
    dev.wait_for("reloaded in", 0);
    let mark = dev.printed().len();
    std::fs::remove_file(&program).expect("it is there");
    std::fs::remove_dir_all(app.join("less/topics/ping/other")).expect("it is there");
    dev.wait_for("reloaded in", mark);
    assert!(!dev.printed().contains("the newer less runs"), "{}", dev.printed());
    dev.terminate();
}

#[test]
fn what_can_t_be_started_leaves_less_dev_waiting_for_a_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let (app, program) = python_app(folder.path());
    let mut dev = Process::start(less_at(&program, &app).args(["dev", "--listen", "127.0.0.1:0"]));
    dev.wait_for("is live on", 0);
    for cert in ["missing.pem", "missing_too.pem"] {
        let mark = dev.printed().len();
        let tls = format!("name = \"python_app\"\n[http.tls]\ncert = \"{cert}\"\nkey = \"key.pem\"\n");
        write(&app.join("less.toml"), &tls);
        let printed = dev.wait_for("[less] waiting for a change", mark);
        assert!(printed.contains(cert), "{printed}");
    }
    let mark = dev.printed().len();
    write(&app.join("less.toml"), "name = \"python_app\"\n");
    dev.wait_for("reloaded in", mark);
    let mark = dev.printed().len();
    dev.signal("INT");
    let printed = dev.wait_for("stopped; nothing is lost", mark);
    assert!(printed.contains("stopping: handlers have 500ms for what they have begun"), "{printed}");
}
