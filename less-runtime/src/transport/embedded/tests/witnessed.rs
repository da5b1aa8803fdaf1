//! What publishers and handlers saw, held against a folder that has other apps' subscribers, some of them dropped.

use std::path::Path;
use std::sync::Arc;

use less_model::filter::{Filter, Scope};
use less_model::manifest::Start;
use serde_json::json;

use super::NOON;
use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{filter, layout, lease, message};
use crate::transport::embedded::verify::{self, Event, EventKind, Findings, Inspection, Rules};
use crate::transport::embedded::{Embedded, Options};
use crate::transport::{
    Attachment, AttemptError, AttemptErrorKind, DeadReason, SubscriptionIndex, TopicIndex, Transport as _,
};

const TOPIC: &str = "ledger";

/// A store whose publishers and handlers write down what they see.
struct Seen {
    folder: tempfile::TempDir,
    store: Embedded,
    clock: ManualClock,
    events: Vec<Event>,
}

impl Seen {
    fn begin() -> Self {
        let (folder, clock) = (tempfile::tempdir().expect("a folder"), ManualClock::new(NOON));
        let store = open(folder.path(), &clock);
        Self { folder, store, clock, events: Vec::new() }
    }

    fn saw(&mut self, kind: EventKind) {
        self.events.push(Event { at: NOON, kind });
    }

    async fn attach(&self, subscriber: &str, start: Start, filter: Option<Filter>) -> SubscriptionIndex {
        let app = "friends".parse().expect("a name");
        let wanted = Attachment { app, subscriber: subscriber.parse().expect("a name"), start, filter };
        self.store.attach(TopicIndex(0), wanted).await.expect("it is attached")
    }

    async fn publish(&mut self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            let body = json!({ "n": n, "even": n % 2 == 0, "text": "x".repeat(50) });
            let mut new = message(&self.clock, &body.to_string());
            Arc::make_mut(&mut new.message).key = Some("k".to_owned());
            let (topic, message) = (TOPIC.to_owned(), new.message.id.to_string());
            self.saw(EventKind::Publishing { topic: topic.clone(), message: message.clone() });
            self.store.publish(TopicIndex(0), vec![new].into()).await.remove(0).expect("it is accepted");
            self.saw(EventKind::Published { topic, message });
        }
    }

    /// Handles so many messages; the first of them becomes a dead letter.
    async fn handle(&mut self, subscription: SubscriptionIndex, subscriber: &str, count: usize) {
        let consumer = self.store.consumer(subscription).await.expect("a consumer");
        for n in 0..count {
            let delivery = lease(&*consumer, 1).await.remove(0);
            let (topic, subscriber) = (TOPIC.to_owned(), subscriber.to_owned());
            let message = delivery.message().id.to_string();
            let attempt = delivery.attempt();
            let key = Some("k".to_owned());
            let (t, s, m) = (topic.clone(), subscriber.clone(), message.clone());
            self.saw(EventKind::Started { topic: t, subscriber: s, message: m, attempt, key });
            let done = n > 0;
            if done {
                delivery.ack().await.expect("an ack");
            } else {
                let error =
                    AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: NOON };
                delivery.dead_letter(DeadReason::Rejected, error).await.expect("a dead letter");
            }
            self.saw(EventKind::Ended { topic, subscriber, message, attempt, done });
        }
    }

    async fn drop_guest(&mut self, guest: SubscriptionIndex, subscriber: &str) {
        self.store.drop_guest(guest).await.expect("it is dropped");
        self.saw(EventKind::Dropped { topic: TOPIC.to_owned(), subscriber: subscriber.to_owned() });
    }

    async fn end(self) -> (Self, Inspection, Findings) {
        self.store.close().await.expect("it closes");
        let (inspection, findings) = self.look(&self.events);
        (self, inspection, findings)
    }

    fn look(&self, events: &[Event]) -> (Inspection, Findings) {
        verify::inspect_with(self.folder.path(), NOON, events, &Rules::default()).expect("it can be read")
    }
}

fn open(folder: &Path, clock: &ManualClock) -> Embedded {
    let options = Options { segment_size: 2_000, reserve: 0, ..Options::default() };
    let clock = Clock::Manual(clock.clone());
    crate::transport::embedded::open(folder, &layout(&["own"]), options, clock).expect("it opens")
}

