//! Folders that belong to this user alone. They are walked by descriptor, so that nobody can put another one in the place of one that was looked at.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::Errno;

/// What group and others may do.
const OTHERS: u32 = 0o077;

/// A folder that was found to be this user's.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    /// What it is called in errors.
    path: PathBuf,
    user: u32,
}

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "folder `{}` belongs to user {owner}, not to user {user}\nhint: remove it, or set XDG_RUNTIME_DIR to a folder of your own", path.display()
    )]
    Owner { path: PathBuf, owner: u32, user: u32 },
    #[error("folder `{0}` is open to others (mode {mode:04o})\nhint: chmod 700 {0}", path.display())]
    Open { path: PathBuf, mode: u32 },
}

impl Folder {
    /// The folder at this path, whose parent is there; `None` where it is not, unless it is to be made.
    pub(super) fn open(path: &Path, user: u32, make: bool) -> io::Result<Option<Self>> {
        Self::open_at(CWD, path, path.to_owned(), user, make)
    }

    /// A folder in this one.
    pub(super) fn child(&self, name: &str, make: bool) -> io::Result<Option<Self>> {
        Self::open_at(&self.fd, Path::new(name), self.path.join(name), self.user, make)
    }

    fn open_at(
        parent: impl std::os::fd::AsFd,
        name: &Path,
        path: PathBuf,
        user: u32,
        make: bool,
    ) -> io::Result<Option<Self>> {
        let failed = |action: &str, cause: Errno| {
            let cause = io::Error::from(cause);
            io::Error::new(cause.kind(), format!("can't {action} folder `{}`: {cause}", path.display()))
        };
        if make {
            match mkdirat(&parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(cause) => return Err(failed("make", cause)),
            }
        }
        // A symbolic link is none of ours.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match openat(&parent, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) if !make => return Ok(None),
            Err(cause) => return Err(failed("open", cause)),
        };
        let stat = fstat(&fd).map_err(|cause| failed("look at", cause))?;
        let mode = permissions(&stat);
        if stat.st_uid != user {
            let refused = Refused::Owner { path, owner: stat.st_uid, user };
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused));
        }
        if mode & OTHERS != 0 {
            let refused = Refused::Open { path, mode };
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused));
        }
        Ok(Some(Self { fd, path, user }))
    }

    /// Whether this is a file of this user's that nobody else may read or write.
    pub(super) fn is_own_file(&self, stat: &Stat) -> bool {
        rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file()
            && stat.st_uid == self.user
            && permissions(stat) & OTHERS == 0
    }
}

// The type differs between systems.
#[allow(clippy::useless_conversion, reason = "it is a conversion elsewhere")]
fn permissions(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o7777
}
