//! The books and the dead letters of this app's subscriptions, which the other app keeps.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::protocol::{Answer, Letter, Place, Question, ToPublisher};
use super::state::Answered;
use super::{Link, Shared};
use crate::message::MessageId;
use crate::transport::{DeadLetter, Ledger, Replay, Selection, TransportError};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for the books: those that are known are shown then.
const BOOKS: Duration = Duration::from_millis(500);

impl Link {
    /// The ledgers of its subscriptions; without a connection as they were last known.
    pub(crate) async fn ledgers(&self) -> Vec<Ledger> {
        if let Ok((Answer::Ledgers(ledgers), _)) = self.ask(Question::Ledgers, BOOKS).await {
            let mut state = self.shared.state();
            if ledgers.len() == state.ledgers.len() {
                state.ledgers = ledgers;
                state.known = true;
            }
        }
        self.shared.state().ledgers.clone()
    }

    /// Whether the books of a subscription were told since this process began.
    pub(crate) fn knows(&self, of: Place) -> bool {
        let state = self.shared.state();
        state.known && !state.refused.iter().any(|(place, _)| *place == of)
    }

    /// See [`crate::transport::Transport::dead_letters`].
    pub(crate) async fn dead_letters(
        &self,
        of: Place,
        mut after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        let mut out: Vec<DeadLetter> = Vec::new();
        while out.len() < limit {
            let question = Question::DeadLetters { of, after, limit: limit - out.len() };
            let (answer, mut bodies) = self.ask(question, PATIENCE).await?;
            let Answer::DeadLetters(letters) = answer else { return Err(self.odd()) };
            if letters.is_empty() {
                break;
            }
            for Letter { head, reason, died_at, attempts, history } in letters {
                let message = Arc::new(head.message(&mut bodies).map_err(|_| self.odd())?);
                after = Some(message.id);
                out.push(DeadLetter { message, reason, died_at, attempts, history });
            }
        }
        Ok(out)
    }

    /// See [`crate::transport::Transport::release`].
    pub(crate) async fn release(&self, of: Place, which: Selection) -> Result<u64, TransportError> {
        self.count(Question::Release { of, ids: ids(which) }).await
    }

    /// See [`crate::transport::Transport::purge`].
    pub(crate) async fn purge(&self, of: Place, which: Selection) -> Result<u64, TransportError> {
        self.count(Question::Purge { of, ids: ids(which) }).await
    }

    /// See [`crate::transport::Transport::replay`].
    pub(crate) async fn replay(&self, of: Place, which: Replay) -> Result<u64, TransportError> {
        let (since, id) = match which {
            Replay::All => (None, None),
            Replay::Since(since) => (Some(since), None),
            Replay::Id(id) => (None, Some(id)),
        };
        self.count(Question::Replay { of, since, id }).await
    }

    async fn count(&self, what: Question) -> Result<u64, TransportError> {
        match self.ask(what, PATIENCE).await? {
            (Answer::Count(count), _) => Ok(count),
            _ => Err(self.odd()),
        }
    }

    async fn ask(&self, what: Question, patience: Duration) -> Result<Answered, TransportError> {
        let down = |cause: &str| TransportError::Unlinked {
            app: self.shared.options.publisher.clone(),
            cause: cause.to_owned(),
        };
        let answer = {
            let mut state = self.shared.state();
            if state.sender.is_none() {
                return Err(down(state.error.as_deref().unwrap_or("it is not connected yet")));
            }
            let request = state.request();
            let (reply, answer) = oneshot::channel();
            state.asked.insert(request, reply);
            Shared::send(&state, &ToPublisher::Ask { request, what });
            answer
        };
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok((Answer::Failed { unsupported: true, .. }, _))) => {
                Err(TransportError::Unsupported { transport: "link", capability: "what was asked for" })
            }
            Ok(Ok((Answer::Failed { error, .. }, _))) => Err(down(&error)),
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(_)) => Err(down("the link broke before the answer came")),
            Err(_) => Err(down("it does not answer")),
        }
    }

    fn odd(&self) -> TransportError {
        TransportError::Unlinked {
            app: self.shared.options.publisher.clone(),
            cause: "it gave an answer of another version of Less".to_owned(),
        }
    }
}

fn ids(which: Selection) -> Option<Vec<MessageId>> {
    match which {
        Selection::All => None,
        Selection::Ids(ids) => Some(ids),
    }
}
