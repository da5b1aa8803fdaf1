//! What to watch, and whether it really changed.
//!
//! The system's events are hints: they come twice, late, or for files that were written with what they held before. So an event only causes a
//! look, and the look compares contents.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Folders whose files are the app's sources.
const FOLDERS: [&str; 2] = ["less", "src"];
/// Files beside them. `Cargo.lock` is none: cargo itself writes it.
const FILES: [&str; 3] = ["less.toml", "Cargo.toml", "build.rs"];
/// An editor that saves ten files makes one rebuild.
const QUIET: Duration = Duration::from_millis(40);

/// The sources' contents, by path, as hashes.
pub(super) type Snapshot = BTreeMap<PathBuf, u64>;

/// Watches an app's sources.
pub(super) struct Watch {
    root: PathBuf,
    last: Snapshot,
    events: mpsc::UnboundedReceiver<()>,
    /// Whether an event came that was not followed by a look yet.
    stirred: bool,
    watcher: RecommendedWatcher,
}

impl Watch {
    /// Begins to watch. What changes from now on is noticed.
    pub(super) fn begin(root: &Path) -> notify::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let ours = root.join(".less");
        let targets = root.join("target");
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // An error (too many events) means that something may have been missed: look as well.
            let relevant = event.is_ok_and(|event| {
                event.kind.is_access()
                    || (!event.paths.is_empty()
                        && event
                            .paths
                            .iter()
                            .all(|path| path.starts_with(&ours) || path.starts_with(&targets)))
            });
            if !relevant {
                // The receiver is gone only when the loop has ended.
                let _ = sender.send(());
            }
        })?;
        watcher.watch(root, RecursiveMode::NonRecursive)?;
        let mut watch =
            Self { root: root.to_owned(), last: Snapshot::new(), events, stirred: false, watcher };
        watch.add_folders()?;
        // Read after watching began, so that no change falls between.
        watch.last = snapshot(root);
        Ok(watch)
    }

    /// Watches the source folders that exist; one that is watched already stays so.
    fn add_folders(&mut self) -> notify::Result<()> {
        for folder in FOLDERS.iter().map(|folder| self.root.join(folder)).filter(|folder| folder.is_dir()) {
            self.watcher.watch(&folder, RecursiveMode::Recursive)?;
        }
        Ok(())
    }

    /// Waits until the sources differ from what they were when this last returned. Dropped before that, it forgets nothing.
    pub(super) async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            if !self.stirred && self.events.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            self.stirred = true;
            while tokio::time::timeout(QUIET, self.events.recv()).await.is_ok_and(|event| event.is_some()) {}
            // A folder that could not be watched is still seen when the next event makes us look.
            let _ = self.add_folders();
            let now = snapshot(&self.root);
            let changed: Vec<PathBuf> = now
                .iter()
                .filter(|(path, hash)| self.last.get(*path) != Some(hash))
                .map(|(path, _)| path.clone())
                .chain(self.last.keys().filter(|path| !now.contains_key(*path)).cloned())
                .collect();
            self.last = now;
            self.stirred = false;
            if !changed.is_empty() {
                return changed;
            }
        }
    }
}

/// The sources as they are now. A file that can't be read counts as empty: the next step says what is wrong with it.
pub(super) fn snapshot(root: &Path) -> Snapshot {
    let mut out = Snapshot::new();
    for folder in FOLDERS {
        add_folder(root, &root.join(folder), &mut out);
    }
    for file in FILES.map(|file| root.join(file)) {
        if file.is_file() {
            add_file(root, &file, &mut out);
        }
    }
    out
}

fn add_folder(root: &Path, folder: &Path, out: &mut Snapshot) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else { continue };
        if is_an_editors(&name.to_string_lossy()) {
            continue;
        }
        if kind.is_dir() {
            if name != "node_modules" && name != "__pycache__" {
                // An empty folder is a topic or a mistake: both are worth a look.
                out.insert(relative(root, &path), 0);
                add_folder(root, &path, out);
            }
        } else {
            add_file(root, &path, out);
        }
    }
}

/// Whether an editor keeps a file of this name beside the one that it edits, for a while: Vim (swap files, backups, and `4913`, with which it asks
/// whether it may write), Emacs (locks, backups, autosaved files), `JetBrains`.
fn is_an_editors(name: &str) -> bool {
    let swap = |suffix: &str| name.starts_with('.') && name.ends_with(suffix);
    [".swp", ".swo", ".swx"].into_iter().any(swap)
        || name.ends_with('~')
        || name == "4913"
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#'))
        || name.ends_with("___jb_tmp___")
        || name.ends_with("___jb_old___")
}

fn add_file(root: &Path, path: &Path, out: &mut Snapshot) {
    let mut hasher = DefaultHasher::new();
    std::fs::read(path).unwrap_or_default().hash(&mut hasher);
    out.insert(relative(root, path), hasher.finish());
}

fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_is_given_up_after_an_event_forgets_no_change() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("less")).unwrap();
        let mut watch = Watch::begin(folder.path()).unwrap();
        let mut file = PathBuf::new();
        for n in 0.. {
            file = PathBuf::from(format!("less/new_{n}"));
            std::fs::write(folder.path().join(&file), "").unwrap();
            // Given up where it waits for quiet, after it has taken the event. A machine that is too slow for that tries again.
            let mut told = false;
            while !watch.stirred && !told {
                told = tokio::time::timeout(QUIET / 4, watch.changed()).await.is_ok();
            }
            if watch.stirred {
                break;
            }
        }
        while watch.events.try_recv().is_ok() {}
        assert_eq!(watch.changed().await, [file]);
    }

    #[test]
    fn what_editors_keep_beside_a_file_is_no_change_of_the_sources() {
        let folder = tempfile::tempdir().unwrap();
        let handler = folder.path().join("less/topics/t/s");
        std::fs::create_dir_all(&handler).unwrap();
        std::fs::write(handler.join("__init__.py"), "").unwrap();
        let before = snapshot(folder.path());
        for name in
            [".__init__.py.swp", ".__init__.py.swx", "__init__.py~", "4913", ".#__init__.py", "#__init__.py#"]
        {
            std::fs::write(handler.join(name), "x").unwrap();
        }
        assert_eq!(snapshot(folder.path()), before);
        std::fs::write(handler.join("4914"), "x").unwrap();
        assert_eq!(snapshot(folder.path()).len(), before.len() + 1);
    }
}
