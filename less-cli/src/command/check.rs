//! `less check`.

use std::path::Path;
use std::time::Duration;

use less_model::config::stage;
use less_model::diagnostic::{Diagnostic, Place};
use less_model::lock::{self, contract_review};
use less_model::tree::ExternalApp;

use crate::cli::ExitStatus;
use crate::peer::Peer;
use crate::project::{Project, Read};
use crate::{syntax, ui};

/// Longest that another app may take to answer. They are asked one after the other; hardly ever are there many.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `check` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask no other app whether its contract is still what `contract.json` says
    #[arg(long)]
    offline: bool,
}

pub(super) async fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    let failed = read.diagnostics.iter().any(Diagnostic::is_error);
    // What would break others is no mistake of the sources: `build` refuses it, and here it is said.
    let changes = if failed { Vec::new() } else { lock::review(&read.tree, &read.app).warnings() };
    let (others, notes) =
        if failed || arguments.offline { Default::default() } else { compare(&project.root, &read).await };
    let (unreadable, unread) =
        if failed { Default::default() } else { syntax::check(&project.root, &read.app) };
    let diagnostics = [&read.diagnostics[..], &unreadable, &changes, &others].concat();
    ui::diagnostics(&diagnostics, &read.tree);
    for note in notes.iter().chain(&unread) {
        ui::say(note);
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(ExitStatus::UserError);
    }
    let subscribers = read.app.topics.iter().map(|topic| topic.subscribers.len()).sum();
    let external: usize =
        read.app.publishers().flat_map(|app| &app.topics).map(|topic| topic.subscribers.len()).sum();
    let external = match external {
        0 => String::new(),
        count => format!(", {} of other apps' topics", ui::count(count, "subscriber")),
    };
    ui::say(&format!(
        "`{}` is fine: {}, {}{external}",
        read.app.name,
        ui::count(read.app.topics.len(), "topic"),
        ui::count(subscribers, "subscriber")
    ));
    Ok(ExitStatus::Success)
}

/// What other apps have changed that breaks this one, as far as they can be asked, and which of them could not.
async fn compare(root: &Path, read: &Read) -> (Vec<Diagnostic>, Vec<String>) {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    // A stage that has no name has no app either: what runs it says so.
    let Ok(stage) = stage(None, |name| std::env::var(name).ok()) else { return (found, notes) };
    for app in read.app.publishers() {
        let name = &app.name;
        let peer = match Peer::named(name, root, &read.app.settings, &stage.value) {
            Ok(peer) => peer,
            Err(why) => {
                notes.push(format!("the contract of `{name}` was not compared: {why}"));
                continue;
            }
        };
        match peer.contract(PATIENCE).await {
            Ok(theirs) if theirs.app != *name => found.push(other(app, &theirs.app, peer.url())),
            Ok(theirs) => {
                let source = format!("the app at {}", peer.url());
                found.extend(contract_review(&read.tree, app, &theirs, &source));
            }
            Err(error) => {
                let text = error.to_string();
                let mut lines = text.lines();
                notes.push(format!(
                    "the contract of `{name}` was not compared: {}",
                    lines.next().unwrap_or_default()
                ));
                notes.extend(lines.map(str::to_owned));
            }
        }
    }
    (found, notes)
}

/// The address in `less.toml` is somebody else's.
fn other(app: &ExternalApp, found: &less_model::name::AppName, url: &str) -> Diagnostic {
    Diagnostic::error("another-app", format!("app `{found}` answers at {url}, not `{}`", app.name))
        .at(Place::path("less.toml"))
        .hint(format!("write where `{}` is into `[external.{}] url`", app.name, app.name))
}
