//! Reads a whole folder: every record of every segment, and what they mean.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::super::disk::Disk;
use super::super::log::{CHECKPOINT, Checkpoint, io_error, name, number, read_checkpoint};
use super::super::record::{self, QueueId, Record};
use super::super::scan::{Scanned, Scanner, Verdict, judge};
use super::super::state::{Place, State};
use super::super::witness;
use super::{Found, Problem};
use crate::transport::TransportError;

/// What a folder holds, unjudged.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) state: State,
    pub(super) found: Found,
    /// What filters kept away, by queue, as far as the records that say so are still there.
    pub(super) kept_away: BTreeSet<(QueueId, u64)>,
    pub(super) problems: Vec<Problem>,
    pub(super) segments: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) torn: u64,
    bodies: bool,
}

/// A segment that is read.
struct Segment {
    number: u32,
    /// Records from here on change the state.
    from: u64,
    /// How much of it was on stable storage, at least.
    synced: u64,
    last: bool,
}

impl Scan {
    /// Reads everything; with `bodies` the messages too.
    pub(super) fn read(disk: &dyn Disk, bodies: bool) -> Result<Self, TransportError> {
        let mut scan = Self { bodies, ..Self::default() };
        let Checkpoint { state, position: from, damaged } = match read_checkpoint(disk) {
            Ok(read) => read,
            Err(TransportError::Damaged { .. }) => Checkpoint { damaged: true, ..Checkpoint::default() },
            Err(error) => return Err(error),
        };
        if damaged {
            scan.problems.push(Problem::Checkpoint { file: disk.describe(CHECKPOINT) });
        }
        scan.state = state;
        let synced = witness::read(disk)?.max(from);
        let names = disk.list().map_err(|error| io_error(disk, "list", "", &error))?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        let first = from.map_or(0, |from| from.segment);
        let last = numbers.last().copied().unwrap_or(0);
        let wanted = synced.map_or(last, |synced| synced.segment.max(last));
        let needed = scan.state.live().into_keys().chain(first..=wanted);
        for segment in needed.collect::<BTreeSet<u32>>() {
            let anything = from.is_some() || !numbers.is_empty();
            if anything && numbers.binary_search(&segment).is_err() {
                scan.problems.push(Problem::Missing { file: disk.describe(&name(segment)) });
            }
        }
        let mut before = None;
        for number in numbers {
            let from = match from {
                Some(from) if number < from.segment => u64::MAX,
                Some(from) if number == from.segment => from.offset,
                _ => 0,
            };
            let synced = synced.filter(|synced| synced.segment == number).map_or(0, |at| at.offset);
            let before_here = before.filter(|(before, _)| before + 1 == number);
            let size =
                scan.segment(disk, &Segment { number, from, synced, last: number == last }, before_here)?;
            before = Some((number, size));
        }
        scan.state.rebuild();
        Ok(scan)
    }

    /// Reads a segment. Returns its size.
    fn segment(
        &mut self,
        disk: &dyn Disk,
        segment: &Segment,
        before: Option<(u32, u64)>,
    ) -> Result<u64, TransportError> {
        let file_name = name(segment.number);
        let failed = |error: io::Error| io_error(disk, "read", &file_name, &error);
        let file = disk.open(&file_name).map_err(failed)?;
        let mut scanner = Scanner::new(Arc::clone(&file), segment.number, 0).map_err(failed)?;
        let damaged = |from, to| Problem::Damaged { file: disk.describe(&file_name), from, to };
        self.segments += 1;
        while let Some(next) = scanner.next().map_err(failed)? {
            match next {
                Scanned::Frame { offset, length, payload } => {
                    let place =
                        Place { segment: segment.number, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
                    let record = record::read(&payload);
                    if let (Some(Record::Write { synced }), Some((number, size)), 0) =
                        (&record, before, offset)
                        && size < *synced
                    {
                        let file = disk.describe(&name(number));
                        self.problems.push(Problem::Damaged { file, from: size, to: *synced });
                        self.state.damaged(synced - size);
                    }
                    let known = record
                        .filter(|record| offset < segment.from || self.state.apply(record, place, length));
                    let Some(record) = known else {
                        self.problems.push(damaged(offset, offset + u64::from(length)));
                        continue;
                    };
                    self.records += 1;
                    self.find(record);
                }
                Scanned::Damaged { from, to } => {
                    let verdict = if segment.last {
                        judge(Arc::clone(&file), segment.number, from, segment.synced).map_err(failed)?
                    } else {
                        Verdict::Rotten
                    };
                    if verdict == Verdict::Torn {
                        self.torn = scanner.size().map_err(failed)?.saturating_sub(from);
                        self.bytes += from;
                        return Ok(from);
                    }
                    self.problems.push(damaged(from, to));
                    if to > segment.from {
                        self.state.damaged(to - from);
                    }
                }
            }
        }
        let size = scanner.offset();
        if size < segment.synced {
            self.problems.push(damaged(size, segment.synced));
            self.state.damaged(segment.synced - size);
        }
        self.bytes += size;
        Ok(size)
    }

    fn find(&mut self, record: Record<'static>) {
        if self.bodies {
            self.keep_away(&record);
        }
        if let Record::Publish { topic, seq, message, .. }
        | Record::PublishFiltered { topic, seq, message, .. }
        | Record::Moved { topic, seq, message }
        | Record::Copied { topic, seq, message } = record
        {
            self.found.entry(topic).or_default().insert(seq, self.bodies.then(|| message.into_owned()));
        }
    }

    /// Notes what a filter kept away: whoever holds this against a history asks.
    fn keep_away(&mut self, record: &Record<'_>) {
        if let Record::PublishFiltered { seq, kept_from, .. } = record {
            self.kept_away.extend(kept_from.iter().map(|queue| (*queue, *seq)));
        } else if let Record::QueueFiltered { id, topic, start, runs, .. }
        | Record::QueueWithFilter { id, topic, start, runs, .. } = record
        {
            let next = self.state.topics.get(*topic as usize).map_or(0, |topic| topic.next);
            let mut seq = *start;
            for (passed, kept) in runs.iter() {
                let from = seq.saturating_add(*passed).min(next);
                seq = from.saturating_add(*kept).min(next);
                self.kept_away.extend((from..seq).map(|seq| (*id, seq)));
            }
        }
    }
}
