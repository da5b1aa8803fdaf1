//! Reads messages back, for subscribers that are behind and for dead letters.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use super::disk::{Disk, DiskFile};
use super::log::{io_error, name};
use super::record::{self, Record, Seq, TopicId};
use super::scan::{Scanned, Scanner};
use super::state::{SPAN, Spot};
use crate::message::StoredMessage;
use crate::transport::TransportError;

/// Open segments, for whoever reads bodies.
#[derive(Clone)]
pub(super) struct Segments {
    pub(super) files: Arc<RwLock<BTreeMap<u32, Arc<dyn DiskFile>>>>,
    pub(super) disk: Arc<dyn Disk>,
}

/// Messages of one topic that follow each other. One that is damaged has a place and no message.
#[derive(Debug)]
pub(super) struct Run {
    first: Seq,
    messages: Vec<Result<Arc<StoredMessage>, TransportError>>,
}

impl Run {
    /// The message with this number, where the run covers it.
    pub(super) fn get(&self, seq: Seq) -> Option<&Result<Arc<StoredMessage>, TransportError>> {
        self.messages.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    /// What it takes in memory, roughly; `None` where one of its messages could not be read.
    pub(super) fn size(&self) -> Option<usize> {
        self.messages.iter().map(|message| Some(cost(message.as_ref().ok()?))).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Seq, &Result<Arc<StoredMessage>, TransportError>)> {
        (self.first..).zip(&self.messages)
    }
}

impl Segments {
    pub(super) fn get(&self, segment: u32) -> Option<Arc<dyn DiskFile>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).get(&segment).cloned()
    }

    /// Reads one message, and checks that it is the one that was written.
    pub(super) fn read(
        &self,
        topic: TopicId,
        seq: Seq,
        spot: Spot,
    ) -> Result<Arc<StoredMessage>, TransportError> {
        let mut run = self.read_run(topic, seq, spot, 0)?;
        run.messages.swap_remove(0)
    }

    /// Reads a message, and those that follow it in the next `ahead` bytes.
    pub(super) fn read_run(
        &self,
        topic: TopicId,
        seq: Seq,
        spot: Spot,
        ahead: u64,
    ) -> Result<Run, TransportError> {
        let Spot { place, until } = spot;
        let file_name = name(place.segment);
        let failed = |error: io::Error| io_error(&*self.disk, "read", &file_name, &error);
        let damaged = |offset: u64| TransportError::Damaged {
            file: self.disk.describe(&file_name),
            offset,
            problem: "the checksum of a message is wrong".to_owned(),
        };
        let file = self.get(place.segment).ok_or_else(|| missing(&*self.disk, place.segment))?;
        let mut run = Run { first: seq, messages: Vec::new() };
        let mut scanner = Scanner::new(file, place.segment, u64::from(place.offset)).map_err(failed)?;
        // Where the first of the messages that could not be read was.
        let mut damage = u64::from(place.offset);
        let mut end = None;
        while scanner.offset() < end.unwrap_or(u64::MAX) && seq + (run.messages.len() as u64) < until {
            let Some(next) = scanner.next().map_err(failed)? else { break };
            let (offset, payload) = match next {
                Scanned::Frame { offset, payload, .. } => (offset, payload),
                Scanned::Damaged { from, .. } => {
                    damage = from;
                    continue;
                }
            };
            let wanted = seq + run.messages.len() as u64;
            let found = match record::heading(&payload) {
                Some((owner, found)) if owner == topic && (wanted..until).contains(&found) => found,
                _ => {
                    // An entry covers no more than this; a message that is not in it is damaged.
                    if end.is_none() && offset > u64::from(place.offset) + u64::from(SPAN) {
                        break;
                    }
                    continue;
                }
            };
            // Those between were there when the log was written.
            run.messages.extend((wanted..found).map(|_| Err(damaged(damage))));
            run.messages.push(match record::read(&payload) {
                Some(
                    Record::Publish { message, .. }
                    | Record::PublishFiltered { message, .. }
                    | Record::Moved { message, .. }
                    | Record::Copied { message, .. },
                ) => Ok(Arc::new(message.into_owned())),
                _ => Err(damaged(offset)),
            });
            end.get_or_insert(offset + ahead);
        }
        if run.messages.is_empty() {
            run.messages.push(Err(damaged(damage)));
        }
        Ok(run)
    }
}

/// What a message takes in memory, roughly: its body and what is around it.
pub(super) fn cost(message: &StoredMessage) -> usize {
    message.body.len() + 256
}

pub(super) fn missing(disk: &dyn Disk, segment: u32) -> TransportError {
    TransportError::Damaged {
        file: disk.describe(&name(segment)),
        offset: 0,
        problem: "the file is missing".to_owned(),
    }
}
