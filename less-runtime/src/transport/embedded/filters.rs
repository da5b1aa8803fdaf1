//! Filters: a message is judged once, by its publisher, before the writer has it. What was judged is part of the message's own record.

use less_model::filter::{Candidate, Filter, Matcher};
use less_model::name::{SubscriberName, TopicName};

use super::directory::StoredFilter;
use super::reader::Segments;
use super::record::{Seq, TopicId};
use super::state::Topic;
use crate::message::StoredMessage;
use crate::transport::{Layout, TransportError};

/// How much is read at once of messages that are judged later than they were published, in bytes.
const BLOCK: u64 = 1 << 20;
/// Most runs of messages that one record may tell apart: their lengths take at most half of what a record may have.
const MOST_RUNS: usize = 8 << 20;

/// The filter of each of the layout's subscriptions.
pub(super) fn of_layout(layout: &Layout) -> Result<Vec<Option<StoredFilter>>, TransportError> {
    let all = layout.subscriptions.iter();
    all.map(|spec| stored(spec.filter.as_ref(), &layout.topics[spec.topic.0 as usize].name, &spec.subscriber))
        .collect()
}

/// A subscription's filter, ready to be stored.
pub(super) fn stored(
    filter: Option<&Filter>,
    topic: &TopicName,
    subscriber: &SubscriberName,
) -> Result<Option<StoredFilter>, TransportError> {
    let wrong =
        |problem| TransportError::Filter { topic: topic.clone(), subscriber: subscriber.clone(), problem };
    filter.map(StoredFilter::new).transpose().map_err(wrong)
}

/// Whether a message passes.
pub(super) fn passes(matcher: &Matcher, message: &StoredMessage) -> bool {
    matcher.passes(&Candidate::new(&message.body, &message.attributes))
}

/// Judges the messages from `start` on for a queue that is new. By turns how many pass and how many after them do not.
pub(super) fn judge(
    segments: &Segments,
    id: TopicId,
    topic: &Topic,
    start: Seq,
    matcher: &Matcher,
) -> Result<Vec<(u64, u64)>, TransportError> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut next = start;
    while let Some(place) = topic.place(next) {
        let run = segments.read_run(id, next, place, BLOCK)?;
        for (_, message) in run.iter() {
            // The delivery of a damaged one will tell.
            let pass = message.as_ref().map_or(true, |message| passes(matcher, message));
            match runs.last_mut() {
                Some((_, kept)) if !pass => *kept += 1,
                Some((passed, 0)) => *passed += 1,
                _ => runs.push((u64::from(pass), u64::from(!pass))),
            }
        }
        if runs.len() > MOST_RUNS {
            let capability = "filter so many messages that were published before the subscriber was made";
            return Err(TransportError::Unsupported { transport: "embedded", capability });
        }
        next = run.iter().last().map_or(next, |(seq, _)| seq) + 1;
    }
    Ok(runs)
}

/// The messages that are in both lists of half-open ranges, each of which is sorted.
pub(super) fn common(a: &[(Seq, Seq)], b: &[(Seq, Seq)]) -> Vec<(Seq, Seq)> {
    let (mut out, mut a, mut b) = (Vec::new(), a.iter().peekable(), b.iter().peekable());
    while let (Some((from_a, to_a)), Some((from_b, to_b))) = (a.peek(), b.peek()) {
        let (from, to) = (*from_a.max(from_b), *to_a.min(to_b));
        if from < to {
            out.push((from, to));
        }
        if to_a <= to_b {
            a.next()
        } else {
            b.next()
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_lists_of_ranges_have_in_common_is_in_both() {
        let a = [(0, 5), (7, 9), (20, 30)];
        for (b, both) in [
            (vec![(0, Seq::MAX)], a.to_vec()),
            (vec![(2, 8)], vec![(2, 5), (7, 8)]),
            (
                vec![(4, 5), (5, 7), (8, 21), (22, 23), (29, 99)],
                vec![(4, 5), (8, 9), (20, 21), (22, 23), (29, 30)],
            ),
            (vec![], vec![]),
        ] {
            assert_eq!(common(&a, &b), both);
            assert_eq!(common(&b, &a), both);
        }
    }
}
