//! The HTTP endpoint: publishing, health, metrics, administration.
//!
//! An accept loop of our own, because `axum::serve` installs no timer, without which hyper's header-read timeout does nothing.

mod admin;
pub(crate) mod backup;
pub(crate) mod batch;
mod extract;
mod guard;
mod link;
mod problem;
mod publish;
mod secure;
mod subscription;
pub(crate) mod tail;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use less_model::config::{Config, Secret};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service as _;

pub(crate) use self::admin::DeadLetters;
pub use self::admin::{ShownDeadLetter, Status, SubscriberStatus};
use self::problem::Problem;
use crate::app::App;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::tls::{Acceptor, Duplex};
use crate::worker::foreign::Control;

/// Most publishes that are in progress at the same time; further ones are answered 429.
const MAX_PUBLISHES: usize = 8192;
/// Wait after the system could not accept a connection, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which app a request is for, where its client knows that.
pub(crate) const APP_HEADER: &str = "less-app";

/// How the endpoint behaves.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) stage: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) max_connections: usize,
    pub(crate) max_publishes: usize,
    /// Longest time for a request's headers, and between two requests.
    pub(crate) header_timeout: Duration,
    /// Longest time for a request's body.
    pub(crate) body_timeout: Duration,
    /// How long a connection without a request is kept at the shutdown: what its client was about to send is answered, and ends the connection.
    pub(crate) linger: Duration,
    /// Longest time that requests in progress are waited for at the shutdown.
    pub(crate) drain: Duration,
    pub(crate) metrics: Arc<Metrics>,
    /// For each subscription with worker processes, how they are.
    pub(crate) workers: Vec<Option<Arc<Control>>>,
    /// What makes it HTTPS.
    pub(crate) tls: Option<Acceptor>,
    /// Serves other apps' links, where the app's transport can.
    pub(crate) link: Option<Arc<crate::link::Server>>,
    /// What opens a link, and nothing else: any of these.
    pub(crate) link_tokens: Vec<Secret>,
}

impl Options {
    pub(crate) fn new(config: &Config, metrics: Arc<Metrics>, workers: Vec<Option<Arc<Control>>>) -> Self {
        Self {
            stage: config.stage.value.to_string(),
            hosts: config.hosts.value.clone(),
            api_key: config.api_key.as_ref().map(|key| key.value.clone()),
            max_connections: config.max_connections.value as usize,
            max_publishes: MAX_PUBLISHES,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(100),
            drain: Duration::from_secs(5),
            metrics,
            workers,
            tls: None,
            link: None,
            link_tokens: config.link_token.iter().map(|token| token.value.clone()).collect(),
        }
    }
}

/// What handlers of requests share.
struct Shared {
    app: Arc<App>,
    options: Options,
    publishes: Semaphore,
    shutdown: Shutdown,
}

/// Serves until the shutdown, then until requests in progress are answered.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, options: Options, shutdown: Shutdown) {
    let connections = Arc::new(Semaphore::new(options.max_connections));
    let (drain, linger) = (options.drain, options.linger);
    let all = u32::try_from(options.max_connections).unwrap_or(u32::MAX);
    let publishes = Semaphore::new(options.max_publishes);
    let shared = Arc::new(Shared { app, options, publishes, shutdown: shutdown.clone() });
    let tls = shared.options.tls.clone();
    let header_timeout = shared.options.header_timeout;
    let desk = Arc::new(Desk { router: router(Arc::clone(&shared)), shared });
    let conversation = Conversation { desk, header_timeout, linger, stopping: shutdown.clone() };
    let begin = |stream: TcpStream, permit: OwnedSemaphorePermit| {
        // Without it a small answer waits for the peer's acknowledgement; failing to set it costs only that.
        let _ = stream.set_nodelay(true);
        let (conversation, tls) = (conversation.clone(), tls.clone());
        tokio::spawn(async move {
            conversation.open(stream, tls).await;
            drop(permit);
        });
    };
    let next = async || {
        // Further connections wait in the system's queue.
        let permit = Arc::clone(&connections).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) => {
                    tracing::warn!("can't accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    loop {
        tokio::select! {
            biased;
            () = shutdown.stopping() => break,
            Some((stream, permit)) = next() => begin(stream, permit),
        }
    }
    // Who is in the system's queue has a connection as good as the others. Who comes later is refused, and knows that nothing was sent.
    if let Ok(listener) = listener.into_std() {
        while let (Ok((stream, _)), Ok(permit)) =
            (listener.accept(), Arc::clone(&connections).try_acquire_owned())
        {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                begin(stream, permit);
            }
        }
    }
    // Requests that are still open then are told nothing, which a client takes as unknown.
    let _ = tokio::time::timeout(drain, connections.acquire_many(all)).await;
}

