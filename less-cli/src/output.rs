//! Writing what was generated: atomically, only where it changed, and without what is no longer generated.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::project::Project;
use crate::render::Files;

/// Below `.less`, where every file is generated.
const OURS: [&str; 4] = ["less", "app", "node_modules/@chuva.io/less", "python"];
/// Beside them.
const OUR_FILES: [&str; 1] = ["Cargo.toml"];

/// Beside generated files: what an interpreter keeps of them.
const CACHE: &str = "__pycache__";

/// Brings `.less/` up to date.
pub fn write(project: &Project, files: &Files) -> anyhow::Result<()> {
    let folder = project.generated();
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let _lock = lock(&folder)?;
    for (path, contents) in files {
        let path = folder.join(path);
        if std::fs::read(&path).is_ok_and(|old| old == contents.as_bytes()) {
            continue;
        }
        replace(&path, contents).with_context(|| format!("can't write {}", path.display()))?;
    }
    for path in stale(&folder, files)? {
        std::fs::remove_file(&path).with_context(|| format!("can't remove {}", path.display()))?;
    }
    Ok(())
}

/// What [`write()`] would change, a line each.
pub fn differences(project: &Project, files: &Files) -> anyhow::Result<Vec<String>> {
    let folder = project.generated();
    let mut out = Vec::new();
    for (path, contents) in files {
        match std::fs::read(folder.join(path)) {
            Ok(old) if old == contents.as_bytes() => {}
            Ok(_) => out.push(format!("  changed: .less/{path}")),
            Err(_) => out.push(format!("  missing: .less/{path}")),
        }
    }
    for path in stale(&folder, files)? {
        out.push(format!("  stale: {}", path.strip_prefix(&project.root).unwrap_or(&path).display()));
    }
    Ok(out)
}

/// Two builds at once take turns.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("can't open {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .with_context(|| format!("can't lock {}", path.display()))?;
    Ok(file)
}

/// Puts a file in place at once, whole, as readable as the user's own are: what the umask leaves. An app need not run as the user who built it.
pub(crate) fn replace(path: &Path, contents: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file without a folder")?;
    std::fs::create_dir_all(folder)?;
    let mode = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(mode).prefix(".new").tempfile_in(folder)?;
    file.write_all(contents.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn stale(folder: &Path, files: &Files) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for ours in OURS {
        collect(&folder.join(ours), &mut found)?;
    }
    found.extend(OUR_FILES.iter().map(|file| folder.join(file)).filter(|path| path.is_file()));
    found.retain(|path| {
        let known =
            path.strip_prefix(folder).is_ok_and(|path| files.contains_key(&path.display().to_string()));
        !known
    });
    Ok(found)
}

fn collect(folder: &Path, out: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("can't read {}", folder.display())),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == CACHE {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), out)?;
        } else {
            out.insert(entry.path());
        }
    }
    Ok(())
}
