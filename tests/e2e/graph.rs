//! Apps that run, as `less graph` and `less list` find them.

use crate::support::{Process, less, run, text, write};

#[test]
fn running_apps_are_found_by_graph_until_they_end_or_are_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let handler = "exports.process = async () => {};\n";
    let start = |app: &str, handlers: &[&str]| {
        let root = folder.path().join(app);
        write(&root.join("less.toml"), &format!("name = \"{app}\"\n"));
        for file in handlers {
            write(&root.join("less").join(file).join("index.js"), handler);
        }
        let mut command = less(&root);
        command.args(["start", "--listen", "127.0.0.1:0"]).env("XDG_RUNTIME_DIR", folder.path());
        let mut process = Process::start(&mut command);
        process.wait_for("listens on http", 0);
        process
    };
    let graph = || {
        let mut command = less(folder.path());
        let output = command.args(["graph", "--running"]).env("XDG_RUNTIME_DIR", folder.path()).output();
        let output = output.expect("less can be started");
        (text(&output.stdout), text(&output.stderr))
    };
    let users = start("users", &["topics/user_created/audit"]);
    let shop = start("shop", &["topics/paid/thank"]);
    let one = |app: &str, topic: &str, name: &str| format!("{app}\n  {topic}\n    → {name}  Node.js\n");
    let (shown, users_alone) = (one("shop", "paid", "thank"), one("users", "user_created", "audit"));
    assert_eq!(graph(), (format!("{shown}{users_alone}"), String::new()));

    // Asked, and nobody subscribes from elsewhere.
    let listed = run(&folder.path().join("users"), &["list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["topics"][0]["subscribed_by"], serde_json::json!([]));

    shop.terminate();
    assert_eq!(graph(), (users_alone, String::new()));
    users.signal("KILL");
    drop(users);
    let (shown, said) = graph();
    assert_eq!((shown.as_str(), said.lines().next()), ("", Some("error: no app runs on this machine")));
}
