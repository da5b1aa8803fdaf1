//! The log: segments of frames, written at the end, synced, read back; and the checkpoint that makes old segments' facts unneeded.

use std::io;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use super::disk::{Disk, DiskFile, SnapshotPart};
use super::mutant::Mutant;
use super::reader::{Segments, missing};
use super::record::{self, Record};
use super::scan::{Scanned, Scanner, Verdict, judge};
use super::state::{Outline, Place, State};
use super::steps::{self, AtDisk};
use super::witness::{self, Witness};
use crate::transport::TransportError;

pub(super) const CHECKPOINT: &str = "checkpoint";
const CHECKPOINT_NEW: &str = "checkpoint.new";
const MAGIC: &[u8; 8] = b"lesscp01";
/// Magic, checksum of what follows it, length of the state.
const CHECKPOINT_HEADER: usize = 20;
/// What a disk damages at once, in bytes, about.
const BLOCK: usize = 4096;
/// How much is laid out behind the log's end at least and at most, in bytes; in small segments a quarter of one.
const AHEAD: (u64, u64) = (256 << 10, 2 << 20);
/// Where writes are larger, laying out costs more than it saves.
const LARGE: u64 = 32 << 10;

/// Where the log goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) segment: u32,
    pub(super) offset: u64,
}

/// The writer's end of the log.
pub(super) struct Log {
    disk: Arc<dyn Disk>,
    segments: Segments,
    current: Arc<dyn DiskFile>,
    segment: u32,
    size: u64,
    synced: u64,
    segment_size: u64,
    /// What is to be written next.
    buffer: Vec<u8>,
    /// How large writes are; a moving average.
    usual: u64,
    /// The size of the segment before.
    before: u64,
    witness: Witness,
    /// Whether the last write holds facts, and nothing says yet that it was synced.
    unmarked: bool,
    /// Whether something that was on stable storage could not be read when the log was opened.
    damaged: bool,
    /// What the checkpoint says that there is, as it was when the log was opened.
    saved: Outline,
}

pub(super) fn name(segment: u32) -> String {
    format!("{segment:010}.log")
}

pub(super) fn number(name: &str) -> Option<u32> {
    name.strip_suffix(".log")?.parse().ok()
}

/// The transport's error for an IO error.
pub(super) fn io_error(
    disk: &dyn Disk,
    action: &'static str,
    name: &str,
    cause: &io::Error,
) -> TransportError {
    TransportError::Io { action, file: disk.describe(name), cause: cause.to_string() }
}

