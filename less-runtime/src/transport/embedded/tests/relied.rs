//! What is relied on is in a checkpoint, with its second copy: damage to a single record never takes a whole subscription.

use std::ops::Range;
use std::sync::Arc;

use less_model::filter::Scope;
use less_model::manifest::Start;
use serde_json::json;

use super::super::disk::Disk as _;
use super::super::log::Log;
use super::super::provision::open_disk;
use super::super::record::{self, Record};
use super::super::scan::{Scanned, Scanner};
use super::super::verify::{Problem, inspect_disk};
use super::NOON;
use super::damage::{LOG, both, open_as, subscriptions};
use super::fault_disk::{Fault, FaultDisk, Unsynced};
use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{filter, layout, lease, message};
use crate::transport::{Attachment, SubscriptionIndex, TopicIndex, Transport as _};

#[tokio::test]
async fn no_record_of_a_subscription_is_needed_once_anyone_relies_on_it() {
    let even = || Some(filter(Scope::Body, &json!({ "even": [true] })));
    let mut reached = true;
    let (mut at, mut hit) = (0, 0);
    while reached {
        at += 1;
        let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
        disk.fail(at, Fault::PowerCut);
        let options = both()[0].1.clone();
        let begun = open_disk(
            Arc::<FaultDisk>::clone(&disk) as _,
            &layout(&["a"]),
            options.clone(),
            Clock::Manual(clock.clone()),
            None,
        );
        if let Ok(store) = begun {
            for (subscriber, filter) in [("suggest", None), ("suggest", even()), ("count", even())] {
                let app = "friends".parse().expect("a name");
                let subscriber = subscriber.parse().expect("a name");
                let wanted = Attachment { app, subscriber, start: Start::Now, filter };
                // The power may be gone.
                if let Ok(guest) = store.attach(TopicIndex(0), wanted).await
                    && at % 2 == 0
                {
                    drop(store.drop_guest(guest).await);
                }
            }
        }
        reached = disk.calls() >= at;
        let disk = disk.after_power_cut(Unsynced::Kept);
        let what = format!("call {at}");
        let store = open_as(&disk, &layout(&["a"]), &options, &clock);
        let all = store.guests().await.expect("guests").into_iter();
        let mut all: Vec<SubscriptionIndex> = all.map(|(guest, _)| guest.index).collect();
        all.push(SubscriptionIndex(0));
        let bodies = (0..4).map(|n| json!({ "n": n, "even": true }).to_string());
        let messages: Vec<_> = bodies.map(|body| message(&clock, &body)).collect();
        for result in store.publish(TopicIndex(0), messages.into()).await {
            result.expect("it is accepted");
        }
        for subscription in all {
            let consumer = store.consumer(subscription).await.expect("a consumer");
            lease(&*consumer, 1).await.remove(0).ack().await.expect("an ack");
        }
        store.settle().await.expect("it settles");
        let left = disk.after_power_cut(Unsynced::Lost);
        drop(store);
        let (_, state) = Log::open(left.after_power_cut(Unsynced::Kept), 1 << 30).expect("it opens");
        let expected = subscriptions(&state);
        for (bytes, _) in subscription_records(&left) {
            let disk = left.after_power_cut(Unsynced::Kept);
            disk.flip(LOG, bytes.end * 8 - 3);
            let problems = inspect_disk(&*disk, NOON).expect("it can be read").problems;
            assert!(matches!(&problems[..], [Problem::Damaged { .. }]), "{what}, {bytes:?}: {problems:?}");
            let opened = Log::open(disk, 1 << 30);
            let (_, mut state) = opened.unwrap_or_else(|error| panic!("{what}, {bytes:?}: {error}"));
            assert_eq!(subscriptions(&state), expected, "{what}, {bytes:?}");
            state.rebuild();
            for id in 0..u32::try_from(state.queues.len()).expect("it is small") {
                let (queue, topic) = state.both(id);
                let (ledger, _) = queue.ledger(topic, NOON);
                let here = (ledger.balanced(), queue.is_dropped() || ledger.published == 4);
                assert_eq!(here, (true, true), "{what}, {bytes:?}: {ledger:?}");
            }
            hit += 1;
        }
    }
    assert!(at > 15 && hit > 50, "{at} calls, {hit} records");
}

/// Where the records of subscriptions are in the first segment.
fn subscription_records(disk: &FaultDisk) -> Vec<(Range<usize>, Record<'static>)> {
    let mut scanner = Scanner::new(disk.open(LOG).expect("it is there"), 0, 0).expect("it can be read");
    let mut out = Vec::new();
    while let Some(next) = scanner.next().expect("it can be read") {
        let Scanned::Frame { offset, length, payload } = next else { panic!("it is damaged already") };
        let record = record::read(&payload).expect("a record");
        let one = matches!(
            record,
            Record::Topic { .. }
                | Record::Queue { .. }
                | Record::QueueWithFilter { .. }
                | Record::QueueFilter { .. }
                | Record::QueueDropped { .. }
        );
        if one {
            let offset = usize::try_from(offset).expect("it is small");
            out.push((offset..offset + length as usize, record));
        }
    }
    out
}
