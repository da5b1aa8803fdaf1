//! `less dev`: reload, failed builds, restarts, messages that survive them.

use std::path::Path;

use crate::support::{Connection, Process, free_address, less, run, text, write};

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
