//! `less list`.

use less_model::diagnostic::Diagnostic;
use serde_json::json;

use crate::cli::ExitStatus;
use crate::project::Project;
use crate::ui;

pub(super) fn run(project: &Project, as_json: bool) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    let errors: Vec<Diagnostic> = read.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    ui::diagnostics(&errors, &read.tree);
    if as_json {
        let topics: Vec<_> = read
            .app
            .topics
            .iter()
            .map(|topic| {
                let subscribers: Vec<_> = topic
                    .subscribers
                    .iter()
                    .map(|s| json!({"name": s.name, "language": s.language, "file": s.file}))
                    .collect();
                let message = topic.message.type_name();
                json!({"name": topic.name, "message": message, "folder": topic.folder, "subscribers": subscribers})
            })
            .collect();
        ui::data(&serde_json::to_string_pretty(&json!({"app": read.app.name, "topics": topics}))?);
    } else {
        for topic in &read.app.topics {
            ui::data(topic.name.as_str());
            for subscriber in &topic.subscribers {
                ui::data(&format!(
                    "  {}  {}  {}",
                    subscriber.name,
                    subscriber.language.label(),
                    subscriber.file
                ));
            }
        }
    }
    Ok(if errors.is_empty() { ExitStatus::Success } else { ExitStatus::UserError })
}