impl Log {
    /// Opens the log, or begins one, and reads it into a state. `segment_size` is where a new segment is begun, at most 2 GiB.
    pub(super) fn open(disk: Arc<dyn Disk>, segment_size: u64) -> Result<(Self, State), TransportError> {
        let Checkpoint { mut state, position: from, damaged: half } = read_checkpoint(&*disk)?;
        if half {
            tracing::error!(
                "{}: one of its two copies is damaged; the other is used",
                disk.describe(CHECKPOINT)
            );
        }
        let names = disk.list().map_err(|error| io_error(&*disk, "list", "", &error))?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| number(name)).collect();
        numbers.sort_unstable();
        let segments = Segments { files: Arc::default(), disk: Arc::clone(&disk) };
        let first = from.map_or(0, |from| from.segment);
        if numbers.is_empty() || from.is_none() && numbers[0] != 0 || numbers.binary_search(&first).is_err() {
            if from.is_some() || !numbers.is_empty() {
                return Err(missing(&*disk, first));
            }
            let current = begin_segment(&*disk, 0)?;
            segments.files.write().unwrap_or_else(PoisonError::into_inner).insert(0, Arc::clone(&current));
            let log = Self {
                disk,
                segments,
                current,
                segment: 0,
                size: 0,
                synced: 0,
                segment_size,
                buffer: Vec::new(),
                usual: 0,
                before: 0,
                witness: Witness::default(),
                unmarked: false,
                damaged: false,
                saved: Outline::default(),
            };
            return Ok((log, state));
        }
        let last = numbers[numbers.len() - 1];
        let synced = witness::read(&*disk)?.max(from);
        let wanted = synced.map_or(last, |synced| synced.segment.max(last));
        if let Some(gap) = (first..=wanted).find(|segment| numbers.binary_search(segment).is_err()) {
            return Err(missing(&*disk, gap));
        }
        let saved = state.outline();
        // With the zeros that a segment may end with, and without.
        let (mut most, mut size, mut before, mut damaged) = (None, 0, 0, half);
        for segment in numbers {
            let file_name = name(segment);
            let failed = |action| {
                let file_name = &file_name;
                let disk = &disk;
                move |error: io::Error| io_error(&**disk, action, file_name, &error)
            };
            let file = disk.open(&file_name).map_err(failed("open"))?;
            before = size;
            if segment < first {
                let mut scanner = Scanner::new(Arc::clone(&file), segment, 0).map_err(failed("read"))?;
                size = scanner.size().map_err(failed("read"))?;
                most = Some(file.size().map_err(failed("read"))?);
            } else {
                let synced = synced.filter(|synced| synced.segment == segment).map_or(0, |at| at.offset);
                let from = from.filter(|from| from.segment == segment).map_or(0, |from| from.offset);
                let replay = Replay {
                    disk: &*disk,
                    file: &file,
                    segment,
                    from,
                    synced,
                    last: segment == last,
                    before: most,
                };
                let read = replay.run(&mut state)?;
                size = read.size;
                most = Some(size);
                damaged |= read.damaged;
            }
            segments.files.write().unwrap_or_else(PoisonError::into_inner).insert(segment, file);
        }
        let current = segments.get(last).ok_or_else(|| missing(&*disk, last))?;
        // What a process that was killed had written may not be on the disk yet; from here on the log says that it is.
        current.sync().map_err(|error| io_error(&*disk, "sync", &name(last), &error))?;
        let mut log = Self {
            disk,
            segments,
            current,
            segment: last,
            size,
            synced: size,
            segment_size,
            buffer: Vec::new(),
            usual: 0,
            before,
            witness: Witness::default(),
            unmarked: false,
            damaged,
            saved,
        };
        if damaged {
            // Where the end is missing, what is written next must not take its place.
            log.rotate()?;
        }
        Ok((log, state))
    }

    /// Whether something that was on stable storage could not be read when the log was opened.
    pub(super) fn damaged(&self) -> bool {
        self.damaged
    }

    /// Whether the checkpoint that the log was opened with says what topics and subscriptions there are now. Whatever relies on a record that makes
    /// one needs a checkpoint behind it, lest damage to that single record makes all that speaks of it meaningless.
    pub(super) fn knows(&self, state: &State) -> bool {
        self.saved == state.outline()
    }

    /// For reading bodies.
    pub(super) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Adds a record to what is written next, and to the state. Returns where it will be.
    pub(super) fn push(&mut self, state: &mut State, record: &Record<'_>) -> Place {
        if self.buffer.is_empty() {
            let synced = if self.size == 0 { self.before } else { self.synced };
            record::encode(&Record::Write { synced }, self.end(), &mut self.buffer);
        }
        self.unmarked = true;
        let (start, place) = (self.buffer.len(), self.end());
        record::encode(record, place, &mut self.buffer);
        let length = u32::try_from(self.buffer.len() - start).unwrap_or(u32::MAX);
        let sense = state.apply(record, place, length);
        debug_assert!(sense, "{record:?}");
        place
    }

    /// Where the next record will be.
    fn end(&self) -> Place {
        let offset = u32::try_from(self.size + self.buffer.len() as u64).unwrap_or(u32::MAX);
        Place { segment: self.segment, offset }
    }

    /// Whether the last write could be taken for a torn one, were it to rot.
    pub(super) fn unmarked(&self) -> bool {
        self.unmarked
    }

    /// Says elsewhere that the last write was synced. Everything must be.
    pub(super) fn mark(&mut self) -> Result<(), TransportError> {
        let _at = AtDisk::begin();
        self.witness.tell(&*self.disk, Position { segment: self.segment, offset: self.size })?;
        self.unmarked = false;
        Ok(())
    }

    /// How many bytes wait to be written.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Whether something waits to be written.
    pub(super) fn waits(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether something written waits to be synced.
    pub(super) fn unsynced(&self) -> bool {
        self.synced < self.size
    }

    /// Writes what waits. After an error nothing may be acknowledged until the store is opened again.
    pub(super) fn write(&mut self) -> Result<(), TransportError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let at = AtDisk::begin();
        self.current
            .append(&self.buffer)
            .map_err(|error| io_error(&*self.disk, "write", &name(self.segment), &error))?;
        drop(at);
        self.size += self.buffer.len() as u64;
        self.usual = (self.usual * 7 + self.buffer.len() as u64) / 8;
        self.buffer.clear();
        // One large write must not keep its memory for ever.
        self.buffer.shrink_to(1 << 20);
        Ok(())
    }

    /// Makes what was written last. After an error nothing may be acknowledged until the store is opened again: the kernel may have dropped the
    /// pages that it could not write, and a second sync would say that all is well.
    pub(super) fn sync(&mut self) -> Result<(), TransportError> {
        if !self.unsynced() {
            return Ok(());
        }
        if !Mutant::NoSync.on() {
            let _at = AtDisk::begin();
            self.current
                .sync()
                .map_err(|error| io_error(&*self.disk, "sync", &name(self.segment), &error))?;
        }
        steps::synced();
        self.synced = self.size;
        Ok(())
    }

    /// Has room laid out for what is written next, where there is little.
    pub(super) fn lay(&self) {
        let most = self.segment_size / 4;
        let wanted = self.size.clamp(AHEAD.0, AHEAD.1).min(most);
        let left = self.segment_size.saturating_sub(self.size);
        let laid = self.current.laid();
        // What is laid out is synced, and with it what was written before.
        if Mutant::NoSync.on() || self.usual > LARGE || laid >= wanted / 2 || laid + wanted > left {
            return;
        }
        // A disk that is nearly full has better use for it.
        if self.disk.free().is_ok_and(|free| free / 16 > wanted) {
            self.current.lay(wanted);
        }
    }

    /// Whether it is time for a new segment.
    pub(super) fn full(&self) -> bool {
        self.size >= self.segment_size
    }

    /// Begins a new segment. Everything must be synced.
    pub(super) fn rotate(&mut self) -> Result<(), TransportError> {
        let _at = AtDisk::begin();
        let failed = |error| io_error(&*self.disk, "truncate", &name(self.segment), &error);
        self.current.trim().map_err(failed)?;
        let segment = self.segment + 1;
        let file = begin_segment(&*self.disk, segment)?;
        self.segments
            .files
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(segment, Arc::clone(&file));
        self.current = file;
        self.segment = segment;
        self.before = self.size;
        self.size = 0;
        self.synced = 0;
        // A segment that is not the last one has no torn end.
        self.unmarked = false;
        Ok(())
    }

    /// Writes the state down, so that the log before this place need not be read again. Everything must be synced.
    pub(super) fn checkpoint(&mut self, state: &State) -> Result<(), TransportError> {
        let error = |action, error: io::Error| io_error(&*self.disk, action, CHECKPOINT_NEW, &error);
        let position = Position { segment: self.segment, offset: self.size };
        let payload = postcard::to_stdvec(&(position, state, &state.filters));
        let payload = payload.map_err(|problem| error("write", io::Error::other(problem.to_string())))?;
        let length = payload.len() as u64;
        let mut bytes = [&MAGIC[..], &[0; 4], &length.to_le_bytes(), &payload].concat();
        let crc = crc32c::crc32c(&bytes[12..]).to_le_bytes();
        bytes[8..12].copy_from_slice(&crc);
        // Twice, in blocks of their own: damage to the one leaves the other.
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.extend_from_within(..);
        let _at = AtDisk::begin();
        let file = self.disk.create(CHECKPOINT_NEW).map_err(|cause| error("create", cause))?;
        file.append(&bytes).map_err(|cause| error("write", cause))?;
        file.sync().map_err(|cause| error("sync", cause))?;
        self.disk.rename(CHECKPOINT_NEW, CHECKPOINT).map_err(|cause| error("rename", cause))?;
        sync_folder(&*self.disk).map_err(|cause| error("sync the folder of", cause))?;
        // It says how far the log goes.
        self.unmarked = false;
        Ok(())
    }

    /// Deletes segments that neither messages nor the checkpoint need.
    pub(super) fn prune(&mut self, state: &State) -> Result<(), TransportError> {
        let live = state.live();
        let gone: Vec<u32> = {
            let files = self.segments.files.read().unwrap_or_else(PoisonError::into_inner);
            files
                .range(..self.segment)
                .map(|(segment, _)| *segment)
                .filter(|s| !live.contains_key(s))
                .collect()
        };
        let _at = AtDisk::begin();
        for segment in gone {
            self.segments.files.write().unwrap_or_else(PoisonError::into_inner).remove(&segment);
            let file_name = name(segment);
            self.disk
                .remove(&file_name)
                .map_err(|error| io_error(&*self.disk, "remove", &file_name, &error))?;
        }
        Ok(())
    }

    /// The checkpoint and all segments as they are now: their names, and how much of them there is. What is written later is behind that.
    pub(super) fn files(&self) -> Result<Vec<SnapshotPart>, TransportError> {
        let failed = |name: &str, error: io::Error| io_error(&*self.disk, "read", name, &error);
        let checkpoint = self.disk.open(CHECKPOINT).map_err(|error| failed(CHECKPOINT, error))?;
        let size = checkpoint.size().map_err(|error| failed(CHECKPOINT, error))?;
        let mut out = vec![(CHECKPOINT.to_owned(), checkpoint, size)];
        for (segment, file) in self.segments.files.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let name = name(*segment);
            let size = if *segment == self.segment {
                self.size
            } else {
                file.size().map_err(|error| failed(&name, error))?
            };
            out.push((name, Arc::clone(file), size));
        }
        Ok(out)
    }

    /// Segments that are complete, oldest first.
    pub(super) fn complete(&self) -> Vec<u32> {
        let files = self.segments.files.read().unwrap_or_else(PoisonError::into_inner);
        files.range(..self.segment).map(|(segment, _)| *segment).collect()
    }

    /// Bytes that the disk has free.
    pub(super) fn free(&self) -> io::Result<u64> {
        self.disk.free()
    }
}

