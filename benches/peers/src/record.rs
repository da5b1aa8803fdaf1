//! Results, one JSON object a line, so that a run that is cut short keeps what it has.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::cells::Cell;

/// One result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// [`crate::system::System::id`].
    pub(crate) system: String,
    pub(crate) round: u32,
    pub(crate) quick: bool,
    #[serde(flatten)]
    pub(crate) result: Outcome,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Outcome {
    Throughput {
        #[serde(flatten)]
        cell: Cell,
        messages: u64,
        /// Confirmed per second.
        published: f64,
        /// Done by subscribers per second, over all subscribers.
        delivered: f64,
    },
    /// From publish to handler at a steady rate.
    Latency { per_second: f64, p50_us: f64, p99_us: f64, max_us: f64 },
    /// Writes, each synced before the next.
    Bare { bytes: usize, per_second: f64 },
    /// The server's memory after the load, and the most it ever had.
    Memory { resident_kib: u64, peak_kib: u64 },
}

/// Adds a result to the file.
pub(crate) fn append(file: &Path, record: &Record) -> anyhow::Result<()> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    let mut opened = OpenOptions::new().create(true).append(true).open(file);
    opened
        .as_mut()
        .map_or_else(|error| Err(std::io::Error::from(error.kind())), |file| file.write_all(line.as_bytes()))
        .with_context(|| format!("can't write {}", file.display()))
}

/// All results of the file.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<Record>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no result: {line}")))
        .collect()
}
