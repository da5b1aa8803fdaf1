//! Another app that can be asked for its contract: where it is, what lets us in, what it says.

use std::path::Path;
use std::time::Duration;

use less_model::contract::Contract;
use less_model::manifest::{ExternalLayer, Settings};
use less_model::name::{AppName, StageName};
use less_runtime::client::{Client, Trust};
use less_runtime::publish::PublishError;
use less_runtime::registry;

use crate::ui;

/// What lets a command in where nothing else is said.
const API_KEY: &str = "LESS_API_KEY";

/// Where another app is, and what lets us in.
pub struct Peer {
    url: String,
    token: Option<String>,
    trust: Trust,
    /// The variable that holds the token, or would.
    variable: String,
}

/// Why an app said nothing of use.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers there, or something else does.
    #[error("{0}")]
    Unreachable(String),
    /// It does not let us in.
    #[error(
        "the app at {url} wants another token\nhint: set {variable} to its LESS_LINK_TOKEN or LESS_API_KEY"
    )]
    Refused {
        /// Where it is.
        url: String,
        /// The variable that holds the token.
        variable: String,
    },
    /// What it says is no contract.
    #[error("what the app at {url} says can't be used: {cause}")]
    Unusable {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Peer {
    /// The app at this address. Where `less.toml`, in `root`, names it, with the token and the certificates that belong to it.
    pub fn at(url: &str, root: &Path, settings: &Settings, stage: &StageName) -> Self {
        let url = url.trim_end_matches('/').trim_end_matches("/_less/contract").trim_end_matches('/');
        let layers = settings.stages.get(stage).into_iter().chain([&settings.base]);
        let known = layers
            .flat_map(|layer| layer.external.keys())
            .map(|app| settings.external(stage, app))
            .find(|layer| layer.url.as_deref().is_some_and(|known| known.trim_end_matches('/') == url));
        Self::with_url(url, root, known.unwrap_or_default())
    }

    /// The app of this name: at the URL that `less.toml` gives, else among those that run on this machine. Otherwise why it is not found.
    pub fn named(app: &AppName, root: &Path, settings: &Settings, stage: &StageName) -> Result<Self, String> {
        let mut layer = settings.external(stage, app);
        if let Some(url) = layer.url.take() {
            return Ok(Self::with_url(url.trim_end_matches('/'), root, layer));
        }
        let all = registry::find(app).map_err(|error| error.to_string())?;
        // Another stage of it will do: what it promises is in what was built.
        let (here, elsewhere): (Vec<_>, Vec<_>) = all.into_iter().partition(|entry| entry.stage == *stage);
        match (&here[..], &elsewhere[..]) {
            ([one], _) | ([], [one]) => {
                let token = Some(one.token.expose().to_owned());
                let trust = Trust::of(one);
                Ok(Self { url: one.url.clone(), token, trust, variable: API_KEY.to_owned() })
            }
            ([], []) => Err("it does not run on this machine".to_owned()),
            (several, others) => {
                let folders = several.iter().chain(others).map(|entry| entry.folder.display().to_string());
                let folders = folders.collect::<Vec<_>>().join(", ");
                Err(format!(
                    "several apps of this name run on this machine ({folders}); `[external.{app}] url` in less.toml says which one is meant"
                ))
            }
        }
    }

    fn with_url(url: &str, root: &Path, layer: ExternalLayer) -> Self {
        let trust = layer.ca.map_or_else(Trust::usual, |ca| Trust::Authorities(root.join(ca)));
        let variable = layer.token_env.unwrap_or_else(|| API_KEY.to_owned());
        let token = std::env::var(&variable).ok().filter(|token| !token.is_empty());
        Self { url: url.to_owned(), token, trust, variable }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it promises, if it answers in time.
    pub async fn contract(&self, patience: Duration) -> Result<Contract, AskError> {
        let unreachable =
            |cause: &str| AskError::Unreachable(format!("no app answers at {}: {cause}", self.url));
        let client = Client::believing(&self.url, self.token.clone(), &self.trust)
            .map_err(|error| unreachable(&cause(error)))?;
        let asked = tokio::time::timeout(patience, client.contract()).await;
        match asked.map_err(|_| unreachable(&format!("nothing was heard within {patience:?}")))? {
            Ok(value) => Contract::from_value(value).map_err(|error| AskError::Unusable {
                url: self.url.clone(),
                cause: ui::harmless(&error.to_string()),
            }),
            Err(PublishError::Unauthorized { .. }) => {
                Err(AskError::Refused { url: self.url.clone(), variable: self.variable.clone() })
            }
            Err(PublishError::Refused { status: 404, .. }) => Err(AskError::Unreachable(format!(
                "what answers at {} has no contract: it is no app of Less, or one that was built by an earlier version",
                self.url
            ))),
            Err(error) => Err(unreachable(&cause(error))),
        }
    }
}

/// What is behind an error that would say to start this app itself.
fn cause(error: PublishError) -> String {
    match error {
        PublishError::NoApp { cause, .. } => ui::harmless(&cause),
        other => ui::harmless(&other.to_string()),
    }
}
