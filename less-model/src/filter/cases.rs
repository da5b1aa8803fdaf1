//! The table of cases: policies, messages, and whether they pass. It is run on every transport, and on servers that do what SNS does.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Filter, Scope};

/// A policy, and what it does with some messages; or why it is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, unique.
    pub name: String,
    /// What the policy looks at.
    pub scope: Scope,
    /// The policy.
    pub policy: Map<String, Value>,
    /// The messages.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// For a policy that is refused: each problem as it is printed.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Why a server judges the policy itself otherwise than this: the server's name and the reason. Its messages are not tried there then.
    #[serde(default)]
    pub differs: BTreeMap<String, String>,
}

/// A message.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its body, as JSON.
    #[serde(default)]
    pub body: Value,
    /// Its body, as it is; then `body` is nothing.
    #[serde(default)]
    pub raw: Option<String>,
    /// Its attributes.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Whether it passes.
    pub passes: bool,
    /// Why a server judges it otherwise: the server's name and the reason.
    #[serde(default)]
    pub differs: BTreeMap<String, String>,
}

impl Case {
    /// The filter, unchecked.
    pub fn filter(&self) -> Filter {
        Filter { scope: self.scope, policy: self.policy.clone() }
    }
}

impl Message {
    /// The body, as it is published.
    pub fn text(&self) -> String {
        self.raw.clone().unwrap_or_else(|| self.body.to_string())
    }
}

/// Every case. Panics where the table can't be read: this is for tests.
#[expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "the table is compiled in, and a test reads it"
)]
pub fn all() -> Vec<Case> {
    serde_json::from_str(include_str!("../../tests/filters/cases.json")).expect("the table of cases is sound")
}
