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

/// Runs a command to its end in a folder, with every cache below the target folder.
fn install(folder: &Path, program: &str, arguments: &[&str]) {
    let caches = target().join("caches");
    let output = std::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("npm_config_cache", caches.join("npm"))
        .env("PIP_CACHE_DIR", caches.join("pip"))
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program} can't be started: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn in_polyglot_shops_in_express_and_flask_publish_to_subscribers_in_three_languages() {
    let (_folder, app) = example("polyglot");
    let address = free_address();
    let mut process = Process::start(less(&app).args(["dev", "--listen", &address.to_string()]));
    process.wait_for("is live on", 0);
    install(&app, "npm", &["ci", "--no-audit", "--no-fund"]);
    install(&app, "python3", &["-m", "venv", ".venv"]);
    install(&app, ".venv/bin/pip", &["install", "--quiet", "-r", "requirements.txt"]);

    // The shops know the app by its address file alone.
    let (express, flask) = (free_address(), free_address());
    let shop = |program: &str, file: &str, address: std::net::SocketAddr| {
        let mut command = std::process::Command::new(program);
        command.arg(file).current_dir(&app).env("PORT", address.port().to_string());
        command.env("PYTHONPATH", ".less/python").env("PYTHONUNBUFFERED", "1");
        for name in ["LESS_URL", "LESS_DATA", "LESS_API_KEY"] {
            command.env_remove(name);
        }
        Process::start(&mut command)
    };
    let mut express_shop = shop("node", "shops/express.js", express);
    express_shop.wait_for("listens on", 0);
    let mut flask_shop =
        shop(app.join(".venv/bin/python").to_str().expect("a path"), "shops/flask_shop.py", flask);
    flask_shop.wait_for("Running on", 0);

    for (shop, order, customer) in [(express, "e1", "ada@example.com"), (flask, "f1", "eve@example.com")] {
        let mut connection = Connection::open(shop).expect("the shop listens");
        let body = format!(
            r#"{{"order_id":"{order}","email":"{customer}","items":[{{"sku":"tea","quantity":2,"price":3.5}}]}}"#
        );
        let answer = connection.post("/orders", &body).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
        process.wait_for(&format!("[reserve_stock] {order}: 2 of tea"), 0);
        process.wait_for(&format!("[send_receipt] to {customer}: order {order}, 7.00 €"), 0);
        process.wait_for(&format!("[update_dashboard] order {order}: "), 0);
        // Refused before anybody got it.
        let mut connection = Connection::open(shop).expect("the shop listens");
        let empty = format!(r#"{{"order_id":"{order}-empty","email":"{customer}","items":[]}}"#);
        let answer = connection.post("/orders", &empty).expect("an answer");
        assert_eq!(answer.status, 422, "{}", answer.body);
        let answer: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(answer["pointer"], "/items", "{answer}");
        // One subscriber of three rejects this one.
        let mut connection = Connection::open(shop).expect("the shop listens");
        let answer =
            connection.post("/orders", &body.replace("example.com", "example.invalid")).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    let status = until("every message to end", || {
        let status = crate::support::status(address)?;
        let ended = status["subscribers"].as_array().into_iter().flatten();
        let ended =
            ended.filter(|found| found["pending"] == 0 && found["in_flight"] == 0 && found["published"] == 4);
        if ended.count() == 3 { Ok(status) } else { Err(status.to_string()) }
    });
    assert_balanced(&status);
    let dead: Vec<(&str, u64)> = status["subscribers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|found| (found["subscriber"].as_str().unwrap_or_default(), found["dead"].as_u64().unwrap_or(9)))
        .collect();
    assert_eq!(dead, [("reserve_stock", 0), ("send_receipt", 2), ("update_dashboard", 0)]);
    process.signal("INT");
    assert!(process.child.wait().expect("it ends").success(), "{}", process.printed());
}
