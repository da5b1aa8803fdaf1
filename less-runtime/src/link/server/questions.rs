//! Administration over a link: a subscriber asks for the books and the dead letters that are kept for it.

use std::sync::Arc;

use super::super::frame::BODIES;
use super::super::protocol::{Answer, Head, Letter, Question};
use super::session::Session;
use crate::message::{MessageId, StoredMessage};
use crate::transport::{Ledger, Replay, Selection, Transport, TransportError};

/// The answer, and the bodies that go with it.
pub(super) async fn answer(
    session: &Session,
    transport: &dyn Transport,
    what: Question,
) -> (Answer, Vec<Arc<StoredMessage>>) {
    let mut bodies = Vec::new();
    let answer = match try_answer(session, transport, what, &mut bodies).await {
        Ok(answer) => answer,
        Err(error) => Answer::Failed {
            unsupported: matches!(error, TransportError::Unsupported { .. }),
            error: error.to_string(),
        },
    };
    (answer, bodies)
}

async fn try_answer(
    session: &Session,
    transport: &dyn Transport,
    what: Question,
    bodies: &mut Vec<Arc<StoredMessage>>,
) -> Result<Answer, TransportError> {
    let index = |of| session.index(of).ok_or(TransportError::Closed);
    let which = |ids: Option<Vec<MessageId>>| ids.map_or(Selection::All, Selection::Ids);
    Ok(match what {
        Question::Ledgers => {
            let guests = transport.guests().await?;
            let ledger = |index| {
                let found = guests.iter().find(|(guest, _)| Some(guest.index) == index);
                found.map_or_else(Ledger::default, |(_, ledger)| ledger.clone())
            };
            Answer::Ledgers(session.indices().into_iter().map(ledger).collect())
        }
        Question::DeadLetters { of, after, limit } => {
            let mut letters = Vec::new();
            let mut size = 0;
            for letter in transport.dead_letters(index(of)?, after, limit.clamp(1, 1000)).await? {
                // Whoever asks sees that there are more, and asks again.
                if size >= BODIES {
                    break;
                }
                let head = Head::of(&letter.message);
                size +=
                    head.size() + letter.history.iter().map(|error| 100 + error.message.len()).sum::<usize>();
                letters.push(Letter {
                    head,
                    reason: letter.reason,
                    died_at: letter.died_at,
                    attempts: letter.attempts,
                    history: letter.history,
                });
                bodies.push(letter.message);
            }
            Answer::DeadLetters(letters)
        }
        Question::Release { of, ids } => Answer::Count(transport.release(index(of)?, which(ids)).await?),
        Question::Purge { of, ids } => Answer::Count(transport.purge(index(of)?, which(ids)).await?),
        Question::Replay { of, since, id } => {
            let which = match (since, id) {
                (_, Some(id)) => Replay::Id(id),
                (Some(since), None) => Replay::Since(since),
                (None, None) => Replay::All,
            };
            Answer::Count(transport.replay(index(of)?, which).await?)
        }
    })
}
