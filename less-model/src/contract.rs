//! What an app promises to others about its topics: one JSON document that travels to those who subscribe.

use serde::{Deserialize, Serialize};

use crate::name::{AppName, TopicName};
use crate::quantity::Size;

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

impl Contract {
    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.iter().find(|topic| topic.name.as_str() == name)
    }
}
