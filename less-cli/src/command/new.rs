//! `less new`.

use std::path::Path;

use anyhow::Context as _;
use less_model::language::Language;
use less_model::name::AppName;

use super::build::{Failure, generate};
use crate::cli::{ExitStatus, Lang};
use crate::lock::Locking;
use crate::project::Project;
use crate::render::RuntimeSource;
use crate::{templates, ui};

/// What `new` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app's name, and its folder's
    #[arg(value_name = "APP")]
    name: String,
    /// What its subscribers are written in
    #[arg(long, default_value = "rust")]
    lang: Lang,
}

pub(super) fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let name: AppName = arguments.name.parse().map_err(|error| {
        let tame: String = arguments
            .name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .collect();
        let tame = tame.trim_start_matches(|c: char| !c.is_ascii_lowercase());
        let tame = if tame.parse::<AppName>().is_ok() { tame } else { "app" };
        ui::user_error(format!("`{}` can't be an app's name: {error}\nhint: less new {tame}", arguments.name))
    })?;
    // Cargo refuses these as packages, and the generated crate is called `less`.
    if ["less", "core", "std", "alloc", "test", "proc_macro", "build", "deps", "examples", "incremental"]
        .contains(&name.as_str())
        || format!("{name}").replace('-', "_").parse::<less_model::name::TopicName>().is_err()
    {
        let hint = format!("hint: less new {name}_app");
        return Err(ui::user_error(format!(
            "`{name}` can't be an app's name: Rust has another use for it\n{hint}"
        )));
    }
    let root = folder.unwrap_or(Path::new("")).join(name.as_str());
    if root.exists() && root.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        let hint = "hint: choose another name, or work in that folder with `less add`";
        return Err(ui::user_error(format!("`{}` exists already\n{hint}", root.display())));
    }
    // Before anything is made: an app that can't be built is not left behind.
    let language = arguments.lang.into();
    if language == Language::Rust {
        RuntimeSource::find()?;
    }
    for (path, template) in templates::new_app(language) {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
        }
        let crate_name = name.as_str().replace('-', "_");
        let text = template.replace("{{app}}", name.as_str()).replace("{{crate}}", &crate_name);
        std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    }
    // So that an editor finds the generated crate at once. A lock comes with the first build: until then types change as one likes.
    let project = Project { root: root.canonicalize()? };
    match generate(&project, Locking::Skip) {
        Ok(_) => {}
        Err(Failure::User) => return Ok(ExitStatus::Failure),
        Err(Failure::Surroundings(error)) => return Err(error),
    }
    ui::data(&format!("made {}\n\n  cd {}\n  less dev", root.display(), root.display()));
    Ok(ExitStatus::Success)
}
