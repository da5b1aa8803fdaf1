//! Says how far the log was synced, in a file of its own: where the log ends before that, or is damaged there, it is no torn write but a loss.
//!
//! Within the log the next write tells as much of those before it; this is for the last one. It is written once nothing came for a while.

use std::io;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::log::{Position, io_error};
use crate::transport::TransportError;

const NAME: &str = "synced";
const NEW: &str = "synced.new";
/// Segment, offset, checksum of both.
const ENTRY: usize = 16;
/// Entries after which the file is begun anew.
const MOST: usize = 4096;

/// The writer's end of the file.
#[derive(Default)]
pub(super) struct Witness {
    /// The file and its entries, once this process has begun one.
    file: Option<(Arc<dyn DiskFile>, usize)>,
}

impl Witness {
    /// Adds that the log was synced up to here. What the file said before remains true, whatever becomes of this.
    pub(super) fn tell(&mut self, disk: &dyn Disk, position: Position) -> Result<(), TransportError> {
        let entry = encode(position);
        let failed = |action| move |error: io::Error| io_error(disk, action, NAME, &error);
        if let Some((file, entries)) = self.file.as_mut().filter(|(_, entries)| *entries < MOST) {
            *entries += 1;
            file.append(&entry).map_err(failed("write"))?;
            return file.sync().map_err(failed("sync"));
        }
        let file = disk.create(NEW).map_err(failed("create"))?;
        file.append(&entry).map_err(failed("write"))?;
        file.sync().map_err(failed("sync"))?;
        disk.rename(NEW, NAME).map_err(failed("rename"))?;
        disk.sync_folder().map_err(failed("sync the folder of"))?;
        self.file = Some((file, 1));
        Ok(())
    }
}

/// How far the log was synced at least, as far as this file knows.
pub(super) fn read(disk: &dyn Disk) -> Result<Option<Position>, TransportError> {
    let failed = |error: io::Error| io_error(disk, "read", NAME, &error);
    let file = match disk.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = vec![0; usize::try_from(file.size().map_err(failed)?).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, 0).map_err(failed)?;
    Ok(bytes.as_chunks::<ENTRY>().0.iter().filter_map(decode).max())
}

fn encode(position: Position) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..4].copy_from_slice(&position.segment.to_le_bytes());
    entry[4..12].copy_from_slice(&position.offset.to_le_bytes());
    let crc = crc32c::crc32c(&entry[..12]);
    entry[12..].copy_from_slice(&crc.to_le_bytes());
    entry
}

fn decode(entry: &[u8; ENTRY]) -> Option<Position> {
    let (facts, crc) = entry.split_at(12);
    let (segment, offset) = facts.split_at(4);
    (crc32c::crc32c(facts).to_le_bytes() == crc).then_some(Position {
        segment: u32::from_le_bytes(segment.try_into().ok()?),
        offset: u64::from_le_bytes(offset.try_into().ok()?),
    })
}
