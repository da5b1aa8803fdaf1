//! `less check`.

use less_model::diagnostic::Diagnostic;
use less_model::lock;

use crate::cli::ExitStatus;
use crate::project::Project;
use crate::ui;

pub(super) fn run(project: &Project) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    let failed = read.diagnostics.iter().any(Diagnostic::is_error);
    // What would break others is no mistake of the sources: `build` refuses it, and here it is said.
    let changes = if failed { Vec::new() } else { lock::review(&read.tree, &read.app).warnings() };
    let diagnostics = [&read.diagnostics[..], &changes].concat();
    ui::diagnostics(&diagnostics, &read.tree);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Ok(ExitStatus::UserError);
    }
    let subscribers = read.app.topics.iter().map(|topic| topic.subscribers.len()).sum();
    ui::say(&format!(
        "`{}` is fine: {}, {}",
        read.app.name,
        ui::count(read.app.topics.len(), "topic"),
        ui::count(subscribers, "subscriber")
    ));
    Ok(ExitStatus::Success)
}
