//! Damage at rest: it is detected, never served, and never taken for a torn write.

use std::sync::Arc;

use super::fault_disk::{FaultDisk, Unsynced};
use super::{NOON, open};
use crate::clock::ManualClock;
use crate::transport::conformance::{layout, message};
use crate::transport::{SubscriptionIndex, TopicIndex, Transport as _, TransportError};

const LOG: &str = "0000000000.log";

/// A store with acknowledged messages, as a power cut leaves it.
async fn stored() -> (Arc<FaultDisk>, ManualClock) {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
    for n in 0..3 {
        let results = store.publish(TopicIndex(0), vec![message(&clock, &format!("\"body {n}\""))]).await;
        assert!(results[0].is_ok());
    }
    // Without closing: a checkpoint would take the log's place.
    let left = disk.after_power_cut(Unsynced::Lost);
    drop(store);
    (left, clock)
}

#[tokio::test]
async fn a_flipped_bit_before_the_last_write_is_damage_and_never_a_torn_end() {
    let (disk, clock) = stored().await;
    let size = disk.len(LOG);
    let mut last_write = size;
    for bit in (0..size * 8).rev() {
        let (disk, ()) = (disk.after_power_cut(Unsynced::Kept), ());
        disk.flip(LOG, bit);
        match open(&disk, &layout(&["a"]), &clock) {
            Err(TransportError::Damaged { .. }) => {}
            Err(other) => panic!("bit {bit}: {other}"),
            Ok(store) => {
                // Only the last write has nothing behind it that says it was synced.
                last_write = last_write.min(bit / 8);
                let pending = store.ledgers().await.expect("ledgers")[0].pending;
                assert_eq!(pending, 2, "bit {bit}: more than the last message went");
            }
        }
    }
    assert!(last_write > size * 2 / 3, "damage at byte {last_write} of {size} was taken for a torn write");
}

#[tokio::test]
async fn a_message_that_rots_while_the_store_is_open_is_counted_as_corrupt_and_the_others_go_on() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
    store.publish(TopicIndex(0), vec![message(&clock, "\"first\"")]).await.remove(0).expect("a receipt");
    let end = disk.len(LOG);
    store.publish(TopicIndex(0), vec![message(&clock, "\"second\"")]).await.remove(0).expect("a receipt");
    disk.flip(LOG, end * 8 - 20);
    let mut consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let mut leased = consumer.lease(10).await.expect("a lease");
    assert_eq!(leased.len(), 1);
    assert_eq!(&leased[0].message().body[..], b"\"second\"");
    leased.remove(0).ack().await.expect("an ack");
    let ledger = store.ledgers().await.expect("ledgers").remove(0);
    assert!(ledger.balanced());
    assert_eq!((ledger.done, ledger.discarded.get("corrupt")), (1, Some(&1)));
}