impl Drop for Log {
    /// Whoever opens it next writes where this one ends. What can't be cut off is found to be empty then.
    fn drop(&mut self) {
        let _ = self.current.trim();
    }
}

fn begin_segment(disk: &dyn Disk, segment: u32) -> Result<Arc<dyn DiskFile>, TransportError> {
    let file_name = name(segment);
    let file = disk.create(&file_name).map_err(|error| io_error(disk, "create", &file_name, &error))?;
    sync_folder(disk).map_err(|error| io_error(disk, "sync the folder of", &file_name, &error))?;
    Ok(file)
}

fn sync_folder(disk: &dyn Disk) -> io::Result<()> {
    if Mutant::NoFolderSync.on() { Ok(()) } else { disk.sync_folder() }
}

fn read_all(
    disk: &dyn Disk,
    file_name: &str,
    file: &dyn DiskFile,
    from: u64,
) -> Result<Vec<u8>, TransportError> {
    let size = file.size().map_err(|error| io_error(disk, "read", file_name, &error))?;
    let mut bytes = vec![0; usize::try_from(size.saturating_sub(from)).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, from).map_err(|error| io_error(disk, "read", file_name, &error))?;
    Ok(bytes)
}

/// A checkpoint that was read.
#[derive(Default)]
pub(super) struct Checkpoint {
    pub(super) state: State,
    /// Where the log goes on behind it; `None` where there is no checkpoint.
    pub(super) position: Option<Position>,
    /// Whether one of its two copies is damaged.
    pub(super) damaged: bool,
}

