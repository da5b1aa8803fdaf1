//! The address file: where a running app is reached, for other processes of this machine.
//!
//! It is left behind by an app that was killed, and another program may listen there by now. Whoever reads it therefore asks whether its writer
//! is alive, and whether it is the app that is meant; and each request says which app it is for, which the app that answers compares.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use crate::publish::PublishError;
use crate::tls::Trust;

const ADDRESS_FILE: &str = "address.json";

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    url: String,
    /// The app's process.
    pid: u32,
    /// In which namespace that number is one: a container may see the file, and not the process. Where the system has none, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid_namespace: Option<String>,
    /// The number of the folder that it is in: a copy of that has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<u64>,
    /// The app's name. An older version wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    /// The absolute path of the file with the certificate that it shows, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<PathBuf>,
}

impl Written {
    /// Whether it can be told from here that its process has ended.
    fn has_ended(&self) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        self.pid_namespace == pid_namespace() && test_kill_process(pid) == Err(Errno::SRCH)
    }

    /// Whether it was written here, by this app.
    fn is_of(&self, folder: &Path, app: Option<&str>) -> bool {
        let named = match (&self.app, app) {
            (Some(written), Some(wanted)) => written == wanted,
            _ => true,
        };
        named && self.folder.is_none_or(|written| folder_number(folder) == Some(written))
    }
}

/// Keeps the address file as long as the app runs.
pub(crate) struct AddressFile {
    path: PathBuf,
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        // A stale file is noticed by who reads it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Where other processes of this machine reach an app that listens here.
pub(crate) fn local_url(address: SocketAddr, scheme: &str) -> String {
    // An address that takes every interface is reached by loopback from here.
    let ip = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip };
    format!("{scheme}://{host}:{}", address.port())
}

/// Writes down where the app listens, for other processes of the same app.
pub(crate) fn write_address(
    folder: &Path,
    app: &str,
    url: &str,
    certificate: Option<&Path>,
) -> io::Result<AddressFile> {
    let path = folder.join(ADDRESS_FILE);
    let new = folder.join("address.json.new");
    let written = Written {
        url: url.to_owned(),
        pid: std::process::id(),
        pid_namespace: pid_namespace(),
        folder: folder_number(folder),
        app: Some(app.to_owned()),
        certificate: certificate.map(Path::to_owned),
    };
    std::fs::write(&new, serde_json::to_vec(&written)?)?;
    std::fs::rename(&new, &path)?;
    Ok(AddressFile { path })
}

fn folder_number(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Some(std::fs::metadata(folder).ok()?.ino())
}

fn pid_namespace() -> Option<String> {
    std::fs::read_link("/proc/self/ns/pid").ok()?.into_os_string().into_string().ok()
}

/// The address that the running app has written down, looked for from `folder` upwards, and whom to believe there.
pub(super) fn read_address(folder: &Path, app: Option<&str>) -> Result<(String, Trust), PublishError> {
    let folders: Vec<PathBuf> = match std::env::var_os("LESS_DATA") {
        Some(data) => vec![data.into()],
        None => folder.ancestors().map(|folder| folder.join(".less/data")).collect(),
    };
    read_in(&folders, app)
}

fn read_in(folders: &[PathBuf], app: Option<&str>) -> Result<(String, Trust), PublishError> {
    let mut problem = PublishError::NoAddress;
    let mut better = |found| {
        if matches!(problem, PublishError::NoAddress) {
            problem = found;
        }
    };
    for folder in folders {
        let path = folder.join(ADDRESS_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    better(PublishError::AddressUnreadable { path, cause: error.to_string() });
                }
                continue;
            }
        };
        let Ok(written) = serde_json::from_slice::<Written>(&text) else { continue };
        if !written.is_of(folder, app) {
            continue;
        }
        if written.has_ended() {
            let cause = format!("process {}, which has written {}, has ended", written.pid, path.display());
            better(PublishError::NoApp { url: written.url, cause });
            continue;
        }
        // Who may write into the data folder may be believed: no name has to be in the certificate that an app shows on this machine.
        let trust = written.certificate.map_or_else(Trust::usual, Trust::Exactly);
        return Ok((written.url, trust));
    }
    Err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that has ended: its number is free, and not given out again so soon.
    fn ended() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    fn change(folder: &Path, change: impl FnOnce(&mut Written)) {
        let path = folder.join(ADDRESS_FILE);
        let mut written = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut written);
        std::fs::write(&path, serde_json::to_vec(&written).unwrap()).unwrap();
    }

    #[test]
    fn an_address_is_of_one_app_and_of_a_process_that_lives() {
        let folder = tempfile::tempdir().unwrap();
        let all = [folder.path().join("none"), folder.path().to_owned()];
        let url = |app| read_in(&all, app).map(|(url, _)| url).map_err(|error| error.to_string());
        let file = write_address(folder.path(), "shop", "http://127.0.0.1:1", None).unwrap();
        for app in [None, Some("shop")] {
            assert_eq!(url(app).as_deref(), Ok("http://127.0.0.1:1"));
        }
        assert!(url(Some("billing")).unwrap_err().starts_with("no running app was found\n"));

        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join(ADDRESS_FILE), copy.path().join(ADDRESS_FILE)).unwrap();
        assert!(read_in(&[copy.path().to_owned()], None).is_err(), "it is the other folder's app that runs");

        change(folder.path(), |written| written.app = None);
        assert!(url(Some("billing")).is_ok(), "an older version wrote no name");

        let pid = ended();
        change(folder.path(), |written| written.pid = pid);
        let error = url(None).unwrap_err();
        let path = folder.path().join(ADDRESS_FILE);
        let wanted = format!(
            "no running app answers at http://127.0.0.1:1: process {pid}, which has written {}, has ended\n",
            path.display()
        );
        assert!(error.starts_with(&wanted), "{error}");

        change(folder.path(), |written| written.pid_namespace = Some("pid:[1]".to_owned()));
        assert!(url(None).is_ok(), "whether a process of another container lives is not known here");
        drop(file);
        assert!(url(None).is_err() && !path.exists());
    }
}
