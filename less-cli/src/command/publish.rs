//! `less publish`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use less_model::quantity::Span;
use less_runtime::{Publish, PublishError};

use crate::cli::ExitStatus;
use crate::ui;

/// What `publish` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The topic's id
    topic: String,
    /// The message; `-` reads it from standard input
    json: String,
    /// The ordering key
    #[arg(long)]
    key: Option<String>,
    /// Deliver no earlier than this long from now, such as `30s`
    #[arg(long)]
    delay: Option<Span>,
    /// An attribute, `name=value`; may be given again
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// Publish once however often this key is used within 24 hours
    #[arg(long)]
    idempotency_key: Option<String>,
    #[command(flatten)]
    target: super::status::Target,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let body = if arguments.json == "-" {
        let mut body = String::new();
        std::io::stdin().read_to_string(&mut body).context("can't read standard input")?;
        body
    } else {
        arguments.json.clone()
    };
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
        let hint = format!("hint: less publish {} '{{\"name\": \"value\"}}'", arguments.topic);
        return Err(ui::user_error(format!("the message is no JSON: {error}\n{hint}")));
    }
    let mut options = Publish::new();
    options.key.clone_from(&arguments.key);
    options.delay = arguments.delay.map(Span::duration);
    options.idempotency_key.clone_from(&arguments.idempotency_key);
    for attribute in &arguments.attributes {
        let Some((name, value)) = attribute.split_once('=') else {
            return Err(ui::user_error(format!(
                "`{attribute}` is no attribute\nhint: write `--attribute name=value`"
            )));
        };
        options = options.attribute(name, value);
    }
    let client = arguments.target.client(folder)?;
    let results = client.publish(&arguments.topic, vec![(Bytes::from(body), options)]).await;
    for result in results {
        match result {
            Ok(receipt) => {
                ui::data(&receipt.message_id.to_string());
                if receipt.duplicate {
                    ui::say(
                        "published before with this idempotency key, as that message: nothing new was stored",
                    );
                }
            }
            Err(PublishError::Refused { detail, status: 400..500, .. }) => {
                return Err(ui::user_error(detail));
            }
            Err(error @ PublishError::Unavailable(_)) => {
                return Err(anyhow!("{error}\nhint: {}", again(arguments)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(ExitStatus::Success)
}

/// What to do where it is not known whether the message was stored.
fn again(arguments: &Args) -> String {
    match &arguments.idempotency_key {
        Some(key) => {
            format!("publish it again, with `--idempotency-key {key}` as before: it is stored once")
        }
        None => "publish it again; its subscribers may get it twice".to_owned(),
    }
}
