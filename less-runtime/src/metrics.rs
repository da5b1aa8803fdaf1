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

use crate::publish::{PublishError, Receipt};
use crate::transport::{Capabilities, Guest, Layout, Ledger};
use crate::worker::Observer;

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

/// Bounds of the time of an attempt, in nanoseconds: from 0.1 ms on, each four times the one before.
const BOUNDS: [u64; 14] = {
    let mut bounds = [100_000; 14];
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
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
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
        Arc::new(move |outcome, took| {
            durations.observe(took);
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, counter)) = known.iter().find(|(known, _)| *known == outcome) {
                counter.inc();
                return;
            }
            let (topic, subscriber) = (topic.clone(), subscriber.clone());
            let counter = family.get_or_create(&SubscriberOutcome { topic, subscriber, outcome }).clone();
            counter.inc();
            known.push((outcome, counter));
        })
    }

    /// Everything as text, with the ledgers as they are now.
    pub(crate) fn encode(
        &self,
        layout: &Layout,
        ledgers: &[Option<Ledger>],
        guests: &[(Guest, Ledger)],
        can: Capabilities,
    ) -> String {
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
        let messages = Family::<SubscriberState, Gauge>::default();
        // What is not known has no series, and is no zero.
        let own = layout
            .subscriptions
            .iter()
            .zip(ledgers)
            .filter_map(|(spec, ledger)| Some((spec, ledger.as_ref()?)));
        let own = own.map(|(spec, ledger)| {
            (layout.topics[spec.topic.0 as usize].address(), spec.subscriber.to_string(), ledger)
        });
        let guests = guests.iter();
        let guests = guests.map(|(guest, ledger)| (guest.topic.to_string(), guest.address(), ledger));
        let replays = Family::<SubscriberState, Gauge>::default();
        for (topic, subscriber, ledger) in own.chain(guests) {
            let set = |family: &Family<SubscriberState, Gauge>, state: &str, count: u64| {
                let (topic, subscriber) = (topic.clone(), subscriber.clone());
                let labels = SubscriberState { topic, subscriber, state: state.to_owned() };
                family.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            };
            set(&messages, "pending", ledger.pending);
            set(&messages, "scheduled", ledger.scheduled);
            set(&messages, "in_flight", ledger.in_flight);
            set(&messages, "dead", ledger.dead);
            // What a transport does not count is no zero.
            if !can.counts {
                continue;
            }
            set(&messages, "published", ledger.published);
            set(&messages, "done", ledger.done);
            for (reason, count) in &ledger.discarded {
                set(&messages, &format!("discarded_{reason}"), *count);
            }
            let replay = &ledger.replay;
            set(&replays, "requested", replay.requested);
            set(&replays, "pending", replay.pending);
            set(&replays, "scheduled", replay.scheduled);
            set(&replays, "in_flight", replay.in_flight);
            set(&replays, "dead", replay.dead);
            set(&replays, "done", replay.done);
            for (reason, count) in &replay.discarded {
                set(&replays, &format!("discarded_{reason}"), *count);
            }
        }
        registry.register("messages", "The ledger: messages of a subscriber by state", messages);
        registry.register("replays", "The ledger of replays: deliveries once more by state", replays);
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut out, &registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_all_subscribers_are_one_histogram_that_ends_at_infinity() {
        let metrics = Metrics::default();
        let (one, other) = (metrics.attempts("ledger", "a"), metrics.attempts("ledger", "b"));
        one("done", Duration::from_micros(100));
        other("done", Duration::from_micros(101));
        // Workers begin anew when their files change; what was counted stays.
        metrics.attempts("ledger", "b")("error", Duration::from_secs(10_000));
        let text = metrics.encode(&Layout::default(), &[], &[], Capabilities::ALL);
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
}
