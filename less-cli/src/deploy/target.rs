//! Which stage a command is about, and the way to AWS.

use less_model::diagnostic::Diagnostic;
use less_model::manifest::{Layer, TransportKind};
use less_model::name::StageName;
use less_model::tree::App;
use less_runtime::transport::TransportError;
use less_runtime::transport::aws::provision::{Desired, Observed, observe_all};
use less_runtime::transport::aws::{Connection, Purpose, connect};

use super::{code, errors};
use crate::command::build::Failure;
use crate::project::{Project, Read};
use crate::ui;

/// `--stage`.
#[derive(Debug, Clone, clap::Args)]
pub struct StageArg {
    /// Which `[stages.…]` of less.toml applies [env: `LESS_STAGE`] [default: dev]
    #[arg(long)]
    pub stage: Option<String>,
}

/// An app in a stage on AWS.
pub struct Target {
    /// The app as it was read.
    pub read: Read,
    /// The stage.
    pub stage: StageName,
    /// Clients.
    pub connection: Connection,
    /// What it needs.
    pub desired: Desired,
}

/// Reads the app, and connects as its stage says. With `quiet`, warnings have been said before.
pub async fn open(project: &Project, stage: &StageArg, quiet: bool) -> Result<Target, Failure> {
    let read = project.read()?;
    let failed = read.diagnostics.iter().any(Diagnostic::is_error);
    if failed || !quiet {
        ui::diagnostics(&read.diagnostics, &read.tree);
    }
    if failed {
        return Err(Failure::User);
    }
    let (stage, layer) = stage_on_aws(&read.app, stage)?;
    let topology = crate::stage::whole_topology(&read.app.manifest(), &stage)?;
    let connection = connect(&layer.aws, Purpose::Deploy).await.map_err(|error| match error {
        error @ (TransportError::NoRegion | TransportError::OtherAccount { .. }) => {
            ui::user_error(error.to_string())
        }
        error => error.into(),
    })?;
    let mut desired = Desired::of(&topology, &connection.site, layer.aws.kms_key.as_deref())
        .open_to(&layer.aws.subscriber_accounts);
    code::note(&project.root, &read.app, &mut desired)?;
    Ok(Target { read, stage, connection, desired })
}

/// Reads what there is, and prints what went wrong with that.
pub async fn look(target: &Target) -> Result<Observed, Failure> {
    observe_all(&target.connection, &target.desired).await.map_err(|failed| {
        errors::print(&failed, &target.stage);
        Failure::Surroundings(anyhow::anyhow!("can't tell what there is on AWS; nothing was changed"))
    })
}

/// The stage, and what less.toml says about it; an error where that is not on AWS.
pub fn stage_on_aws(app: &App, stage: &StageArg) -> anyhow::Result<(StageName, Layer)> {
    let stage = crate::stage::named(stage.stage.as_deref())?;
    let stages = &app.settings.stages;
    let is_aws = |layer: &Layer| layer.transport == Some(TransportKind::Aws);
    if let Some(layer) = stages.get(&stage).filter(|layer| is_aws(layer)) {
        return Ok((stage, layer.clone()));
    }
    let others: Vec<String> = stages
        .iter()
        .filter(|(_, layer)| is_aws(layer))
        .map(|(name, _)| format!("`--stage {name}`"))
        .collect();
    let other = if others.is_empty() {
        String::new()
    } else {
        format!("name one that does, {}, or ", others.join(", "))
    };
    Err(ui::user_error(format!(
        "stage `{stage}` does not run on AWS, so that there is nothing to deploy\nhint: {other}write this into less.toml:\n\n[stages.{stage}]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n"
    )))
}
