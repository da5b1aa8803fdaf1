//! Every example is built and run, in a copy, as its README says.

use std::path::{Path, PathBuf};

use crate::support::{
    Connection, Process, assert_balanced, copy, free_address, less, run, target, text, until, write,
};

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
    let dlq = |arguments: &[&str]| {
        let output = less(&app)
            .env("LESS_URL", &url)
            .arg("dlq")
            .args(arguments)
            .output()
            .expect("less can be started");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    };
    let letters: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let dead = letters[0]["message_id"].as_str().expect("an id").to_owned();
    assert!(dlq(&["show", "send_welcome_email", &dead]).contains("`nowhere` is no email address"));
    let mark = process.printed().len();
    assert!(dlq(&["release", "user_created/send_welcome_email", &dead]).contains("released 1"));
    process.wait_for("`nowhere` is no email address", mark);
    until("it to be dead again", || {
        let listed = dlq(&["list"]);
        if listed.contains(&dead) { Ok(()) } else { Err(listed) }
    });
    assert!(dlq(&["purge", "send_welcome_email", "--all"]).contains("purged 1"));
    let status =
        less(&app).env("LESS_URL", &url).args(["status", "--json"]).output().expect("less can be started");
    assert_eq!(status.status.code(), Some(0));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_balanced(&status);
    assert_eq!(status["subscribers"][1]["discarded"]["purged"], 1, "{status}");
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

#[test]
fn another_process_of_the_app_publishes_over_http_and_is_told_how_to_start_it_when_it_is_not_there() {
    let (_folder, app) = example("user_management_service");
    let server = r#"
#[tokio::main(flavor = "current_thread")]
async fn main() {
    match user_management_service::register("ada@example.com", "Ada").await {
        Ok(id) => println!("registered {id}"),
        Err(error) => println!("failed: {error}"),
    }
}
"#;
    write(&app.join("src/bin/web.rs"), server);
    let manifest = std::fs::read_to_string(app.join("Cargo.toml")).expect("it was copied");
    let tokio = "[dependencies]\ntokio = { version = \"1\", features = [\"rt\", \"macros\"] }";
    let manifest =
        manifest.replace("user_management_service\"", "user_management_service\"\ndefault-run = \"web\"");
    write(&app.join("Cargo.toml"), &manifest.replace("[dependencies]", tokio));
    run(&app, &["build"]);
    let web = || {
        let mut command = std::process::Command::new(env!("CARGO"));
        command.args(["run", "--quiet"]).current_dir(&app).env("CARGO_TARGET_DIR", target());
        for name in ["LESS_URL", "LESS_DATA", "LESS_API_KEY"] {
            command.env_remove(name);
        }
        let output = command.output().expect("cargo can be started");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let printed = web();
    assert!(
        printed.starts_with("failed: no running app was found")
            && printed.contains("hint: start it with `less dev`"),
        "{printed}"
    );

    let address = free_address();
    let mut process = Process::start(less(&app).args(["dev", "--listen", &address.to_string()]));
    process.wait_for("is live on", 0);
    // Found by the address file that the running app keeps in its data folder.
    let printed = web();
    let id = printed.trim().strip_prefix("registered ").unwrap_or_else(|| panic!("{printed}")).to_owned();
    process.wait_for(&format!("[send_to_analytics] counted user {id}"), 0);

    // The data folder has one owner.
    let second = free_address().to_string();
    let output = less(&app).args(["dev", "--listen", &second]).output().expect("less can be started");
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(
        printed.contains("is in use by another process (pid ") && printed.contains("LESS_DATA"),
        "{printed}"
    );
}
