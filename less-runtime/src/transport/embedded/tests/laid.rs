//! Room that is laid out behind the log's end: it is no damage, hides none, and nothing is lost where it could not be made.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::sync::Arc;

use super::super::disk::DiskFile;
use super::super::file::RealFile;
use super::super::log::Log;
use super::super::verify::inspect_disk;
use super::NOON;
use super::damage::{LOG, both, logs, stored, used};
use super::fault_disk::{FaultDisk, Unsynced};

#[tokio::test]
async fn room_that_was_laid_out_is_no_damage_and_is_cut_off_when_the_store_is_opened() {
    for (which, options) in both() {
        let stored = stored(options, 16 << 10, &"body ".repeat(120)).await;
        let last = logs(&stored.crashed).pop().expect("a log");
        let used = used(&stored.crashed, &last);
        assert!(stored.crashed.len(&last) > used, "{which}: nothing was laid out");
        let inspection = inspect_disk(&*stored.crashed, NOON).expect("it can be read");
        assert_eq!((inspection.problems, inspection.torn), (vec![], 0), "{which}");
        let disk = stored.crashed.after_power_cut(Unsynced::Kept);
        let (log, mut state) = Log::open(Arc::<FaultDisk>::clone(&disk), 1 << 30).expect("it opens");
        assert!(!log.damaged(), "{which}");
        state.rebuild();
        assert!(stored.read(&log, &mut state, &BTreeSet::new(), which).is_empty());
        drop(log);
        assert_eq!(disk.len(&last), used, "{which}");
        stored.drain(&stored.crashed, &BTreeSet::new(), which).await;
    }
}

#[tokio::test]
async fn damage_before_room_that_was_laid_out_is_told_and_what_lies_in_it_is_a_torn_write() {
    let stored = stored(both()[0].1.clone(), 4 << 10, &"body ".repeat(120)).await;
    let (used, len) = (used(&stored.crashed, LOG), stored.crashed.len(LOG));
    for bit in (0..used * 8).step_by(101) {
        let disk = stored.crashed.after_power_cut(Unsynced::Kept);
        disk.flip(LOG, bit);
        stored.look(&disk, LOG, &(bit / 8..bit / 8 + 1), &format!("bit {bit}"));
    }
    for bit in (used * 8..len * 8).step_by(100_003).chain([used * 8, used * 8 + 3, len * 8 - 1]) {
        let disk = stored.crashed.after_power_cut(Unsynced::Kept);
        disk.flip(LOG, bit);
        let inspection = inspect_disk(&*disk, NOON).expect("it can be read");
        assert_eq!(
            (inspection.problems, inspection.torn),
            (vec![], (bit / 8 + 1 - used) as u64),
            "bit {bit}"
        );
        let (log, mut state) = Log::open(Arc::<FaultDisk>::clone(&disk), 1 << 30).expect("it opens");
        state.rebuild();
        assert!(stored.read(&log, &mut state, &BTreeSet::new(), "what is laid out").is_empty());
        drop(log);
        assert_eq!(disk.len(LOG), used, "bit {bit}");
    }
}

#[test]
fn what_is_written_while_room_is_laid_out_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let open = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    let file = RealFile::laying(open).unwrap();
    let mut expected = Vec::new();
    for n in 0_u32..4_000 {
        if file.laid() < 100_000 {
            file.lay(300_000);
        }
        let bytes = n.to_le_bytes().repeat(1 + n as usize % 200);
        file.append(&bytes).unwrap();
        expected.extend_from_slice(&bytes);
        if n % 100 == 0 {
            file.sync().unwrap();
        }
        assert_eq!(file.size().unwrap(), expected.len() as u64);
        if n == 2_000 {
            // Its name may be another's by now, which must not get the zeros.
            std::fs::rename(&path, folder.path().join("moved")).unwrap();
            std::fs::write(&path, vec![1; 2 << 20]).unwrap();
        }
    }
    file.trim().unwrap();
    assert_eq!(file.laid(), 0);
    assert_eq!(std::fs::read(&path).unwrap(), vec![1; 2 << 20]);
    let path = folder.path().join("moved");
    assert_eq!(std::fs::read(&path).unwrap(), expected);
    file.append(b"more").unwrap();
    expected.extend_from_slice(b"more");
    assert_eq!(std::fs::read(&path).unwrap(), expected);
}

#[test]
fn where_no_room_can_be_laid_out_the_file_grows_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let open = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    let file = RealFile::failing(open).unwrap();
    for _ in 0..100 {
        file.lay(1 << 20);
        file.append(b"0123456789").unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"0123456789".repeat(100));
    assert_eq!(file.size().unwrap(), 1_000);
}
