//! A stage that has its topics and queues on AWS, as the commands see it that work on those.

use std::path::Path;

use less_model::elsewhere::is_account;
use less_model::manifest::{AwsLayer, Manifest, TransportKind};
use less_model::name::StageName;
use less_model::topology::Topology;
use less_model::tree::App;
use less_runtime::transport::aws::{Connection, Purpose, Site, connect};

use crate::project::Project;
use crate::ui::{self, user_error};

/// A stage on AWS.
pub struct Stage {
    /// The app's folder.
    pub project: Project,
    /// The app, as it was read.
    pub app: App,
    /// The same, as its program knows it.
    pub manifest: Manifest,
    /// The stage's name.
    pub name: StageName,
    /// What less.toml says about where it is.
    pub aws: AwsLayer,
}

/// A stage that has nothing on AWS.
pub struct Elsewhere {
    /// Its name.
    pub name: StageName,
    /// The names of those that have.
    on_aws: Vec<String>,
}

/// Which stage, and where it is.
#[derive(Debug, clap::Args)]
pub struct StageArgs {
    /// Which `[stages.…]` of less.toml [env: `LESS_STAGE`] [default: dev]
    #[arg(long)]
    pub stage: Option<String>,
    /// The region [default: the stage's, else the environment's]
    #[arg(long)]
    region: Option<String>,
    /// The account; nobody is asked where it is given here or in the stage's table
    #[arg(long, value_name = "12 DIGITS", value_parser = account)]
    account: Option<String>,
}

/// The stage of this name, else the environment's, else `dev`. Whether a running app's other settings make sense does not matter here.
pub fn named(stage: Option<&str>) -> anyhow::Result<StageName> {
    let stage = less_model::config::stage(stage, |name| std::env::var(name).ok());
    stage.map(|stage| stage.value).map_err(|error| user_error(error.to_string()))
}

fn account(text: &str) -> Result<String, &'static str> {
    if is_account(text) { Ok(text.to_owned()) } else { Err("an account has 12 digits") }
}

/// What an app's topics and queues are called in a stage, and where other apps' are, as the environment and `less.toml` say.
pub fn whole_topology(manifest: &Manifest, stage: &StageName) -> anyhow::Result<Topology> {
    Topology::resolve(manifest, stage, |name| std::env::var(name).ok()).map_err(|mut errors| {
        let last = errors.pop().map_or_else(String::new, |error| error.to_string());
        for error in errors {
            ui::error(&error.to_string());
        }
        user_error(last)
    })
}

impl Stage {
    /// The stage, where it is on AWS. The one that `stage` says, else `LESS_STAGE`, else `dev`.
    pub fn find(folder: Option<&Path>, stage: Option<&str>) -> anyhow::Result<Self> {
        let elsewhere = match Self::if_on_aws(folder, stage)? {
            Ok(found) => return Ok(found),
            Err(elsewhere) => elsewhere,
        };
        let Elsewhere { name, on_aws } = elsewhere;
        let hint = if on_aws.is_empty() {
            format!("write `transport = \"aws\"` below `[stages.{name}]` in less.toml")
        } else {
            format!("stages on AWS: {}", on_aws.join(", "))
        };
        Err(user_error(format!(
            "stage `{name}` has nothing on AWS: its transport is the embedded broker\nhint: {hint}"
        )))
    }

    /// Likewise; what is known of it where it is elsewhere.
    pub fn if_on_aws(folder: Option<&Path>, stage: Option<&str>) -> anyhow::Result<Result<Self, Elsewhere>> {
        let project = Project::find(folder)?;
        let read = project.sound()?;
        let name = named(stage)?;
        Ok(match read.app.settings.transport(&name) {
            TransportKind::Aws => {
                let manifest = read.app.manifest();
                let aws = read.app.settings.stages.get(&name).map(|layer| layer.aws.clone());
                Ok(Self { project, app: read.app, manifest, name, aws: aws.unwrap_or_default() })
            }
            TransportKind::Embedded => {
                let stages = read.app.settings.stages.iter();
                let on_aws = stages.filter(|(_, layer)| layer.transport == Some(TransportKind::Aws));
                let on_aws = on_aws.map(|(name, _)| format!("`{name}`")).collect();
                Err(Elsewhere { name, on_aws })
            }
        })
    }

    /// What its topics and queues are called.
    pub fn topology(&self) -> Topology {
        Topology::of(&self.manifest, &self.name)
    }

    /// The same with where other apps are, as the environment says.
    pub fn whole_topology(&self) -> anyhow::Result<Topology> {
        whole_topology(&self.manifest, &self.name)
    }
}

impl StageArgs {
    /// The stage.
    pub fn find(&self, folder: Option<&Path>) -> anyhow::Result<Stage> {
        let mut stage = Stage::find(folder, self.stage.as_deref())?;
        if let Some(region) = &self.region {
            stage.aws.region = Some(region.clone());
        }
        if let Some(account) = &self.account {
            stage.aws.account = Some(account.clone());
        }
        Ok(stage)
    }
}

impl Stage {
    /// Where it is. AWS is asked only where nothing here says it.
    pub async fn site(&self) -> anyhow::Result<Site> {
        let environment = || {
            let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
            value("AWS_REGION").or_else(|| value("AWS_DEFAULT_REGION"))
        };
        let region = self.aws.region.clone().or_else(environment);
        if let (Some(region), Some(account)) = (region, self.aws.account.clone()) {
            return Ok(Site { region, account });
        }
        let Connection { site, .. } = connect(&self.aws, Purpose::Run).await.map_err(|error| {
            anyhow::anyhow!("{error}\nhint: `--region` and `--account` say it without asking AWS")
        })?;
        Ok(site)
    }
}
