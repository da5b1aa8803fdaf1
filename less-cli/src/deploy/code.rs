//! A fingerprint of a subscriber's code, by which a renamed folder is known again.

use std::io;
use std::path::Path;

use anyhow::Context as _;
use less_model::tree::App;
use less_runtime::transport::aws::provision::Desired;
use sha2::{Digest, Sha256};

/// Settings are no code.
const SETTINGS: &str = "subscriber.toml";
/// Half of SHA-256 as hexadecimal digits: enough to tell an app's handlers apart.
const BYTES: usize = 16;

/// Notes the fingerprint of every subscriber's folder.
pub fn note(root: &Path, app: &App, desired: &mut Desired) -> anyhow::Result<()> {
    let subscribers = app.all_topics().flat_map(|topic| &topic.subscribers);
    for (subscriber, wanted) in subscribers.zip(desired.subscribers_mut()) {
        let folder = root.join(&subscriber.folder);
        let code = fingerprint(&folder).with_context(|| format!("can't read {}", folder.display()))?;
        wanted.set_code(&code);
    }
    Ok(())
}

/// The fingerprint of the files in a folder: their paths in it and their contents.
fn fingerprint(folder: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    feed(folder, "", &mut hash)?;
    let mut half = [0; BYTES];
    half.copy_from_slice(&hash.finalize()[..BYTES]);
    Ok(format!("{:032x}", u128::from_be_bytes(half)))
}

fn feed(folder: &Path, prefix: &str, hash: &mut Sha256) -> io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_settings = prefix.is_empty() && name == SETTINGS;
        if is_settings || name.starts_with('.') || name == "node_modules" || name == "__pycache__" {
            continue;
        }
        let kind = entry.file_type()?;
        // A link to a folder could lead round in a circle.
        if kind.is_dir() {
            feed(&entry.path(), &format!("{prefix}{name}/"), hash)?;
        } else if kind.is_file() || entry.path().is_file() {
            let contents = std::fs::read(entry.path())?;
            // Lengths keep apart where a name ends and contents begin.
            for part in [format!("{prefix}{name}").as_bytes(), &contents] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_follows_the_code_and_not_the_folder_s_name_or_its_settings() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let of = |name: &str| fingerprint(&root.path().join(name)).unwrap();
        write("old/index.js", "a");
        write("old/lib/b.js", "b");
        write("new/index.js", "a");
        write("new/lib/b.js", "b");
        write("new/subscriber.toml", "concurrency = 1");
        write("new/__pycache__/x", "x");
        assert_eq!(of("old"), of("new"));
        assert_eq!(of("old").len(), 32);
        write("new/lib/b.js", "c");
        assert_ne!(of("old"), of("new"));
    }
}
