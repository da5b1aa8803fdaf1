//! `POST /topics/{id}`, and many messages at once for the clients of Less.

use std::fmt::Write as _;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use less_model::quantity::Span;
use serde_json::json;

use super::extract::Path;
use super::problem::Problem;
use super::{Shared, batch};
use crate::publish::{Publish, PublishError, Receipt};

/// The answer to a publish of one message.
pub(super) type Answer = http::Response<Full<Bytes>>;

/// Largest body of a batch, in bytes.
const MAX_BATCH_BODY: usize = 16 << 20;
/// What a body is called that is too large.
const TOO_LARGE: &str = "too-large";
/// Headers that begin so are the message's attributes.
const ATTRIBUTE: &str = "less-attribute-";

/// Publishes one message, for the router: a topic's name may be written with `%`.
pub(super) async fn routed(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let response = one(&shared, &topic, parts.headers, body).await?;
    Ok(response.map(axum::body::Body::new))
}

/// The topic that a request publishes to, where its path says it as it is.
pub(super) fn topic<'a>(method: &Method, uri: &'a Uri) -> Option<&'a str> {
    let topic = uri.path().strip_prefix("/topics/").filter(|_| method == Method::POST)?;
    (!topic.is_empty() && !topic.contains(['/', '%'])).then_some(topic)
}

/// Publishes one message. The request's map of headers becomes that of the answer: the connection uses it again for the next request.
pub(super) async fn one(
    shared: &Shared,
    topic: &str,
    mut headers: HeaderMap,
    body: impl Body<Data = Bytes> + Unpin,
) -> Result<Answer, Problem> {
    let began = Instant::now();
    let before = || {
        let permit = permit(shared)?;
        // Before the body is read: nobody should send one to a topic that is not there.
        shared.app.topic(topic)?;
        json_type(&headers)?;
        Ok((permit, options(&headers)?))
    };
    let (_permit, options) = match before() {
        Ok(sound) => sound,
        Err(problem) => return Err(refused(shared, &headers, body, problem).await),
    };
    let body = read(shared, &headers, body, shared.app.max_body()).await;
    let body = body.map_err(|problem| match problem.kind() {
        TOO_LARGE => problem.with("setting", "max_body"),
        _ => problem,
    })?;
    let mut results = shared.app.publish_checked(topic, smallvec::smallvec![(body, options)]).await;
    let result = results.pop().unwrap_or_else(|| Err(PublishError::Unavailable("no result".to_owned())));
    shared.options.metrics.publish(topic, &result, began.elapsed());
    let text = accepted(&result?);
    headers.clear();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut answer = Answer::new(Full::from(text));
    *answer.status_mut() = StatusCode::ACCEPTED;
    *answer.headers_mut() = headers;
    Ok(answer)
}

fn accepted(receipt: &Receipt) -> String {
    let mut text = String::with_capacity(80);
    let duplicate = if receipt.duplicate { ",\"duplicate\":true" } else { "" };
    // Writing to a string does not fail.
    let _ = write!(text, "{{\"message_id\":\"{}\"{duplicate}}}", receipt.message_id);
    text
}

/// Publishes many: `200` with a result for each, in their order.
pub(super) async fn many(
    State(shared): State<Arc<Shared>>,
    Path(topic): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let before = || {
        let permit = permit(&shared)?;
        shared.app.topic(&topic)?;
        json_type(&parts.headers)?;
        Ok(permit)
    };
    let _permit = match before() {
        Ok(permit) => permit,
        Err(problem) => return Err(refused(&shared, &parts.headers, body, problem).await),
    };
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
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if let Some((kind, of)) = essence.split_once('/')
        && kind.eq_ignore_ascii_case("application")
        && of.rsplit('+').next().is_some_and(|last| last.eq_ignore_ascii_case("json"))
    {
        return Ok(());
    }
    let detail = "the body's type must be JSON: `Content-Type: application/json`";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json-type", detail))
}

/// How much of a body that nobody wants is read on, in bytes, for how long, and how long for a part of it.
const DISCARD: usize = 64 << 20;
const DISCARD_FOR: Duration = Duration::from_secs(5);
const DISCARD_PAUSE: Duration = Duration::from_millis(500);

