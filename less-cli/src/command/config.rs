//! `less config`.

use std::fmt::Display;

use less_model::config::{DEFAULT_DRAIN, Sourced, resolve};
use less_model::diagnostic::Diagnostic;
use less_model::elsewhere::Elsewhere;
use less_model::manifest::{ExternalLayer, TransportKind};
use less_model::name::AppName;
use serde_json::{Map, Value, json};

use crate::cli::{ConfigArgs, ExitStatus};
use crate::project::Project;
use crate::ui;

pub(super) fn run(project: &Project, arguments: &ConfigArgs) -> anyhow::Result<ExitStatus> {
    let read = project.read()?;
    // A setting that can't be read is left out, and its default would be shown as if it were meant.
    let errors: Vec<Diagnostic> = read.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    ui::diagnostics(&errors, &read.tree);
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
        row("stage", &config.stage),
        row("listen", &config.listen),
        row("transport", &config.transport),
        row("data", &config.data),
        row("http.max_body", &config.max_body),
        row("http.max_connections", &config.max_connections),
    ];
    rows.push(("http.hosts".to_owned(), config.hosts.value.join(", "), config.hosts.source.to_string()));
    let aws = &config.aws;
    for (name, value) in [("region", &aws.region), ("account", &aws.account), ("kms_key", &aws.kms_key)] {
        if let Some(value) = value {
            rows.push((name.to_owned(), value.clone(), config.transport.source.to_string()));
        }
    }
    if !aws.subscriber_accounts.is_empty() {
        let accounts = aws.subscriber_accounts.join(", ");
        rows.push(("subscriber_accounts".to_owned(), accounts, config.transport.source.to_string()));
    }
    if aws.archive {
        rows.push(("archive".to_owned(), "true".to_owned(), config.transport.source.to_string()));
    }
    let mut sound = errors.is_empty();
    if config.transport.value == TransportKind::Aws {
        for other in &read.app.external {
            let env = |name: &str| std::env::var(name).ok();
            match Elsewhere::resolve(&read.app.settings, &config.stage.value, &other.name, env) {
                Ok(at) => {
                    rows.push((
                        format!("external.{}", other.name),
                        at.to_string(),
                        at.stage.source.to_string(),
                    ));
                }
                Err(error) => {
                    ui::error(&error.to_string());
                    sound = false;
                }
            }
        }
    }
    if config.transport.value == TransportKind::Embedded {
        rows.extend(config.external.iter().flat_map(|(name, at)| external(name, at)));
    }
    if let Some(tls) = &config.tls {
        for (name, value) in [("http.tls.cert", &tls.value.cert), ("http.tls.key", &tls.value.key)] {
            rows.push((name.to_owned(), value.clone(), tls.source.to_string()));
        }
    }
    if let Some(url) = &config.url {
        rows.push(row("url", url));
    }
    if let Some(key) = &config.api_key {
        rows.push(("api_key".to_owned(), "(set)".to_owned(), key.source.to_string()));
    }
    if let Some(token) = &config.link_token {
        rows.push(("link_token".to_owned(), "(set)".to_owned(), token.source.to_string()));
    }
    rows.extend(of_the_environment());
    if arguments.json {
        let object: Map<String, Value> = rows
            .into_iter()
            .map(|(name, value, source)| (name, json!({"value": value, "source": source})))
            .collect();
        ui::data(&serde_json::to_string_pretty(&object)?);
    } else {
        for (name, value, source) in rows {
            ui::data(&format!("{name:<22} {value:<24} {source}"));
        }
    }
    Ok(if sound { ExitStatus::Success } else { ExitStatus::UserError })
}

/// What only the environment says.
fn of_the_environment() -> [(String, String, String); 2] {
    let row = |name: &str, variable: &str, default: String| {
        let (value, source) = match std::env::var(variable) {
            Ok(value) if !value.is_empty() => (value, variable),
            _ => (default, "default"),
        };
        (name.to_owned(), value, source.to_owned())
    };
    [row("drain", "LESS_DRAIN", DEFAULT_DRAIN.to_string()), row("log", "LESS_LOG", "info".to_owned())]
}

/// Where another app is, as far as less.toml says it.
fn external(name: &AppName, at: &ExternalLayer) -> Vec<(String, String, String)> {
    let values = [("url", &at.url), ("token_env", &at.token_env), ("ca", &at.ca)];
    let values = values.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    let row = |(key, value): (&str, &String)| {
        (format!("external.{name}.{key}"), value.clone(), "less.toml".to_owned())
    };
    values.map(row).collect()
}

fn row<T: Display>(name: &str, setting: &Sourced<T>) -> (String, String, String) {
    (name.to_owned(), setting.value.to_string(), setting.source.to_string())
}
