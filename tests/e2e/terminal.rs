//! A person at a terminal: what decides by what it writes to is not seen through pipes.

use crate::support::{Process, free_address, less, run};

#[test]
fn at_a_terminal_an_app_runs_and_its_log_has_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    run(folder.path(), &["new", "shop", "--lang", "python"]);
    let app = folder.path().join("shop");
    let handler = "def process(message):\n    raise ValueError('no such user')\n";
    crate::support::write(&app.join("less/topics/user_created/send_welcome_email/__init__.py"), handler);
    for command in ["dev", "start"] {
        let address = free_address().to_string();
        let mut app_at = Process::start_in_terminal(
            less(&app).args([command, "--listen", &address]).env_remove("NO_COLOR"),
        );
        app_at.wait_for(&address, 0);
        let url = format!("http://{address}");
        let message = r#"{"user_id":1,"email":"ada@example.com","name":"Ada"}"#;
        run(&app, &["publish", "user_created", message, "--url", &url]);
        let log = app_at.wait_for("no such user", 0);
        let colour = "[send_welcome_email] \x1b[33m";
        assert!(log.contains(colour), "{log:?}");
        app_at.terminate();
    }
}