fn even() -> Filter {
    filter(Scope::Body, &json!({ "even": [true] }))
}

fn problems(findings: &Findings) -> String {
    findings.problems.join("\n")
}

#[tokio::test]
async fn a_history_holds_what_another_apps_subscriber_handled_against_its_queue() {
    let mut seen = Seen::begin();
    seen.publish(0..10).await;
    let guest = seen.attach("suggest", Start::Earliest, Some(even())).await;
    // What was published before it was there is none of its, also where that has the same key.
    let late = seen.attach("late", Start::Now, None).await;
    seen.publish(10..40).await;
    seen.handle(guest, "friends:suggest", 15).await;
    seen.handle(late, "friends:late", 30).await;
    seen.handle(SubscriptionIndex(0), "own", 20).await;
    let (mut seen, inspection, findings) = seen.end().await;
    assert_eq!((inspection.problems.as_slice(), problems(&findings).as_str()), (&[][..], ""));
    let books: Vec<_> = inspection.subscriptions.iter().collect();
    let guest = books.iter().find(|books| books.subscriber == "friends:suggest").expect("it is listed");
    let ledger = &guest.ledger;
    assert!(ledger.balanced(), "{ledger:?}");
    assert_eq!((ledger.published, ledger.done, ledger.dead, ledger.pending), (40, 14, 1, 5));
    // What is gone from its queue alone, and was seen by nobody, is told with its name.
    let ends = |event: &Event| matches!(&event.kind, EventKind::Ended { subscriber, .. } if subscriber == "friends:suggest");
    let last = seen.events.iter().rposition(ends).expect("it ended");
    seen.events.remove(last);
    let (_, findings) = seen.look(&seen.events);
    let told = problems(&findings);
    assert!(told.contains("ledger/friends:suggest: ") && told.contains("is gone unhandled"), "{told}");
}

#[tokio::test]
async fn a_history_misses_nothing_of_a_dropped_subscription_and_begins_anew_with_its_name() {
    let mut seen = Seen::begin();
    let guest = seen.attach("suggest", Start::Now, Some(even())).await;
    seen.publish(0..20).await;
    seen.handle(SubscriptionIndex(0), "own", 20).await;
    seen.handle(guest, "friends:suggest", 4).await;
    // One of its handlers still runs; whatever it says comes too late.
    let consumer = seen.store.consumer(guest).await.expect("a consumer");
    let held = lease(&*consumer, 1).await.remove(0);
    drop(consumer);
    let (topic, subscriber) = (TOPIC.to_owned(), "friends:suggest".to_owned());
    let (message, attempt) = (held.message().id.to_string(), held.attempt());
    let (t, s, m) = (topic.clone(), subscriber.clone(), message.clone());
    seen.saw(EventKind::Started { topic: t, subscriber: s, message: m, attempt, key: Some("k".to_owned()) });
    seen.drop_guest(guest, "friends:suggest").await;
    held.ack().await.expect("an ack");
    seen.saw(EventKind::Ended { topic, subscriber, message, attempt, done: true });
    let again = seen.attach("suggest", Start::Earliest, None).await;
    seen.publish(20..24).await;
    seen.handle(again, "friends:suggest", 10).await;
    let (seen, inspection, findings) = seen.end().await;
    assert_eq!((inspection.problems.as_slice(), problems(&findings).as_str()), (&[][..], ""));
    let names: Vec<&str> = inspection.subscriptions.iter().map(|books| books.subscriber.as_str()).collect();
    assert_eq!(names, ["own", "friends:suggest"], "the dropped one has no books any more");
    let ledger = &inspection.subscriptions[1].ledger;
    assert_eq!((ledger.published, ledger.done, ledger.dead, ledger.pending), (24, 9, 1, 14));
    // Without the drop, that the same messages come again has no cause.
    let kept = |event: &&Event| !matches!(event.kind, EventKind::Dropped { .. });
    let events: Vec<Event> = seen.events.iter().filter(kept).cloned().collect();
    let told = problems(&seen.look(&events).1);
    assert!(told.contains("it was done before, and no kill took that back"), "{told}");
}
