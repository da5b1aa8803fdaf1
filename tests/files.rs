//! Folders as values: contents by path.

use std::collections::BTreeMap;
use std::path::Path;

/// Contents by path, relative to the folder.
pub(crate) type Files = BTreeMap<String, String>;

/// Every file below a folder; none where there is no folder.
pub(crate) fn read(folder: &Path) -> Files {
    let mut files = Files::new();
    if folder.is_dir() {
        collect(folder, "", &mut files);
    }
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let path = format!("{prefix}{}", entry.file_name().to_str().expect("names here are UTF-8"));
        if entry.file_type().expect("the kind is known").is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else {
            let contents = std::fs::read_to_string(entry.path()).expect("the file is text");
            files.insert(path, contents);
        }
    }
}

/// Writes files below a folder, which is made where it is missing.
pub(crate) fn write<'a>(folder: &Path, files: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (path, contents) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
        std::fs::write(path, contents).expect("the file can be written");
    }
}
