//! The check finds what it is there to find, and nothing else.

use less_runtime::message::MessageId;
use less_runtime::transport::Ledger;

use super::{ACK_BOUND, Book};
use crate::event::{Event, Line, What};

/// A message of topic 1, which has one subscription: 2.
const TOPIC: u32 = 1;
const SUBSCRIPTION: u32 = 2;

fn event(what: What, id: MessageId, number: u32) -> Line {
    let place = if matches!(what, What::Publishing | What::Published) { TOPIC } else { SUBSCRIPTION };
    Line::Event(Event { what, place, id: Some(id), number, at: 1000 })
}

fn published() -> (Book, MessageId) {
    let (mut book, id) = (Book::default(), MessageId::generate());
    book.take(&[event(What::Publishing, id, 0), event(What::Published, id, 0)]);
    (book, id)
}

/// A look at a store that has these books of the one subscription, and tells this.
fn look(book: &mut Book, ledger: &Ledger, told: &[Line]) {
    book.look();
    for subscription in 0..3 {
        let ledger = if subscription == SUBSCRIPTION { ledger.clone() } else { Ledger::default() };
        book.take(&[Line::Books { subscription, ledger: Box::new(ledger), at: 2000 }]);
        book.take(if subscription == SUBSCRIPTION { told } else { &[] });
        book.take(&[Line::Event(Event {
            what: What::Drained,
            place: subscription,
            id: None,
            number: 0,
            at: 2000,
        })]);
    }
    book.looked();
}

fn problems(book: &Book) -> String {
    book.findings.problems.join("\n")
}

#[test]
fn a_message_that_is_handed_out_after_a_crash_is_fine() {
    let (mut book, id) = published();
    book.crash(1500);
    let told = [event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)];
    look(&mut book, &Ledger { published: 1, pending: 1, ..Ledger::default() }, &told);
    assert_eq!(problems(&book), "");
    assert_eq!((book.findings.acknowledged, book.findings.lost), (1, 0));
}

#[test]
fn an_acknowledged_message_that_is_gone_is_lost() {
    let (mut book, _) = published();
    book.crash(1500);
    look(&mut book, &Ledger { published: 1, done: 1, ..Ledger::default() }, &[]);
    assert_eq!(book.findings.lost, 1);
    assert!(problems(&book).contains("acknowledged, and is gone"), "{}", problems(&book));
}

#[test]
fn a_message_whose_ack_was_begun_may_be_gone_and_may_come_again() {
    for again in [false, true] {
        let (mut book, id) = published();
        book.take(&[event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)]);
        book.crash(1500);
        let told = [event(What::Started, id, 2)];
        if again {
            look(&mut book, &Ledger { published: 1, pending: 1, ..Ledger::default() }, &told);
        } else {
            look(&mut book, &Ledger { published: 1, done: 1, ..Ledger::default() }, &[]);
        }
        assert_eq!(problems(&book), "");
        assert_eq!(book.findings.duplicates, u64::from(again));
    }
}

#[test]
fn an_ack_that_is_taken_back_too_late_or_without_a_crash_is_wrong() {
    let (mut book, id) = published();
    book.take(&[event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)]);
    let mut late = book.clone();
    late.crash(1000 + ACK_BOUND + 1);
    late.take(&[event(What::Started, id, 2)]);
    assert!(problems(&late).contains("before the crash"), "{}", problems(&late));
    book.take(&[event(What::Started, id, 2)]);
    assert!(problems(&book).contains("no crash took that back"), "{}", problems(&book));
}

/// What the store does by its own account.
fn steps(steps: &[(What, u64)]) -> Vec<Line> {
    let step =
        |(what, at): &(What, u64)| Line::Event(Event { what: *what, place: 0, id: None, number: 0, at: *at });
    steps.iter().map(step).collect()
}

#[test]
fn an_ack_that_was_synced_is_taken_back_by_no_crash() {
    for (taken, wrong) in [(999, false), (1000, false), (1001, true)] {
        let (mut book, id) = published();
        book.take(&[event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)]);
        book.take(&steps(&[(What::Taking, taken), (What::AtDisk, 1100), (What::Answered, 1200)]));
        let unsynced = book.clone();
        book.take(&steps(&[(What::Synced, 1200), (What::Taking, 1300)]));
        for (mut book, wrong) in [(book, wrong), (unsynced, false)] {
            book.crash(1500);
            // What the next process does is no excuse.
            book.take(&steps(&[(What::Taking, 1600), (What::Synced, 1700)]));
            book.take(&[event(What::Started, id, 2)]);
            assert_eq!(
                problems(&book).contains("and synced"),
                wrong,
                "taken at {taken}: {}",
                problems(&book)
            );
            assert_eq!(problems(&book).is_empty(), !wrong, "{}", problems(&book));
        }
    }
}

