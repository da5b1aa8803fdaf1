//! What people do with the broker's folder: look at it, back it up, bring it back, deliver again.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::support::{
    Connection, Process, assert_balanced, free_address, less, run, status, text, until, write,
};

/// An app with a subscriber that takes everything, one that rejects odd numbers, and one that takes nothing for a long time.
fn app(folder: &Path) {
    run(folder, &["new", "shop"]);
    let topics = folder.join("shop/less/topics");
    std::fs::remove_dir_all(topics.join("user_created")).expect("the example topic can go");
    write(&folder.join("shop/src/lib.rs"), "//! The shop.\n");
    write(&topics.join("number/topic.toml"), "retention = \"7d\"\n");
    let handler = |body: &str| {
        format!("pub async fn process(message: less::Value) -> less::Result<()> {{\n    {body}\n}}\n")
    };
    write(&topics.join("number/all/mod.rs"), &handler("let _ = message;\n    Ok(())"));
    let odd =
        "if message.as_u64().is_some_and(|n| n % 2 == 1) { return Err(less::reject(\"odd\")); }\n    Ok(())";
    write(&topics.join("number/even/mod.rs"), &handler(odd));
    let never = "let _ = message;\n    Err(less::retry_after(std::time::Duration::from_secs(86_400)))";
    write(&topics.join("number/never/mod.rs"), &handler(never));
}

fn start(app: &Path, data: &Path, address: SocketAddr) -> Process {
    let mut command = less(app);
    command.args(["start", "--listen", &address.to_string()]).env("LESS_DATA", data);
    let mut process = Process::start(&mut command);
    process.wait_for("listens on", 0);
    process
}

