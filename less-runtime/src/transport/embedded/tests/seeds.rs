//! What fuzzing begins with, in `fuzz/seeds/`: logs of a real store, in the form that this version writes.
//!
//! `UPDATE=1 cargo test -p less-runtime --all-features --lib seeds` writes them anew.

use std::path::PathBuf;

use super::super::log::Log;
use super::super::record::{self, Record};
use super::super::scan::{Scanned, Scanner};
use super::damage::{both, stored};
use super::fault_disk::FaultDisk;
use crate::transport::embedded::disk::Disk;

fn seed(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(name)
}

/// A disk whose only segment holds this.
fn disk(segment: &[u8]) -> FaultDisk {
    let disk = FaultDisk::default();
    disk.create("0000000000.log").and_then(|file| file.append(segment)).expect("it is in memory");
    disk
}

/// The payloads of a segment.
fn payloads(segment: &[u8]) -> Vec<Vec<u8>> {
    let file = disk(segment).open("0000000000.log").expect("it is there");
    let mut scanner = Scanner::new(file, 0, 0).expect("it can be read");
    let mut out = Vec::new();
    while let Some(next) = scanner.next().expect("it can be read") {
        let Scanned::Frame { payload, .. } = next else { panic!("it is damaged") };
        out.push(payload);
    }
    out
}

/// All of them, each with its length before it.
fn joined(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for payload in payloads {
        out.extend_from_slice(&u16::try_from(payload.len()).expect("it is short").to_le_bytes());
        out.extend_from_slice(payload);
    }
    out
}

#[tokio::test]
async fn the_seeds_of_the_fuzz_targets_are_logs_that_this_version_reads() {
    if std::env::var_os("UPDATE").is_some() {
        let stored = stored(both()[0].1.clone(), 3 << 10, "body").await;
        let mut segment = Vec::new();
        stored.disk.edit("0000000000.log", |bytes| segment.clone_from(bytes));
        let mut rotten = segment.clone();
        rotten[2000] ^= 4;
        for (name, bytes) in [
            ("record/segment", &segment[..]),
            ("record/torn", &segment[..segment.len() - 9]),
            ("record/rotten", &rotten),
            ("replay/lifecycle", &joined(&payloads(&segment))),
        ] {
            std::fs::write(seed(name), bytes).expect("it can be written");
        }
    }
    let segment = std::fs::read(seed("record/segment")).expect("it can be read");
    let payloads = payloads(&segment);
    assert_eq!(joined(&payloads), std::fs::read(seed("replay/lifecycle")).expect("it can be read"));
    let records = || payloads.iter().filter_map(|payload| record::read(payload));
    assert!(records().any(|record| matches!(record, Record::PublishFiltered { .. })));
    assert!(records().any(|record| matches!(record, Record::QueueWithFilter { .. })));
    assert!(records().any(|record| matches!(record, Record::QueueFilter { .. })));
    assert!(records().any(|record| matches!(record, Record::QueueDropped { .. })));
    let (log, state) = Log::open(std::sync::Arc::new(disk(&segment)), 1 << 30).expect("it opens");
    assert!(!log.damaged() && state.queues.len() == 6);
    // What an earlier version wrote, and this one only reads.
    let before = std::fs::read(seed("record/segment_before_guests")).expect("it can be read");
    let payloads = self::payloads(&before);
    let lifecycle = std::fs::read(seed("replay/lifecycle_before_guests")).expect("it can be read");
    assert_eq!(joined(&payloads), lifecycle);
    let mut records = payloads.iter().filter_map(|payload| record::read(payload));
    assert!(records.any(|record| matches!(record, Record::QueueFiltered { .. })));
    let (log, state) = Log::open(std::sync::Arc::new(disk(&before)), 1 << 30).expect("it opens");
    assert!(!log.damaged() && state.queues.len() == 3);
    let rotten = std::fs::read(seed("record/rotten")).expect("it can be read");
    let (log, _) = Log::open(std::sync::Arc::new(disk(&rotten)), 1 << 30).expect("it opens");
    assert!(log.damaged());
}