#[test]
fn a_replay_that_has_no_answer_takes_no_ack_back() {
    for (asked, wrong) in [(What::Replaying, false), (What::Retrying, true)] {
        let (mut book, id) = published();
        book.take(&[event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)]);
        book.take(&steps(&[(What::Taking, 1100), (What::Synced, 1200)]));
        book.take(&[event(asked, id, 0)]);
        book.crash(1500);
        book.take(&[event(What::Started, id, 1)]);
        assert_eq!(!book.findings.problems.is_empty(), wrong, "{asked:?}: {}", problems(&book));
        assert_eq!(book.findings.duplicates, u64::from(wrong));
    }
}

#[test]
fn what_the_disk_takes_is_no_lateness_of_the_store() {
    let asked = 1000 + ACK_BOUND / 2;
    for (until, late) in [(asked + ACK_BOUND, false), (asked + ACK_BOUND / 4, true)] {
        let (mut book, id) = published();
        book.take(&[event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)]);
        // Asked before, and over; asked, and answered at last, if it was.
        book.take(&steps(&[(What::AtDisk, 10), (What::Answered, 20), (What::AtDisk, asked)]));
        if late {
            book.take(&steps(&[(What::Answered, until)]));
        }
        book.crash(asked + ACK_BOUND);
        book.take(&[event(What::Started, id, 2)]);
        assert_eq!(problems(&book).contains("the disk took"), late, "{}", problems(&book));
        assert_eq!(book.findings.oldest_duplicate, ACK_BOUND / 2 + ACK_BOUND);
        let disk = if late { ACK_BOUND / 4 } else { ACK_BOUND };
        assert_eq!(book.findings.oldest_beside_disk, ACK_BOUND / 2 + ACK_BOUND - disk);
    }
}

#[test]
fn a_closed_store_takes_no_ack_back() {
    let (mut book, id) = published();
    book.take(&[event(What::Started, id, 1), event(What::Acking, id, 1), event(What::Acked, id, 1)]);
    book.take(&[Line::Event(Event { what: What::Closed, place: 0, id: None, number: 0, at: 1100 })]);
    book.crash(1500);
    book.take(&[event(What::Started, id, 2)]);
    assert!(problems(&book).contains("finished for good"), "{}", problems(&book));
}

#[test]
fn a_message_that_was_never_published_is_told() {
    let (mut book, _) = published();
    book.take(&[event(What::Started, MessageId::generate(), 1)]);
    assert!(problems(&book).contains("never published"), "{}", problems(&book));
}

#[test]
fn attempts_that_are_counted_twice_or_not_at_all_are_wrong() {
    for (attempt, wrong) in [(1, true), (2, false), (3, false), (4, true)] {
        let (mut book, id) = published();
        book.take(&[event(What::Started, id, 1), event(What::Retrying, id, 1), event(What::Retried, id, 1)]);
        // It may have been leased once more before the crash.
        book.crash(1500);
        book.take(&[event(What::Started, id, attempt)]);
        assert_eq!(!book.findings.problems.is_empty(), wrong, "attempt {attempt}: {}", problems(&book));
    }
}

#[test]
fn a_dead_letter_that_is_gone_is_lost_and_one_that_nothing_made_is_wrong() {
    let (mut book, id) = published();
    let mut other = book.clone();
    book.take(&[event(What::Started, id, 1), event(What::Dying, id, 1), event(What::Died, id, 1)]);
    book.crash(1500);
    look(&mut book, &Ledger { published: 1, done: 1, ..Ledger::default() }, &[]);
    assert_eq!(book.findings.lost, 1, "{}", problems(&book));
    other.crash(1500);
    look(&mut other, &Ledger { published: 1, dead: 1, ..Ledger::default() }, &[event(What::Listed, id, 1)]);
    assert!(problems(&other).contains("nothing made it one"), "{}", problems(&other));
}

#[test]
fn messages_of_a_key_come_one_after_the_other() {
    let (first, second) = (MessageId::generate(), MessageId::generate());
    let mut book = Book::default();
    for id in [first, second] {
        book.take(&[event(What::Publishing, id, 1), event(What::Published, id, 0)]);
    }
    let mut early = book.clone();
    early.take(&[event(What::Started, second, 1)]);
    assert!(problems(&early).contains("not finished"), "{}", problems(&early));
    book.take(&[
        event(What::Started, first, 1),
        event(What::Acking, first, 1),
        event(What::Started, second, 1),
    ]);
    assert_eq!(problems(&book), "");
}

#[test]
fn books_that_do_not_fit_what_was_told_are_wrong() {
    let (mut book, _) = published();
    book.crash(1500);
    look(&mut book, &Ledger { published: 2, pending: 2, ..Ledger::default() }, &[]);
    let problems = problems(&book);
    assert!(problems.contains("1 to 1 messages were published"), "{problems}");
    assert!(problems.contains("0 messages were handed out"), "{problems}");
}

#[test]
fn a_store_that_can_not_be_opened_has_lost_what_was_not_finished() {
    let (mut book, _) = published();
    book.crash(1500);
    book.refused("it is damaged");
    assert_eq!((book.findings.lost, problems(&book).as_str()), (1, "it is damaged"));
}
