//! Reads frames one after the other, in blocks, and finds the next sound one behind damage.

use std::io;
use std::sync::Arc;

use super::disk::DiskFile;
use super::record::{self, HEADER, MAX_PAYLOAD, Record};
use super::state::Place;

/// How much is read at once, in bytes.
const BLOCK: usize = 64 << 10;
/// Behind damage only frames up to this size are looked for: with it, a stretch of damage costs little. Its top byte is 0, which no JSON text
/// contains, so that a body can't pass for a frame.
const RESYNC: usize = 2 << 20;

/// What comes next in a segment.
pub(super) enum Scanned {
    /// A sound frame: where it begins, and its payload.
    Frame { offset: u64, length: u32, payload: Vec<u8> },
    /// Bytes from here up to there that are no sound frame.
    Damaged { from: u64, to: u64 },
}

/// Reads a segment from some offset on.
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    segment: u32,
    size: u64,
    /// Where the zeros begin that the file ends with, once it was asked.
    blank: Option<u64>,
    /// What was read, and where in the file it begins.
    buffer: Vec<u8>,
    start: u64,
    at: usize,
}

impl Scanner {
    pub(super) fn new(file: Arc<dyn DiskFile>, segment: u32, from: u64) -> io::Result<Self> {
        let size = file.size()?;
        Ok(Self { file, segment, size, blank: None, buffer: Vec::new(), start: from.min(size), at: 0 })
    }

    /// The file's size when this began, without what was only laid out.
    pub(super) fn size(&mut self) -> io::Result<u64> {
        self.blank()
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.at as u64
    }

    /// The next frame or stretch of damage; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Scanned>> {
        let from = self.offset();
        if from >= self.size {
            return Ok(None);
        }
        if let Some(length) = self.frame(MAX_PAYLOAD)? {
            return Ok(Some(self.take(length)));
        }
        // Room that was laid out and not used, which no frame begins like.
        let end = self.blank()?;
        if from >= end {
            return Ok(None);
        }
        // Byte by byte to the next frame, or to the end.
        loop {
            self.at += 1;
            if self.offset() >= end || self.frame(RESYNC)?.is_some() {
                return Ok(Some(Scanned::Damaged { from, to: self.offset() }));
            }
        }
    }

    /// Where the zeros begin that the file ends with.
    fn blank(&mut self) -> io::Result<u64> {
        if let Some(blank) = self.blank {
            return Ok(blank);
        }
        let mut blank = self.size;
        let mut buffer = vec![0; BLOCK];
        while blank > 0 {
            let block = &mut buffer[..usize::try_from(blank).unwrap_or(BLOCK).min(BLOCK)];
            let start = blank - block.len() as u64;
            self.file.read_at(block, start)?;
            let used = block.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            blank = start + used as u64;
            if used > 0 {
                break;
            }
        }
        self.blank = Some(blank);
        Ok(blank)
    }

    fn take(&mut self, length: usize) -> Scanned {
        let offset = self.offset();
        let payload = self.buffer[self.at + HEADER..self.at + length].to_vec();
        self.at += length;
        Scanned::Frame { offset, length: u32::try_from(length).unwrap_or(u32::MAX), payload }
    }

    /// The length of the sound frame that begins here, if one does.
    fn frame(&mut self, longest: usize) -> io::Result<Option<usize>> {
        if !self.fill(HEADER)? {
            return Ok(None);
        }
        let Some(length) = record::length(&self.buffer[self.at..], longest) else { return Ok(None) };
        if !self.fill(length)? {
            return Ok(None);
        }
        let place = Place { segment: self.segment, offset: u32::try_from(self.offset()).unwrap_or(u32::MAX) };
        Ok(record::sound(&self.buffer[self.at..self.at + length], place).then_some(length))
    }

    /// Makes sure that this many bytes from here on are in memory. False where the file has fewer.
    fn fill(&mut self, length: usize) -> io::Result<bool> {
        if self.buffer.len() >= self.at + length {
            return Ok(true);
        }
        if self.offset() + length as u64 > self.size {
            return Ok(false);
        }
        self.buffer.drain(..self.at.min(self.buffer.len()));
        self.start += self.at as u64;
        self.at = 0;
        let have = self.buffer.len();
        let left = self.size - self.start - have as u64;
        let more = (length - have).max(BLOCK).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.buffer.resize(have + more, 0);
        self.file.read_at(&mut self.buffer[have..], self.start + have as u64)?;
        Ok(true)
    }
}

/// What a segment's damaged stretch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The end of a write that nobody was told of.
    Torn,
    /// It was on stable storage, and is not any more.
    Rotten,
}

/// Judges damage that begins at `offset` of the last segment, all of which was synced up to `floor` at least.
pub(super) fn judge(file: Arc<dyn DiskFile>, segment: u32, offset: u64, floor: u64) -> io::Result<Verdict> {
    if offset < floor {
        return Ok(Verdict::Rotten);
    }
    let mut scanner = Scanner::new(file, segment, offset)?;
    while let Some(next) = scanner.next()? {
        if let Scanned::Frame { offset: here, payload, .. } = next
            && let Some(Record::Write { synced }) = record::read(&payload)
            && here > 0
            && synced > offset
        {
            return Ok(Verdict::Rotten);
        }
    }
    Ok(Verdict::Torn)
}