pub(super) fn read_checkpoint(disk: &dyn Disk) -> Result<Checkpoint, TransportError> {
    let file = match disk.open(CHECKPOINT) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Checkpoint::default()),
        Err(error) => return Err(io_error(disk, "open", CHECKPOINT, &error)),
    };
    let bytes = read_all(disk, CHECKPOINT, &*file, 0)?;
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let damaged = first != second || parse_checkpoint(first).is_none();
    let found = parse_checkpoint(first).or_else(|| parse_checkpoint(second));
    let (position, state) = found.ok_or_else(|| TransportError::Damaged {
        file: disk.describe(CHECKPOINT),
        offset: 0,
        problem: "the checksums of both its copies are wrong".to_owned(),
    })?;
    Ok(Checkpoint { state, position: Some(position), damaged })
}

fn parse_checkpoint(copy: &[u8]) -> Option<(Position, State)> {
    let (head, rest) = copy.split_at_checked(CHECKPOINT_HEADER)?;
    let length = u64::from_le_bytes(head[12..].try_into().ok()?);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[12..]), payload);
    let sound = head.starts_with(MAGIC) && head[8..12] == crc.to_le_bytes();
    if !sound {
        return None;
    }
    let ((position, mut state), behind) = postcard::take_from_bytes::<(Position, State)>(payload).ok()?;
    // Versions that kept no filters wrote nothing more.
    if !behind.is_empty() {
        state.filters = postcard::from_bytes(behind).ok()?;
    }
    Some((position, state))
}

