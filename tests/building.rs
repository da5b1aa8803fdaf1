//! `less build` with a real compiler: what it does again, what it says about the user's own files, and that nothing outlives it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

mod files;

/// Longest that anything may take; reaching it fails the test.
const PATIENCE: Duration = Duration::from_secs(300);

/// The `less` command, with nothing of the surrounding environment that would steer it.
fn less(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_less"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("LESS")))
    {
        command.env_remove(name);
    }
    // The target folder that the end-to-end tests use as well: the runtime is compiled once.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e");
    command.current_dir(folder).env("CARGO_TARGET_DIR", target).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn build(folder: &Path) -> (i32, String) {
    let Output { status, stderr, .. } = less(folder).arg("build").output().expect("less can be started");
    (status.code().expect("no signal ended it"), String::from_utf8_lossy(&stderr).into_owned())
}

/// A new app. Tests run at the same time and share a target folder: each app has its own name.
fn app(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let made = less(folder.path()).args(["new", name]).output().expect("less can be started");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let app = folder.path().join(name);
    (folder, app)
}

/// Every file's time of change, and the program's inode: what is written anew has others.
fn state(app: &Path, program: &str) -> (Vec<(String, SystemTime)>, u64) {
    let generated = app.join(".less");
    let sources = ["app", "less"].iter().flat_map(|part| {
        files::read(&generated.join(part)).into_keys().map(move |path| format!("{part}/{path}"))
    });
    let times = sources.map(|path| {
        let changed =
            generated.join(&path).metadata().and_then(|metadata| metadata.modified()).expect("it is there");
        (path, changed)
    });
    (times.collect(), generated.join("bin").join(program).metadata().expect("it was built").ino())
}

#[test]
fn a_second_build_writes_nothing_and_compiles_nothing_and_a_third_only_what_changed() {
    let (_folder, app) = app("build_twice");
    let said = "[less] built .less/bin/build_twice\n";
    let built = (0, said.to_owned());
    assert_eq!(build(&app), (0, format!("[less] wrote less.lock: commit it\n{said}")));
    let first = state(&app, "build_twice");
    assert!(first.0.len() > 5, "{first:?}");
    assert_eq!(build(&app), built);
    assert_eq!(state(&app, "build_twice"), first);

    std::fs::remove_dir_all(app.join("less/topics/user_created/send_to_analytics")).unwrap();
    let gone = "warning[subscriber-gone]: subscriber `user_created/send_to_analytics` has no folder any more
  --> less.lock:7:3
note: its queue and its dead letters are kept
hint: bring `less/topics/user_created/send_to_analytics` back, and `less status` and `less dlq list` show what is in them; on AWS `less plan --stage STAGE` does

1 warning
[less] updated less.lock: commit it
";
    assert_eq!(build(&app), (0, format!("{gone}{said}")));
    let third = state(&app, "build_twice");
    assert_ne!(third.1, first.1, "the program was linked anew");
    let changed: Vec<&str> =
        third.0.iter().filter(|file| !first.0.contains(file)).map(|(path, _)| path.as_str()).collect();
    assert_eq!(changed, ["app/manifest.json", "app/src/topic_user_created.rs"]);
}

#[test]
fn apps_that_share_a_target_folder_keep_their_own_topics() {
    let (_one, one) = app("shares_one");
    let (_two, two) = app("shares_two");
    for what in [["add", "topic", "order_placed"], ["add", "subscriber", "order_placed/note"]] {
        let made = less(&one).args(what).output().expect("less can be started");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    for app in [&one, &two] {
        let (status, said) = build(app);
        assert_eq!(status, 0, "{said}");
    }
    // What is compiled now was generated before the other one was compiled.
    let handler = one.join("less/topics/order_placed/note/mod.rs");
    let text = std::fs::read_to_string(&handler).unwrap();
    std::fs::write(&handler, format!("{text}\n// changed\n")).unwrap();
    let (status, said) = build(&one);
    assert_eq!(status, 0, "{said}");
}

#[test]
fn the_compilers_errors_name_the_users_own_files_and_the_last_program_stays() {
    let (_folder, app) = app("build_wrong");
    assert_eq!(build(&app).0, 0);
    let before = state(&app, "build_wrong").1;
    let handler = "less/topics/user_created/send_welcome_email/mod.rs";
    let text = "use less::topics;\n\npub async fn process(user: topics::user_created::UserCreated) -> less::Result<()> {\n    topics::user_creatd.publish(&user).await?;\n    topics::user_created.publish(&7).await?;\n    Ok(())\n}\n";
    std::fs::write(app.join(handler), text).unwrap();
    let (code, said) = build(&app);
    assert_eq!(code, 1, "{said}");
    // A topic that is not there, and a message of another type.
    assert!(said.contains(&format!("--> {handler}:4:13\n")), "{said}");
    std::fs::write(app.join(handler), text.replace("    topics::user_creatd.publish(&user).await?;\n", ""))
        .unwrap();
    let (code, said) = build(&app);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!("--> {handler}:4:")) && said.contains("`&UserCreated`, found `&{integer}`"),
        "{said}"
    );
    assert!(!said.contains("../"), "{said}");

    std::fs::write(
        app.join("less/topics/user_created/message.rs"),
        "#[less::message]\npub struct UserCreated {\n    pub user_id: u64,\n    pub email: String,\n    pub name: String,\n    pub other: Option<Missing>,\n}\n",
    )
    .unwrap();
    let (code, said) = build(&app);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("--> less/topics/user_created/message.rs:6:23\n") && !said.contains("../"),
        "{said}"
    );
    assert_eq!(state(&app, "build_wrong").1, before);
}

