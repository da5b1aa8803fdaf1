//! A file of the real file system, with room laid out behind its end.
//!
//! Where an append makes a file longer, its sync has to write down the new length as well, which on ext4 and xfs is a second write, of the journal. So a
//! thread goes ahead and fills the file with zeros, and what is appended takes their place. When the file is opened again after a crash, zeros at its
//! end are no damage.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::disk::DiskFile;

/// How much is laid out and synced at once, in bytes: a sync of the writer's may have to wait for as much.
const PIECE: usize = 128 << 10;
static ZEROS: [u8; PIECE] = [0; PIECE];

pub(super) struct RealFile {
    shared: Arc<Shared>,
    /// Leads to this very file, whatever has its name by now.
    path: PathBuf,
    /// Whether its file system gains by it.
    gains: bool,
    layer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    file: File,
    ends: Mutex<Ends>,
    /// More is laid out, or no more will be.
    laid: Condvar,
}

/// Where the file ends.
#[derive(Clone, Copy)]
struct Ends {
    /// For those who write and read.
    end: u64,
    /// Of what is laid out.
    laid: u64,
    /// Of what is being laid out: until then the zeros go.
    wanted: u64,
}

impl Shared {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays out what is wanted. Where that fails the file grows as it is written, as if nothing had been tried.
    fn lay(&self, path: &Path) {
        // Opened anew: what its own syncs are told of is not to be missing from what the writer's are told.
        let file = OpenOptions::new().write(true).open(path);
        loop {
            let Ends { laid, wanted, .. } = *self.ends();
            let piece = usize::try_from(wanted - laid).unwrap_or(PIECE).min(PIECE);
            let done = piece > 0
                && file.as_ref().is_ok_and(|file| {
                    file.write_all_at(&ZEROS[..piece], laid).and_then(|()| file.sync_data()).is_ok()
                });
            let mut ends = self.ends();
            if done {
                ends.laid = laid + piece as u64;
            }
            // Less may be wanted by now.
            let ended = !done || ends.laid >= ends.wanted;
            if ended {
                ends.wanted = ends.laid;
            }
            drop(ends);
            self.laid.notify_all();
            if ended {
                return;
            }
        }
    }
}

impl RealFile {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let end = file.metadata()?.len();
        let ends = Mutex::new(Ends { end, laid: end, wanted: end });
        let gains = gains(&file);
        let shared = Arc::new(Shared { file, ends, laid: Condvar::new() });
        Ok(Self { shared, path, gains, layer: Mutex::new(None) })
    }

    /// One that lays out room on whatever file system.
    #[cfg(test)]
    pub(super) fn laying(file: File) -> io::Result<Self> {
        let mut file = Self::new(file)?;
        file.gains = true;
        Ok(file)
    }

    /// One whose attempts to lay out fail.
    #[cfg(test)]
    pub(super) fn failing(file: File) -> io::Result<Self> {
        let mut file = Self::laying(file)?;
        file.path = PathBuf::from("/nowhere/to/be/found");
        Ok(file)
    }

    /// Ends the thread that lays out.
    fn settle(&self) {
        let mut ends = self.shared.ends();
        ends.wanted = ends.laid;
        drop(ends);
        let layer = self.layer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(layer) = layer {
            // It has no result, and a panic of its was told.
            let _ = layer.join();
        }
    }
}

impl Drop for RealFile {
    /// Whoever opens it next must not find zeros written over what he writes.
    fn drop(&mut self) {
        self.settle();
    }
}

/// Whether the file is on one of the file systems that write in place and keep a journal of lengths. Others would write everything twice for nothing.
#[cfg(target_os = "linux")]
fn gains(file: &File) -> bool {
    const EXT: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const OVERLAY: u64 = 0x794c_7630;
    let kind = rustix::fs::fstatfs(file).map(|stat| u64::try_from(stat.f_type).unwrap_or(0));
    kind.is_ok_and(|kind| [EXT, XFS, OVERLAY].contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn gains(_: &File) -> bool {
    false
}

/// How many names the file has. Nothing else is asked for: a file whose times were asked for gets new ones at every write, which its next sync writes as well.
#[cfg(target_os = "linux")]
fn names(file: &File) -> io::Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    match statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::NLINK) {
        Ok(stat) => Ok(stat.stx_nlink.into()),
        Err(_) => Ok(file.metadata()?.nlink()),
    }
}

#[cfg(not(target_os = "linux"))]
fn names(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.nlink())
}

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut ends = self.shared.ends();
        let at = ends.end;
        let until = at + bytes.len() as u64;
        while until > ends.laid && ends.laid < ends.wanted {
            ends = self.shared.laid.wait(ends).unwrap_or_else(PoisonError::into_inner);
        }
        drop(ends);
        self.shared.file.write_all_at(bytes, at)?;
        let mut ends = self.shared.ends();
        ends.end = until;
        ends.laid = ends.laid.max(until);
        ends.wanted = ends.wanted.max(until);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.shared.file.sync_data()?;
        // What is written to a file without a name is gone with this process.
        if names(&self.shared.file)? == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "somebody has deleted it"));
        }
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.shared.file.read_exact_at(buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.shared.ends().end)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.settle();
        let mut ends = self.shared.ends();
        self.shared.file.set_len(size)?;
        *ends = Ends { end: size, laid: size, wanted: size };
        Ok(())
    }

    fn lay(&self, bytes: u64) {
        let mut ends = self.shared.ends();
        if !self.gains || ends.laid < ends.wanted {
            return;
        }
        drop(ends);
        self.settle();
        ends = self.shared.ends();
        ends.wanted += bytes;
        drop(ends);
        let (shared, path) = (Arc::clone(&self.shared), self.path.clone());
        let thread = std::thread::Builder::new().name("less-lay".to_owned());
        match thread.spawn(move || shared.lay(&path)) {
            Ok(thread) => *self.layer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
            // The file grows as it is written.
            Err(_) => self.settle(),
        }
    }

    fn laid(&self) -> u64 {
        let ends = self.shared.ends();
        ends.wanted - ends.end
    }

    fn trim(&self) -> io::Result<()> {
        self.settle();
        let Ends { end, .. } = *self.shared.ends();
        if self.shared.file.metadata()?.len() > end { self.truncate(end) } else { Ok(()) }
    }
}
