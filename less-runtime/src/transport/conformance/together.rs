//! What is promised of messages that were leased together.

use std::collections::BTreeSet;

use super::{Bench, Harness, PATIENCE, assert_nothing_ready};
use crate::message::MessageId;
use crate::transport::Leases;

/// Ends the first one well, without taking it out where that goes. Returns which one it was.
async fn end_first(leases: &mut dyn Leases) -> MessageId {
    let (message, attempt) = leases.first().expect("a message");
    let (id, count) = (message.id, leases.len());
    assert_eq!(attempt, 1, "what was handed back is not charged");
    if !leases.done() {
        leases.pop().expect("the same message").ack().await.expect("an ack");
    }
    assert_eq!(leases.len(), count - 1);
    id
}

/// Promise: each message that was leased ends for itself, also where many are told of together; those that were not begun are handed back, uncharged.
pub async fn what_is_leased_together_ends_one_by_one(harness: &dyn Harness) {
    let mut bench = Bench::new(harness, &["a"]).await;
    let published: BTreeSet<MessageId> =
        bench.publish((0..5).map(|n| bench.message(&n.to_string())).collect()).await.into_iter().collect();
    let mut done = BTreeSet::new();
    {
        let consumer = bench.consumer(0).await;
        while done.len() < published.len() {
            let got = tokio::time::timeout(PATIENCE, consumer.lease(10)).await.expect("a lease in time");
            let mut leases = got.expect("a lease");
            assert!(done.insert(end_first(&mut *leases).await), "it was done already");
            let count = leases.len();
            let mut apart = leases.split(1);
            assert_eq!(apart.len() + leases.len(), count, "none is lost by parting them");
            if !apart.is_empty() {
                assert!(done.insert(end_first(&mut *apart).await), "it was done already");
                assert_eq!(apart.len(), 0, "one was asked for");
            }
            leases.tell().expect("it is told");
            // What `apart` has to tell, it tells when it is dropped; what is left in the other comes again.
        }
        bench.there(0, (0, 0), |ledger| (ledger.in_flight, ledger.pending)).await;
        bench.counted(0, 5, |ledger| ledger.done).await;
    }
    assert_eq!(done, published);
    bench.restart().await;
    assert_nothing_ready(&bench, &*bench.consumer(0).await).await;
}
