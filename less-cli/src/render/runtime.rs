//! Where the generated crate finds the runtime.

use std::path::{Path, PathBuf};

use crate::ui::user_error;

/// Where the runtime crate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeSource {
    /// A folder.
    Path(PathBuf),
    /// The registry, this version exactly.
    Registry(&'static str),
}

impl RuntimeSource {
    /// What fits this program: the folder that `LESS_RUNTIME_PATH` names, else where this program was compiled from.
    pub fn find() -> anyhow::Result<Self> {
        if let Some(path) = std::env::var_os("LESS_RUNTIME_PATH") {
            let path = PathBuf::from(path);
            if !path.join("Cargo.toml").is_file() {
                return Err(user_error(format!(
                    "LESS_RUNTIME_PATH: there is no package in {}",
                    path.display()
                )));
            }
            return Ok(Self::Path(path.canonicalize()?));
        }
        Self::beside(Path::new(env!("CARGO_MANIFEST_DIR")))
    }

    /// What fits a program that was compiled from this folder: a registry's package, or a checkout, which must still be there.
    fn beside(compiled_from: &Path) -> anyhow::Result<Self> {
        let in_registry = compiled_from.components().any(|part| part.as_os_str() == "registry");
        if in_registry {
            return Ok(Self::Registry(env!("CARGO_PKG_VERSION")));
        }
        let path = compiled_from.with_file_name("less-runtime");
        if path.join("Cargo.toml").is_file() {
            return Ok(Self::Path(path));
        }
        Err(anyhow::anyhow!(
            "the checkout that `less` was installed from is gone: {} is missing\nhint: install it again with `cargo install --path less-cli`, or set LESS_RUNTIME_PATH to a folder `less-runtime`",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_from_a_registry_asks_the_registry_for_its_own_version() {
        let found = RuntimeSource::beside(Path::new("/home/a/.cargo/registry/src/x/less-cli-0.1.0")).unwrap();
        assert_eq!(found, RuntimeSource::Registry(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_checkout_that_is_gone_is_said_to_be() {
        let error = RuntimeSource::beside(Path::new("/nowhere/less-cli")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/less-runtime") && error.contains("hint:"), "{error}");
    }
}
