//! Reads a whole folder: every record of every segment, and what they mean.

use std::io;
use std::sync::Arc;

use super::super::disk::Disk;
use super::super::log::{io_error, name, number, read_checkpoint};
use super::super::record::{self, Record};
use super::super::scan::{Scanned, Scanner, synced_after};
use super::super::state::{Place, State};
use super::{Found, Problem};
use crate::transport::TransportError;

/// What a folder holds, unjudged.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) state: State,
    pub(super) found: Found,
    pub(super) problems: Vec<Problem>,
    pub(super) segments: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) torn: u64,
    bodies: bool,
}

impl Scan {
    /// Reads everything; with `bodies` the messages too.
    pub(super) fn read(disk: &dyn Disk, bodies: bool) -> Result<Self, TransportError> {
        let mut scan = Self { bodies, ..Self::default() };
        let (state, from) = match read_checkpoint(disk) {
            Ok(read) => read,
            Err(TransportError::Damaged { file, .. }) => {
                scan.problems.push(Problem::Checkpoint { file });
                (State::default(), None)
            }
            Err(error) => return Err(error),
        };
        scan.state = state;
        let names = disk.list().map_err(|error| io_error(disk, "list", "", &error))?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        let first = from.map_or(0, |from| from.segment);
        let last = numbers.last().copied().unwrap_or(0);
        let needed = scan.state.live().into_keys().chain(first..=last);
        for segment in needed.collect::<std::collections::BTreeSet<u32>>() {
            let anything = from.is_some() || !numbers.is_empty();
            if anything && numbers.binary_search(&segment).is_err() {
                scan.problems.push(Problem::Missing { file: disk.describe(&name(segment)) });
            }
        }
        for segment in numbers {
            let start = match from {
                Some(from) if segment < from.segment => u64::MAX,
                Some(from) if segment == from.segment => from.offset,
                _ => 0,
            };
            scan.segment(disk, segment, start, segment == last)?;
        }
        scan.state.rebuild();
        Ok(scan)
    }

    /// Reads a segment; records from `start` on change the state.
    fn segment(
        &mut self,
        disk: &dyn Disk,
        segment: u32,
        start: u64,
        last: bool,
    ) -> Result<(), TransportError> {
        let file_name = name(segment);
        let failed = |error: io::Error| io_error(disk, "read", &file_name, &error);
        let file = disk.open(&file_name).map_err(failed)?;
        let mut scanner = Scanner::new(Arc::clone(&file), 0).map_err(failed)?;
        let damaged = |from, to| Problem::Damaged { file: disk.describe(&file_name), from, to };
        self.segments += 1;
        let mut broken = false;
        while let Some(next) = scanner.next().map_err(failed)? {
            match next {
                Scanned::Frame { offset, length, payload } => {
                    let Some(record) = record::read(&payload) else {
                        self.problems.push(damaged(offset, offset + u64::from(length)));
                        continue;
                    };
                    self.records += 1;
                    // Behind damage the state could not go on either.
                    if offset >= start && !broken {
                        let place = Place { segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
                        self.state.apply(&record, place, length);
                    }
                    self.find(record);
                }
                Scanned::Damaged { from, to } => {
                    if last && synced_after(Arc::clone(&file), from).map_err(failed)? <= from {
                        self.torn = scanner.size() - from;
                        break;
                    }
                    broken |= to > start;
                    self.problems.push(damaged(from, to));
                }
            }
        }
        self.bytes += scanner.offset();
        Ok(())
    }

    fn find(&mut self, record: Record<'static>) {
        if let Record::Publish { topic, seq, message, .. }
        | Record::Moved { topic, seq, message }
        | Record::Copied { topic, seq, message } = record
        {
            self.found.entry(topic).or_default().insert(seq, self.bodies.then(|| message.into_owned()));
        }
    }
}