/// What every connection shares.
#[derive(Clone)]
struct Conversation {
    desk: Arc<Desk>,
    header_timeout: Duration,
    linger: Duration,
    stopping: Shutdown,
}

impl Conversation {
    async fn open(self, stream: TcpStream, tls: Option<Acceptor>) {
        let Some(acceptor) = tls else { return self.hold(stream).await };
        // In the connection's own task, and as patient as with headers: who says nothing delays nobody.
        let stream = tokio::select! {
            stream = tokio::time::timeout(self.header_timeout, secure::open(&acceptor, stream)) => stream,
            () = self.lingered() => return,
        };
        if let Ok(Some(stream)) = stream {
            self.hold(stream).await;
        }
    }

    /// Answers a connection's requests, until it ends or the app stops.
    async fn hold(self, stream: impl Duplex + 'static) {
        let desk = Arc::clone(&self.desk);
        let service = service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move { Ok::<_, Infallible>(desk.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        // A connection's end in error is the peer's doing; its requests were answered or never whole.
        let ended = tokio::select! {
            _ = &mut connection => true,
            () = self.lingered() => false,
        };
        if !ended {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }

    /// Waits until the app stops, and for those who did not know it yet.
    async fn lingered(&self) {
        self.stopping.stopping().await;
        tokio::time::sleep(self.linger).await;
    }
}

/// The body of an answer.
type Reply = Either<Full<Bytes>, Body>;

/// Where requests are answered.
struct Desk {
    shared: Arc<Shared>,
    router: Router,
}

impl Desk {
    /// Answers a request that comes from someone who may ask. Where the app stops, an answer is its connection's last.
    async fn answer(&self, request: Request<Incoming>) -> http::Response<Reply> {
        let reply = self.reply(request).await;
        let mut response = reply.unwrap_or_else(|problem| problem.into_response().map(Either::Right));
        if self.shared.shutdown.is_stopping() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn reply(&self, request: Request<Incoming>) -> Result<http::Response<Reply>, Problem> {
        let (parts, body) = request.into_parts();
        let app = self.shared.app.manifest().app.as_str();
        if let Err(problem) = guard::check(&self.shared.options, app, &parts) {
            return Err(publish::refused(&self.shared, &parts.headers, body, problem).await);
        }
        // Nearly all requests are of this kind, and what a router does for one costs as much as to store it.
        if let Some(topic) = publish::topic(&parts.method, &parts.uri) {
            let response = publish::one(&self.shared, topic, parts.headers, body).await?;
            return Ok(response.map(Either::Left));
        }
        let Ok(response) = self.router.clone().call(Request::from_parts(parts, body)).await;
        Ok(response.map(Either::Right))
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/topics/{id}", post(publish::routed))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/_less/status", get(admin::status))
        .route("/_less/topics", get(admin::topics))
        .route("/_less/contract", get(admin::contract))
        .route("/_less/topics/{id}/batch", post(publish::many))
        .route("/_less/dead-letters/{topic}/{subscriber}", get(admin::list))
        .route("/_less/dead-letters/{topic}/{subscriber}/release", post(admin::release))
        .route("/_less/dead-letters/{topic}/{subscriber}/purge", post(admin::purge))
        .route("/_less/workers/{topic}/{subscriber}/restart", post(admin::restart))
        .route("/_less/subscriptions/{topic}/{subscriber}/drop", post(subscription::drop_stored))
        .route("/_less/link", get(link::link))
        .route("/_less/tail", get(tail::tail))
        .route("/_less/backup", get(backup::backup))
        .route("/_less/replay/{topic}/{subscriber}", post(admin::replay))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not-found", "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this path takes another method",
            )
        })
        .with_state(shared)
}

async fn ready(State(shared): State<Arc<Shared>>) -> Result<&'static str, Problem> {
    let not_ready = |detail: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail);
    if shared.shutdown.is_stopping() {
        return Err(not_ready("the app is shutting down".to_owned()));
    }
    shared.app.transport().ledgers().await.map_err(|error| not_ready(error.to_string()))?;
    Ok("ready\n")
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Infallible> {
    // Where the transport does not answer, what this process has counted is shown all the same.
    let status = admin::seen(&shared).await.ok();
    let text = shared.options.metrics.encode(status.as_ref());
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use self::tests::options as tests_options;
