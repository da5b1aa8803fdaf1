//! Backups, taken while the store works, and what is no backup.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::Path;

use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{layout, lease, message};
use crate::transport::embedded::{Options, RestoreError, open, restore};
use crate::transport::{SubscriptionIndex, TopicIndex, Transport as _};

type Files = Vec<(String, Vec<u8>)>;

fn options() -> Options {
    Options { segment_size: 4_096, reserve: 0, ..Options::default() }
}

/// A backup of a store with this many messages, some of which were handled; publishing goes on meanwhile.
async fn backup(messages: usize) -> Files {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::new(super::NOON);
    let open = open(folder.path(), &layout(&["a"]), options(), Clock::Manual(clock.clone()));
    let store = open.expect("it opens");
    let publish = async |n: usize| {
        let message = message(&clock, &n.to_string());
        store.publish(TopicIndex(0), vec![message].into()).await.remove(0).expect("it is accepted");
    };
    for n in 0..messages {
        publish(n).await;
    }
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    for delivery in lease(&*consumer, messages / 2).await {
        delivery.ack().await.expect("an ack");
    }
    let snapshot = store.snapshot().await.expect("a snapshot");
    // Later than the snapshot: not in it.
    for n in messages..messages + 50 {
        publish(n).await;
    }
    let mut files = Files::new();
    for mut file in snapshot.files {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("it can be read");
        files.push((file.name, bytes));
    }
    store.close().await.expect("it closes");
    files
}

fn bring_back(folder: &Path, files: &Files) -> Result<(), RestoreError> {
    restore(folder, files.iter().map(|(name, bytes)| io::Result::Ok((name.clone(), &bytes[..]))), false)
        .map(drop)
}

/// Nothing is left of a try that failed.
fn assert_untouched(parent: &Path) {
    let left: Vec<_> = std::fs::read_dir(parent)
        .expect("it can be read")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_backup_of_a_working_store_holds_all_that_was_acknowledged_before_it() {
    let files = backup(100).await;
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("data");
    bring_back(&folder, &files).expect("it is restored");
    let clock = ManualClock::new(super::NOON);
    let store = open(&folder, &layout(&["a"]), options(), Clock::Manual(clock)).expect("it opens");
    let ledger = store.ledgers().await.expect("ledgers").remove(0);
    assert_eq!((ledger.published, ledger.done, ledger.pending), (100, 50, 50), "{ledger:?}");
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let mut seen = BTreeSet::new();
    while seen.len() < 50 {
        for delivery in lease(&*consumer, 100).await {
            let body = String::from_utf8_lossy(&delivery.message().body).into_owned();
            seen.insert(body.parse::<usize>().expect("a number"));
            delivery.ack().await.expect("an ack");
        }
    }
    assert!(seen.into_iter().eq(50..100));
    store.close().await.expect("it closes");
    assert!(matches!(bring_back(&folder, &files), Err(RestoreError::Occupied(_))), "it holds messages");
}

#[tokio::test]
async fn a_file_with_another_name_or_a_path_is_refused_and_nothing_is_left() {
    let files = backup(3).await;
    for name in [
        "../evil",
        "/etc/evil",
        "sub/0000000000.log",
        "..",
        "",
        "0.log",
        "00000000000.log",
        "lock",
        "address.json",
        "checkpoint\0",
    ] {
        let parent = tempfile::tempdir().expect("a folder");
        let mut with = files.clone();
        with.push((name.to_owned(), b"x".to_vec()));
        let error = bring_back(&parent.path().join("data"), &with).expect_err("it is refused");
        assert!(matches!(&error, RestoreError::Foreign(found) if found == name), "{name:?}: {error}");
        assert_untouched(parent.path());
    }
}

#[tokio::test]
async fn a_backup_that_is_not_whole_is_refused_and_nothing_is_left() {
    let files = backup(100).await;
    assert!(files.len() > 4, "{} files", files.len());
    let is_refused = |files: &Files, what: &str| {
        let parent = tempfile::tempdir().expect("a folder");
        let error = bring_back(&parent.path().join("data"), files).err();
        let error = error.unwrap_or_else(|| panic!("{what}: it was restored"));
        assert!(matches!(error, RestoreError::Damaged(_) | RestoreError::Holed(_)), "{what}: {error}");
        assert_untouched(parent.path());
    };
    for left_out in 0..files.len() {
        let name = &files[left_out].0;
        let mut without = files.clone();
        // The last segment of a snapshot is empty.
        if !without.remove(left_out).1.is_empty() {
            is_refused(&without, &format!("without {name}"));
        }
        let mut cut = files.clone();
        if cut[left_out].1.pop().is_some() && name != "format" {
            is_refused(&cut, &format!("{name} cut short"));
        }
        let mut rotten = files.clone();
        if let Some(byte) = rotten[left_out].1.first_mut() {
            *byte ^= 1;
            is_refused(&rotten, &format!("{name} with a flipped bit"));
        }
        let mut twice = files.clone();
        twice.push(files[left_out].clone());
        is_refused(&twice, &format!("{name} twice"));
    }
    let broken = files.iter().map(|(name, bytes)| {
        if name == "checkpoint" {
            Err(io::Error::other("the archive ends here"))
        } else {
            Ok((name.clone(), &bytes[..]))
        }
    });
    let parent = tempfile::tempdir().expect("a folder");
    let error = restore(&parent.path().join("data"), broken, false).expect_err("it is refused");
    assert!(matches!(&error, RestoreError::Damaged(text) if text.contains("ends here")), "{error}");
    assert_untouched(parent.path());
}

#[tokio::test]
async fn a_backup_that_holds_damage_gives_what_is_whole_where_that_is_asked_for() {
    let files = backup(100).await;
    let mut restored = 0;
    for at in 0..files.len() {
        if !files[at].0.starts_with("00") || files[at].1.is_empty() {
            continue;
        }
        let mut holed = files.clone();
        let middle = holed[at].1.len() / 2;
        holed[at].1[middle] ^= 1;
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("data");
        assert!(matches!(bring_back(&folder, &holed), Err(RestoreError::Holed(_))), "{}", holed[at].0);
        let entries = holed.iter().map(|(name, bytes)| io::Result::Ok((name.clone(), &bytes[..])));
        let problems = restore(&folder, entries, true).expect("it is restored");
        assert!(!problems.is_empty(), "{}", holed[at].0);
        restored += 1;

        let clock = ManualClock::new(super::NOON);
        let store = open(&folder, &layout(&["a"]), options(), Clock::Manual(clock)).expect("it opens");
        let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
        loop {
            let ledger = store.ledgers().await.expect("ledgers").remove(0);
            assert!(ledger.balanced() && ledger.published == 100, "{ledger:?}");
            if ledger.pending + ledger.in_flight == 0 {
                assert!(ledger.done > 90 && ledger.dead == 0, "{ledger:?}");
                break;
            }
            // Those that are damaged are never handed out.
            let leased =
                tokio::time::timeout(std::time::Duration::from_millis(50), consumer.lease(100)).await;
            for delivery in leased.into_iter().flatten().flatten() {
                delivery.ack().await.expect("an ack");
            }
        }
        store.close().await.expect("it closes");
    }
    assert!(restored > 1, "{restored} segments");
}
