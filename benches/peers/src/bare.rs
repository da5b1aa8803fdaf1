//! What the disk allows: a frame is appended and synced, then the next one.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use crate::cells::BARE_WRITES;

/// What a log adds to a body: length, checksum, id and time.
const FRAME: usize = 40;

/// Synced appends per second, one at a time.
pub(crate) fn appends_per_second(folder: &Path, bytes: usize) -> anyhow::Result<f64> {
    let path = folder.join("bare.log");
    let context = || format!("can't write {}", path.display());
    let mut file = File::create(&path).with_context(context)?;
    let frame = vec![b'x'; bytes + FRAME];
    let start = Instant::now();
    for _ in 0..BARE_WRITES {
        file.write_all(&frame).with_context(context)?;
        file.sync_data().with_context(context)?;
    }
    let elapsed = start.elapsed();
    std::fs::remove_file(&path).with_context(context)?;
    Ok(BARE_WRITES as f64 / elapsed.as_secs_f64())
}
