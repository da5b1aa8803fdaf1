//! What an app promises to others about its topics: one JSON document that travels to those who subscribe.

use serde::{Deserialize, Serialize};

use crate::name::{AppName, TopicName};
use crate::quantity::Size;
use crate::shape::{Kind, Problem, Shape};

/// The file's name, in `less/external_topics/<app>`.
pub const FILE: &str = "contract.json";
/// The version of the document's form that this version of Less writes and reads.
pub const VERSION: u32 = 1;

/// An app's topics, as others may rely on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The form's version, [`VERSION`].
    pub less_contract: u32,
    /// The app.
    pub app: AppName,
    /// Its topics, sorted by name.
    pub topics: Vec<Topic>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub name: TopicName,
    /// What its author says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// Whether messages with the same key are handled in publish order on every transport. Default no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// Largest message with its attributes.
    pub max_message: Size,
    /// The name of its message type; without one the topic carries any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// The JSON Schema of its messages, for a topic with a type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

/// Why a text is no contract.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// It is no JSON.
    #[error("this is no JSON: {0}")]
    NotJson(serde_json::Error),
    /// It is JSON, and something else.
    #[error("this is no contract: it has no `less_contract`")]
    Other,
    /// A newer version of Less wrote it.
    #[error("this contract has version {0}, this version of Less reads {VERSION}")]
    Version(u64),
    /// Its form is wrong.
    #[error("this is no contract: {0}")]
    Form(String),
}

impl Contract {
    /// The contract that a JSON text holds.
    pub fn read(text: &str) -> Result<Self, ContractError> {
        Self::from_value(serde_json::from_str(text).map_err(ContractError::NotJson)?)
    }

    /// Likewise.
    pub fn from_value(value: serde_json::Value) -> Result<Self, ContractError> {
        match value["less_contract"].as_u64() {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => return Err(ContractError::Version(version)),
            None => return Err(ContractError::Other),
        }
        let form = |error: serde_json::Error| ContractError::Form(error.to_string());
        let mut contract: Self = serde_json::from_value(value).map_err(form)?;
        contract.topics.sort_by(|one, other| one.name.cmp(&other.name));
        match contract.topics.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(ContractError::Form(format!("it has topic `{}` twice", pair[0].name))),
            None => Ok(contract),
        }
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name.as_str() == name)
    }

    /// The file's text: always the same for the same contract, a line for each thing that may change.
    pub fn to_text(&self) -> String {
        // Names, numbers and JSON can always be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl Topic {
    /// What its messages look like to a reader, who takes what the writer adds later: objects are open. `None` for a topic that carries any JSON.
    pub fn shape(&self) -> Result<Option<Shape>, Vec<Problem>> {
        let Some(schema) = &self.schema else { return Ok(None) };
        // Types are named after their topics, whatever the file says: they become names in code.
        let shape = Shape::read_printed(schema, &self.name.type_name())?.opened();
        Ok((shape.root().node.kind != Kind::Any).then_some(shape))
    }
}
