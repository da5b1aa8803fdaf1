//! Ordered topics under faults.

use std::sync::{Arc, Mutex};

use less_aws_proxy::{Entries, Fault, Refusal, When};
use less_runtime::transport::TopicIndex;

use crate::rig::{Rig, Verdict, each, message, number};

#[tokio::test]
async fn messages_of_a_key_keep_their_order_and_come_once_whatever_becomes_of_the_calls() {
    let cases = [
        ("PublishBatch", Fault::Cut),
        ("PublishBatch", Fault::Refuse(Refusal::THROTTLING)),
        ("PublishBatch", Fault::Drop),
        ("ReceiveMessage", Fault::Refuse(Refusal::UNAVAILABLE)),
        ("ReceiveMessage", Fault::Cut),
        ("DeleteMessageBatch", Fault::Cut),
        (
            "DeleteMessageBatch",
            Fault::FailEntries { which: Entries::Chance(0.5), refusal: Refusal::INTERNAL },
        ),
        ("ChangeMessageVisibilityBatch", Fault::Cut),
        ("ChangeMessageVisibilityBatch", Fault::Drop),
    ];
    each(cases, |(operation, fault)| async move {
        let rig = Rig::ordered(&["a"], 1).await;
        rig.proxy.inject(operation, When::First(1), fault.clone());
        let news: Vec<_> =
            (0..20).map(|n| message(&n.to_string(), Some(if n % 2 == 0 { "even" } else { "odd" }))).collect();
        let mut ids = Vec::new();
        for result in rig.transport.publish(TopicIndex(0), news.into()).await {
            ids.push(result.unwrap_or_else(|error| panic!("{operation} {fault:?}: {error}")).message_id);
        }
        let done = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&done);
        let handler = move |message: &_, attempt| {
            // One fails first: what follows it waits.
            if number(message) == 4 && attempt == 1 {
                return Verdict::Retry;
            }
            let mut seen = seen.lock().unwrap();
            if !seen.contains(&number(message)) {
                seen.push(number(message));
            }
            Verdict::Done
        };
        let worker = rig.work(0, handler).await;
        worker.handled(&ids).await;
        rig.settled(0).await;
        for parity in 0..2 {
            let order: Vec<u32> = done.lock().unwrap().iter().copied().filter(|n| n % 2 == parity).collect();
            assert_eq!(
                order,
                (0..20).filter(|n| n % 2 == parity).collect::<Vec<_>>(),
                "{operation} {fault:?}"
            );
        }
        assert_eq!(rig.dead(0).await, [], "{operation} {fault:?}");
    })
    .await;
}
