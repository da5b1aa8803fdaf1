//! `less iam`.

use std::path::Path;

use less_model::topology::Topology;
use less_runtime::transport::aws::Site;
use less_runtime::transport::aws::provision::Desired;
use serde_json::{Map, Value};

use crate::cli::ExitStatus;
use crate::export::iam::{MAX_POLICY, Role, external, policies};
use crate::stage::StageArgs;
use crate::ui;

/// What `iam` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to print [default: all of it, by these names]
    what: Option<What>,
    #[command(flatten)]
    stage: StageArgs,
}

/// What there is to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// `less plan`, `less deploy`, `less destroy`
    Deployer,
    /// Programs that publish
    Publisher,
    /// The running app: its subscribers
    Worker,
    /// `less status`, `less dlq`, `less replay`, `less tail` with `--stage`
    Admin,
    /// Other apps' topics: what lets them send to this app's queues, and what those in other accounts have to allow
    External,
}

impl What {
    /// The role whose policy it is.
    fn role(self) -> Option<Role> {
        match self {
            Self::Deployer => Some(Role::Deployer),
            Self::Publisher => Some(Role::Publisher),
            Self::Worker => Some(Role::Worker),
            Self::Admin => Some(Role::Admin),
            Self::External => None,
        }
    }
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let stage = arguments.stage.find(folder)?;
    let (topology, site) = (stage.whole_topology()?, stage.site().await?);
    let key = stage.aws.kms_key.as_deref();
    let others = || external(&Desired::of(&topology, &site, key));
    let shown = match arguments.what.map(What::role) {
        Some(Some(role)) => policy(role, &topology, &site, key),
        Some(None) => Value::Object(others()),
        None => {
            let roles = Role::ALL.map(|role| (role.to_string(), policy(role, &topology, &site, key)));
            let mut all: Map<String, Value> = roles.into_iter().collect();
            let others = others();
            if !others.is_empty() {
                all.insert("external".to_owned(), Value::Object(others));
            }
            Value::Object(all)
        }
    };
    ui::data(&serde_json::to_string_pretty(&shown)?);
    Ok(ExitStatus::Success)
}

fn policy(role: Role, topology: &Topology, site: &Site, kms_key: Option<&str>) -> Value {
    let mut documents = policies(role, topology, site, kms_key);
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
}
