//! Looks through a data folder and says what is wrong with it; changes nothing.
//!
//! Every byte of every segment is read: each record's checksum, that every message that is still needed is there, that the books balance. With a
//! history of what publishers and handlers saw, also that nothing acknowledged is missing, that every delivery has a cause, and that messages of a
//! key came in their order. A folder in use can be looked at: what is being written meanwhile counts as a torn end.

mod history;
mod scan;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use self::history::check;
pub use self::history::{Event, EventKind, Findings, Rules, parse};
use self::scan::Scan;
use super::disk::RealDisk;
use super::provision::has_format;
use super::state::{Mark, Queue};
use crate::clock::Timestamp;
use crate::message::StoredMessage;
use crate::transport::{Ledger, TransportError};

/// What a data folder holds.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Log files.
    pub segments: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// Sound records in them.
    pub records: u64,
    /// Messages that are stored, each counted once.
    pub messages: u64,
    /// Bytes at the end that were written and never acknowledged: a crash left them, and opening the folder cuts them off.
    pub torn: u64,
    /// Every subscription's books.
    pub subscriptions: Vec<Books>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// A subscription's books.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Books {
    /// The topic.
    pub topic: String,
    /// The subscriber.
    pub subscriber: String,
    /// Its books. Messages that were leased when the process ended count as in flight.
    pub ledger: Ledger,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// Bytes that are no sound record.
    #[error("{file}: bytes {from} to {to} are damaged")]
    Damaged {
        /// The file.
        file: String,
        /// The first byte.
        from: u64,
        /// The byte after the last.
        to: u64,
    },
    /// A file that should be there.
    #[error("{file} is missing")]
    Missing {
        /// The file.
        file: String,
    },
    /// The checkpoint can't be read.
    #[error("{file} is damaged")]
    Checkpoint {
        /// The file.
        file: String,
    },
    /// Messages that are still needed are not there.
    #[error("topic `{topic}`: {} gone", gone(*first, *last))]
    Gone {
        /// The topic.
        topic: String,
        /// The first one's number.
        first: u64,
        /// The last one's number.
        last: u64,
    },
    /// Books that do not balance.
    #[error("`{topic}/{subscriber}`: the ledger does not balance: {ledger:?}")]
    Unbalanced {
        /// The topic.
        topic: String,
        /// The subscriber.
        subscriber: String,
        /// Its books.
        ledger: Box<Ledger>,
    },
}

impl Problem {
    /// Whether a broker runs on with it: what is damaged is not served, and counted. Without a file, or without its checkpoint, none starts.
    pub fn is_survived(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Gone { .. } => true,
            Self::Missing { .. } | Self::Checkpoint { .. } | Self::Unbalanced { .. } => false,
        }
    }
}

fn gone(first: u64, last: u64) -> String {
    if first == last { format!("message {first} is") } else { format!("messages {first} to {last} are") }
}

/// Looks through a data folder. An error means that it could not be read; what is wrong with what was read is in the result.
pub fn inspect(folder: &Path, now: Timestamp) -> Result<Inspection, TransportError> {
    Ok(read(folder, now, false)?.0)
}

/// Looks through a data folder, and holds against it what publishers and handlers saw.
pub fn inspect_with(
    folder: &Path,
    now: Timestamp,
    events: &[Event],
    rules: &Rules,
) -> Result<(Inspection, Findings), TransportError> {
    let (inspection, scan) = read(folder, now, true)?;
    let findings = check(&scan, events, rules);
    Ok((inspection, findings))
}

fn read(folder: &Path, now: Timestamp, bodies: bool) -> Result<(Inspection, Scan), TransportError> {
    has_format(folder)?;
    let disk = RealDisk::new(folder.to_owned());
    let mut tries = 0;
    // A running app may delete a segment between the look at the list and the look into it; what is really wrong is so at the next look too.
    loop {
        tries += 1;
        match Scan::read(&disk, bodies) {
            Err(TransportError::Io { .. }) if tries < 3 => {}
            Err(error) => return Err(error),
            Ok(scan) => {
                let inspection = judge(&scan, now);
                if inspection.problems.is_empty() || tries == 3 {
                    return Ok((inspection, scan));
                }
            }
        }
    }
}

/// The same of any disk.
#[cfg(test)]
pub(super) fn inspect_disk(
    disk: &dyn super::disk::Disk,
    now: Timestamp,
) -> Result<Inspection, TransportError> {
    Ok(judge(&Scan::read(disk, false)?, now))
}

fn judge(scan: &Scan, now: Timestamp) -> Inspection {
    let mut problems = scan.problems.clone();
    for (id, topic) in (0..).zip(&scan.state.topics) {
        let found = scan.found.get(&id);
        let there = |seq: u64| found.is_some_and(|found| found.contains_key(&seq));
        let queues = scan.state.queues.iter().filter(|queue| queue.topic == id);
        let apart = queues.flat_map(|queue| queue.open.keys().chain(queue.dead.keys()).copied());
        let base = topic.base();
        let mut needed: Vec<u64> = apart.filter(|seq| *seq < base).collect();
        needed.sort_unstable();
        needed.dedup();
        let mut gone: Vec<(u64, u64)> = Vec::new();
        for seq in needed.into_iter().chain(base..topic.next).filter(|seq| !there(*seq)) {
            match gone.last_mut() {
                Some((_, last)) if *last + 1 == seq => *last = seq,
                _ => gone.push((seq, seq)),
            }
        }
        let topic = &topic.name;
        problems.extend(gone.into_iter().map(|(first, last)| Problem::Gone {
            topic: topic.clone(),
            first,
            last,
        }));
    }
    let subscriptions: Vec<Books> = scan
        .state
        .queues
        .iter()
        .filter(|queue| !queue.is_dropped())
        .map(|queue| {
            let topic = &scan.state.topics[queue.topic as usize];
            let (ledger, _) = queue.ledger(topic, now);
            Books { topic: topic.name.clone(), subscriber: queue.name.clone(), ledger }
        })
        .collect();
    problems.extend(subscriptions.iter().filter(|books| !books.ledger.balanced()).map(|books| {
        let Books { topic, subscriber, ledger } = books.clone();
        Problem::Unbalanced { topic, subscriber, ledger: Box::new(ledger) }
    }));
    Inspection {
        segments: scan.segments,
        bytes: scan.bytes,
        records: scan.records,
        messages: scan.found.values().map(|found| found.len() as u64).sum(),
        torn: scan.torn,
        subscriptions,
        problems,
    }
}

/// What became of a message of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It was published before the subscription was made.
    NotMeant,
    /// It waits, is being handled, or is to be attempted again.
    Open,
    Dead,
    Finished,
}

fn fate(queue: &Queue, seq: u64) -> Fate {
    if seq < queue.start {
        Fate::NotMeant
    } else if queue.dead.contains_key(&seq) {
        Fate::Dead
    } else if queue.open.contains_key(&seq) || queue.marks.get(seq) != Mark::Finished {
        Fate::Open
    } else {
        Fate::Finished
    }
}

/// Every stored message by topic and number, with its body where bodies were kept.
type Found = BTreeMap<u32, BTreeMap<u64, Option<StoredMessage>>>;
