//! `GET /_less/tail`: messages as they are accepted, one JSON object per line.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use hyper::body::Frame;
use less_model::filter::{Candidate, Filter, Matcher};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::Shared;
use super::extract::Query;
use super::problem::Problem;
use super::subscription::find;
use crate::shutdown::Shutdown;
use crate::tail::{Event, MAX_TAILS, ShownMessage, Tail, TailLine};

/// An empty line goes out after this long without any other: both ends notice when the other has gone.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    topic: String,
    /// Only what this one gets.
    subscriber: Option<String>,
}

pub(super) async fn tail(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let topic = shared.app.topic(&which.topic)?;
    let filter = match &which.subscriber {
        Some(subscriber) => {
            let found = find(&shared, &which.topic, subscriber).await?;
            found.filter(&shared).as_ref().map(Filter::matcher).transpose().map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "bad-filter", problems.join("; "))
            })?
        }
        None => None,
    };
    let tail = shared.app.tails().open(topic).ok_or_else(|| {
        let detail = format!("{MAX_TAILS} tails are open already");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).header(header::RETRY_AFTER, "1")
    })?;
    // One line at a time: what waits for a slow reader waits in the tail, whose buffer has an end.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(feed(tail, filter, sender, shared.shutdown.clone()));
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::new(Lines(receiver))).into_response())
}

/// Sends lines until the reader has gone or the app begins to stop: an answer without end would hold up the shutdown.
async fn feed(tail: Tail, filter: Option<Matcher>, lines: mpsc::Sender<Bytes>, shutdown: Shutdown) {
    loop {
        let line = tokio::select! {
            biased;
            () = shutdown.stopping() => break,
            () = lines.closed() => return,
            event = tail.next() => match shown(event, filter.as_ref()) {
                Some(line) => line,
                None => continue,
            },
            () = tokio::time::sleep(KEEP_ALIVE) => Bytes::from_static(b"\n"),
        };
        if lines.send(line).await.is_err() {
            return;
        }
    }
    let rest = std::iter::from_fn(|| tail.take()).filter_map(|event| shown(event, filter.as_ref()));
    for line in rest.chain([written(&TailLine::End("shutdown".to_owned()))]) {
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

/// The line of an event; none for a message that the filter keeps away.
fn shown(event: Event, filter: Option<&Matcher>) -> Option<Bytes> {
    match event {
        Event::Message(seen) => {
            let message = &seen.message;
            let candidate = Candidate::new(&message.body, &message.attributes);
            let passes = filter.is_none_or(|filter| filter.passes(&candidate));
            passes.then(|| written(&TailLine::Message(ShownMessage::new(message, seen.due))))
        }
        Event::Missed(count) => Some(written(&TailLine::Missed(count))),
    }
}

fn written(line: &TailLine) -> Bytes {
    // Nothing in a line can fail to be written.
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
