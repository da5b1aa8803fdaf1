use std::collections::BTreeMap;

use aws_sdk_sqs::types::MessageAttributeValue;
use less_model::manifest::Manifest;
use serde_json::json;

use super::*;
use crate::transport::aws::envelope::{Envelope, Parcel, STRING};
use crate::transport::aws::queue::Address;
use crate::transport::aws::{Connection, Options, Site};

const BEGAN: Timestamp = 1_000_000;

fn message(published_at: Timestamp) -> StoredMessage {
    StoredMessage {
        id: MessageId::generate(),
        published_at,
        key: None,
        attributes: BTreeMap::new(),
        traceparent: None,
        body: "{}".into(),
    }
}

#[test]
fn what_was_published_since_a_time_or_has_an_id_is_meant_and_nothing_that_is_new_or_delayed() {
    let one = message(BEGAN - 10);
    let meant = |which, due| is_meant(which, &one, due, BEGAN);
    assert!(meant(Replay::All, None));
    assert!(meant(Replay::Since(BEGAN - 10), None) && !meant(Replay::Since(BEGAN - 9), None));
    assert!(meant(Replay::Id(one.id), None) && !meant(Replay::Id(MessageId::generate()), None));
    assert!(meant(Replay::All, Some(BEGAN)) && !meant(Replay::All, Some(BEGAN + 1)));
    assert!(is_meant(Replay::All, &message(BEGAN), None, BEGAN));
    assert!(!is_meant(Replay::All, &message(BEGAN + 1), None, BEGAN));
}

#[test]
fn an_archive_that_is_too_full_or_that_somebody_reads_is_refused() {
    assert_eq!(refuse("a", MOST, 0), Ok(()));
    let busy = refuse("a", 5, 2).unwrap_err();
    assert_eq!(
        busy.to_string(),
        "archive a is being read by somebody else, or somebody was cut off while reading it: messages hidden: 2\nhint: try again in 5 minutes"
    );
    let full = refuse("a", MOST, 1).unwrap_err();
    assert_eq!(
        full.to_string(),
        "archive a holds 100001 messages, more than the 100000 that a replay reads: SQS shows 120,000 at once at most\nhint: a shorter `retention` in topic.toml keeps fewer: once that is deployed, SQS deletes what is older"
    );
}

fn topology(archive: bool) -> Topology {
    let topic = json!({ "name": "order", "retention": "3d", "subscribers": [{
        "name": "mail", "language": "node", "file": "f", "policy": less_model::manifest::Policy::default()
    }] });
    let manifest: Manifest = serde_json::from_value(json!({
        "version": less_model::manifest::VERSION, "app": "shop", "topics": [topic],
        "settings": { "stages": { "prod": { "transport": "aws", "aws": { "archive": archive } } } },
        "external": [{ "app": "users", "topics": [topic] }]
    }))
    .unwrap();
    Topology::of(&manifest, &"prod".parse().unwrap())
}

#[test]
fn only_a_stage_s_own_topics_are_kept() {
    let places =
        |archive| -> Vec<Place> { kept(&topology(archive)).into_iter().map(|kept| kept.place).collect() };
    let theirs = Place::OtherApp { app: "users".parse().unwrap(), topic: "users:order".to_owned() };
    assert_eq!(places(true), [Place::Archive("shop-prod-order-_archive".to_owned()), theirs.clone()]);
    assert_eq!(places(false), [Place::Nowhere { stage: "prod".to_owned() }, theirs]);
}

/// A queue that nobody is asked about.
fn queue() -> Arc<Queue> {
    let sdk = aws_config::SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::v2026_01_12());
    let site = Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() };
    let Connection { sqs, .. } = Connection::new(sdk.build(), site);
    let text = String::new;
    let address = Address {
        stage: text(),
        name: text(),
        url: text(),
        dead_name: text(),
        dead_url: text(),
        fifo: false,
    };
    Arc::new(Queue::new(sqs, address, Options::default(), crate::clock::Clock::System))
}

fn target(filter: Option<(Scope, serde_json::Value)>) -> Target {
    let matcher = filter.map(|(scope, policy)| {
        let filter = Filter { scope, policy: policy.as_object().unwrap().clone() };
        (scope, filter.matcher().unwrap())
    });
    Target { queue: queue(), matcher }
}

fn received(parcel: &Parcel) -> Message {
    let value = |text: &String| {
        MessageAttributeValue::builder().data_type(STRING).string_value(text).build().unwrap()
    };
    let attributes = parcel.attributes.iter();
    attributes
        .fold(Message::builder().body(&parcel.body), |built, (name, text)| {
            built.message_attributes(name, value(text))
        })
        .build()
}

#[tokio::test]
async fn each_subscriber_gets_what_passes_its_filter_in_the_order_of_publishing_and_once() {
    let targets = [
        target(None),
        target(Some((Scope::Body, json!({"n": [1]})))),
        target(Some((Scope::Attributes, json!({"kind": ["a"]})))),
        target(Some((Scope::Attributes, json!({"kind": [{"exists": false}]})))),
    ];
    let publish = |published_at, body: &str, kind: Option<&str>| {
        let mut message = StoredMessage { body: body.to_owned().into(), ..message(published_at) };
        message.attributes.extend(kind.map(|kind| ("kind".to_owned(), kind.to_owned())));
        Envelope::new(&message, None).pack(&message, |_| true)
    };
    let (first, second) = (publish(7, "{\"n\":1}", None), publish(8, "{\"n\":2}", Some("a")));
    let mut selected = Selected::new();
    for parcel in [&second, &first, &second] {
        select(&received(parcel), Replay::All, BEGAN, &targets, &mut selected);
    }
    let found: Vec<_> = selected.iter().map(|((at, _), chosen)| (*at, chosen.targets.clone())).collect();
    assert_eq!(found, [(7, vec![0, 1, 3]), (8, vec![0, 2])]);
}

#[tokio::test]
async fn of_ten_attributes_the_one_that_travels_inside_is_judged_as_well() {
    let mut message = message(7);
    message.attributes = (0..10).map(|n| (format!("a{n}"), n.to_string())).collect();
    let parcel = Envelope::new(&message, None).pack(&message, |_| true);
    assert!(!parcel.attributes.contains_key("a9"));
    let targets = [target(Some((Scope::Attributes, json!({"a9": ["9"]}))))];
    let mut selected = Selected::new();
    select(&received(&parcel), Replay::All, BEGAN, &targets, &mut selected);
    assert_eq!(selected.len(), 1);
}

#[tokio::test]
async fn what_others_published_without_attributes_passes_no_filter_of_attributes() {
    let plain = Message::builder().message_id("8a7f3c1e-0000-4000-8000-0123456789ab").body("{}").build();
    let targets = [target(Some((Scope::Attributes, json!({"kind": [{"exists": false}]}))))];
    let mut selected = Selected::new();
    select(&plain, Replay::All, BEGAN, &targets, &mut selected);
    assert!(selected.is_empty());
}
