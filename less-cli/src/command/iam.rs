//! `less iam`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::cli::ExitStatus;
use crate::export::iam::{MAX_POLICY, Role, policies};
use crate::stage::StageArgs;
use crate::ui;

/// What `iam` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Whose policy [default: all of them, by role]
    role: Option<Role>,
    #[command(flatten)]
    stage: StageArgs,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let stage = arguments.stage.find(folder)?;
    let (topology, site) = (stage.topology(), stage.site().await?);
    let policy = |role: Role| {
        let mut documents = policies(role, &topology, &site, stage.aws.kms_key.as_deref());
        match documents.len() {
            0 => {
                ui::say(&format!("{role}: the app has nothing that it would need"));
                Value::Null
            }
            1 => documents.remove(0),
            count => {
                ui::say(&format!(
                    "{role}: {count} documents in a list, as a managed policy holds {MAX_POLICY} characters; attach all of them"
                ));
                Value::Array(documents)
            }
        }
    };
    let shown = match arguments.role {
        Some(role) => policy(role),
        None => Value::Object(Map::from_iter(Role::ALL.map(|role| (role.to_string(), policy(role))))),
    };
    ui::data(&serde_json::to_string_pretty(&shown)?);
    Ok(ExitStatus::Success)
}
