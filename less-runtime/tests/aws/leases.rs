//! Leases under faults: renewed, lost, handed back.

use std::time::Duration;

use less_aws_proxy::{Entries, Fault, Refusal, When};
use less_runtime::transport::conformance::layout;
use less_runtime::transport::{Consumer, Delivery, SubscriptionIndex, TransportError};

use crate::rig::{PATIENCE, Rig, VISIBILITY, options};
use crate::stage::server;

async fn lease_one(consumer: &dyn Consumer) -> Box<dyn Delivery> {
    let leased = tokio::time::timeout(PATIENCE, consumer.lease(1)).await.expect("something to lease in time");
    leased.unwrap().pop().unwrap()
}

/// Long enough for a busy machine, which two seconds are not.
const LEASE: Duration = Duration::from_secs(6);

/// Renews at a third of the lease until so many renewals have been tried.
async fn renewals(delivery: &dyn Delivery, count: u32) -> Vec<Result<(), TransportError>> {
    let mut results = Vec::new();
    for _ in 0..count {
        tokio::time::sleep(LEASE / 3).await;
        results.push(delivery.renew().await);
    }
    results
}

#[tokio::test]
async fn a_lease_that_fails_to_renew_once_is_kept() {
    let faults = [
        Fault::Cut,
        Fault::Drop,
        Fault::Refuse(Refusal::THROTTLING),
        Fault::FailEntries { which: Entries::All, refusal: Refusal::INTERNAL },
    ];
    let each = faults.map(|fault| async move {
        let mut options = options();
        options.visibility = LEASE;
        let rig = Rig::on(&server("LESS_TEST_LOCALSTACK"), layout(&["a"]), options, 1).await;
        rig.publish(0..1).await;
        let consumer = rig.transport.consumer(SubscriptionIndex(0)).await.unwrap();
        let delivery = lease_one(&*consumer).await;
        rig.proxy.inject("ChangeMessageVisibilityBatch", When::Nth(2), fault.clone());
        // Four thirds of the lease: without renewals it would be over.
        for result in renewals(&*delivery, 4).await {
            assert!(result.is_ok(), "{fault:?}: {result:?}");
        }
        let second = tokio::time::timeout(LEASE / 3, consumer.lease(1)).await;
        assert!(second.is_err(), "{fault:?}: it was handed out twice");
        delivery.ack().await.unwrap();
        rig.settled(0).await;
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn a_lease_that_sqs_calls_over_is_lost() {
    for refusal in [Refusal::STALE_RECEIPT, Refusal::NOT_IN_FLIGHT] {
        let rig = Rig::new(&["a"], 1).await;
        rig.publish(0..1).await;
        let consumer = rig.transport.consumer(SubscriptionIndex(0)).await.unwrap();
        let delivery = lease_one(&*consumer).await;
        let over = Fault::FailEntries { which: Entries::All, refusal };
        rig.proxy.inject("ChangeMessageVisibilityBatch", When::Always, over);
        let lost = delivery.renew().await;
        assert!(matches!(lost, Err(TransportError::LeaseLost)), "{lost:?}");
    }
}

#[tokio::test]
async fn a_lease_that_nobody_can_renew_is_lost_when_it_is_over_and_not_before() {
    let rig = Rig::new(&["a"], 1).await;
    let id = rig.publish(0..1).await[0];
    let consumer = rig.transport.consumer(SubscriptionIndex(0)).await.unwrap();
    let delivery = lease_one(&*consumer).await;
    let leased = std::time::Instant::now();
    rig.proxy.inject("ChangeMessageVisibilityBatch", When::Always, Fault::Refuse(Refusal::DENIED));
    let first = delivery.renew().await;
    assert!(matches!(first, Err(TransportError::Aws { .. })), "{first:?}");
    loop {
        match delivery.renew().await {
            Err(TransportError::LeaseLost) => break,
            Err(TransportError::Aws { .. }) => {}
            other => panic!("{other:?}"),
        }
        assert!(leased.elapsed() < PATIENCE);
        tokio::time::sleep(VISIBILITY / 10).await;
    }
    assert!(leased.elapsed() + Duration::from_millis(200) >= VISIBILITY, "{:?}", leased.elapsed());
    // The message is not: someone else gets it, and the late ending of the first hurts nobody.
    let second = lease_one(&*consumer).await;
    assert_eq!((second.message().id, second.attempt()), (id, 2));
    drop(delivery);
    rig.proxy.calm();
    second.ack().await.unwrap();
}

#[tokio::test]
async fn handing_back_charges_no_attempt_whatever_becomes_of_the_calls() {
    for fault in [
        Fault::Cut,
        Fault::Drop,
        Fault::Refuse(Refusal::INTERNAL),
        Fault::FailEntries { which: Entries::All, refusal: Refusal::INTERNAL },
    ] {
        for operation in ["SendMessageBatch", "DeleteMessageBatch"] {
            let rig = Rig::new(&["a"], 1).await;
            let id = rig.publish(0..1).await[0];
            let consumer = rig.transport.consumer(SubscriptionIndex(0)).await.unwrap();
            rig.proxy.inject(operation, When::First(1), fault.clone());
            for _ in 0..3 {
                let delivery = lease_one(&*consumer).await;
                assert_eq!((delivery.message().id, delivery.attempt()), (id, 1), "{operation} {fault:?}");
                delivery.hand_back().await.unwrap();
            }
            let delivery = lease_one(&*consumer).await;
            assert_eq!(delivery.attempt(), 1, "{operation} {fault:?}");
            delivery.ack().await.unwrap();
        }
    }
}
