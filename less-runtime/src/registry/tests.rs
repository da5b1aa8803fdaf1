use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::*;

const CHILD: &str = "LESS_TEST_REGISTRY";

fn registry(folder: &Path) -> Registry {
    Registry { base: folder.join("less"), user: rustix::process::geteuid().as_raw() }
}

fn entry(app: &str, started_at: Timestamp) -> Entry {
    Entry {
        app: app.parse().unwrap(),
        stage: "dev".parse().unwrap(),
        url: "http://127.0.0.1:4100".to_owned(),
        certificate: None,
        token: token(),
        pid: std::process::id(),
        folder: "/somewhere".into(),
        started_at,
    }
}

fn files(folder: &Path, app: &str) -> Vec<PathBuf> {
    let folder = folder.join("less/apps").join(app);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn an_app_is_known_from_its_registration_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let (shop, bank) = (entry("shop", 2), entry("bank", 9));
    assert_eq!(registry.all().unwrap(), []);
    let earlier = Entry { started_at: 1, ..shop.clone() };
    let held = [&shop, &bank, &earlier].map(|entry| registry.register(entry).unwrap());
    assert_eq!(registry.find(&shop.app).unwrap(), [earlier.clone(), shop.clone()]);
    assert_eq!(registry.find(&"mail".parse().unwrap()).unwrap(), []);
    assert_eq!(registry.all().unwrap(), [bank, earlier, shop.clone()]);
    drop(held);
    assert_eq!(registry.all().unwrap(), []);
    assert_eq!(files(folder.path(), "shop"), [] as [PathBuf; 0]);
}

#[test]
fn folders_and_files_are_the_user_s_alone_and_the_token_is_in_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let shop = entry("shop", 1);
    let _held = registry(folder.path()).register(&shop).unwrap();
    for path in ["less", "less/apps", "less/apps/shop"] {
        assert_eq!(mode(&folder.path().join(path)), 0o700, "{path}");
    }
    let file = &files(folder.path(), "shop")[0];
    assert_eq!(mode(file), 0o600);
    assert_eq!(shop.token.expose().len(), 64);
    assert!(std::fs::read_to_string(file).unwrap().contains(shop.token.expose()));
    assert!(!format!("{shop:?}").contains(shop.token.expose()));
}

#[test]
fn the_entry_of_a_killed_app_is_stale_and_removed_by_who_looks() {
    if let Some(folder) = std::env::var_os(CHILD) {
        // The child's part of this test: it registers, and waits to be killed.
        let _held = registry(Path::new(&folder)).register(&entry("shop", 1)).unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let name = "registry::tests::the_entry_of_a_killed_app_is_stale_and_removed_by_who_looks";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(CHILD, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let found = loop {
        if let Some(found) = registry.all().unwrap().pop() {
            break found;
        }
        assert_eq!(child.try_wait().unwrap(), None, "the child ended");
        assert!(began.elapsed() < Duration::from_secs(60), "the child does not register");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(found.pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(folder.path(), "shop").len(), 1, "nothing but a reader removes it");
    assert_eq!(registry.find(&found.app).unwrap(), []);
    assert_eq!(files(folder.path(), "shop"), [] as [PathBuf; 0]);
}

#[test]
fn apps_that_register_at_once_while_others_look_are_all_known_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let ready = Barrier::new(12);
    let held: Vec<Registration> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let (registry, ready) = (&registry, &ready);
                scope.spawn(move || {
                    ready.wait();
                    let again = (0..20).map(|round| entry("shop", 100 * number + round));
                    again.map(|entry| registry.register(&entry).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        for _ in 0..4 {
            let (registry, ready) = (&registry, &ready);
            scope.spawn(move || {
                ready.wait();
                for _ in 0..50 {
                    registry.all().unwrap();
                }
            });
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(held.len(), 160);
    assert_eq!(registry.all().unwrap().len(), 160);
}

#[test]
fn what_is_no_entry_is_passed_over_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let held = registry.register(&entry("shop", 1)).unwrap();
    let shop = folder.path().join("less/apps/shop");
    let name = |digit: &str| format!("{}.json", digit.repeat(32));
    // Names that are none, and files that others may read.
    std::fs::write(shop.join("notes.json"), "{}").unwrap();
    std::fs::write(shop.join(name("a")), "{}").unwrap();
    std::fs::set_permissions(shop.join(name("a")), PermissionsExt::from_mode(0o644)).unwrap();
    symlink("/etc/hostname", shop.join(name("b"))).unwrap();
    std::fs::create_dir(shop.join(name("c"))).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, shop.join(name("d")), Mode::RWXU).unwrap();
    std::fs::create_dir(folder.path().join("less/apps/No App")).unwrap();
    let before = files(folder.path(), "shop").len();
    assert_eq!(registry.all().unwrap().len(), 1);
    assert_eq!(files(folder.path(), "shop").len(), before);
    // Files of ours that are locked, and are not what they should be.
    let wrong = [
        serde_json::to_vec(&entry("shop", 1)).unwrap()[..40].to_vec(),
        serde_json::to_vec(&entry("bank", 1)).unwrap(),
        Vec::new(),
    ];
    let wrong = wrong.map(|text| {
        let folder = registry.apps(false).unwrap().unwrap().child("shop", false).unwrap().unwrap();
        let name = format!("{}{ENTRY}", hex(&rand::random::<[u8; 16]>()));
        write(&folder, "unfinished", &name, &text).unwrap()
    });
    assert_eq!(registry.all().unwrap().len(), 1);
    assert_eq!(files(folder.path(), "shop").len(), before + 3);
    drop((held, wrong));
}

#[test]
fn what_a_killed_app_left_half_written_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    drop(registry.register(&entry("shop", 1)).unwrap());
    for name in [format!("{}.json", "0".repeat(32)), format!("{}.new", "1".repeat(32))] {
        let path = folder.path().join("less/apps/shop").join(name);
        std::fs::write(&path, "{\"app\":").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    assert_eq!(registry.all().unwrap(), []);
    assert_eq!(files(folder.path(), "shop"), [] as [PathBuf; 0]);
}

#[test]
fn folders_of_others_and_folders_that_are_open_to_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let own = registry(folder.path());
    let shop = entry("shop", 1);
    drop(own.register(&shop).unwrap());
    let stranger = Registry { base: own.base.clone(), user: own.user + 1 };
    let (base, user) = (own.base.display(), own.user);
    for error in [stranger.register(&shop).unwrap_err(), stranger.all().unwrap_err()] {
        let text = format!(
            "folder `{base}` belongs to user {user}, not to user {}\nhint: remove it, or set XDG_RUNTIME_DIR to a folder of your own",
            user + 1
        );
        assert_eq!(error.to_string(), text);
    }
    for below in ["", "apps", "apps/shop"] {
        let path = own.base.join(below);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o711)).unwrap();
        for error in [own.register(&shop).unwrap_err(), own.find(&shop.app).unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains("is open to others (mode 0711)\nhint: chmod 700 /"), "{text}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    }
    // A link to a folder that is ours was not made by us.
    let linked = Registry { base: folder.path().join("link"), user: own.user };
    symlink(&own.base, &linked.base).unwrap();
    assert!(linked.register(&shop).is_err() && linked.all().is_err());
}
