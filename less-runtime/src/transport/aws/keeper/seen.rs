//! Which dead letters a look renews, keeps or deletes. Pure.

use std::collections::HashMap;

use crate::clock::Timestamp;
use crate::message::MessageId;

/// A dead letter as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// The message's id, which its copies have too.
    pub(super) id: MessageId,
    /// What tells copies apart.
    pub(super) rank: Rank,
    /// By which it is deleted or shown.
    pub(super) handle: String,
}

/// The order of a message's copies: the last one stays. By the last death, as that one knows more, then by age; the renewed copy of one is behind
/// it. The order is the same for all who look, so that two of them never delete two copies, each for the sake of the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// When the message died.
    pub(super) died_at: Timestamp,
    /// When the copy was sent, which its end follows from.
    pub(super) sent_at: Timestamp,
    /// SQS's own id of it.
    pub(super) sqs_id: String,
}

/// What becomes of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A copy takes its place.
    Renew,
    /// It is shown again when the look is over.
    Hold,
    /// A copy that stays was seen.
    Delete,
}

/// What a look has seen so far.
#[derive(Debug)]
pub(super) struct Seen {
    /// What was sent before is old.
    before: Timestamp,
    letters: HashMap<MessageId, Last>,
    /// How many are held.
    held: usize,
}

/// The last of a message's copies.
#[derive(Debug)]
struct Last {
    rank: Rank,
    /// Where it is held.
    handle: Option<String>,
    /// Once is enough for a look, whatever the clocks say of the copy.
    renewed: bool,
}

impl Seen {
    pub(super) fn new(before: Timestamp) -> Self {
        Self { before, letters: HashMap::new(), held: 0 }
    }

    /// What becomes of a letter; and the handle of one that was held, and goes because this one stays.
    pub(super) fn judge(&mut self, letter: Letter) -> (Verdict, Option<String>) {
        let Letter { id, rank, handle } = letter;
        // Without a time there is nothing to judge by.
        let is_old = rank.sent_at != 0 && rank.sent_at < self.before;
        let last = self.letters.entry(id).or_insert_with(|| Last {
            rank: rank.clone(),
            handle: None,
            renewed: false,
        });
        if rank < last.rank {
            return (Verdict::Delete, None);
        }
        let other = if rank == last.rank { None } else { last.handle.take() };
        self.held -= usize::from(other.is_some());
        last.rank = rank;
        if is_old && !last.renewed {
            last.renewed = true;
            return (Verdict::Renew, other);
        }
        // One that was handed out again has another handle now.
        self.held += usize::from(last.handle.replace(handle).is_none());
        (Verdict::Hold, other)
    }

