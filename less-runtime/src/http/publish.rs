//! `POST /topics/{id}`, and many messages at once for the clients of Less.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use less_model::quantity::Span;
use serde_json::json;

use super::extract::Path;
use super::problem::Problem;
use super::{Shared, batch};
use crate::publish::{Publish, PublishError, Receipt};

/// Largest body of a batch, in bytes.
const MAX_BATCH_BODY: usize = 16 << 20;
/// What a body is called that is too large.
const TOO_LARGE: &str = "too-large";
/// Headers that begin so are the message's attributes.
const ATTRIBUTE: &str = "less-attribute-";

/// Publishes one message.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let _permit = permit(&shared)?;
    let began = Instant::now();
    // Before the body is read: nobody should send one to a topic that is not there.
    shared.app.topic(&topic)?;
    let (parts, body) = request.into_parts();
    json_type(&parts.headers)?;
    let options = options(&parts.headers)?;
    let body = read(&shared, &parts.headers, body, shared.app.max_body()).await;
    let body = body.map_err(|problem| match problem.kind() {
        TOO_LARGE => problem.with("setting", "max_body"),
        _ => problem,
    })?;
    let mut results = shared.app.publish_checked(&topic, smallvec::smallvec![(body, options)]).await;
    let result = results.pop().unwrap_or_else(|| Err(PublishError::Unavailable("no result".to_owned())));
    shared.options.metrics.publish(&topic, &result, began.elapsed());
    Ok(accepted(&result?))
}

fn accepted(receipt: &Receipt) -> Response {
    let text = if receipt.duplicate {
        format!("{{\"message_id\":\"{}\",\"duplicate\":true}}", receipt.message_id)
    } else {
        format!("{{\"message_id\":\"{}\"}}", receipt.message_id)
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Publishes many: `200` with a result for each, in their order.
pub(super) async fn many(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let _permit = permit(&shared)?;
    shared.app.topic(&topic)?;
    let (parts, body) = request.into_parts();
    json_type(&parts.headers)?;
    let body = read(&shared, &parts.headers, body, MAX_BATCH_BODY).await?;
    let results = batch::publish(&shared.app, &shared.options.metrics, &topic, &body).await?;
    Ok(Json(json!({ "results": results })).into_response())
}

fn permit(shared: &Shared) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
    shared.publishes.try_acquire().map_err(|_| {
        let detail = "too many publishes are in progress; try again";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).header(header::RETRY_AFTER, "1")
    })
}

/// Besides its meaning this keeps web pages out: a browser sends this type to another origin only after asking, and is never allowed.
pub(super) fn json_type(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        let detail =
            format!("the body is encoded (`{coding}`): send it as it is, without `Content-Encoding`");
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded", detail);
        return Err(problem.header(header::ACCEPT_ENCODING, "identity"));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let detail = "the body's type must be JSON: `Content-Type: application/json`";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json-type", detail))
}

/// How much of a body that is too large is read on, in bytes, for how long, and how long for a part of it.
const DISCARD: usize = 64 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(5);
const DISCARD_PAUSE: Duration = Duration::from_millis(500);

/// Reads a body, at most `limit` bytes of it.
pub(super) async fn read(
    shared: &Shared,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is larger than {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE, detail).with("limit", limit)
    };
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        // Who asks first sends nothing after a no; reading would be a yes.
        if !headers.contains_key(header::EXPECT) {
            discard(shared, body).await;
        }
        return Err(too_large());
    }
    let mut body = body;
    match tokio::time::timeout(shared.options.body_timeout, Limited::new(&mut body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(shared, body).await;
            Err(too_large())
        }
        Ok(Err(_)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body did not arrive whole"))
        }
        Err(_) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "slow-body", "the body took too long to arrive"))
        }
    }
}

/// Reads on for a while without keeping anything: a client that is still sending when its connection is closed sees a broken pipe, and not why.
async fn discard(shared: &Shared, mut body: Body) {
    let read = async {
        let mut left = DISCARD;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_PAUSE, body.frame()).await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(size);
            if left == 0 {
                return;
            }
        }
    };
    // Whoever sends slower than that has had its time.
    let _ = tokio::time::timeout(shared.options.body_timeout.min(DISCARD_FOR), read).await;
}

fn options(headers: &HeaderMap) -> Result<Publish, Problem> {
    let text = |name: &str| match headers.get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value.to_owned())),
        Some(Err(_)) => Err(bad(name, "it holds more than visible ASCII characters")),
    };
    let delay = match text("less-delay")? {
        None => None,
        Some(delay) => {
            let span: Span = delay.parse().map_err(|error| bad("less-delay", &format!("{error}")))?;
            Some(span.duration())
        }
    };
    let mut attributes = BTreeMap::new();
    for name in headers.keys() {
        if let Some(attribute) = name.as_str().strip_prefix(ATTRIBUTE) {
            attributes.insert(attribute.to_owned(), text(name.as_str())?.unwrap_or_default());
        }
    }
    Ok(Publish {
        key: text("less-key")?,
        delay,
        attributes,
        idempotency_key: text("idempotency-key")?,
        traceparent: text("traceparent")?,
    })
}

fn bad(header: &str, problem: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-header", format!("`{header}`: {problem}"))
        .with("header", header)
}
