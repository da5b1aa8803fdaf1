//! Where the generated crate finds the runtime.

use std::path::{Component, Path, PathBuf};

use crate::ui::user_error;

/// Where the runtime crate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeSource {
    /// A folder.
    Path(PathBuf),
    /// The registry, this version exactly.
    Registry(&'static str),
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl RuntimeSource {
    /// What fits this program: the folder that `LESS_RUNTIME_PATH` names, else where this program was compiled from.
    pub fn find() -> anyhow::Result<Self> {
        let wanted = std::env::var_os("LESS_RUNTIME_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        Self::of(wanted.as_deref(), Path::new(env!("CARGO_MANIFEST_DIR")))
    }

    fn of(wanted: Option<&Path>, compiled_from: &Path) -> anyhow::Result<Self> {
        if let Some(path) = wanted {
            if !path.join("Cargo.toml").is_file() {
                let text = format!("LESS_RUNTIME_PATH: there is no package in {}", path.display());
                return Err(user_error(text));
            }
            return Ok(Self::Path(path.canonicalize()?));
        }
        if is_from_registry(compiled_from) {
            return Ok(Self::Registry(VERSION));
        }
        let path = compiled_from.with_file_name("less-runtime");
        match version_in(&path) {
            Some(found) if found == VERSION => Ok(Self::Path(path)),
            Some(found) => Err(anyhow::anyhow!(
                "the checkout that `less` {VERSION} was installed from now holds version {found}: {}\nhint: install it again with `cargo install --path {}`",
                path.display(),
                compiled_from.display()
            )),
            None => Err(anyhow::anyhow!(
                "the checkout that `less` was installed from is gone: {} is missing\nhint: install it again with `cargo install --path less-cli`, or set LESS_RUNTIME_PATH to a folder `less-runtime`",
                path.display()
            )),
        }
    }
}

/// Whether cargo unpacked the package here from a registry: `…/registry/src/<registry>/less-cli-<version>`. A checkout may lie in any
/// folder, one called `registry` included.
fn is_from_registry(folder: &Path) -> bool {
    let parts: Vec<&str> = folder
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
        })
        .collect();
    matches!(parts[..], [.., "registry", "src", _, package] if package == format!("{}-{VERSION}", env!("CARGO_PKG_NAME")))
}

/// The version of the package in a folder, its own or its workspace's.
fn version_in(folder: &Path) -> Option<String> {
    let read = |path: PathBuf| std::fs::read_to_string(path).ok()?.parse::<toml::Table>().ok();
    let version = |table: &toml::Table| Some(table.get("package")?.get("version")?.as_str()?.to_owned());
    let own = read(folder.join("Cargo.toml"))?;
    version(&own)
        .or_else(|| version(read(folder.with_file_name("Cargo.toml"))?.get("workspace")?.as_table()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkout with this version in its workspace.
    fn checkout(version: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("registry/Cargo.toml", &format!("[workspace.package]\nversion = \"{version}\"\n"));
        write("registry/less-runtime/Cargo.toml", "[package]\nversion.workspace = true\n");
        write("registry/less-cli/Cargo.toml", "");
        folder
    }

    #[test]
    fn a_program_from_a_registry_asks_the_registry_for_its_own_version() {
        let folder = format!("/home/a/.cargo/registry/src/index.crates.io-1/less-cli-{VERSION}");
        assert_eq!(RuntimeSource::of(None, Path::new(&folder)).unwrap(), RuntimeSource::Registry(VERSION));
    }

    #[test]
    fn a_checkout_is_used_by_its_path_even_in_a_folder_called_registry() {
        let folder = checkout(VERSION);
        let root = folder.path().join("registry");
        let found = RuntimeSource::of(None, &root.join("less-cli")).unwrap();
        assert_eq!(found, RuntimeSource::Path(root.join("less-runtime")));
    }

    #[test]
    fn a_checkout_that_moved_on_is_said_to_have() {
        let folder = checkout("77.0.0");
        let error =
            RuntimeSource::of(None, &folder.path().join("registry/less-cli")).unwrap_err().to_string();
        assert!(error.contains("now holds version 77.0.0") && error.contains("hint:"), "{error}");
    }

    #[test]
    fn a_checkout_that_is_gone_is_said_to_be() {
        let error = RuntimeSource::of(None, Path::new("/nowhere/less-cli")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/less-runtime") && error.contains("hint:"), "{error}");
    }

    #[test]
    fn the_folder_that_the_environment_names_goes_first_and_must_hold_a_package() {
        let folder = checkout(VERSION);
        let runtime = folder.path().join("registry/less-runtime");
        let found = RuntimeSource::of(Some(&runtime), Path::new("/nowhere/less-cli")).unwrap();
        assert_eq!(found, RuntimeSource::Path(runtime.canonicalize().unwrap()));
        let error = RuntimeSource::of(Some(folder.path()), Path::new("/nowhere/less-cli")).unwrap_err();
        assert!(error.downcast_ref::<crate::ui::UserError>().is_some(), "{error}");
    }
}
