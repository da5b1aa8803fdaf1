//! `less verify`: looks through the broker's folder.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use less_model::config::DEFAULT_DATA;
use less_runtime::transport::embedded::verify::{
    Findings, Inspection, Problem, Rules, inspect, inspect_with, parse,
};
use serde_json::json;

use crate::cli::ExitStatus;
use crate::project::Project;
use crate::ui;

/// What `verify` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to look through [env: `LESS_DATA`] [default: .less/data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// What publishers and handlers saw, a JSON object a line: nothing acknowledged may be missing, every delivery must have a cause
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Where in a body the history's name of a message is, as a JSON pointer [default: messages are named by their ids]
    #[arg(long, value_name = "POINTER", requires = "history")]
    identity: Option<String>,
    /// Most attempts of a message that the history may show
    #[arg(long, value_name = "N", default_value_t = 15, requires = "history")]
    max_attempts: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// The broker's folder: the one that is named, else that of the environment, else the app's.
pub(super) fn data_folder(folder: Option<&Path>, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let flags = less_model::config::Flags::default();
    let project = Project::find(folder);
    let settings = match &project {
        Ok(project) => project.read()?.app.settings,
        Err(_) => less_model::manifest::Settings::default(),
    };
    let config = less_model::config::resolve(&settings, &flags, |name| std::env::var(name).ok());
    let data = config.map_or_else(|_| DEFAULT_DATA.to_owned(), |config| config.data.value);
    let named_by_environment = std::env::var_os("LESS_DATA").is_some();
    match project {
        Ok(project) => Ok(project.root.join(data)),
        Err(_) if named_by_environment => Ok(PathBuf::from(data)),
        Err(error) => Err(error),
    }
}

pub(super) fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let data = data_folder(folder, arguments.data.as_deref())?;
    if !data.is_dir() {
        let hint = "an app that never ran has none; `--data FOLDER` names another one";
        return Err(ui::user_error(format!("there is no folder {}\nhint: {hint}", data.display())));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let (inspection, findings) = match &arguments.history {
        None => (inspect(&data, now)?, None),
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
            let events =
                parse(&text).map_err(|error| ui::user_error(format!("{}: {error}", file.display())))?;
            let mut rules = Rules::default();
            rules.identity.clone_from(&arguments.identity);
            rules.max_attempts = arguments.max_attempts;
            let (inspection, findings) = inspect_with(&data, now, &events, &rules)?;
            (inspection, Some(findings))
        }
    };
    if arguments.json {
        ui::data(&serde_json::to_string_pretty(&json!({ "store": inspection, "history": findings }))?);
    } else {
        show(&inspection, findings.as_ref());
    }
    let wrong = inspection.problems.len() + findings.map_or(0, |findings| findings.problems.len());
    if wrong == 0 {
        return Ok(ExitStatus::Success);
    }
    let hint = if inspection.problems.is_empty() {
        "the folder itself is sound; the problems above say what the history has that it does not explain"
    } else if !inspection.problems.iter().all(Problem::is_survived) {
        "the app does not start on this: bring back what is missing, or move the folder away and `less restore` a backup"
    } else {
        "the app runs on without what is damaged; for that too, stop it, move the folder away, and `less restore` a backup"
    };
    ui::error(&format!("{} wrong in {}\nhint: {hint}", ui::count(wrong, "thing"), data.display()));
    Ok(ExitStatus::Failure)
}

fn show(inspection: &Inspection, findings: Option<&Findings>) {
    let Inspection { segments, bytes, records, messages, torn, .. } = inspection;
    let count = |n: u64, of| ui::count(usize::try_from(n).unwrap_or(usize::MAX), of);
    ui::data(&format!(
        "{}, {}, {}, {}",
        count(*segments, "log file"),
        count(*bytes, "byte"),
        count(*records, "record"),
        count(*messages, "message")
    ));
    if *torn > 0 {
        ui::data(&format!(
            "{torn} bytes at the end were never acknowledged: a crash left them, the next start cuts them off"
        ));
    }
    for books in &inspection.subscriptions {
        let ledger = &books.ledger;
        ui::data(&format!(
            "{}/{}: {} published = {} pending + {} scheduled + {} in flight + {} done + {} dead + {} discarded",
            books.topic,
            books.subscriber,
            ledger.published,
            ledger.pending,
            ledger.scheduled,
            ledger.in_flight,
            ledger.done,
            ledger.dead,
            ledger.discarded.values().sum::<u64>()
        ));
        let replay = &ledger.replay;
        if replay.requested > 0 {
            ui::data(&format!(
                "{}/{}: {} replayed = {} pending + {} scheduled + {} in flight + {} done + {} dead + {} discarded",
                books.topic,
                books.subscriber,
                replay.requested,
                replay.pending,
                replay.scheduled,
                replay.in_flight,
                replay.done,
                replay.dead,
                replay.discarded.values().sum::<u64>()
            ));
        }
    }
    if let Some(findings) = findings {
        let Findings { published, started, duplicates, kills, .. } = findings;
        ui::data(&format!(
            "history: {published} acknowledged, {started} attempts, {kills} kills, {duplicates} delivered again after a kill"
        ));
    }
    for problem in &inspection.problems {
        ui::data(&format!("problem: {problem}"));
    }
    for problem in findings.iter().flat_map(|findings| &findings.problems) {
        ui::data(&format!("problem: {problem}"));
    }
    if inspection.problems.is_empty() && findings.is_none_or(|findings| findings.problems.is_empty()) {
        ui::data("nothing is wrong");
    }
}
