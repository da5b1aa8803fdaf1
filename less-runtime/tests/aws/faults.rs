//! Each fault of each call: nothing that was accepted is lost, and every message ends as it should.

use std::time::Duration;

use less_aws_proxy::{Entries, Fault, Refusal, When};
use less_runtime::transport::{Selection, SubscriptionIndex};

use crate::rig::{Rig, Runs, VISIBILITY, Verdict, each};

/// Faults of a call that fails before anything is done.
fn undone() -> Vec<Fault> {
    vec![
        Fault::Refuse(Refusal::THROTTLING),
        Fault::Refuse(Refusal::INTERNAL),
        Fault::Refuse(Refusal::UNAVAILABLE),
        Fault::Drop,
    ]
}

/// Faults of a call whose work is done, and nobody hears of it.
fn unheard() -> Vec<Fault> {
    vec![Fault::Cut, Fault::Tear]
}

fn entries(which: Entries, refusal: Refusal) -> Fault {
    Fault::FailEntries { which, refusal }
}

fn once_each(runs: &Runs) -> bool {
    runs.values().all(|attempts| *attempts == [1])
}

#[tokio::test]
async fn a_publish_that_meets_a_fault_once_is_accepted_and_reaches_every_subscriber() {
    let sns = [Fault::Refuse(Refusal::THROTTLED)];
    let part =
        [entries(Entries::At(vec![0, 2]), Refusal::INTERNAL), entries(Entries::All, Refusal::UNAVAILABLE)];
    each(undone().into_iter().chain(unheard()).chain(sns).chain(part), |fault| async move {
        let rig = Rig::new(&["a", "b"], 1).await;
        rig.proxy.inject("PublishBatch", When::First(1), fault.clone());
        let ids = rig.publish(0..5).await;
        for subscription in 0..2 {
            let worker = rig.work(subscription, |_, _| Verdict::Done).await;
            let runs = worker.handled(&ids).await;
            rig.settled(subscription as usize).await;
            assert_eq!(runs.len(), ids.len(), "{fault:?}");
            assert_eq!(worker.untold(), 0, "{fault:?}");
        }
        assert_eq!(rig.proxy.injected().len(), 1, "{fault:?}");
    })
    .await;
}

#[tokio::test]
async fn a_publish_that_is_refused_says_so_for_each_message() {
    let rig = Rig::new(&["a"], 1).await;
    rig.proxy.inject("PublishBatch", When::Nth(1), entries(Entries::At(vec![1]), Refusal::DENIED));
    rig.proxy.inject("PublishBatch", When::Nth(2), Fault::Refuse(Refusal::DENIED));
    let results = rig.try_publish(&[0, 1, 2]).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let refused = results[1].as_ref().unwrap_err().to_string();
    assert!(refused.contains("AccessDenied"), "{refused}");
    let refused = rig.try_publish(&[3]).await.remove(0).unwrap_err().to_string();
    assert!(refused.contains("AccessDenied"), "{refused}");

    let accepted: Vec<_> = results.into_iter().filter_map(Result::ok).collect();
    let worker = rig.work(0, |_, _| Verdict::Done).await;
    worker.handled(&accepted).await;
    rig.settled(0).await;
    assert_eq!(worker.runs().len(), accepted.len(), "what was refused is not there");
}

#[tokio::test]
async fn receives_that_fail_are_made_again_and_charge_no_attempt() {
    let others = [Fault::Refuse(Refusal::DENIED), Fault::Late(Duration::from_millis(300)), Fault::Reorder];
    each(undone().into_iter().chain(others), |fault| async move {
        let rig = Rig::new(&["a"], 1).await;
        let ids = rig.publish(0..25).await;
        rig.proxy.inject("ReceiveMessage", When::First(3), fault.clone());
        let worker = rig.work(0, |_, _| Verdict::Done).await;
        let runs = worker.handled(&ids).await;
        assert!(once_each(&runs), "{fault:?}: {runs:?}");
        rig.settled(0).await;
        assert_eq!(worker.untold(), 0, "{fault:?}");
    })
    .await;
}

/// SQS counts what it hands out, heard or not: a lost answer is the one fault that costs an attempt.
#[tokio::test]
async fn messages_of_an_answer_that_was_lost_come_again() {
    each(unheard(), |fault| async move {
        let rig = Rig::new(&["a"], 1).await;
        let ids = rig.publish(0..25).await;
        rig.proxy.inject("ReceiveMessage", When::First(2), fault.clone());
        let worker = rig.work(0, |_, _| Verdict::Done).await;
        let runs = worker.handled(&ids).await;
        rig.settled(0).await;
        assert!(runs.values().all(|attempts| attempts.len() == 1 && attempts[0] <= 3), "{fault:?}: {runs:?}");
        assert!(runs.values().any(|attempts| attempts[0] > 1), "{fault:?} lost no message");
    })
    .await;
}

#[tokio::test]
async fn messages_that_come_twice_end_once_and_for_all() {
    let rig = Rig::new(&["a"], 1).await;
    let ids = rig.publish(0..25).await;
    rig.proxy.inject("ReceiveMessage", When::First(4), Fault::Duplicate);
    let worker = rig.work(0, |_, _| Verdict::Done).await;
    worker
        .until("some handled twice", |runs| {
            ids.iter().all(|id| runs.contains_key(id)) && runs.values().any(|attempts| attempts.len() > 1)
        })
        .await;
    rig.settled(0).await;
    assert_eq!(rig.dead(0).await, []);
}

