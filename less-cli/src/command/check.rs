//! `less check`.

use crate::cli::ExitStatus;
use crate::project::Project;
use crate::ui;

pub(super) fn run(project: &Project) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    ui::diagnostics(&read.diagnostics, &read.tree);
    if read.diagnostics.iter().any(less_model::diagnostic::Diagnostic::is_error) {
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