#[test]
fn a_project_with_errors_is_not_compiled_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    files::write(folder.path(), [("less/topics/a/b/mod.rs", "pub fn process() {}\n")]);
    let (code, said) = build(folder.path());
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error[process-not-async]") && said.contains(" errors"), "{said}");
    assert!(!folder.path().join(".less").exists());
}

#[test]
fn without_cargo_it_says_what_to_install() {
    let (_folder, app) = app("build_bare");
    let output = less(&app).arg("build").env("CARGO", "/nowhere/cargo").output().unwrap();
    let said = "error: can't start /nowhere/cargo: No such file or directory (os error 2)
  --> Cargo.toml
  --> less/topics/user_created/message.rs
  --> less/topics/user_created/send_to_analytics/mod.rs
  and 1 more in Rust
hint: install Rust from https://rustup.rs, or put cargo on PATH\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), said);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_build_that_is_interrupted_leaves_no_compiler_behind() {
    let (_folder, app) = app("build_ended");
    // A cargo that started a compiler, and both take for ever.
    let (cargo, started) = (app.join("slow-cargo"), app.join("started"));
    let script = format!(
        "#!/bin/sh\nsleep 100000 &\necho $! $$ > {0}.new && mv {0}.new {0}\nwait\n",
        started.display()
    );
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut build = less(&app).arg("build").env("CARGO", &cargo).stderr(Stdio::piped()).spawn().unwrap();
    until("the compiler to start", || started.exists());
    let compilers = std::fs::read_to_string(&started).unwrap();
    let interrupted = Command::new("kill").args(["-INT", &build.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(build.wait().unwrap().code(), Some(2));
    for id in compilers.split_whitespace() {
        until("the compiler to end", || !runs(id));
    }
}

/// Whether a process runs. One that ended and that nobody has asked about does not.
fn runs(id: &str) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", id]).output().expect("ps can be started");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_copies_of_less_on_path_both_make_way_for_the_pager() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let path = folder.path().join(name).join("less");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        path
    };
    let (first, second, pager) = (place("first"), place("second"), place("pager"));
    for copy in [&first, &second] {
        std::fs::copy(env!("CARGO_BIN_EXE_less"), copy).unwrap();
    }
    std::fs::write(&pager, "#!/bin/sh\necho \"paged $*\"\n").unwrap();
    std::fs::set_permissions(&pager, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = |programs: &[&PathBuf]| {
        let folders: Vec<&Path> = programs.iter().map(|program| program.parent().unwrap()).collect();
        std::env::join_paths(folders).unwrap()
    };
    let page = |program: &Path, programs: &[&PathBuf]| {
        let output =
            Command::new(program).args(["-FRX"]).env("PATH", path(programs)).stdin(Stdio::null()).output();
        let output = output.expect("less can be started");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    for start in [&first, &second] {
        let expected = (Some(0), "paged -FRX\n".to_owned());
        assert_eq!(page(start, &[&first, &second, &pager]), expected, "{}", start.display());
        assert_eq!(page(start, &[&pager, &first, &second]), expected, "{}", start.display());
    }
}

#[test]
fn printing_into_a_pipe_that_nobody_reads_ends_quietly() {
    let (_folder, app) = app("build_unread");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = less(&app).arg("list").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
