//! Publishing: the first room.

use super::command::Command;
use super::{Embedded, NewMessage, PublishError, Receipt, TopicIndex, TransportError};

impl Embedded {
    pub(super) async fn publish_batch(
        &self,
        topic: TopicIndex,
        messages: Vec<NewMessage>,
    ) -> Vec<Result<Receipt, PublishError>> {
        let count = messages.len();
        let topic = self.topics[topic.0 as usize];
        let kept_from = self.filters.keep(topic, &messages);
        match self.commands.ask(|reply| Command::Publish { topic, messages, kept_from, reply }).await {
            Ok(results) => results,
            Err(error) => {
                let error = match error {
                    TransportError::Closed => PublishError::ShuttingDown,
                    other => PublishError::Unavailable(other.to_string()),
                };
                vec![Err(error); count]
            }
        }
    }
}
