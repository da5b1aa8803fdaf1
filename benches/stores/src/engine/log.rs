//! A small segmented log: frames of length, checksum and body, one write and one fdatasync for all that waits.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;

use super::Engine;

/// Size at which a new segment is begun, in bytes.
const SEGMENT: u64 = 64 << 20;
/// Bytes before a segment's frames: the number of the first one.
const START: usize = 8;
/// Bytes before a frame's body.
const HEADER: usize = 8;

/// The log.
pub(crate) struct Log {
    folder: PathBuf,
    file: File,
    segment: u32,
    size: u64,
    next: u64,
    buffer: Vec<u8>,
    /// Files of zeros, made by a thread of their own before they are needed.
    prefilled: Option<Receiver<Result<PathBuf>>>,
}

impl Log {
    /// Opens the log, or begins one. Only the last segment is read: those before it were whole when it was begun.
    pub(crate) fn open(folder: &Path, prefill: bool) -> Result<Self> {
        let prefilled = prefill.then(|| fill(folder));
        let last = (0..u32::MAX).take_while(|segment| path(folder, *segment).exists()).last();
        let mut log = Self {
            folder: folder.to_owned(),
            file: File::open(folder)?,
            segment: 0,
            size: 0,
            next: 0,
            buffer: Vec::new(),
            prefilled,
        };
        match last {
            None => log.begin(0)?,
            Some(segment) => log.resume(segment)?,
        }
        Ok(log)
    }

    fn begin(&mut self, segment: u32) -> Result<()> {
        let path = path(&self.folder, segment);
        if let Some(prefilled) = &self.prefilled {
            let ready = prefilled.recv().map_err(|_| anyhow!("the filler has stopped"))??;
            std::fs::rename(ready, &path)?;
        }
        self.file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        self.file.write_all_at(&self.next.to_le_bytes(), 0)?;
        self.file.sync_data()?;
        File::open(&self.folder)?.sync_all()?;
        (self.segment, self.size) = (segment, START as u64);
        Ok(())
    }

    fn resume(&mut self, segment: u32) -> Result<()> {
        self.file = OpenOptions::new().read(true).write(true).open(path(&self.folder, segment))?;
        let mut bytes = Vec::new();
        (&self.file).read_to_end(&mut bytes)?;
        let first = bytes.first_chunk::<START>().context("the last segment has no beginning")?;
        self.next = u64::from_le_bytes(*first);
        let mut at = START;
        while let Some(length) = frame(&bytes[at..]) {
            at += length;
            self.next += 1;
        }
        // What was written before a crash need not be on the disk yet.
        self.file.sync_data()?;
        (self.segment, self.size) = (segment, at as u64);
        Ok(())
    }
}

impl Engine for Log {
    fn next(&self) -> u64 {
        self.next
    }

    fn append(&mut self, bodies: &[Bytes]) -> Result<()> {
        self.buffer.clear();
        for body in bodies {
            let length = u32::try_from(body.len())?.to_le_bytes();
            self.buffer.extend_from_slice(&length);
            self.buffer.extend_from_slice(&checksum(length, body).to_le_bytes());
            self.buffer.extend_from_slice(body);
        }
        if self.size + self.buffer.len() as u64 > SEGMENT {
            self.begin(self.segment + 1)?;
        }
        self.file.write_all_at(&self.buffer, self.size)?;
        self.file.sync_data()?;
        self.size += self.buffer.len() as u64;
        self.next += bodies.len() as u64;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:010}.log"))
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), body)
}

/// The length of the sound frame that begins here; zeros are none.
fn frame(bytes: &[u8]) -> Option<usize> {
    let length = *bytes.first_chunk::<4>()?;
    let size = u32::from_le_bytes(length) as usize;
    let crc = bytes.get(4..HEADER)?;
    let body = bytes.get(HEADER..HEADER + size).filter(|body| !body.is_empty())?;
    (checksum(length, body).to_le_bytes() == crc).then_some(HEADER + size)
}

/// Makes files of zeros, one ahead. The thread ends when nobody takes them any more.
fn fill(folder: &Path) -> Receiver<Result<PathBuf>> {
    let (sender, receiver) = sync_channel(0);
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for number in 0_u64.. {
            let path = folder.join(format!("zeros{number}"));
            let made = zeros(&path).map(|()| path);
            if sender.send(made).is_err() {
                break;
            }
        }
    });
    receiver
}

fn zeros(path: &Path) -> Result<()> {
    let file = File::create(path)?;
    let block = vec![0; 1 << 20];
    for at in (0..SEGMENT).step_by(block.len()) {
        file.write_all_at(&block, at)?;
    }
    file.sync_all()?;
    Ok(())
}
