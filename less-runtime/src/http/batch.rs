//! Many messages at once, as other processes write them: over HTTP, and over a worker's socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::app::App;
use crate::metrics::Metrics;
use crate::publish::Publish;
use crate::worker::foreign::Publisher;

/// Most messages of a batch.
const MAX_BATCH: usize = 10_000;

/// One message of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    body: Box<RawValue>,
    key: Option<String>,
    delay_ms: Option<u64>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    traceparent: Option<String>,
}

/// Publishes an array of messages; a result for each, in their order.
pub(super) async fn publish(
    app: &App,
    metrics: &Metrics,
    topic: &str,
    items: &[u8],
) -> Result<Vec<Value>, Problem> {
    let began = Instant::now();
    let items: Vec<Item> = serde_json::from_slice(items).map_err(|error| refused(&error))?;
    if items.len() > MAX_BATCH {
        let detail = format!("there are {} messages, the most is {MAX_BATCH}", items.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
    }
    let messages = items.into_iter().map(|item| {
        let options = Publish {
            key: item.key,
            delay: item.delay_ms.map(Duration::from_millis),
            attributes: item.attributes,
            idempotency_key: item.idempotency_key,
            traceparent: item.traceparent,
        };
        (Bytes::from(String::from(Box::<str>::from(item.body)).into_bytes()), options)
    });
    let results = app.publish_checked(topic, messages.collect()).await;
    let shown = results.into_iter().map(|result| {
        metrics.publish(topic, &result, began.elapsed());
        match result {
            Ok(receipt) => json!({"message_id": receipt.message_id, "duplicate": receipt.duplicate}),
            Err(error) => json!({"error": Problem::from(error).to_json()}),
        }
    });
    Ok(shown.collect())
}

/// A batch that can't be read: no JSON, or JSON of another form.
fn refused(error: &serde_json::Error) -> Problem {
    let kind = if error.is_data() { "bad-batch" } else { "not-json" };
    Problem::new(StatusCode::BAD_REQUEST, kind, error.to_string())
        .with("line", error.line())
        .with("column", error.column())
}

/// The way in for what workers publish: the same as over HTTP.
pub(crate) fn publisher(app: Arc<App>, metrics: Arc<Metrics>) -> Publisher {
    Arc::new(move |topic, items| {
        let (app, metrics) = (Arc::clone(&app), Arc::clone(&metrics));
        Box::pin(async move {
            match publish(&app, &metrics, &topic, items.get().as_bytes()).await {
                Ok(results) => Value::Array(results),
                Err(problem) => {
                    let count =
                        serde_json::from_str::<Vec<&RawValue>>(items.get()).map_or(1, |items| items.len());
                    Value::Array(vec![json!({"error": problem.to_json()}); count])
                }
            }
        })
    })
}
