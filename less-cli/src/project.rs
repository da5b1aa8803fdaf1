//! The app that a command is about.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use less_model::diagnostic::Diagnostic;
use less_model::source::{SourceTree, find_root};
use less_model::tree::App;

use crate::ui::{self, user_error};

/// An app's folder.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder that holds `less/`.
    pub root: PathBuf,
}

/// An app as it was read: the tree for showing places in it, the app, and what is wrong.
pub struct Read {
    /// The sources.
    pub tree: SourceTree,
    /// What they mean.
    pub app: App,
    /// What is wrong with them.
    pub diagnostics: Vec<Diagnostic>,
}

/// The folder that is named, else the working folder.
pub fn folder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    match named {
        Some(folder) => folder
            .canonicalize()
            .map_err(|error| user_error(format!("can't open {}: {error}", folder.display()))),
        None => std::env::current_dir().context("the working folder is gone"),
    }
}

/// Why this folder is no app and in none, and what makes it one.
fn no_app(folder: &Path) -> String {
    let (said, hint) = if folder.join("less").is_dir() {
        ("the folder `less` has no `topics` in it", "`mkdir less/topics` makes this folder an app")
    } else if folder.join("less.toml").is_file() {
        ("no `less` folder beside less.toml", "`mkdir -p less/topics` makes this folder an app")
    } else {
        ("no `less` folder here or above", "`less new APP` makes an app")
    };
    format!("{said}\nhint: {hint}, `--app FOLDER` names another folder")
}

impl Project {
    /// The app at a folder or the nearest one above it.
    pub fn find(folder: Option<&Path>) -> anyhow::Result<Self> {
        let folder = self::folder(folder)?;
        let root = find_root(&folder).ok_or_else(|| user_error(no_app(&folder)))?;
        Ok(Self { root })
    }

    /// Reads and checks the app.
    pub fn read(&self) -> anyhow::Result<Read> {
        let tree = SourceTree::read(&self.root)?;
        let folder =
            self.root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (app, diagnostics) = less_model::scan::scan(&tree, &folder);
        Ok(Read { tree, app, diagnostics })
    }

    /// The app's name, where its sources say one without an error.
    pub fn app_name(&self) -> Option<String> {
        let Read { app, diagnostics, .. } = self.read().ok()?;
        let sound = !diagnostics.iter().any(Diagnostic::is_error);
        sound.then(|| app.name.to_string())
    }

    /// Reads the app, and prints the errors where it has any.
    pub fn sound(&self) -> anyhow::Result<Read> {
        let read = self.read()?;
        let errors: Vec<Diagnostic> =
            read.diagnostics.iter().filter(|found| found.is_error()).cloned().collect();
        if errors.is_empty() {
            return Ok(read);
        }
        ui::diagnostics(&errors, &read.tree);
        Err(user_error("the app has errors\nhint: mend them first; `less check` shows them"))
    }

    /// Where generated files go.
    pub fn generated(&self) -> PathBuf {
        self.root.join(".less")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_nearly_an_app_hears_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let said = || format!("{:#}", Project::find(Some(path)).unwrap_err());
        let other = "`--app FOLDER` names another folder";
        let expected = format!("no `less` folder here or above\nhint: `less new APP` makes an app, {other}");
        assert_eq!(said(), expected);
        std::fs::write(path.join("less.toml"), "").unwrap();
        let makes = "makes this folder an app";
        let expected =
            format!("no `less` folder beside less.toml\nhint: `mkdir -p less/topics` {makes}, {other}");
        assert_eq!(said(), expected);
        std::fs::remove_file(path.join("less.toml")).unwrap();
        std::fs::create_dir(path.join("less")).unwrap();
        let expected =
            format!("the folder `less` has no `topics` in it\nhint: `mkdir less/topics` {makes}, {other}");
        assert_eq!(said(), expected);
        // As they say.
        std::fs::create_dir(path.join("less/topics")).unwrap();
        assert_eq!(Project::find(Some(path)).unwrap().root, path.canonicalize().unwrap());
    }
}
