//! The few things that the store asks of a disk, as a trait, so that tests can fail every one of them and cut the power between them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::file::RealFile;

/// A file's name, the file, and how much of it belongs to the snapshot.
pub(super) type SnapshotPart = (String, Arc<dyn DiskFile>, u64);

/// One folder of files.
pub(crate) trait Disk: Send + Sync {
    /// Makes an empty file; one of that name is emptied.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that exists.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creations, renames and deletions last.
    fn sync_folder(&self) -> io::Result<()>;
    /// Bytes that are free.
    fn free(&self) -> io::Result<u64>;
    /// What a file is called in errors.
    fn describe(&self, name: &str) -> String;
}

/// A file.
pub(crate) trait DiskFile: Send + Sync {
    /// Writes at the end.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written last.
    fn sync(&self) -> io::Result<()>;
    /// Fills `buffer` from `offset` on.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Its size.
    fn size(&self) -> io::Result<u64>;
    /// Cuts it to `size`.
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Begins to lay out so many bytes behind what is laid out already: zeros on stable storage, in whose place comes what is written at the end. A file
    /// that does not grow is synced for less. It is no promise, and nobody waits for it.
    fn lay(&self, _bytes: u64) {}
    /// How many bytes are laid out behind the end, or are about to be.
    fn laid(&self) -> u64 {
        0
    }
    /// Cuts off what is laid out.
    fn trim(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder of the real file system.
pub(crate) struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

impl Disk for RealDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.folder.join(name);
        let file =
            OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).open(&path)?;
        Ok(Arc::new(RealFile::new(file)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.folder.join(name))?;
        Ok(Arc::new(RealFile::new(file)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn describe(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}
