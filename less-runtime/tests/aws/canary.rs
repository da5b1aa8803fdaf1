//! Credentials and payloads reach no log, at any level.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::config::Credentials;
use less_aws_proxy::{Entries, Fault, Proxy, Refusal, When};
use less_runtime::clock::Clock;
use less_runtime::transport::aws::provision::{Desired, ensure_all};
use less_runtime::transport::aws::{self, Connection, Purpose, Site};
use less_runtime::transport::conformance::layout;
use less_runtime::transport::{DeadReason, Delivery, Selection, SubscriptionIndex, TopicIndex, Transport};
use tracing::level_filters::LevelFilter;

use crate::log::Log;
use crate::rig::{PATIENCE, error, message, options};
use crate::stage::{PREFIX, account, server, topology};

/// What may not be seen.
const SECRETS: [&str; 4] =
    ["canary-secret-key", "canary-session-token", "canary-payload", "canary-attribute"];

async fn lease(transport: &Arc<dyn Transport>) -> Vec<Box<dyn Delivery>> {
    let consumer = transport.consumer(SubscriptionIndex(0)).await.unwrap();
    let mut leased = Vec::new();
    while leased.len() < 3 {
        leased.extend(tokio::time::timeout(PATIENCE, consumer.lease(3)).await.unwrap().unwrap());
    }
    leased
}

/// All that a process does with a message, with something going wrong at every step.
async fn life() {
    let proxy = Proxy::start(&server("LESS_TEST_LOCALSTACK"), 1).await.unwrap();
    let (account, region) = (account(), "eu-west-1");
    let session = Some("canary-session-token".to_owned());
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .endpoint_url(proxy.url())
        .region(Region::new(region))
        .credentials_provider(Credentials::new(&account, "canary-secret-key", session, None, "test"));
    let sdk = aws::patient(loader, Purpose::Run).load().await;
    let connection = Connection::new(sdk, Site { region: region.to_owned(), account });
    let layout = layout(&["a"]);
    let topology = topology(PREFIX, &layout);
    ensure_all(&connection, &Desired::of(&topology, &connection.site, None)).await.unwrap();
    let open = aws::open(&connection, &topology, &layout, options(), Clock::System).await.unwrap();
    let transport: Arc<dyn Transport> = open;

    let part = Fault::FailEntries { which: Entries::At(vec![0]), refusal: Refusal::INTERNAL };
    for operation in
        ["PublishBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"]
    {
        proxy.inject(operation, When::Nth(1), Fault::Refuse(Refusal::UNAVAILABLE));
        proxy.inject(operation, When::Nth(2), part.clone());
        proxy.inject(operation, When::Nth(3), Fault::Cut);
    }
    proxy.inject("ReceiveMessage", When::Nth(1), Fault::Refuse(Refusal::DENIED));
    proxy.inject("ReceiveMessage", When::Nth(2), Fault::Tear);
    let mut news: Vec<_> = (0..3).map(|n| message(&format!("\"canary-payload-{n}\""), None)).collect();
    for new in &mut news {
        Arc::make_mut(&mut new.message).attributes.insert("tenant".to_owned(), "canary-attribute".to_owned());
    }
    for result in transport.publish(TopicIndex(0), news.into()).await {
        result.unwrap();
    }
    let mut leased = lease(&transport).await;
    leased[0].renew().await.unwrap();
    // Some of these endings may fail, and say so.
    let _ = leased.remove(0).retry_after(Duration::from_secs(1), error()).await;
    let _ = leased.remove(0).hand_back().await;
    let _ = leased.remove(0).dead_letter(DeadReason::Rejected, error()).await;
    transport.dead_letters(SubscriptionIndex(0), None, 10).await.unwrap();
    proxy.inject("PublishBatch", When::Always, Fault::Refuse(Refusal::DENIED));
    let refused =
        transport.publish(TopicIndex(0), vec![message("\"canary-payload\"", None)].into()).await.remove(0);
    tracing::warn!("{}", refused.unwrap_err());
    transport.release(SubscriptionIndex(0), Selection::All).await.unwrap();
    transport.close().await.unwrap();
}

#[tokio::test]
async fn an_apps_log_shows_neither_credentials_nor_payloads_at_trace() {
    let log = Log::of_an_app(LevelFilter::TRACE);
    life().await;
    let text = log.text();
    for said in ["can't receive messages", "AccessDenied"] {
        assert!(text.contains(said), "the log is not complete: {text}");
    }
    for secret in SECRETS {
        let found: Vec<&str> = text.lines().filter(|line| line.contains(secret)).take(3).collect();
        assert!(found.is_empty(), "{secret}: {found:#?}");
    }
}

/// Were they found nowhere, the test above would say nothing.
#[tokio::test]
async fn the_sdk_itself_prints_payloads_at_trace() {
    let log = Log::plain(LevelFilter::TRACE);
    life().await;
    assert!(log.text().contains("canary-payload"));
}
