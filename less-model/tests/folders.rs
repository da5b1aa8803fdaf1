//! What only a real folder can hold: links, bytes that are no text, pipes.
#![cfg(all(feature = "parse", unix))]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use less_model::diagnostic::plain;
use less_model::scan::scan;
use less_model::source::{MAX_FILE, SourceError, SourceTree};

const HANDLER: &str = "pub async fn process(message: less::Value) -> less::Result<()> { Ok(()) }\n";

struct Project {
    _keep: tempfile::TempDir,
    root: PathBuf,
}

/// An app with the topic `t` and its subscriber `s`, beside a folder `outside`.
fn project() -> Project {
    let keep = tempfile::tempdir().unwrap();
    let root = keep.path().join("shop");
    fs::create_dir_all(keep.path().join("outside/s")).unwrap();
    fs::write(keep.path().join("outside/s/mod.rs"), HANDLER).unwrap();
    let project = Project { _keep: keep, root };
    project.write("less/topics/t/s/mod.rs", HANDLER);
    project
}

impl Project {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        symlink(target, self.path(path)).unwrap();
    }

    /// The subscribers, and what is printed.
    fn check(&self) -> (Vec<String>, String) {
        let tree = SourceTree::read(&self.root).unwrap();
        let (app, diagnostics) = scan(&tree, "shop");
        let names = app.topics.iter().flat_map(|topic| {
            topic.subscribers.iter().map(move |subscriber| format!("{}/{}", topic.name, subscriber.name))
        });
        (names.collect(), plain(&diagnostics, &tree))
    }
}

#[test]
fn a_plain_app_is_read_from_its_folder() {
    let project = project();
    project.write("less.toml", "name = \"from_file\"");
    project.write("Cargo.toml", "[package]\nname = \"x\"");
    project.write("src/lib.rs", "");
    project.write("less/topics/t/s/node_modules/deep/index.js", "");
    let tree = SourceTree::read(&project.root).unwrap();
    let (app, diagnostics) = scan(&tree, "shop");
    assert_eq!(diagnostics, []);
    assert_eq!(app.name.as_str(), "from_file");
    assert_eq!(app.package.unwrap().library.as_deref(), Some("x"));
    assert_eq!(app.topics[0].subscribers[0].file, "less/topics/t/s/mod.rs");
    assert_eq!(tree.entry("less/topics/t/s/node_modules"), None);
}

#[test]
fn links_inside_the_project_are_followed() {
    let project = project();
    project.write("shared/handler.rs", HANDLER);
    fs::create_dir_all(project.path("less/topics/t/linked_file")).unwrap();
    project.link("less/topics/t/linked_file/mod.rs", "../../../../shared/handler.rs");
    project.link("less/topics/t/linked_folder", "s");
    project.link("less/topics/alias", "t");
    let (subscribers, printed) = project.check();
    assert_eq!(printed, "");
    let names = ["linked_file", "linked_folder", "s"];
    let expected: Vec<String> =
        ["alias", "t"].iter().flat_map(|topic| names.map(|name| format!("{topic}/{name}"))).collect();
    assert_eq!(subscribers, expected);
}

#[test]
fn links_that_leave_the_project_are_told_and_not_followed() {
    let project = project();
    project.link("less/topics/t/away", "../../../../outside/s");
    project.link("less/topics/t/message.rs", "/etc/hostname");
    project.link("less.toml", "../outside/less.toml");
    fs::write(project.path("../outside/less.toml"), "name = \"stolen\"").unwrap();
    let hint = "hint: put what it leads to into the app's folder: an app is built from its folder alone\n";
    let expected = ["less.toml", "less/topics/t/away", "less/topics/t/message.rs"]
        .map(|path| format!("error[link-leaves-project]: this link leaves the project\n  --> {path}\n{hint}"))
        .join("\n");
    assert_eq!(project.check(), (vec!["t/s".to_owned()], expected));
}

#[test]
fn circles_of_links_end() {
    let project = project();
    project.link("less/topics/t/up", "..");
    project.link("less/topics/t/all", "../../..");
    project.link("less/topics/itself", "itself");
    project.link("less/topics/ping", "pong");
    project.link("less/topics/pong", "ping");
    let broken = |path: &str| {
        format!(
            "error[broken-link]: this link leads to nothing\n  --> {path}\nhint: delete it, or make what it leads to: `readlink {path}`\n"
        )
    };
    let cycle = |path: &str| {
        format!(
            "error[link-cycle]: this link leads to a folder that holds it\n  --> {path}\nhint: delete it: `rm {path}`\n"
        )
    };
    let expected = [
        broken("less/topics/itself"),
        broken("less/topics/ping"),
        broken("less/topics/pong"),
        cycle("less/topics/t/all"),
        cycle("less/topics/t/up"),
    ];
    assert_eq!(project.check(), (vec!["t/s".to_owned()], expected.join("\n")));
}

#[test]
fn hidden_links_such_as_an_editors_locks_are_ignored() {
    let project = project();
    project.link("less/topics/t/s/.#mod.rs", "user@host.1234:5678");
    assert_eq!(project.check().1, "");
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_told() {
    let project = project();
    project.write("less/topics/t/message.rs", b"\xff\xfe");
    project.write("less/topics/t/s/mod.rs", vec![b' '; MAX_FILE + 1]);
    project.write("less/topics/t/s/data.bin", b"\xff\xfe");
    assert_eq!(
        project.check().1,
        "error[not-utf8]: this file is not UTF-8\n  --> less/topics/t/message.rs\n\
         hint: save it with the encoding UTF-8\n\n\
         error[file-too-large]: this file has more than 1024 KiB\n  --> less/topics/t/s/mod.rs\n\
         hint: move data out of it, and read it with `include_bytes!`\n"
    );
}

#[test]
fn a_socket_is_told_and_never_opened() {
    let project = project();
    let _socket = std::os::unix::net::UnixListener::bind(project.path("less/topics/t/topic.toml")).unwrap();
    assert_eq!(
        project.check().1,
        "error[not-a-file]: `topic.toml` is neither a file nor a folder\n  --> less/topics/t/topic.toml\n\
         hint: delete `less/topics/t/topic.toml`\n"
    );
}

#[test]
fn names_that_are_no_text_or_hold_control_characters_are_told_on_one_line() {
    let project = project();
    fs::create_dir(project.path("less/topics").join(OsStr::from_bytes(b"bad\xff"))).unwrap();
    fs::create_dir(project.path("less/topics/two\nlines\x1b")).unwrap();
    let hint = "hint: rename the folder; topics are named with letters, digits and `_`\n";
    assert_eq!(
        project.check().1,
        format!(
            "error[bad-name]: `bad\u{fffd}` is no name for a topic: `\u{fffd}` is not allowed in a name; \
             letters, digits and `_` are\n  --> less/topics/bad\u{fffd}\n{hint}\n\
             error[bad-name]: `two\\nlines\\u{{1b}}` is no name for a topic: `\\n` is not allowed in a name; \
             letters, digits and `_` are\n  --> less/topics/two\\nlines\\u{{1b}}\n{hint}"
        )
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_error_that_names_it() {
    let error = SourceTree::read(Path::new("/no/such/app")).unwrap_err();
    assert!(matches!(&error, SourceError::Read { path, .. } if path == Path::new("/no/such/app")));
    assert_eq!(error.to_string(), "can't read `/no/such/app`: No such file or directory (os error 2)");
}
