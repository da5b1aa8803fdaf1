//! What is counted, in the OpenMetrics text form.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::http::{Status, SubscriberStatus};
use crate::link::LinkState;
use crate::publish::{PublishError, Receipt};
use crate::worker::foreign::WorkerState;
use crate::worker::{Observer, QUICK};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicOutcome {
    topic: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriberOutcome {
    topic: String,
    subscriber: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriberState {
    topic: String,
    subscriber: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Subscriber {
    topic: String,
    subscriber: String,
}

impl Subscriber {
    fn of(row: &SubscriberStatus) -> Self {
        Self { topic: row.topic.clone(), subscriber: row.subscriber.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LinkedApp {
    app: String,
}

/// Bounds of the time of an attempt, in nanoseconds: from 0.1 ms on, each four times the one before. What is quick is within the first one.
const BOUNDS: [u64; 14] = {
    let mut bounds = [QUICK.subsec_nanos() as u64; 14];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 4;
        at += 1;
    }
    bounds
};

/// How long a subscriber's attempts took. Without a lock, and none of them shared by all: every attempt is counted here.
#[derive(Debug, Default)]
struct Took {
    /// For each bound, and beyond.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Took {
    /// Counts so many that took this long together: one, or quick ones.
    fn observe(&self, count: u64, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let each = took / count.max(1);
        let bucket = BOUNDS.iter().position(|bound| each <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(count, Ordering::Relaxed);
        self.nanoseconds.fetch_add(took, Ordering::Relaxed);
    }
}

/// By topic and subscriber.
type BySubscriber = BTreeMap<(String, String), Arc<Took>>;

/// Those of all subscribers: one histogram.
#[derive(Debug, Clone, Default)]
struct Durations(Arc<Mutex<BySubscriber>>);

impl Durations {
    fn of(&self, topic: String, subscriber: String) -> Arc<Took> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((topic, subscriber)).or_default())
    }
}

impl EncodeMetric for Durations {
    #[expect(clippy::cast_precision_loss, reason = "seconds are told as a float")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |number: &dyn Fn(&Took) -> &AtomicU64| -> u64 {
            all.values().map(|took| number(took).load(Ordering::Relaxed)).sum()
        };
        let bounds = BOUNDS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.enumerate().map(|(at, bound)| (bound, sum(&|took| &took.counts[at]))).collect();
        let seconds = sum(&|took| &took.nanoseconds) as f64 / 1e9;
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// The process's counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    publishes: Family<TopicOutcome, Counter>,
    publish_duration: Histogram,
    attempts: Family<SubscriberOutcome, Counter>,
    attempt_durations: Durations,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            publishes: Family::default(),
            publish_duration: Histogram::new(exponential_buckets(0.000_1, 2.0, 18)),
            attempts: Family::default(),
            attempt_durations: Durations::default(),
        }
    }
}

impl Metrics {
    /// Counts a publish over HTTP: `accepted`, `refused` for what was sent, `failed` for what the app could not do.
    pub(crate) fn publish(&self, topic: &str, result: &Result<Receipt, PublishError>, took: Duration) {
        let outcome = match result {
            Ok(_) => "accepted",
            Err(
                PublishError::Full(_)
                | PublishError::Unavailable(_)
                | PublishError::ShuttingDown
                | PublishError::NoApp { .. }
                | PublishError::NoAddress
                | PublishError::AddressUnreadable { .. }
                | PublishError::Untrusted { .. }
                | PublishError::BadUrl { .. }
                | PublishError::Unauthorized { .. }
                | PublishError::BrokeOff { .. }
                | PublishError::Refused { .. },
            ) => "failed",
            Err(
                PublishError::UnknownTopic { .. }
                | PublishError::NotJson { .. }
                | PublishError::DoesNotFit { .. }
                | PublishError::Serialize(_)
                | PublishError::TooLarge { .. }
                | PublishError::BadCharacter { .. }
                | PublishError::BadOption { .. }
                | PublishError::Unsupported { .. },
            ) => "refused",
        };
        self.publishes.get_or_create(&TopicOutcome { topic: topic.to_owned(), outcome }).inc();
        self.publish_duration.observe(took.as_secs_f64());
    }

    /// Counts the attempts of a subscriber. Its series are looked up once, not at every attempt.
    pub(crate) fn attempts(&self, topic: &str, subscriber: &str) -> Observer {
        let (topic, subscriber) = (topic.to_owned(), subscriber.to_owned());
        let (family, durations) =
            (self.attempts.clone(), self.attempt_durations.of(topic.clone(), subscriber.clone()));
        let known: Mutex<Vec<(&'static str, Counter)>> = Mutex::default();
        Arc::new(move |outcome, count, took| {
            durations.observe(count, took);
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, counter)) = known.iter().find(|(known, _)| *known == outcome) {
                counter.inc_by(count);
                return;
            }
            let (topic, subscriber) = (topic.clone(), subscriber.clone());
            let counter = family.get_or_create(&SubscriberOutcome { topic, subscriber, outcome }).clone();
            counter.inc_by(count);
            known.push((outcome, counter));
        })
    }

    /// Everything as text, with what is known of subscriptions and links now.
    pub(crate) fn encode(&self, status: Option<&Status>) -> String {
        let mut registry = Registry::with_prefix("less");
        registry.register("publishes", "Publishes over HTTP", self.publishes.clone());
        registry.register_with_unit(
            "publish",
            "Time to publish",
            Unit::Seconds,
            self.publish_duration.clone(),
        );
        registry.register("attempts", "Attempts of handlers", self.attempts.clone());
        registry.register_with_unit(
            "attempt",
            "Time of an attempt",
            Unit::Seconds,
            self.attempt_durations.clone(),
        );
        if let Some(status) = status {
            Books::of(status).register(&mut registry);
        }
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut out, &registry);
        out
    }
}

