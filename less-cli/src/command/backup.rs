//! `less backup` and `less restore`: the broker's folder as one file, and the way back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use less_runtime::client::Client;
use less_runtime::publish::PublishError;
use less_runtime::transport::embedded::verify::{Problem, inspect};
use less_runtime::transport::embedded::{self, RestoreError};

use super::status::Target;
use crate::cli::ExitStatus;
use crate::ui;

/// What `backup` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The archive to make, such as `backup.tar`; it must not exist
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// The folder of an app that does not run [env: `LESS_DATA`] [default: .less/data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// What `restore` takes.
#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The archive that `less backup` made
    file: PathBuf,
    /// The folder to make; it must be empty or not exist [env: `LESS_DATA`] [default: .less/data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Restore what is whole of a backup that holds damage, as the app itself would run on with it
    #[arg(long)]
    damaged: bool,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let path = &arguments.file;
    if path.exists() {
        return Err(ui::user_error(format!("{} exists\nhint: choose another name", path.display())));
    }
    let mut name = path.file_name().context("the archive needs a name")?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        // Every message is in it.
        .mode(0o600)
        .open(&new)
        .with_context(|| format!("can't make {}", new.display()))?;
    let written = write(folder, arguments, &mut file).await.and_then(|()| Ok(file.sync_all()?));
    if let Err(error) = written {
        // Half an archive is none.
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    std::fs::rename(&new, path).with_context(|| format!("can't rename {}", new.display()))?;
    let size = file.metadata()?.len();
    let size = size.div_ceil(1024);
    let problems = damage(folder, arguments)?;
    if problems.is_empty() {
        ui::say(&format!("wrote {} ({size} KiB); `less restore` reads it back", path.display()));
        return Ok(ExitStatus::Success);
    }
    for problem in &problems {
        ui::note(&format!("problem: {problem}"));
    }
    let hint = if problems.iter().all(Problem::is_survived) {
        "`less restore --damaged` brings back what is whole; `less verify` says what is not"
    } else {
        "`less restore` refuses it, and the app does not start on its folder: keep older backups"
    };
    ui::error(&format!(
        "wrote {} ({size} KiB), and what it was taken from is damaged\nhint: {hint}",
        path.display()
    ));
    Ok(ExitStatus::Failure)
}

/// What is wrong with the folder that was saved, where it can be read from here: a broker that runs does not read again what it is done with.
fn damage(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<Vec<Problem>> {
    if arguments.data.is_none() && arguments.target.is_given() {
        return Ok(Vec::new());
    }
    let data = super::verify::data_folder(folder, arguments.data.as_deref())?;
    if !data.is_dir() {
        return Ok(Vec::new());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(inspect(&data, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))?.problems)
}

async fn write(folder: Option<&Path>, arguments: &Args, file: &mut File) -> anyhow::Result<()> {
    if arguments.data.is_none() {
        let running = match arguments.target.client(folder) {
            Ok(client) => from_running(&client, file).await,
            Err(error) => Err(error),
        };
        match running {
            Err(error) if no_app(&error) => {}
            other => return other,
        }
    }
    // Nobody runs it: its folder can be read as it lies there.
    let data = super::verify::data_folder(folder, arguments.data.as_deref())?;
    let snapshot = embedded::snapshot_of_closed(&data)?;
    Ok(less_runtime::client::write_archive(snapshot, file)?)
}

fn no_app(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(PublishError::NoApp { .. } | PublishError::NoAddress))
}

async fn from_running(client: &Client, file: &mut File) -> anyhow::Result<()> {
    client.backup(|piece| file.write_all(piece)).await?;
    Ok(())
}

pub(super) fn restore(folder: Option<&Path>, arguments: &RestoreArgs) -> anyhow::Result<ExitStatus> {
    let path = &arguments.file;
    let file = File::open(path)
        .map_err(|error| ui::user_error(format!("can't open {}: {error}", path.display())))?;
    let data = super::verify::data_folder(folder, arguments.data.as_deref())?;
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries()?.map(|entry| {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(std::io::Error::other(format!("`{name}` is no file")));
        }
        Ok((name, entry))
    });
    let problems = embedded::restore(&data, entries, arguments.damaged).map_err(|error| match error {
        RestoreError::Holed(_) => ui::user_error(format!(
            "{error}\nhint: `less restore --damaged` brings back what is whole, as the app itself runs on with it; an older backup may be whole"
        )),
        error => error.into(),
    })?;
    if problems.is_empty() {
        ui::say(&format!("restored to {}; `less verify` found nothing wrong with it", data.display()));
    } else {
        let damage = problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n");
        ui::say(&format!("restored to {}, but for what is damaged:\n{damage}", data.display()));
    }
    Ok(ExitStatus::Success)
}