    /// How many are held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// What is held no longer is; whoever asks shows it again.
    pub(super) fn let_go(&mut self) -> Vec<String> {
        self.held = 0;
        self.letters.values_mut().filter_map(|last| last.handle.take()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;
    const NOW: u64 = 100 * DAY;

    fn id(number: u128) -> MessageId {
        format!("{number:032x}").parse().unwrap()
    }

    /// A copy of message `id`, died and sent so many days ago.
    fn letter(number: u128, died: u64, sent: u64, name: &str) -> Letter {
        let (died_at, sent_at) = (NOW - died * DAY, NOW - sent * DAY);
        let rank = Rank { died_at, sent_at, sqs_id: name.to_owned() };
        Letter { id: id(number), rank, handle: name.to_owned() }
    }

    fn seen() -> Seen {
        Seen::new(NOW - 7 * DAY)
    }

    #[test]
    fn what_is_older_is_renewed_and_what_is_not_is_held() {
        let mut seen = seen();
        assert_eq!(seen.judge(letter(1, 8, 8, "a")), (Verdict::Renew, None));
        assert_eq!(seen.judge(letter(2, 7, 7, "b")), (Verdict::Hold, None), "it is not older than that");
        assert_eq!(seen.judge(letter(3, 30, 0, "c")), (Verdict::Hold, None), "it has been renewed before");
        let untimed = Rank { died_at: 0, sent_at: 0, sqs_id: "d".to_owned() };
        let untimed = Letter { id: id(4), rank: untimed, handle: "d".to_owned() };
        assert_eq!(seen.judge(untimed), (Verdict::Hold, None), "nobody knows how old it is");
        assert_eq!(seen.held(), 3);
        let mut held = seen.let_go();
        held.sort();
        assert_eq!(held, ["b", "c", "d"]);
        assert_eq!((seen.held(), seen.let_go()), (0, Vec::new()));
    }

    #[test]
    fn a_copy_that_was_just_made_is_not_renewed_again_whatever_the_clocks_say() {
        let mut seen = seen();
        assert_eq!(seen.judge(letter(1, 9, 9, "a")), (Verdict::Renew, None));
        assert_eq!(seen.judge(letter(1, 9, 8, "copy")), (Verdict::Hold, None));
    }

    /// As a look that was cut off between copy and deletion leaves it.
    #[test]
    fn of_two_copies_the_last_one_stays_in_whatever_order_they_come() {
        let (old, new) = (letter(1, 9, 9, "old"), letter(1, 9, 1, "new"));
        let mut forward = seen();
        assert_eq!(forward.judge(old.clone()), (Verdict::Renew, None));
        assert_eq!(forward.judge(new.clone()), (Verdict::Hold, None));
        let mut backward = seen();
        assert_eq!(backward.judge(new), (Verdict::Hold, None));
        assert_eq!(backward.judge(old), (Verdict::Delete, None));
        assert_eq!(backward.let_go(), ["new"]);

        let mut both_young = seen();
        assert_eq!(both_young.judge(letter(1, 9, 3, "first")), (Verdict::Hold, None));
        assert_eq!(both_young.judge(letter(1, 9, 1, "second")), (Verdict::Hold, Some("first".to_owned())));
        assert_eq!((both_young.held(), both_young.let_go()), (1, vec!["second".to_owned()]));
    }

    #[test]
    fn the_last_death_stays_though_its_letter_is_older_than_a_renewed_one() {
        let mut seen = seen();
        assert_eq!(seen.judge(letter(1, 20, 1, "renewed")), (Verdict::Hold, None));
        assert_eq!(seen.judge(letter(1, 8, 8, "died again")), (Verdict::Renew, Some("renewed".to_owned())));
        assert_eq!(seen.held(), 0);
    }

    #[test]
    fn one_that_sqs_hands_out_twice_is_held_once_and_deleted_by_nobody() {
        let mut seen = seen();
        let young = letter(1, 1, 1, "a");
        assert_eq!(seen.judge(young.clone()), (Verdict::Hold, None));
        let again = Letter { handle: "again".to_owned(), ..young };
        assert_eq!(seen.judge(again), (Verdict::Hold, None));
        assert_eq!((seen.held(), seen.let_go()), (1, vec!["again".to_owned()]));
    }

    /// Two who look at the same three copies, each in an order of its own, and again after they were shown.
    #[test]
    fn whoever_looks_and_in_whatever_order_the_last_copy_is_never_deleted() {
        let copies = [letter(1, 9, 3, "a"), letter(1, 9, 2, "b"), letter(1, 8, 4, "c")];
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for first in orders {
            for second in orders {
                let mut left = vec!["a", "b", "c"];
                for order in [first, second] {
                    let mut seen = seen();
                    for letter in order.map(|place| copies[place].clone()) {
                        let name = letter.handle.clone();
                        let (verdict, other) = seen.judge(letter);
                        assert_ne!(verdict, Verdict::Renew);
                        left.retain(|one| Some(*one) != other.as_deref());
                        left.retain(|one| *one != name || verdict == Verdict::Hold);
                    }
                }
                assert_eq!(left, ["c"], "{first:?} {second:?}");
            }
        }
    }
}