/// Reads a segment into the state.
struct Replay<'a> {
    disk: &'a dyn Disk,
    file: &'a Arc<dyn DiskFile>,
    segment: u32,
    /// Records before this offset are in the state already.
    from: u64,
    /// How much of the segment was on stable storage, at least.
    synced: u64,
    /// Whether it is the last one, which alone may have a torn end.
    last: bool,
    /// The size of the segment before, if there is one.
    before: Option<u64>,
}

/// What came of it.
struct Replayed {
    size: u64,
    damaged: bool,
}

impl Replay<'_> {
    /// A torn end of the last segment is cut off. What is damaged is passed over, and told: a message that was in it is found missing when its turn
    /// comes. An error is what would make everything behind it meaningless.
    fn run(&self, state: &mut State) -> Result<Replayed, TransportError> {
        let file_name = name(self.segment);
        let failed = |action| {
            let file_name = &file_name;
            move |error: io::Error| io_error(self.disk, action, file_name, &error)
        };
        let mut damaged = false;
        let mut scanner =
            Scanner::new(Arc::clone(self.file), self.segment, self.from).map_err(failed("read"))?;
        while let Some(next) = scanner.next().map_err(failed("read"))? {
            match next {
                Scanned::Frame { offset, length, payload } => {
                    let place =
                        Place { segment: self.segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
                    let record = record::read(&payload);
                    if let (Some(Record::Write { synced }), 0, Some(before)) = (&record, offset, self.before)
                        && *synced > before
                    {
                        self.tell(state, self.segment - 1, before, *synced);
                        damaged = true;
                    }
                    if !record.is_some_and(|record| state.apply(&record, place, length)) {
                        return Err(TransportError::Damaged {
                            file: self.disk.describe(&file_name),
                            offset,
                            problem:
                                "this version does not know such a record, or what it speaks of is not there"
                                    .to_owned(),
                        });
                    }
                }
                Scanned::Damaged { from, to } => {
                    let verdict = if self.last {
                        judge(Arc::clone(self.file), self.segment, from, self.synced)
                            .map_err(failed("read"))?
                    } else {
                        Verdict::Rotten
                    };
                    if verdict == Verdict::Torn {
                        self.file.truncate(from).map_err(failed("truncate"))?;
                        self.file.sync().map_err(failed("sync"))?;
                        return Ok(Replayed { size: from, damaged });
                    }
                    self.tell(state, self.segment, from, to);
                    damaged = true;
                }
            }
        }
        let size = scanner.offset();
        if self.last && self.file.size().map_err(failed("read"))? > size {
            // Room that was laid out and not used.
            self.file.truncate(size).map_err(failed("truncate"))?;
        }
        if size < self.synced {
            self.tell(state, self.segment, size, self.synced);
            damaged = true;
        }
        Ok(Replayed { size, damaged })
    }

    fn tell(&self, state: &mut State, segment: u32, from: u64, to: u64) {
        state.damaged(to - from);
        tracing::error!(
            "{}: bytes {from} to {to} are damaged; a message that was there and not finished counts as discarded, reason `corrupt`; for the ack of one it is delivered once more; `less verify` tells more",
            self.disk.describe(&name(segment))
        );
    }
}
