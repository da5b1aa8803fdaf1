//! `less list`.

use less_model::diagnostic::Diagnostic;
use less_model::name::AppName;
use less_model::tree::{App, Topic};
use serde_json::{Value, json};

use crate::cli::ExitStatus;
use crate::graph::Graph;
use crate::project::Project;
use crate::{running, ui};

pub(super) async fn run(project: &Project, as_json: bool) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    let errors: Vec<Diagnostic> = read.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    ui::diagnostics(&errors, &read.tree);
    let app = &read.app;
    // Who subscribes from elsewhere, only the running app knows.
    let status = running::of_project(project).await.filter(|status| status.app == app.name.as_str());
    let others = status.map(|status| {
        let mut graph = Graph::default();
        graph.add_status(&status);
        graph
    });
    if as_json {
        ui::data(&serde_json::to_string_pretty(&json(app, others.as_ref()))?);
    } else {
        for line in lines(app, others.as_ref()) {
            ui::data(&line);
        }
    }
    Ok(if errors.is_empty() { ExitStatus::Success } else { ExitStatus::UserError })
}

fn lines(app: &App, others: Option<&Graph>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut show = |owner: Option<&AppName>, topic: &Topic| {
        lines.push(owner.map_or_else(|| topic.name.to_string(), |owner| format!("{owner}:{}", topic.name)));
        for subscriber in &topic.subscribers {
            lines.push(format!(
                "  {}  {}  {}",
                subscriber.name,
                subscriber.language.label(),
                subscriber.file
            ));
        }
        if let (None, Some(others)) = (owner, others) {
            for (other, subscriber) in others.subscribed_by(&app.name, &topic.name) {
                lines.push(format!("  {other}:{subscriber}"));
            }
        }
    };
    for topic in &app.topics {
        show(None, topic);
    }
    for other in &app.external {
        for topic in &other.topics {
            show(Some(&other.name), topic);
        }
    }
    lines
}

/// `subscribed_by` is `null` where the app was not asked.
fn json(app: &App, others: Option<&Graph>) -> Value {
    let describe = |topic: &Topic| {
        let subscribers: Vec<_> = topic
            .subscribers
            .iter()
            .map(|s| json!({"name": s.name, "language": s.language, "file": s.file}))
            .collect();
        let message = topic.message.type_name();
        json!({"name": topic.name, "message": message, "folder": topic.folder, "subscribers": subscribers})
    };
    let topics: Vec<Value> = app
        .topics
        .iter()
        .map(|topic| {
            let by = others.map(|others| {
                let all = others.subscribed_by(&app.name, &topic.name);
                all.map(|(app, name)| json!({"app": app, "name": name})).collect::<Vec<_>>()
            });
            let mut described = describe(topic);
            described["subscribed_by"] = json!(by);
            described
        })
        .collect();
    let external: Vec<Value> = app
        .external
        .iter()
        .map(|other| {
            let topics: Vec<Value> = other.topics.iter().map(describe).collect();
            json!({"app": other.name, "folder": other.folder, "topics": topics})
        })
        .collect();
    json!({"app": app.name, "topics": topics, "external": external})
}
