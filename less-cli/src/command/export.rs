//! `less export`.

use std::path::Path;

use clap::Subcommand;
use less_runtime::transport::aws::provision::Desired;

use crate::cli::ExitStatus;
use crate::deploy::code;
use crate::export::cloudformation::{MAX_INLINE, MAX_RESOURCES, MAX_TEMPLATE, anywhere, template};
use crate::export::dockerfile::{Files, IGNORED, Image, dockerfile};
use crate::project::Project;
use crate::render::RuntimeSource;
use crate::stage::Stage;
use crate::ui::{self, user_error};

/// What `export` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a stage's topics and queues as a `CloudFormation` template, for any account and region
    Cloudformation {
        /// Which `[stages.…]` of less.toml [env: `LESS_STAGE`] [default: dev]
        #[arg(long)]
        stage: Option<String>,
    },
    /// Print a Dockerfile of the app: multi-stage, without root, with a health check
    Dockerfile,
    /// Print the `.dockerignore` that goes with it
    Dockerignore,
}

pub(super) fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    match &arguments.what {
        What::Cloudformation { stage } => cloudformation(folder, stage.as_deref()),
        What::Dockerfile => image(&Project::find(folder)?),
        What::Dockerignore => {
            ui::data(IGNORED.trim_end());
            Ok(ExitStatus::Success)
        }
    }
}

fn cloudformation(folder: Option<&Path>, stage: Option<&str>) -> anyhow::Result<ExitStatus> {
    let stage = Stage::find(folder, stage)?;
    let mut desired = Desired::of(&stage.whole_topology()?, &anywhere(), stage.aws.kms_key.as_deref())
        .open_to(&stage.aws.subscriber_accounts);
    // The same tags as `less deploy` writes, or it would find something to change.
    code::note(&stage.project.root, &stage.app, &mut desired)?;
    let template = template(&desired);
    let resources = template["Resources"].as_object().map_or(0, serde_json::Map::len);
    let text = serde_json::to_string_pretty(&template)?;
    if resources > MAX_RESOURCES || text.len() > MAX_TEMPLATE {
        return Err(user_error(format!(
            "the stage needs {resources} resources in {} bytes, and a stack takes {MAX_RESOURCES} in {MAX_TEMPLATE}\nhint: `less deploy --stage {}` has no such limit",
            text.len(),
            stage.name
        )));
    }
    if text.len() > MAX_INLINE {
        ui::say(&format!(
            "the template has {} bytes: over {MAX_INLINE} it goes by way of S3 (`aws cloudformation deploy --s3-bucket …`)",
            text.len()
        ));
    }
    ui::data(&text);
    Ok(ExitStatus::Success)
}

fn image(project: &Project) -> anyhow::Result<ExitStatus> {
    let app = project.sound()?.app;
    let exists = |name: &str| project.root.join(name).is_file();
    let files = Files {
        package: exists("package.json"),
        package_lock: exists("package-lock.json"),
        requirements: exists("requirements.txt"),
    };
    let text = dockerfile(&Image::new(&app, RuntimeSource::find()?, files));
    ui::data(text.trim_end());
    Ok(ExitStatus::Success)
}
