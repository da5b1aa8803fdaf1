//! Which stage a command is about, and the way to AWS.

use less_model::diagnostic::Diagnostic;
use less_model::manifest::{Layer, TransportKind};
use less_model::name::StageName;
use less_model::topology::Topology;
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
    let connection = connect(&layer.aws, Purpose::Deploy).await.map_err(|error| match error {
        error @ (TransportError::NoRegion | TransportError::OtherAccount { .. }) => {
            ui::user_error(error.to_string())
        }
        error => {
            let text = error.to_string();
            let hint = way_to_aws(&text, std::env::var("AWS_ENDPOINT_URL").ok());
            anyhow::anyhow!("{text}{hint}")
        }
    })?;
    let topology = Topology::of(&read.app.manifest(), &stage);
    let mut desired = Desired::of(&topology, &connection.site, layer.aws.kms_key.as_deref());
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

/// What to look at, where AWS can't be asked who we are.
fn way_to_aws(cause: &str, endpoint: Option<String>) -> String {
    if cause.contains("no credentials") {
        "\nhint: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows whom they are of".to_owned()
    } else if !cause.contains("dispatch failure") {
        // It was asked, and says itself what it did not like.
        String::new()
    } else if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) {
        format!("\nhint: AWS_ENDPOINT_URL leads to {endpoint}; unset it where AWS itself is meant")
    } else {
        "\nhint: is the region's name right? AWS is asked at `sts.<region>.amazonaws.com`".to_owned()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_aws_cannot_be_asked_the_hint_says_what_to_look_at() {
        let refused =
            "can't ask which AWS account this is (eu-west-1): dispatch failure: io error: connection refused";
        let here = way_to_aws(refused, Some("http://127.0.0.1:9".to_owned()));
        assert_eq!(
            here,
            "\nhint: AWS_ENDPOINT_URL leads to http://127.0.0.1:9; unset it where AWS itself is meant"
        );
        let aws = way_to_aws(refused, None);
        assert_eq!(aws, "\nhint: is the region's name right? AWS is asked at `sts.<region>.amazonaws.com`");
        assert_eq!(way_to_aws("can't ask …: ExpiredToken: it is too old", None), "");
        let nobody = "can't ask …: dispatch failure: other: no credentials found in chain";
        assert!(way_to_aws(nobody, None).starts_with("\nhint: set AWS_PROFILE"));
    }
}