/// What a status says, as series.
#[derive(Default)]
struct Books {
    messages: Family<SubscriberState, Gauge>,
    replays: Family<SubscriberState, Gauge>,
    oldest: Family<Subscriber, Gauge<f64, AtomicU64>>,
    failed: Family<Subscriber, Gauge>,
    restarts: Family<Subscriber, Counter>,
    orphaned: Family<Subscriber, Gauge>,
    links: Family<LinkedApp, Gauge>,
}

impl Books {
    fn of(status: &Status) -> Self {
        let books = Self::default();
        let mut down = Vec::new();
        for link in &status.links {
            let up = link.state == LinkState::Connected;
            books.links.get_or_create(&LinkedApp { app: link.app.clone() }).set(i64::from(up));
            if !up {
                down.push(format!("{}:", link.app));
            }
        }
        for row in &status.subscribers {
            books.add_worker(row);
            // What is not known, or no longer, has no series, and is no zero.
            if !row.unknown && !down.iter().any(|app| row.topic.starts_with(app)) {
                books.add(row);
            }
        }
        books
    }

    fn add(&self, row: &SubscriberStatus) {
        let set = |family: &Family<SubscriberState, Gauge>, state: &str, count: u64| {
            let (topic, subscriber) = (row.topic.clone(), row.subscriber.clone());
            let labels = SubscriberState { topic, subscriber, state: state.to_owned() };
            family.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        set(&self.messages, "pending", row.pending);
        set(&self.messages, "scheduled", row.scheduled);
        set(&self.messages, "in_flight", row.in_flight);
        set(&self.messages, "dead", row.dead);
        if row.orphaned {
            self.orphaned.get_or_create(&Subscriber::of(row)).set(1);
        }
        // What a transport does not count is no zero.
        let (Some(published), Some(done), Some(discarded)) = (row.published, row.done, &row.discarded) else {
            return;
        };
        self.oldest.get_or_create(&Subscriber::of(row)).set(row.oldest_pending_s.unwrap_or(0.0));
        set(&self.messages, "published", published);
        set(&self.messages, "done", done);
        for (reason, count) in discarded {
            set(&self.messages, &format!("discarded_{reason}"), *count);
        }
        let replay = &row.replay;
        set(&self.replays, "requested", replay.requested);
        set(&self.replays, "pending", replay.pending);
        set(&self.replays, "scheduled", replay.scheduled);
        set(&self.replays, "in_flight", replay.in_flight);
        set(&self.replays, "dead", replay.dead);
        set(&self.replays, "done", replay.done);
        for (reason, count) in &replay.discarded {
            set(&self.replays, &format!("discarded_{reason}"), *count);
        }
    }

    fn add_worker(&self, row: &SubscriberStatus) {
        let Some(worker) = &row.worker else { return };
        let failed = worker.state == WorkerState::Failed;
        self.failed.get_or_create(&Subscriber::of(row)).set(i64::from(failed));
        self.restarts.get_or_create(&Subscriber::of(row)).inc_by(worker.restarts);
    }

    fn register(self, registry: &mut Registry) {
        let Self { messages, replays, oldest, failed, restarts, orphaned, links } = self;
        registry.register("messages", "The ledger: messages of a subscriber by state", messages);
        registry.register("replays", "The ledger of replays: deliveries once more by state", replays);
        registry.register_with_unit(
            "oldest_pending",
            "Age of the oldest pending message",
            Unit::Seconds,
            oldest,
        );
        registry.register("worker_failed", "Whether no process of a handler could be started", failed);
        registry.register("worker_restarts", "Processes started again because one had ended", restarts);
        registry.register("orphaned", "Subscriptions that have no folder any more", orphaned);
        registry.register("link_up", "Whether the link to another app is up", links);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_all_subscribers_are_one_histogram_that_ends_at_infinity() {
        let metrics = Metrics::default();
        let (one, other) = (metrics.attempts("ledger", "a"), metrics.attempts("ledger", "b"));
        one("done", 1, Duration::from_micros(100));
        other("done", 1, Duration::from_micros(101));
        // Workers begin anew when their files change; what was counted stays.
        metrics.attempts("ledger", "b")("error", 1, Duration::from_secs(10_000));
        let text = metrics.encode(None);
        let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("less_attempt_seconds")).collect();
        assert_eq!(
            [shown[0], shown[1], shown[2], shown[3], shown[15], shown[16]],
            [
                "less_attempt_seconds_sum 10000.000201",
                "less_attempt_seconds_count 3",
                "less_attempt_seconds_bucket{le=\"0.0001\"} 1",
                "less_attempt_seconds_bucket{le=\"0.0004\"} 2",
                "less_attempt_seconds_bucket{le=\"6710.8864\"} 2",
                "less_attempt_seconds_bucket{le=\"+Inf\"} 3",
            ]
        );
    }

    #[test]
    fn what_waits_what_failed_and_what_is_not_reached_can_be_told_from_the_series() {
        let row = |topic: &str, subscriber: &str, more: serde_json::Value| {
            let mut row = serde_json::json!({
                "topic": topic, "subscriber": subscriber, "published": 3, "pending": 1, "scheduled": 0, "in_flight": 0,
                "done": 2, "dead": 0, "discarded": {}, "oldest_pending_s": 1.5,
            });
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row
        };
        let worker = serde_json::json!({"worker": {"state": "failed", "processes": 0, "restarts": 4}});
        let status = serde_json::json!({
            "app": "shop", "stage": "dev", "transport": "embedded",
            "subscribers": [
                row("jobs", "py", worker),
                row("jobs", "gone", serde_json::json!({"orphaned": true})),
                row("users:joined", "greet", serde_json::json!({})),
                row("bills:paid", "thank", serde_json::json!({})),
            ],
            "links": [{"app": "users", "state": "waiting"}, {"app": "bills", "state": "connected"}],
        });
        let status: Status = serde_json::from_value(status).unwrap();
        let text = Metrics::default().encode(Some(&status));
        for line in [
            r#"less_oldest_pending_seconds{topic="jobs",subscriber="py"} 1.5"#,
            r#"less_worker_failed{topic="jobs",subscriber="py"} 1"#,
            r#"less_worker_restarts_total{topic="jobs",subscriber="py"} 4"#,
            r#"less_orphaned{topic="jobs",subscriber="gone"} 1"#,
            r#"less_link_up{app="users"} 0"#,
            r#"less_link_up{app="bills"} 1"#,
            r#"less_messages{topic="bills:paid",subscriber="thank",state="done"} 2"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert!(!text.contains("users:joined"), "they are of before the link broke");
    }
}