fn publish(address: SocketAddr, from: u64, count: u64) {
    let mut connection = Connection::open(address).expect("it answers");
    for n in from..from + count {
        let answer = connection.post("/topics/number", &n.to_string()).expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
}

fn books(status: &Value, subscriber: &str) -> Value {
    let all = status["subscribers"].as_array().expect("a list of subscribers");
    all.iter().find(|books| books["subscriber"] == subscriber).unwrap_or_else(|| panic!("{status}")).clone()
}

/// Waits until a subscriber's number is this.
fn wait(address: SocketAddr, subscriber: &str, pointer: &str, wanted: u64) {
    until(&format!("{subscriber}{pointer} to be {wanted}"), || {
        let books = books(&status(address)?, subscriber);
        if books.pointer(pointer).and_then(Value::as_u64) == Some(wanted) {
            Ok(())
        } else {
            Err(books.to_string())
        }
    });
}

/// Runs `less` and expects that it fails. Returns its exit code and what it said.
fn fails(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = less(folder).args(arguments).output().expect("less can be started");
    assert!(!output.status.success(), "less {arguments:?} succeeded: {}", text(&output.stdout));
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn metric(metrics: &str, subscriber: &str, state: &str) -> u64 {
    let line = metrics.lines().find(|line| {
        line.starts_with("less_messages{")
            && line.contains(&format!("subscriber=\"{subscriber}\""))
            && line.contains(&format!("state=\"{state}\""))
    });
    let line = line.unwrap_or_else(|| panic!("no {state} of {subscriber} in\n{metrics}"));
    let number = line.rsplit(' ').next().unwrap_or_default();
    number.trim_end_matches(".0").parse().unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// A dead letter of a replay is one to everybody who looks for dead letters, and the only one where the others are gone.
fn replayed_dead_letters(app: &Path, data: &Path, address: SocketAddr, replay: &dyn Fn(&[&str]) -> String) {
    let url = format!("http://{address}");
    let purge = ["dlq", "purge", "number/even", "--all", "--url", &url];
    run(app, &purge);
    wait(address, "even", "/dead", 0);
    assert!(replay(&["--subscriber", "even", "--since", "1h"]).contains(" of `number`"));
    wait(address, "even", "/replay/dead", 20);
    let (_, printed, said) = fails(app, &["status", "--url", &url]);
    assert!(printed.contains("number/even (replays)") && said.contains("20 dead"), "{printed}{said}");
    let listed = run(app, &["dlq", "list", "--json", "--url", &url]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(20), "{listed}");
    let metrics = Connection::open(address).and_then(|mut c| c.get("/metrics")).expect("metrics").body;
    let line = r#"less_replays{topic="number",subscriber="even",state="dead"} 20"#;
    assert!(metrics.contains(line), "{metrics}");
    until("the folder to say so", || {
        let output = run(app, &["verify", "--data", data.to_str().expect("a path")]);
        let printed = text(&output.stdout);
        if printed.contains(" replayed = ") && printed.contains("20 dead") { Ok(()) } else { Err(printed) }
    });
    run(app, &purge);
    wait(address, "even", "/replay/dead", 0);
}

/// A backup of a folder with damage tells of it, and gives what is whole where that is asked for.
fn a_damaged_folder_is_saved(app: &Path, copy: &Path, damaged: &Path) {
    let copied = copy.to_str().expect("a path");
    let name = damaged.file_name().expect("it has a name").to_string_lossy().into_owned();
    let archive = app.join("damaged.tar");
    let archive = archive.to_str().expect("a path");
    let (code, _, said) = fails(app, &["backup", archive, "--data", copied]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&name) && said.contains("`less restore --damaged`"), "{said}");
    assert_eq!(mode(Path::new(archive)), 0o600, "every message is in it");
    let rest = app.join("rest");
    let rest = rest.to_str().expect("a path");
    let (code, _, said) = fails(app, &["restore", archive, "--data", rest]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&name) && said.contains("`less restore --damaged`"), "{said}");
    let said = text(&run(app, &["restore", "--damaged", archive, "--data", rest]).stderr);
    assert!(said.contains("but for what is damaged") && said.contains(&name), "{said}");

    // Without a file the app does not start, which is not called running on; nor is another version's folder saved as if it were known.
    std::fs::remove_file(damaged).expect("it can be removed");
    let (_, _, said) = fails(app, &["verify", "--data", copied]);
    assert!(said.contains("hint: the app does not start on this"), "{said}");
    std::fs::write(copy.join("format"), "2\n").expect("it can be written");
    let (_, _, said) = fails(app, &["backup", "other.tar", "--data", copied]);
    assert!(said.contains("format"), "{said}");

    // Who runs an app need not be who built it.
    let plain = app.join("plain");
    write(&plain, "");
    assert_eq!(mode(&app.join(".less/app/Cargo.toml")), mode(&plain), "what the umask leaves");
}

#[test]
fn a_folder_is_looked_at_backed_up_brought_back_and_delivered_again() {
    let folder = tempfile::tempdir().expect("a folder");
    app(folder.path());
    let app = folder.path().join("shop");
    let (data, address) = (folder.path().join("data"), free_address());
    let url = format!("http://{address}");
    let process = start(&app, &data, address);
    publish(address, 0, 40);
    wait(address, "all", "/done", 40);
    wait(address, "even", "/dead", 20);
    wait(address, "never", "/scheduled", 40);

    // What the API, the metrics and the disk count is the same.
    let now = status(address).expect("a status");
    assert_balanced(&now);
    let metrics = Connection::open(address).and_then(|mut c| c.get("/metrics")).expect("metrics").body;
    let verified = until("the folder to say the same", || {
        // Acks reach the disk a few milliseconds later.
        let output = run(&app, &["verify", "--json", "--data", data.to_str().expect("a path")]);
        let verified: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
        let done = |n: usize| verified["store"]["subscriptions"][n]["ledger"]["done"].as_u64();
        if done(0) == Some(40) { Ok(verified) } else { Err(verified.to_string()) }
    });
    assert_eq!(verified["store"]["problems"], serde_json::json!([]));
    for on_disk in verified["store"]["subscriptions"].as_array().expect("a list of subscriptions") {
        let subscriber = on_disk["subscriber"].as_str().expect("a name");
        let told = books(&now, subscriber);
        for state in ["pending", "scheduled", "in_flight", "done", "dead"] {
            assert_eq!(on_disk["ledger"][state], told[state], "{subscriber} {state}");
            assert_eq!(
                Some(metric(&metrics, subscriber, state)),
                told[state].as_u64(),
                "{subscriber} {state}"
            );
        }
        assert_eq!(on_disk["ledger"]["published"], told["published"], "{subscriber}");
    }

    // Replays: of a subscriber, of a time, of one message, of what is not there.
    let replay = |arguments: &[&str]| {
        let output = run(&app, &[&["replay", "number", "--url", &url], arguments].concat());
        text(&output.stdout) + &text(&output.stderr)
    };
    assert!(replay(&["--subscriber", "all"]).contains("40 of `number`"));
    wait(address, "all", "/replay/done", 40);
    assert!(replay(&["--subscriber", "all", "--since", "1h"]).contains("40 of `number`"));
    wait(address, "all", "/replay/done", 80);
    let mut connection = Connection::open(address).expect("it answers");
    let answer = connection.post("/topics/number", "40").expect("an answer");
    let id = serde_json::from_str::<Value>(&answer.body).expect("JSON")["message_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    wait(address, "all", "/done", 41);
    assert!(replay(&["--subscriber", "all", "--id", &id]).contains("1 of `number`"));
    wait(address, "all", "/replay/done", 81);
    assert_eq!(
        books(&status(address).expect("a status"), "all")["done"],
        41,
        "the books of replays are apart"
    );
    replayed_dead_letters(&app, &data, address, &replay);
    let (_, _, said) = fails(&app, &["replay", "nmuber", "--url", &url]);
    assert!(said.contains("did you mean `number`?"), "{said}");
    let (_, _, said) = fails(&app, &["replay", "number", "--subscriber", "al", "--url", &url]);
    assert!(said.contains("there are `number/all`"), "{said}");

    // A backup while messages come in: what was acknowledged before it began is in it.
    let archive = folder.path().join("backup.tar");
    let archive = archive.to_str().expect("a path");
    let publisher = std::thread::spawn(move || publish(address, 41, 400));
    run(&app, &["backup", archive, "--url", &url]);
    publisher.join().expect("everything was accepted");
    let (_, _, said) = fails(&app, &["backup", archive, "--url", &url]);
    assert!(said.contains("exists"), "{said}");
    process.terminate();

    let copy = folder.path().join("copy");
    let copied = copy.to_str().expect("a path");
    run(&app, &["restore", archive, "--data", copied]);
    let (_, _, said) = fails(&app, &["restore", archive, "--data", copied]);
    assert!(said.contains("is not empty"), "{said}");
    let address = free_address();
    let process = start(&app, &copy, address);
    until("the copy to have handled everything", || {
        let status = status(address)?;
        let all = books(&status, "all");
        let (all_of_them, done) = (all["published"].as_u64().unwrap_or(0), all["done"].as_u64());
        if all_of_them >= 41 && done == Some(all_of_them) { Ok(()) } else { Err(all.to_string()) }
    });
    assert_balanced(&status(address).expect("a status"));
    process.terminate();

    // A flipped bit is told, with the file and the bytes.
    let log = std::fs::read_dir(&copy).expect("it can be read").map(|entry| entry.expect("an entry").path());
    let mut logs: Vec<_> =
        log.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect();
    logs.sort();
    let damaged =
        logs.iter().find(|path| path.metadata().is_ok_and(|file| file.len() > 1000)).expect("a log");
    let mut bytes = std::fs::read(damaged).expect("it can be read");
    bytes[500] ^= 1;
    std::fs::write(damaged, bytes).expect("it can be written");
    let (code, printed, said) = fails(&app, &["verify", "--data", copied]);
    assert_eq!(code, Some(2), "{said}");
    let name = damaged.file_name().expect("it has a name").to_string_lossy().into_owned();
    assert!(printed.contains(&name) && printed.contains("are damaged"), "{printed}");
    assert!(said.contains("hint: the app runs on"), "{said}");

    a_damaged_folder_is_saved(&app, &copy, damaged);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().expect("it is there").permissions().mode() & 0o777
}
