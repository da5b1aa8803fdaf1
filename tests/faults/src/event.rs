//! What a process under test tells: a line per event, written with one call, so that what is in the pipe was told before the fault.
//!
//! `LETTER PLACE ID NUMBER TIME`: the place is a topic's or a subscription's number, `-` stands for no id, the time is microseconds since 1970.
//! Whatever changes the store is told twice: before it is asked for, and after the store said yes. Between the two its outcome is unknown.

use std::fmt;
use std::io::{self, Write as _};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Error, bail};
use less_runtime::message::MessageId;
use less_runtime::transport::Ledger;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// `B`: a message is about to be published. The number is its ordering key, 0 for none.
    Publishing,
    /// `P`: it was acknowledged.
    Published,
    /// `W`: a lease is about to be asked for.
    Leasing,
    /// `S`: a delivery was handed out. The number is the attempt.
    Started,
    /// `D`: it is about to be acked.
    Acking,
    /// `A`: the ack returned. It may be lost by a crash, but only for a short while.
    Acked,
    /// `F`: it is about to be put back for another attempt.
    Retrying,
    /// `T`: it was.
    Retried,
    /// `G`: it is about to be made a dead letter.
    Dying,
    /// `X`: it is one.
    Died,
    /// `H`: it is about to be handed back.
    HandingBack,
    /// `L`: a dead letter is about to be released.
    Releasing,
    /// `R`: it was.
    Released,
    /// `V`: a dead letter is about to be purged.
    Purging,
    /// `U`: it was.
    Purged,
    /// `Y`: a finished message is about to be replayed.
    Replaying,
    /// `Z`: it will be delivered once more.
    Replayed,
    /// `O`: the store was opened: what follows comes from another process.
    Opened,
    /// `Q`: it lists this dead letter.
    Listed,
    /// `N`: everything that the subscription had to hand out was handed out.
    Drained,
    /// `K`: the store was closed, and said that all is written.
    Closed,
    /// `E`: the store refused something. What and why is on stderr.
    Failed,
    /// `t`: whatever was acked until now is part of the store's next write.
    Taking,
    /// `d`: the store asked the disk for something.
    AtDisk,
    /// `a`: it has its answer.
    Answered,
    /// `s`: what the store had taken is on stable storage.
    Synced,
}

/// Every kind with its letter.
const LETTERS: [(What, char); 26] = [
    (What::Publishing, 'B'),
    (What::Published, 'P'),
    (What::Leasing, 'W'),
    (What::Started, 'S'),
    (What::Acking, 'D'),
    (What::Acked, 'A'),
    (What::Retrying, 'F'),
    (What::Retried, 'T'),
    (What::Dying, 'G'),
    (What::Died, 'X'),
    (What::HandingBack, 'H'),
    (What::Releasing, 'L'),
    (What::Released, 'R'),
    (What::Purging, 'V'),
    (What::Purged, 'U'),
    (What::Replaying, 'Y'),
    (What::Replayed, 'Z'),
    (What::Opened, 'O'),
    (What::Listed, 'Q'),
    (What::Drained, 'N'),
    (What::Closed, 'K'),
    (What::Failed, 'E'),
    (What::Taking, 't'),
    (What::AtDisk, 'd'),
    (What::Answered, 'a'),
    (What::Synced, 's'),
];

impl What {
    /// What an answer of the store answers; `None` for what is no answer. An ack is not waited for, so that its return promises nothing.
    pub(crate) fn asked(self) -> Option<Self> {
        match self {
            Self::Published => Some(Self::Publishing),
            Self::Started => Some(Self::Leasing),
            Self::Retried => Some(Self::Retrying),
            Self::Died => Some(Self::Dying),
            Self::Released => Some(Self::Releasing),
            Self::Purged => Some(Self::Purging),
            Self::Replayed => Some(Self::Replaying),
            Self::Publishing
            | Self::Leasing
            | Self::Acking
            | Self::Acked
            | Self::Retrying
            | Self::Dying
            | Self::HandingBack
            | Self::Releasing
            | Self::Purging
            | Self::Replaying
            | Self::Opened
            | Self::Listed
            | Self::Drained
            | Self::Closed
            | Self::Failed
            | Self::Taking
            | Self::AtDisk
            | Self::Answered
            | Self::Synced => None,
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) what: What,
    /// A topic's number for publishes, else a subscription's.
    pub(crate) place: u32,
    pub(crate) id: Option<MessageId>,
    pub(crate) number: u32,
    /// In microseconds.
    pub(crate) at: u64,
}

/// A line: an event, or the books of a subscription (`J SUBSCRIPTION JSON TIME`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    Event(Event),
    Books { subscription: u32, ledger: Box<Ledger>, at: u64 },
}

/// Microseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

impl Line {
    /// When it was told, in microseconds since 1970.
    pub(crate) fn at(&self) -> u64 {
        match self {
            Self::Event(event) => event.at,
            Self::Books { at, .. } => *at,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(Event { what, place, id, number, at }) => {
                let letter =
                    LETTERS.iter().find(|(known, _)| known == what).map_or('?', |(_, letter)| *letter);
                match id {
                    Some(id) => write!(f, "{letter} {place} {id} {number} {at}"),
                    None => write!(f, "{letter} {place} - {number} {at}"),
                }
            }
            Self::Books { subscription, ledger, at } => {
                let json = serde_json::to_string(ledger).map_err(|_| fmt::Error)?;
                write!(f, "J {subscription} {json} {at}")
            }
        }
    }
}

impl FromStr for Line {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        match words[..] {
            ["J", subscription, json, at] => Ok(Self::Books {
                subscription: subscription.parse()?,
                ledger: serde_json::from_str(json).with_context(|| format!("not a ledger: `{json}`"))?,
                at: at.parse()?,
            }),
            [letter, place, id, number, at] => {
                let known = LETTERS.iter().find(|(_, known)| letter.len() == 1 && letter.starts_with(*known));
                let Some((what, _)) = known else { bail!("no event is called `{letter}`") };
                let id = if id == "-" { None } else { Some(id.parse()?) };
                let (place, number, at) = (place.parse()?, number.parse()?, at.parse()?);
                Ok(Self::Event(Event { what: *what, place, id, number, at }))
            }
            _ => bail!("not an event: `{text}`"),
        }
    }
}

/// Tells an event on stdout, with one call.
pub(crate) fn tell(what: What, place: u32, id: Option<MessageId>, number: u32) {
    say(&Line::Event(Event { what, place, id, number, at: now() }));
}

/// Tells a subscription's books.
pub(crate) fn tell_books(subscription: u32, ledger: Ledger) {
    say(&Line::Books { subscription, ledger: Box::new(ledger), at: now() });
}

fn say(line: &Line) {
    // A whole line goes through the standard library's line buffer in one call.
    if io::stdout().lock().write_all(format!("{line}\n").as_bytes()).is_err() {
        // Nobody listens any more: whoever started this is gone.
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, LETTERS, Line, What};
    use less_runtime::message::MessageId;
    use less_runtime::transport::Ledger;

    #[test]
    fn every_line_reads_back_as_what_was_written() {
        for (what, _) in LETTERS {
            for id in [None, Some(MessageId::generate())] {
                let line = Line::Event(Event { what, place: 3, id, number: 7, at: 12 });
                assert_eq!(line.to_string().parse::<Line>().unwrap(), line);
            }
        }
        let mut ledger = Ledger { published: 3, done: 2, ..Ledger::default() };
        ledger.discarded.insert("purged".to_owned(), 1);
        let line = Line::Books { subscription: 1, ledger: Box::new(ledger), at: 12 };
        assert_eq!(line.to_string().parse::<Line>().unwrap(), line);
    }

    #[test]
    fn letters_are_told_apart() {
        for (n, (what, letter)) in LETTERS.iter().enumerate() {
            assert!(LETTERS[..n].iter().all(|(other, used)| other != what && used != letter), "{letter}");
        }
        assert_eq!(What::Published.asked(), Some(What::Publishing));
    }
}