/// Reads a body, at most `limit` bytes of it.
pub(super) async fn read(
    shared: &Shared,
    headers: &HeaderMap,
    mut body: impl Body<Data = Bytes> + Unpin,
    limit: usize,
) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body is larger than {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE, detail).with("limit", limit)
    };
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(refused(shared, headers, body, too_large()).await);
    }
    let read = {
        let mut reading = std::pin::pin!(whole(&mut body, limit));
        // Nearly always it came with the headers, and no timer is needed.
        match std::future::poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            Poll::Ready(read) => Ok(read),
            Poll::Pending => tokio::time::timeout(shared.options.body_timeout, reading).await,
        }
    };
    match read {
        Ok(Ok(Some(body))) => Ok(body),
        Ok(Ok(None)) => {
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

/// A body; `None` where it is larger than `limit`. Always a copy: a piece of a body is a part of what its connection reads into, and would keep all of that in
/// memory, and its connection from using it again, for as long as its message is held.
async fn whole<B: Body<Data = Bytes> + Unpin>(body: &mut B, limit: usize) -> Result<Option<Bytes>, B::Error> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
    let mut whole = Vec::with_capacity(expected);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&data);
    }
    // What is held is counted by its length.
    whole.shrink_to_fit();
    Ok(Some(whole.into()))
}

/// A problem with a request whose body was not read, once the client can see it.
pub(super) async fn refused(
    shared: &Shared,
    headers: &HeaderMap,
    body: impl Body<Data = Bytes> + Unpin,
    problem: Problem,
) -> Problem {
    // Who asks first sends nothing after a no; reading would be a yes.
    if !headers.contains_key(header::EXPECT) {
        discard(shared, body).await;
    }
    problem
}

/// Reads on for a while without keeping anything: a client that is still sending when its connection is closed sees a broken pipe, and not why.
async fn discard(shared: &Shared, mut body: impl Body<Data = Bytes> + Unpin) {
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
    let mut options = Publish::default();
    for name in headers.keys() {
        let name = name.as_str();
        let text = || {
            let mut values = headers.get_all(name).iter();
            match (values.next().map(HeaderValue::to_str), values.next()) {
                // What proxies add twice is no reason to refuse a message.
                (Some(Ok(value)), more) if more.is_none() || name == "traceparent" => Ok(value.to_owned()),
                (_, Some(_)) => Err(bad(name, "it stands there more than once")),
                _ => Err(bad(name, "it holds more than visible ASCII characters")),
            }
        };
        match name {
            "less-key" => options.key = Some(text()?),
            "idempotency-key" => options.idempotency_key = Some(text()?),
            "traceparent" => options.traceparent = Some(text()?),
            "less-delay" => {
                let span: Span = text()?.parse().map_err(|error| bad(name, &format!("{error}")))?;
                options.delay = Some(span.duration());
            }
            _ => {
                if let Some(attribute) = name.strip_prefix(ATTRIBUTE) {
                    options.attributes.insert(attribute.to_owned(), text()?);
                }
            }
        }
    }
    Ok(options)
}

fn bad(header: &str, problem: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-header", format!("`{header}`: {problem}"))
        .with("header", header)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// What a connection reads into.
    struct Buffer(&'static [u8], #[expect(dead_code, reason = "it is counted")] Arc<()>);

    impl AsRef<[u8]> for Buffer {
        fn as_ref(&self) -> &[u8] {
            self.0
        }
    }

    struct Pieces(Vec<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn a_body_that_is_kept_keeps_nothing_of_what_its_connection_read_into() {
        let alive = Arc::new(());
        for pieces in [1, 2] {
            let read = Bytes::from_owner(Buffer(b"POST /topics/a {}", Arc::clone(&alive)));
            let mut body = Pieces(vec![read.slice(15..); pieces]);
            drop(read);
            let kept = whole(&mut body, 4).await.unwrap().unwrap();
            assert_eq!(kept, "{}".repeat(pieces));
            assert_eq!(Arc::strong_count(&alive), 1, "with {pieces} pieces");
            assert_eq!(kept.try_into_mut().unwrap().capacity(), 2 * pieces, "nor room for more");
        }
    }
}
