//! What is promised of filters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use less_model::filter::{Filter, Scope};

use super::{Bench, Harness, layout, lease};
use crate::transport::{Consumer, NewMessage};

/// A filter with this policy.
pub(crate) fn filter(scope: Scope, policy: &serde_json::Value) -> Filter {
    let policy = policy.as_object().expect("a policy is an object").clone();
    Filter::read(scope, policy).expect("the policy is sound")
}

/// Takes and acks messages until these bodies were there, and no others.
async fn take(consumer: &dyn Consumer, expected: &[&str]) {
    let mut left: BTreeSet<&str> = expected.iter().copied().collect();
    while !left.is_empty() {
        for delivery in lease(consumer, 10).await {
            let text = std::str::from_utf8(&delivery.message().body).expect("UTF-8").to_owned();
            assert!(
                left.remove(text.as_str()) || expected.contains(&text.as_str()),
                "{text} came, {left:?} is left"
            );
            delivery.ack().await.expect("an ack");
        }
    }
}

/// Promise: a subscriber gets what passes its filter and nothing else; the others get everything.
pub async fn a_filter_keeps_what_does_not_match_away(harness: &dyn Harness) {
    let mut layout = layout(&["all", "large", "acme"]);
    let large = serde_json::json!({ "plan": ["pro", "team"], "seats": [{ "numeric": [">=", 10] }] });
    layout.subscriptions[1].filter = Some(filter(Scope::Body, &large));
    let acme = serde_json::json!({ "tenant": ["acme"], "region": [{ "prefix": "eu-" }] });
    layout.subscriptions[2].filter = Some(filter(Scope::Attributes, &acme));
    let mut bench = Bench::on(harness, layout).await;
    let message = |bench: &Bench<'_>, body: &str, attributes: &[(&str, &str)]| {
        let mut new = bench.message(body);
        let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Arc::make_mut(&mut new.message).attributes = owned.collect::<BTreeMap<_, _>>();
        new
    };
    let eu: &[(&str, &str)] = &[("tenant", "acme"), ("region", "eu-west-1")];
    let first: [(&str, &[(&str, &str)]); 6] = [
        (r#"{"plan":"pro","seats":10}"#, &[]),
        (r#"{"plan":"pro","seats":9}"#, eu),
        (r#"{"plan":"free","seats":10}"#, &[("tenant", "acme")]),
        (r#"{"plan":"team","seats":11}"#, eu),
        (r#"["pro",10]"#, &[("tenant", "acme"), ("region", "us-east-1")]),
        ("10", &[]),
    ];
    let messages: Vec<NewMessage> = first.iter().map(|(body, with)| message(&bench, body, with)).collect();
    bench.publish(messages).await;
    let (large, acme) = (bench.consumer(1).await, bench.consumer(2).await);
    take(&*large, &[first[0].0, first[3].0]).await;
    take(&*acme, &[first[1].0, first[3].0]).await;
    drop((large, acme));
    bench.restart().await;
    // Whatever comes after, it is not one of those that were kept away.
    let last = r#"{"plan":"pro","seats":12}"#;
    let more = [message(&bench, r#"{"plan":"pro"}"#, &[]), message(&bench, last, eu)];
    bench.publish(more.to_vec()).await;
    take(&*bench.consumer(1).await, &[last]).await;
    take(&*bench.consumer(2).await, &[last]).await;
    let all: Vec<&str> = first.iter().map(|(body, _)| *body).chain([r#"{"plan":"pro"}"#, last]).collect();
    take(&*bench.consumer(0).await, &all).await;
}
