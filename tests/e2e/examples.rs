//! Every example is built and run, in a copy, as its README says.

use std::path::{Path, PathBuf};

use crate::support::{Connection, Process, copy, free_address, less, run, text, until};

fn example(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let app = folder.path().join(name);
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name), &app);
    (folder, app)
}

#[test]
fn the_user_management_service_welcomes_and_counts_and_a_bad_address_is_a_dead_letter() {
    let (_folder, app) = example("user_management_service");
    let address = free_address();
    let url = format!("http://{address}");
    let mut process = Process::start(less(&app).args(["dev", "--listen", &address.to_string()]));
    process.wait_for("is live on", 0);

    let sent = less(&app)
        .env("LESS_URL", &url)
        .args(["publish", "user_created", r#"{"user_id":7,"email":"ada@example.com","name":"Ada"}"#])
        .output()
        .expect("less can be started");
    assert!(sent.status.success(), "{}", text(&sent.stderr));
    process.wait_for("[send_welcome_email] welcomed Ada <ada@example.com>", 0);
    process.wait_for("[send_to_analytics] counted user 7", 0);
    let id = text(&sent.stdout);
    let outbox = std::fs::read_to_string(app.join("outbox/welcome.txt")).expect("a mail was sent");
    assert_eq!(outbox, format!("{} 7 ada@example.com\n", id.trim()));

    let mut connection = Connection::open(address).expect("the app listens");
    let bad = r#"{"user_id":8,"email":"nowhere","name":"Eve"}"#;
    assert_eq!(connection.post("/topics/user_created", bad).expect("an answer").status, 202);
    let listed = until("a dead letter", || {
        let output = less(&app)
            .env("LESS_URL", &url)
            .args(["dlq", "list", "--json"])
            .output()
            .expect("less can be started");
        let listed = text(&output.stdout);
        if listed.contains("nowhere") { Ok(listed) } else { Err(format!("{listed}{}", text(&output.stderr))) }
    });
    assert!(listed.contains("send_welcome_email") && !listed.contains("send_to_analytics"), "{listed}");
    let status = less(&app).env("LESS_URL", &url).arg("status").output().expect("less can be started");
    assert_eq!(status.status.code(), Some(1), "`less status` exits 1 while anything is dead");
    process.signal("INT");
    assert!(process.child.wait().expect("it ends").success(), "{}", process.printed());
}

#[test]
fn the_chat_takes_the_request_of_the_reference_and_its_handler_publishes() {
    let (_folder, app) = example("chat");
    run(&app, &["build"]);
    let address = free_address();
    let mut process = Process::start(less(&app).args(["dev", "--listen", &address.to_string()]));
    process.wait_for("is live on", 0);
    let mut connection = Connection::open(address).expect("the app listens");
    let body = r#"{ "email": "example@email.com", "message": "This is the content of the new topic." }"#;
    let answer = connection.post("/topics/send_message", body).expect("an answer");
    assert_eq!(answer.status, 202, "{}", answer.body);
    process.wait_for("[deliver_message] example@email.com: This is the content of the new topic.", 0);
    process.wait_for("[count_messages] 37 characters", 0);
}
