//! Every fault at once, by chance with a seed.

use std::time::Duration;

use less_aws_proxy::{ANY, Entries, Fault, Refusal, When};
use less_runtime::message::MessageId;

use crate::rig::{Rig, Verdict, Worker, number};

const MESSAGES: u32 = 300;

/// One call in five meets something.
fn storm(rig: &Rig) {
    let entries = |refusal| Fault::FailEntries { which: Entries::Chance(0.3), refusal };
    for (operation, chance, fault) in [
        (ANY, 0.02, Fault::Drop),
        (ANY, 0.02, Fault::Cut),
        (ANY, 0.01, Fault::Tear),
        (ANY, 0.02, Fault::Refuse(Refusal::UNAVAILABLE)),
        (ANY, 0.02, Fault::Refuse(Refusal::INTERNAL)),
        (ANY, 0.03, Fault::Refuse(Refusal::THROTTLING)),
        (ANY, 0.03, Fault::Late(Duration::from_millis(100))),
        ("PublishBatch", 0.05, Fault::Refuse(Refusal::THROTTLED)),
        ("PublishBatch", 0.1, entries(Refusal::INTERNAL)),
        ("SendMessageBatch", 0.1, entries(Refusal::INTERNAL)),
        ("DeleteMessageBatch", 0.1, entries(Refusal::INTERNAL)),
        ("DeleteMessageBatch", 0.05, entries(Refusal::STALE_RECEIPT)),
        ("ChangeMessageVisibilityBatch", 0.1, entries(Refusal::NOT_IN_FLIGHT)),
        ("ReceiveMessage", 0.1, Fault::Duplicate),
        ("ReceiveMessage", 0.1, Fault::Reorder),
    ] {
        rig.proxy.inject(operation, When::Chance(chance), fault);
    }
}

/// Every tenth message is rejected, every seventh fails at first.
fn verdict(number: u32, attempt: u32) -> Verdict {
    if number.is_multiple_of(10) {
        Verdict::Reject
    } else if number.is_multiple_of(7) && attempt == 1 {
        Verdict::Retry
    } else {
        Verdict::Done
    }
}

/// Publishes until each one was accepted, as an app would.
async fn publish_all(rig: &Rig) -> Vec<(u32, MessageId)> {
    let mut accepted = Vec::new();
    let mut left: Vec<u32> = (0..MESSAGES).collect();
    for _ in 0..20 {
        let mut refused = Vec::new();
        for some in left.chunks(25) {
            let results = rig.try_publish(some).await;
            for (number, result) in some.iter().zip(results) {
                match result {
                    Ok(id) => accepted.push((*number, id)),
                    Err(_) => refused.push(*number),
                }
            }
        }
        left = refused;
        if left.is_empty() {
            return accepted;
        }
    }
    panic!("never accepted: {left:?}");
}

/// Handled at least once, at the end in no queue, and the dead letters are exactly those that were rejected.
async fn check(rig: &Rig, subscription: u32, worker: &Worker, accepted: &[(u32, MessageId)]) {
    let ids: Vec<MessageId> = accepted.iter().map(|(_, id)| *id).collect();
    worker.handled(&ids).await;
    rig.settled(subscription as usize).await;
    let dead = rig.dead(subscription).await;
    let rejected: Vec<MessageId> =
        accepted.iter().filter(|(number, _)| number.is_multiple_of(10)).map(|(_, id)| *id).collect();
    for id in &rejected {
        assert!(dead.contains(id), "{id} was rejected, and is no dead letter");
    }
    // Besides them there may be ones whose publish was reported as failed, though SNS had them.
    let good: Vec<&MessageId> = ids.iter().filter(|id| !rejected.contains(id)).collect();
    assert!(dead.iter().all(|id| !good.contains(&id)), "a message that was never rejected is a dead letter");
}

async fn survives(seed: u64) {
    let rig = Rig::new(&["a", "b"], seed).await;
    storm(&rig);
    let handler = |message: &_, attempt| verdict(number(message), attempt);
    let workers = [rig.work(0, handler).await, rig.work(1, handler).await];
    let accepted = publish_all(&rig).await;
    let ids: Vec<MessageId> = accepted.iter().map(|(_, id)| *id).collect();
    for worker in &workers {
        worker.handled(&ids).await;
    }
    // Enough has gone wrong to mean something; what is left ends in peace.
    let injected: u64 = rig.proxy.injected().values().sum();
    assert!(injected > 20, "{:?}", rig.proxy.injected());
    rig.proxy.calm();
    for (subscription, worker) in (0..).zip(&workers) {
        check(&rig, subscription, worker, &accepted).await;
    }
}

#[tokio::test]
async fn a_storm_of_faults_loses_nothing_with_seed_1() {
    survives(1).await;
}

#[tokio::test]
async fn a_storm_of_faults_loses_nothing_with_seed_2() {
    survives(2).await;
}

#[tokio::test]
async fn a_storm_of_faults_loses_nothing_with_seed_3() {
    survives(3).await;
}
