//! Which program runs handlers, and how.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use less_model::language::Worker as Description;

/// A language's worker program, as the manifest describes it.
#[derive(Debug, Clone)]
pub(crate) struct Program(Description);

/// A program that is there, with its arguments and what to set in its environment.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, OsString)>,
}

impl Program {
    pub(crate) fn new(description: Description) -> Self {
        Self(description)
    }

    /// Looks for it anew: it may have been installed meanwhile. The error says what was looked for.
    pub(crate) fn find(
        &self,
        root: &Path,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Found, String> {
        let Description { variable: name, programs, arguments, search, hint } = &self.0;
        let path = variable("PATH").unwrap_or_default();
        let program = match variable(name).filter(|value| !value.is_empty()) {
            Some(named) => resolve(root, Path::new(&named), &path).ok_or_else(|| {
                format!("{name} names {}, which is no program\nhint: {hint}", Path::new(&named).display())
            })?,
            None => programs.iter().find_map(|program| resolve(root, Path::new(program), &path)).ok_or_else(
                || format!("no program to run it with: looked for {}\nhint: {hint}", programs.join(", ")),
            )?,
        };
        let environment = search.iter().map(|(name, folders)| {
            let inherited = variable(name).unwrap_or_default();
            let own = folders.iter().map(|folder| root.join(folder));
            let all =
                own.chain(std::env::split_paths(&inherited).filter(|path| !path.as_os_str().is_empty()));
            // A folder with a `:` in its name can't be in such a list.
            let value = std::env::join_paths(all).map_err(|error| format!("{name}: {error}"))?;
            Ok((name.clone(), value))
        });
        Ok(Found {
            program,
            arguments: arguments.clone(),
            environment: environment.collect::<Result<_, String>>()?,
        })
    }
}

/// A name with a `/` is a path from the app's folder; any other is looked for on `PATH`.
fn resolve(root: &Path, program: &Path, path: &OsString) -> Option<PathBuf> {
    if program.components().count() > 1 || program.is_absolute() {
        let full = root.join(program);
        return is_program(&full).then_some(full);
    }
    std::env::split_paths(path).map(|folder| root.join(folder).join(program)).find(|full| is_program(full))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn description() -> Description {
        let strings = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        Description {
            variable: "LESS_X".to_owned(),
            programs: strings(&[".venv/bin/x", "x"]),
            arguments: strings(&["w"]),
            search: BTreeMap::from([("X_PATH".to_owned(), strings(&["a", "b"]))]),
            hint: "install x".to_owned(),
        }
    }

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn find(root: &Path, variables: &[(&str, &str)]) -> Result<Found, String> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Program::new(description()).find(root, |name| variables.get(name).map(OsString::from))
    }

    #[test]
    fn the_variable_goes_before_the_project_and_the_project_before_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let path = ("PATH", "bin");
        let error = find(root, &[path]).unwrap_err();
        assert_eq!(error, "no program to run it with: looked for .venv/bin/x, x\nhint: install x");
        program(&root.join("bin/x"));
        assert_eq!(find(root, &[path]).unwrap().program, root.join("bin/x"));
        program(&root.join(".venv/bin/x"));
        assert_eq!(find(root, &[path]).unwrap().program, root.join(".venv/bin/x"));
        program(&root.join("other/y"));
        let named = ("LESS_X", "other/y");
        assert_eq!(find(root, &[path, named]).unwrap().program, root.join("other/y"));
        let error = find(root, &[path, ("LESS_X", "nowhere/y")]).unwrap_err();
        assert_eq!(error, "LESS_X names nowhere/y, which is no program\nhint: install x");
    }

    #[test]
    fn folders_to_search_go_before_those_that_are_inherited() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        program(&root.join("bin/x"));
        let value = |inherited: &[(&str, &str)]| {
            let variables = [&[("PATH", "bin")], inherited].concat();
            find(root, &variables).unwrap().environment.remove(0).1.into_string().unwrap()
        };
        let own = format!("{0}/a:{0}/b", root.display());
        assert_eq!(value(&[]), own);
        assert_eq!(value(&[("X_PATH", "/c:/d")]), format!("{own}:/c:/d"));
    }
}
