//! Backup: everything at one moment, as files that do not change any more; and the way back.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::command::Command;
use super::disk::DiskFile;
use super::log::{CHECKPOINT, number};
use super::provision::{FORMAT, has_format};
use super::verify::{Problem, inspect};
use super::{Embedded, TransportError};
use crate::clock::Clock;
use crate::transport::{Snapshot, SnapshotFile};

/// How much is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// A file that may be part of a backup.
fn known(name: &str) -> bool {
    name == "format"
        || name == CHECKPOINT
        || number(name).is_some_and(|segment| super::log::name(segment) == name)
}

impl Embedded {
    /// A checkpoint, and what it needs.
    pub(super) async fn take_snapshot(&self) -> Result<Snapshot, TransportError> {
        let files = self.commands.ask(|reply| Command::Snapshot { reply }).await??;
        let format = format!("{FORMAT}\n").into_bytes();
        let size = format.len() as u64;
        let mut out = vec![SnapshotFile::new("format".to_owned(), size, io::Cursor::new(format))];
        out.extend(
            files
                .into_iter()
                .map(|(name, file, size)| SnapshotFile::new(name, size, Reading { file, at: 0, size })),
        );
        Ok(Snapshot { files: out })
    }
}

/// The files of a folder that no app uses.
pub fn snapshot_of_closed(folder: &Path) -> Result<Snapshot, TransportError> {
    // Held until the files are open: from then on they can be read whatever becomes of the folder.
    let _lock = super::provision::lock(folder)?;
    // A version that does not know them can't tell which files belong to it.
    has_format(folder)?;
    let failed = |action, path: &Path, cause: &io::Error| TransportError::Io {
        action,
        file: path.display().to_string(),
        cause: cause.to_string(),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed("read", folder, &error))? {
        let entry = entry.map_err(|error| failed("read", folder, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known(&name) {
            continue;
        }
        let path = entry.path();
        let file = File::open(&path).map_err(|error| failed("open", &path, &error))?;
        let size = file.metadata().map_err(|error| failed("read", &path, &error))?.len();
        files.push(SnapshotFile::new(name, size, file));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Snapshot { files })
}

/// A file's first bytes, read one after the other.
struct Reading {
    file: Arc<dyn DiskFile>,
    at: u64,
    size: u64,
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let take = buffer.len().min(left).min(PIECE);
        self.file.read_at(&mut buffer[..take], self.at)?;
        self.at += take as u64;
        Ok(take)
    }
}

/// Why a backup could not be restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is something already.
    #[error(
        "{0} exists and is not empty\nhint: stop the app and move that folder away, or restore to another one with `--data`"
    )]
    Occupied(String),
    /// The backup holds something that a backup does not hold.
    #[error(
        "the backup holds `{0}`, which is no file of a data folder: this is no backup of Less, or it was changed"
    )]
    Foreign(String),
    /// The backup is not whole.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// Messages or records in it are damaged, and the rest is whole: a broker runs on such a folder.
    #[error("the backup holds damage: {}", list(.0))]
    Holed(Vec<Problem>),
    /// A file could not be read or written.
    #[error("can't {action} {file}: {cause}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// The system's error.
        cause: io::Error,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Makes a data folder of a backup's files, which come one after the other, each with its name. The folder appears only when all of it is there, synced and
/// verified. With `holed` it may hold damage that a broker runs on with, which is returned.
pub fn restore<R: Read>(
    folder: &Path,
    files: impl Iterator<Item = io::Result<(String, R)>>,
    holed: bool,
) -> Result<Vec<Problem>, RestoreError> {
    let failed = |action, file: &Path| {
        let file = file.display().to_string();
        move |cause| RestoreError::Io { action, file, cause }
    };
    let occupied = || RestoreError::Occupied(folder.display().to_string());
    match std::fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(occupied());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(occupied()),
        Err(error) => return Err(failed("read", folder)(error)),
    }
    let parent = match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(failed("make", parent))?;
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let place = parent.join(name);
    // What an earlier try has left.
    match std::fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &place)(error)),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(&place).map_err(failed("make", &place))?;
    let filled = fill(&place, files).and_then(|()| match judge(&place)? {
        problems if problems.is_empty() || holed => Ok(problems),
        problems => Err(RestoreError::Holed(problems)),
    });
    let problems = filled.inspect_err(|_| {
        // It holds nothing that the backup does not.
        let _ = std::fs::remove_dir_all(&place);
    })?;
    std::fs::rename(&place, folder).map_err(failed("rename", &place))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed("sync", parent))?;
    Ok(problems)
}

fn fill<R: Read>(
    place: &Path,
    files: impl Iterator<Item = io::Result<(String, R)>>,
) -> Result<(), RestoreError> {
    for file in files {
        let (name, mut content) = file.map_err(|error| RestoreError::Damaged(error.to_string()))?;
        // Names are compared, never joined as they come: none can lead out of the folder.
        if !known(&name) {
            return Err(RestoreError::Foreign(name));
        }
        let path = place.join(&name);
        let failed = |action| {
            let file = path.display().to_string();
            move |cause| RestoreError::Io { action, file, cause }
        };
        let mut options = OpenOptions::new();
        let mut out = options.create_new(true).write(true).mode(0o600).open(&path).map_err(|cause| {
            if cause.kind() == io::ErrorKind::AlreadyExists {
                RestoreError::Damaged(format!("`{name}` is in it twice"))
            } else {
                failed("make")(cause)
            }
        })?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = content.read(&mut piece).map_err(|error| RestoreError::Damaged(error.to_string()))?;
            if read == 0 {
                break;
            }
            out.write_all(&piece[..read]).map_err(failed("write"))?;
        }
        out.sync_all().map_err(failed("sync"))?;
    }
    File::open(place).and_then(|folder| folder.sync_all()).map_err(|cause| RestoreError::Io {
        action: "sync",
        file: place.display().to_string(),
        cause,
    })
}

/// The damage in it that a broker runs on with; any other is an error.
fn judge(place: &Path) -> Result<Vec<Problem>, RestoreError> {
    let damaged = |text: String| RestoreError::Damaged(text);
    let format = std::fs::read_to_string(place.join("format")).unwrap_or_default();
    if format.trim() != FORMAT.to_string() {
        return Err(damaged(format!("its format is `{}`, this version reads {FORMAT}", format.trim())));
    }
    let inspection = inspect(place, Clock::System.now()).map_err(|error| damaged(error.to_string()))?;
    if let Some(problem) = inspection.problems.iter().find(|problem| !problem.is_survived()) {
        return Err(damaged(problem.to_string()));
    }
    if inspection.segments == 0 {
        return Err(damaged("there is no log in it".to_owned()));
    }
    // A store has one from its first start on.
    if !place.join(CHECKPOINT).exists() {
        return Err(damaged("there is no checkpoint in it".to_owned()));
    }
    Ok(inspection.problems)
}