#[tokio::test]
async fn acks_that_meet_a_fault_once_are_made_again_without_a_second_run() {
    let part =
        [entries(Entries::Chance(0.5), Refusal::INTERNAL), entries(Entries::All, Refusal::UNAVAILABLE)];
    each(undone().into_iter().chain(unheard()).chain(part), |fault| async move {
        let rig = Rig::new(&["a"], 1).await;
        let ids = rig.publish(0..12).await;
        rig.proxy.inject("DeleteMessageBatch", When::First(1), fault.clone());
        let worker = rig.work(0, |_, _| Verdict::Done).await;
        worker.handled(&ids).await;
        rig.settled(0).await;
        assert!(once_each(&worker.runs()), "{fault:?}: {:?}", worker.runs());
        assert_eq!(worker.untold(), 0, "{fault:?}");
    })
    .await;
}

#[tokio::test]
async fn acks_that_are_refused_are_told_and_their_messages_come_again() {
    each(
        [
            Fault::Refuse(Refusal::DENIED),
            entries(Entries::All, Refusal::STALE_RECEIPT),
            entries(Entries::At(vec![0]), Refusal::DENIED),
        ],
        |fault| async move {
            let rig = Rig::new(&["a"], 1).await;
            let ids = rig.publish(0..5).await;
            rig.proxy.inject("DeleteMessageBatch", When::First(1), fault.clone());
            let worker = rig.work(0, |_, _| Verdict::Done).await;
            worker.until("one handled twice", |runs| runs.values().any(|attempts| *attempts == [1, 2])).await;
            rig.settled(0).await;
            assert_eq!(worker.runs().len(), ids.len(), "{fault:?}");
            assert!(worker.untold() > 0, "{fault:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn retries_come_whatever_becomes_of_their_backoff() {
    let part = [
        entries(Entries::Chance(0.5), Refusal::INTERNAL),
        entries(Entries::All, Refusal::NOT_IN_FLIGHT),
        Fault::Refuse(Refusal::DENIED),
    ];
    each(undone().into_iter().chain(unheard()).chain(part), |fault| async move {
        let rig = Rig::new(&["a"], 1).await;
        let ids = rig.publish(0..5).await;
        rig.proxy.inject("ChangeMessageVisibilityBatch", When::First(1), fault.clone());
        let fail_once = |_: &_, attempt| if attempt == 1 { Verdict::Retry } else { Verdict::Done };
        let worker = rig.work(0, fail_once).await;
        let twice = |runs: &Runs| runs.len() == 5 && runs.values().all(|attempts| attempts.len() >= 2);
        let runs = worker.until("handled twice", twice).await;
        rig.settled(0).await;
        assert!(runs.values().all(|attempts| *attempts == [1, 2]), "{fault:?}: {runs:?}");
        assert_eq!(runs.len(), ids.len());
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_complete_listed_once_and_released_whatever_becomes_of_the_calls() {
    let part = [entries(Entries::Chance(0.5), Refusal::INTERNAL), Fault::Refuse(Refusal::DENIED)];
    each(undone().into_iter().chain(unheard()).chain(part), |fault| async move {
        for operation in ["SendMessageBatch", "DeleteMessageBatch"] {
            let rig = Rig::new(&["a"], 1).await;
            let mut ids = rig.publish(0..12).await;
            ids.sort_unstable();
            rig.proxy.inject(operation, When::First(1), fault.clone());
            let worker = rig.work(0, |_, _| Verdict::Reject).await;
            worker.handled(&ids).await;
            rig.settled(0).await;
            assert_eq!(rig.dead(0).await, ids, "{operation} {fault:?}");
            drop(worker);

            let released = rig.transport.release(SubscriptionIndex(0), Selection::All).await.unwrap();
            assert_eq!(released, 12, "{operation} {fault:?}");
            let worker = released_worker(&rig).await;
            let runs = worker.handled(&ids).await;
            assert!(once_each(&runs), "{operation} {fault:?}: {runs:?}");
            rig.settled(0).await;
            assert_eq!(rig.dead(0).await, [], "{operation} {fault:?}");
        }
    })
    .await;
}

/// The consumer of a worker that was dropped is given back when its task has ended.
async fn released_worker(rig: &Rig) -> crate::rig::Worker {
    let began = std::time::Instant::now();
    loop {
        match rig.transport.consumer(SubscriptionIndex(0)).await {
            Ok(consumer) => {
                drop(consumer);
                return rig.work(0, |_, _| Verdict::Done).await;
            }
            Err(error) => assert!(began.elapsed() < VISIBILITY, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

/// The SDK's defaults would wait for ever.
#[tokio::test]
async fn calls_that_nobody_answers_are_given_up_and_made_again() {
    let rig = Rig::new(&["a"], 1).await;
    rig.proxy.inject("PublishBatch", When::Nth(1), Fault::Hang);
    rig.proxy.inject("ReceiveMessage", When::Nth(1), Fault::HangAfter);
    rig.proxy.inject("DeleteMessageBatch", When::Nth(1), Fault::HangAfter);
    let worker = rig.work(0, |_, _| Verdict::Done).await;
    let ids = rig.publish(0..5).await;
    worker.handled(&ids).await;
    rig.settled(0).await;
    assert_eq!(rig.proxy.injected().len(), 3);
}
