//! Publishing: the first room.

use super::command::Command;
use smallvec::smallvec;

use super::{Embedded, Few, NewMessage, PublishError, Receipt, TopicIndex, TransportError};

impl Embedded {
    pub(super) async fn publish_batch(
        &self,
        topic: TopicIndex,
        messages: Few<NewMessage>,
    ) -> Few<Result<Receipt, PublishError>> {
        let count = messages.len();
        let topic = self.topics[topic.0 as usize];
        let directory = self.current.get();
        let kept_from = directory.keep(topic, &messages);
        let judged_by = directory.version();
        let asked = |reply| Command::Publish { topic, messages, kept_from, judged_by, reply };
        match self.commands.ask(asked).await {
            Ok(results) => results,
            Err(error) => {
                let error = match error {
                    TransportError::Closed => PublishError::ShuttingDown,
                    other => PublishError::Unavailable(other.to_string()),
                };
                smallvec![Err(error); count]
            }
        }
    }
}
