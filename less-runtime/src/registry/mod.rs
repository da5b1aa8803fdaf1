//! The apps that run on this machine, for each other: a folder of the user's, with a file for each running app.
//!
//! The folder is `$XDG_RUNTIME_DIR/less/apps`, else `less-<uid>/apps` in the folder for temporary files; there, `<app>/<random>.json`. Both the
//! folders and the files are this user's alone.
//!
//! A file is locked by its app for the app's whole life, and gets its name only when it is locked and whole. So what can be locked by somebody else
//! is stale, however its app ended, and whoever notices that removes it. Readers lock shared: two of them must not take each other for the app.

mod folder;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use less_model::config::Secret;
use less_model::name::{AppName, StageName};
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use self::folder::Folder;
use crate::clock::Timestamp;

/// Largest entry that is read, in bytes.
const MAX_ENTRY: u64 = 64 * 1024;
/// How often a new entry is begun anew, because somebody took it for a stale one before it was locked.
const TRIES: u32 = 100;
const ENTRY: &str = ".json";
const UNFINISHED: &str = ".new";

/// A running app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub app: AppName,
    /// The stage it runs as.
    pub stage: StageName,
    /// Where it listens, as seen from this machine.
    pub url: String,
    /// The file with the certificate that it shows, an absolute path, where its URL is an https:// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// What lets other apps of the same user in; [`token`] makes one.
    #[serde(with = "secret")]
    pub token: Secret,
    /// Its process.
    pub pid: u32,
    /// Its folder, an absolute path.
    pub folder: PathBuf,
    /// When it was started.
    pub started_at: Timestamp,
}

/// An app's entry: there as long as this value is.
#[derive(Debug)]
pub struct Registration {
    folder: Folder,
    name: String,
    /// Whose lock says that the app runs.
    _file: File,
}

impl Registration {
    /// Makes the app known to others. An error says which folder can't be used, and why.
    pub fn new(entry: &Entry) -> io::Result<Self> {
        Registry::of_user().register(entry)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // An entry that stays is stale once the lock is gone.
        let _ = unlinkat(&self.folder.fd, &self.name, AtFlags::empty());
    }
}

/// The running apps of this name, the one that was started first at the front.
///
/// Fails where the folder is not this user's alone: nothing in it can be trusted then.
pub fn find(app: &AppName) -> io::Result<Vec<Entry>> {
    Registry::of_user().find(app)
}

/// Every running app, by name, then likewise.
pub fn all() -> io::Result<Vec<Entry>> {
    Registry::of_user().all()
}

/// Where entries are looked for.
pub fn folder() -> PathBuf {
    Registry::of_user().base
}

/// A secret that nobody can guess: 32 random bytes, as hexadecimal digits.
pub fn token() -> Secret {
    Secret::new(hex(&rand::random::<[u8; 32]>()))
}

/// Where entries are.
struct Registry {
    /// The outermost folder that is ours.
    base: PathBuf,
    user: u32,
}

impl Registry {
    fn of_user() -> Self {
        let user = rustix::process::geteuid().as_raw();
        let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        // Containers and `su` leave it pointing to a folder that is not there.
        let base = match given.filter(|given| given.is_absolute() && given.is_dir()) {
            Some(given) => given.join("less"),
            None => std::env::temp_dir().join(format!("less-{user}")),
        };
        Self { base, user }
    }

    fn apps(&self, make: bool) -> io::Result<Option<Folder>> {
        match Folder::open(&self.base, self.user, make)? {
            Some(base) => base.child("apps", make),
            None => Ok(None),
        }
    }

    fn register(&self, entry: &Entry) -> io::Result<Registration> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let folder = self.apps(true)?.ok_or_else(missing)?;
        let folder = folder.child(entry.app.as_str(), true)?.ok_or_else(missing)?;
        let text = serde_json::to_vec(entry)?;
        let mut tries = 0;
        loop {
            let stem = hex(&rand::random::<[u8; 16]>());
            let (name, unfinished) = (format!("{stem}{ENTRY}"), format!("{stem}{UNFINISHED}"));
            let result = write(&folder, &unfinished, &name, &text);
            tries += 1;
            match result {
                Ok(file) => return Ok(Registration { folder, name, _file: file }),
                Err(Errno::WOULDBLOCK | Errno::NOENT) if tries < TRIES => {}
                Err(cause) => {
                    let _ = unlinkat(&folder.fd, &unfinished, AtFlags::empty());
                    return Err(cause.into());
                }
            }
        }
    }

    fn find(&self, app: &AppName) -> io::Result<Vec<Entry>> {
        match self.apps(false)? {
            Some(apps) => entries(&apps, app),
            None => Ok(Vec::new()),
        }
    }

    fn all(&self) -> io::Result<Vec<Entry>> {
        let Some(apps) = self.apps(false)? else { return Ok(Vec::new()) };
        let mut names: Vec<AppName> =
            names(&apps)?.into_iter().filter_map(|name| name.parse().ok()).collect();
        names.sort_unstable();
        let mut found = Vec::new();
        for name in names {
            found.extend(entries(&apps, &name)?);
        }
        Ok(found)
    }
}

/// Makes an entry's file, locked and whole, and gives it its name.
fn write(folder: &Folder, unfinished: &str, name: &str, text: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(openat(&folder.fd, unfinished, flags, Mode::RUSR | Mode::WUSR)?);
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(text).map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))?;
    renameat(&folder.fd, unfinished, &folder.fd, name)?;
    Ok(file)
}

/// The live entries of an app's folder.
fn entries(apps: &Folder, app: &AppName) -> io::Result<Vec<Entry>> {
    let Some(folder) = apps.child(app.as_str(), false)? else { return Ok(Vec::new()) };
    let mut found: Vec<Entry> = names(&folder)?
        .into_iter()
        .filter(|name| is_ours(name))
        .filter_map(|name| read(&folder, &name))
        .filter(|entry| entry.app == *app)
        .collect();
    found.sort_by(|a, b| (a.started_at, &a.url).cmp(&(b.started_at, &b.url)));
    Ok(found)
}

/// An entry that is whole and whose app runs. Others' files are passed over, and stale ones removed.
fn read(folder: &Folder, name: &str) -> Option<Entry> {
    // Without `NONBLOCK` a pipe of that name would keep us for ever.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&folder.fd, name, flags, Mode::empty()).ok()?);
    if !folder.is_own_file(&fstat(&file).ok()?) {
        return None;
    }
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => {
            // No name is given twice, so this is still the one that was looked at.
            let _ = unlinkat(&folder.fd, name, AtFlags::empty());
            return None;
        }
        Err(Errno::WOULDBLOCK) => {}
        Err(_) => return None,
    }
    if !name.ends_with(ENTRY) {
        return None;
    }
    let mut text = Vec::new();
    file.take(MAX_ENTRY).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whether a file is called as entries are, whole ones or such that are being written.
fn is_ours(name: &str) -> bool {
    let stem = name.strip_suffix(ENTRY).or_else(|| name.strip_suffix(UNFINISHED));
    stem.is_some_and(|stem| stem.len() == 32 && stem.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn names(folder: &Folder) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder.fd)? {
        names.extend(entry?.file_name().to_str().ok().map(str::to_owned));
    }
    Ok(names)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

mod secret {
    //! The token, in the entry's file alone.

    use less_model::config::Secret;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}
