//! `less config`.

use less_model::config::{Sourced, resolve};
use serde_json::{Map, Value, json};

use crate::cli::{ConfigArgs, ExitStatus};
use crate::project::Project;
use crate::ui;

pub(super) fn run(project: &Project, arguments: &ConfigArgs) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    let config = match resolve(&read.app.settings, &arguments.flags(), |name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                ui::error(&error.to_string());
            }
            return Ok(ExitStatus::UserError);
        }
    };
    let mut rows = vec![
        row("stage", &config.stage, |stage| json!(stage.as_str())),
        row("listen", &config.listen, |listen| json!(listen.to_string())),
        row("data", &config.data, |data| json!(data)),
        row("http.hosts", &config.hosts, |hosts| json!(hosts)),
        row("http.max_body", &config.max_body, |bytes| json!(bytes)),
        row("http.max_connections", &config.max_connections, |connections| json!(connections)),
    ];
    rows.extend(config.url.as_ref().map(|url| row("url", url, |url| json!(url))));
    // That there is one, never which.
    rows.extend(config.api_key.as_ref().map(|key| row("api_key", key, |_| json!("(set)"))));
    if arguments.json {
        let object: Map<String, Value> = rows
            .into_iter()
            .map(|row| (row.name.to_owned(), json!({"value": row.value, "source": row.source})))
            .collect();
        ui::data(&serde_json::to_string_pretty(&object)?);
        return Ok(ExitStatus::Success);
    }
    for Row { name, value, source } in rows {
        let value = match value {
            Value::String(text) => text,
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        };
        ui::data(&format!("{name:<22} {value:<24} {source}"));
    }
    Ok(ExitStatus::Success)
}

struct Row {
    name: &'static str,
    value: Value,
    source: String,
}

fn row<T>(name: &'static str, setting: &Sourced<T>, value: impl Fn(&T) -> Value) -> Row {
    Row { name, value: value(&setting.value), source: setting.source.to_string() }
}
