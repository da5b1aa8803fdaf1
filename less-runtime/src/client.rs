//! Speaks to a running app over HTTP, from another process.
//!
//! The app is found by `LESS_URL`, else by the address file that a running app keeps in its data folder: the one that `LESS_DATA` names, else
//! `.less/data` in the working folder or one above it. `LESS_API_KEY` is sent as bearer token, and `Less-App` says which app is meant, where that is
//! known: another one refuses.

mod address;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(crate) use self::address::{local_url, write_address};
use crate::http::APP_HEADER;
use crate::http::DeadLetters;
use crate::http::tail::KEEP_ALIVE;
pub use crate::http::{ShownDeadLetter, Status, SubscriberStatus};
pub use crate::link::{LinkState, LinkStatus};
use crate::message::MessageId;
use crate::publish::{Publish, PublishError, Receipt};
pub use crate::tail::{ShownMessage, TailLine};
use crate::tls;
pub use crate::tls::Trust;
pub use crate::transport::Replay;
pub use crate::worker::foreign::{WorkerState, WorkerStatus};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The same for a replay: on AWS an archive is read whole for it, and sent.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(1800);

/// A running app, as another process sees it.
#[derive(Clone)]
pub struct Client {
    url: String,
    key: Option<String>,
    /// The app that is meant.
    app: Option<String>,
    http: HttpClient<tls::Connector, Full<Bytes>>,
}

/// A topic's messages as they are accepted.
pub struct TailStream {
    client: Client,
    body: Incoming,
    /// What was read beyond the last line.
    read: Vec<u8>,
}

impl Client {
    /// The app that the environment points to, looked for from `folder` upwards: the one of this name, where one is given.
    pub fn discover(folder: &Path, app: Option<&str>) -> Result<Self, PublishError> {
        let (url, trust) = match std::env::var("LESS_URL").ok().filter(|url| !url.is_empty()) {
            Some(url) => (url, Trust::usual()),
            None => address::read_address(folder, app)?,
        };
        let key = std::env::var("LESS_API_KEY").ok().filter(|key| !key.is_empty());
        Ok(Self::believing(&url, key, &trust)?.of(app))
    }

    /// The same, for the app of this name alone: another one answers nothing.
    #[must_use]
    pub fn of(self, app: Option<&str>) -> Self {
        Self { app: app.map(str::to_owned), ..self }
    }

    /// The app at this address, such as `http://127.0.0.1:4100`. With `https://` its certificate is checked against those in the file that `LESS_CA`
    /// names, else against the system's.
    pub fn at(url: &str, key: Option<String>) -> Result<Self, PublishError> {
        Self::believing(url, key, &Trust::usual())
    }

    /// The app at this address, if `trust` says so where the address begins with `https://`.
    pub fn believing(url: &str, key: Option<String>, trust: &Trust) -> Result<Self, PublishError> {
        let url = url.trim_end_matches('/').to_owned();
        let bad = |problem: String| PublishError::BadUrl { url: url.clone(), problem };
        // Without a scheme `localhost:4100` is an authority, and `localhost/x` nothing at all.
        let missing = || bad(format!("`http://` or `https://` is missing\nhint: http://{url}"));
        let begins = url.contains("://");
        let uri: Uri =
            url.parse().map_err(|error| if begins { bad(format!("{error}")) } else { missing() })?;
        let encrypted = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) if begins => return Err(bad("it must begin with http:// or https://".to_owned())),
            _ => return Err(missing()),
        };
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let connector = tls::connector(connector, trust, encrypted)
            .map_err(|error| PublishError::NoApp { url: url.clone(), cause: error.to_string() })?;
        let http = HttpClient::builder(TokioExecutor::new()).build(connector);
        Ok(Self { url, key, app: None, http })
    }

    /// Where the app is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is ready; an error says why it is not.
    pub async fn ready(&self) -> Result<(), PublishError> {
        self.ask(Method::GET, "/readyz", None).await.map(drop)
    }

    /// Publishes messages; one result each, in their order.
    pub async fn publish(
        &self,
        topic: &str,
        messages: Vec<(Bytes, Publish)>,
    ) -> Vec<Result<Receipt, PublishError>> {
        let count = messages.len();
        match self.try_publish(topic, messages).await {
            Ok(results) if results.len() == count => results,
            Ok(_) => vec![Err(PublishError::Unavailable("the app gave too few results".to_owned())); count],
            Err(error) => vec![Err(error); count],
        }
    }

    async fn try_publish(
        &self,
        topic: &str,
        messages: Vec<(Bytes, Publish)>,
    ) -> Result<Vec<Result<Receipt, PublishError>>, PublishError> {
        let path = format!("/_less/topics/{}/batch", segment(topic));
        let answer = self.send(Method::POST, &path, Some(batch(messages)?), ANSWER_TIMEOUT).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let results = answer["results"].as_array().cloned().unwrap_or_default();
        Ok(results.iter().map(|result| self.receipt(result)).collect())
    }

    fn receipt(&self, result: &Value) -> Result<Receipt, PublishError> {
        match result["message_id"].as_str().and_then(|id| id.parse().ok()) {
            Some(id) => Ok(Receipt::new(id, result["duplicate"] == true)),
            None => Err(self.problem(&result["error"])),
        }
    }

    /// The app's ledger.
    pub async fn status(&self) -> Result<Status, PublishError> {
        self.typed(Method::GET, "/_less/status", None).await
    }

    /// What the app promises to others about its topics: a contract of a form that this version of Less may not know.
    pub async fn contract(&self) -> Result<Value, PublishError> {
        self.ask(Method::GET, "/_less/contract", None).await
    }

    /// Dead letters of a subscriber, oldest first: at most `limit` after the one called `after`.
    pub async fn dead_letters(
        &self,
        topic: &str,
        subscriber: &str,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<Vec<ShownDeadLetter>, PublishError> {
        let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
        let path =
            format!("/_less/dead-letters/{}/{}?limit={limit}{after}", segment(topic), segment(subscriber));
        let answer = self.send(Method::GET, &path, None, ANSWER_TIMEOUT).await?;
        // Not by way of a `Value`, which is another text than the bodies are.
        let letters: DeadLetters =
            serde_json::from_slice(&answer).map_err(|error| self.unreadable(&error))?;
        Ok(letters.dead_letters)
    }

    /// Hands dead letters back to their subscriber; without ids all of them. Returns how many.
    pub async fn release(
        &self,
        topic: &str,
        subscriber: &str,
        ids: Option<&[MessageId]>,
    ) -> Result<u64, PublishError> {
        self.act(topic, subscriber, "release", "released", ids).await
    }

    /// Deletes dead letters; without ids all of them. Returns how many.
    pub async fn purge(
        &self,
        topic: &str,
        subscriber: &str,
        ids: Option<&[MessageId]>,
    ) -> Result<u64, PublishError> {
        self.act(topic, subscriber, "purge", "purged", ids).await
    }

    /// Delivers messages once more to a subscriber that has finished them. Returns how many will be.
    pub async fn replay(&self, topic: &str, subscriber: &str, which: Replay) -> Result<u64, PublishError> {
        let body = match which {
            Replay::All => json!({"all": true}),
            Replay::Since(since) => json!({"since": since}),
            Replay::Id(id) => json!({"id": id}),
        };
        let path = format!("/_less/replay/{}/{}", segment(topic), segment(subscriber));
        let answer = self.ask_within(Method::POST, &path, Some(&body), REPLAY_TIMEOUT).await?;
        Ok(answer["replayed"].as_u64().unwrap_or(0))
    }

    /// Drops a subscription that the app has no folder for: with `drop_messages` also one that messages or dead letters are in. Returns its last books.
    pub async fn drop_subscription(
        &self,
        topic: &str,
        subscriber: &str,
        drop_messages: bool,
    ) -> Result<SubscriberStatus, PublishError> {
        let path = format!("/_less/subscriptions/{}/{}/drop", segment(topic), segment(subscriber));
        let body = json!({ "drop_messages": drop_messages });
        let mut answer = self.ask(Method::POST, &path, Some(&body)).await?;
        self.parse(answer["dropped"].take())
    }

    /// Starts new worker processes of a subscriber whose handler is not compiled in; the old ones finish what they hold.
    pub async fn restart_workers(&self, topic: &str, subscriber: &str) -> Result<(), PublishError> {
        let path = format!("/_less/workers/{}/{}/restart", segment(topic), segment(subscriber));
        self.ask(Method::POST, &path, Some(&json!({}))).await.map(drop)
    }

    /// Everything that the app has stored, as a tar archive, piece by piece.
    pub async fn backup(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), PublishError> {
        let broken = |cause: String| PublishError::BrokeOff { url: self.url.clone(), cause };
        let mut body = self.open("/_less/backup").await?;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken(chain(&error)))?;
            if let Some(piece) = frame.data_ref() {
                take(piece).map_err(|error| broken(format!("it can't be written: {error}")))?;
            }
        }
        Ok(())
    }

    /// Watches a topic: messages as they are accepted, with a subscriber only those that it gets.
    pub async fn tail(&self, topic: &str, subscriber: Option<&str>) -> Result<TailStream, PublishError> {
        let subscriber = subscriber.map(|name| format!("&subscriber={}", segment(name))).unwrap_or_default();
        let path = format!("/_less/tail?topic={}{subscriber}", segment(topic));
        let no_answer = |_| PublishError::NoApp {
            url: self.url.clone(),
            cause: format!("no answer within {ANSWER_TIMEOUT:?}"),
        };
        let body = tokio::time::timeout(ANSWER_TIMEOUT, self.open(&path)).await.map_err(no_answer)??;
        Ok(TailStream { client: self.clone(), body, read: Vec::new() })
    }

    /// An answer that is read piece by piece.
    async fn open(&self, path: &str) -> Result<Incoming, PublishError> {
        let no_app = |cause: String| PublishError::NoApp { url: self.url.clone(), cause };
        let request = self
            .request(Method::GET, path)
            .body(Full::default())
            .map_err(|error| no_app(error.to_string()))?;
        let answer = self.http.request(request).await.map_err(|error| self.no_answer(&error))?;
        let status = answer.status();
        let body = answer.into_body();
        if status.is_success() {
            return Ok(body);
        }
        let body = body.collect().await.map_err(|error| no_app(error.to_string()))?.to_bytes();
        Err(self.refused(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// A request's head.
    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(app) = &self.app {
            request = request.header(APP_HEADER, app);
        }
        request
    }

    /// Why there was no answer: nobody is there, or somebody who is not believed.
    fn no_answer(&self, error: &hyper_util::client::legacy::Error) -> PublishError {
        let (url, cause) = (self.url.clone(), chain(error));
        if distrusted(error) {
            PublishError::Untrusted { url, cause }
        } else {
            PublishError::NoApp { url, cause }
        }
    }

    async fn act(
        &self,
        topic: &str,
        subscriber: &str,
        verb: &str,
        count: &str,
        ids: Option<&[MessageId]>,
    ) -> Result<u64, PublishError> {
        let which = ids.map_or_else(|| json!({"all": true}), |ids| json!({ "ids": ids }));
        let path = format!("/_less/dead-letters/{}/{}/{verb}", segment(topic), segment(subscriber));
        Ok(self.ask(Method::POST, &path, Some(&which)).await?[count].as_u64().unwrap_or(0))
    }

    async fn typed<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, PublishError> {
        let answer = self.ask(method, path, body).await?;
        self.parse(answer)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, value: Value) -> Result<T, PublishError> {
        serde_json::from_value(value).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &serde_json::Error) -> PublishError {
        PublishError::Refused {
            url: self.url.clone(),
            status: 200,
            detail: format!("an answer of another version of Less: {error}"),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, PublishError> {
        self.ask_within(method, path, body, ANSWER_TIMEOUT).await
    }

    async fn ask_within(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Value, PublishError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.send(method, path, body, patience).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// The answer's text, if it is a success.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        patience: Duration,
    ) -> Result<Bytes, PublishError> {
        let no_app = |cause: String| PublishError::NoApp { url: self.url.clone(), cause };
        let mut request = self.request(method, path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(body.unwrap_or_default())).map_err(|error| no_app(error.to_string()))?;
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| self.no_answer(&error))?;
            let status = answer.status();
            let body =
                answer.into_body().collect().await.map_err(|error| no_app(error.to_string()))?.to_bytes();
            Ok((status, body))
        };
        let answered = tokio::time::timeout(patience, exchange).await;
        let (status, body) = answered.map_err(|_| no_app(format!("no answer within {patience:?}")))??;
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refused(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// The error that an answer without success stands for, whatever was asked for: it says nothing of a message.
    fn refused(&self, status: StatusCode, problem: &Value) -> PublishError {
        let url = self.url.clone();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return PublishError::Unauthorized { url };
        }
        let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
        PublishError::Refused { url, status: status.as_u16(), detail }
    }

    /// The error that a message's problem document stands for.
    fn problem(&self, problem: &Value) -> PublishError {
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| usize::try_from(problem[name].as_u64().unwrap_or(0)).unwrap_or(0);
        match problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:less:")) {
            Some("full") => PublishError::Full(cause(PublishError::Full, &text("detail"))),
            Some("unavailable") => {
                PublishError::Unavailable(cause(PublishError::Unavailable, &text("detail")))
            }
            // The others say it better themselves: topic, place, pointer, limit are in their text.
            _ => PublishError::Refused {
                url: self.url.clone(),
                status: u16::try_from(number("status")).unwrap_or(0),
                detail: text("detail"),
            },
        }
    }
}

/// One message of a batch; its body is the text that it was written as.
#[derive(Serialize)]
struct Item {
    body: Box<RawValue>,
    key: Option<String>,
    delay_ms: Option<u64>,
    attributes: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    traceparent: Option<String>,
}

/// A batch's text.
fn batch(messages: Vec<(Bytes, Publish)>) -> Result<Bytes, PublishError> {
    let mut items = Vec::with_capacity(messages.len());
    for (body, options) in messages {
        let body = String::from_utf8(body.into()).ok().and_then(|text| RawValue::from_string(text).ok());
        items.push(Item {
            body: body.ok_or_else(|| PublishError::Serialize("the body is no JSON text".to_owned()))?,
            key: options.key,
            delay_ms: options.delay.map(crate::clock::millis),
            attributes: options.attributes,
            idempotency_key: options.idempotency_key,
            traceparent: options.traceparent,
        });
    }
    let text = serde_json::to_vec(&items).map_err(|error| PublishError::Serialize(error.to_string()))?;
    Ok(text.into())
}

impl TailStream {
    /// The next line, waiting until there is one; `None` once the app has said that nothing follows.
    pub async fn next(&mut self) -> Result<Option<TailLine>, PublishError> {
        let gone =
            |cause: &str| PublishError::NoApp { url: self.client.url.clone(), cause: cause.to_owned() };
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let line = serde_json::from_slice(&line).map_err(|error| self.client.unreadable(&error))?;
                return Ok(match line {
                    TailLine::End(_) => None,
                    line @ (TailLine::Message(_) | TailLine::Missed(_)) => Some(line),
                });
            }
            let frame = tokio::time::timeout(3 * KEEP_ALIVE, self.body.frame()).await;
            match frame.map_err(|_| gone("it has fallen silent"))? {
                Some(Ok(frame)) => self.read.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(error)) => return Err(gone(&chain(&error))),
                None => return Err(gone("it ended without a word")),
            }
        }
    }
}

/// What stands behind the error's own words in a problem's detail: they would be said twice otherwise.
fn cause(error: fn(String) -> PublishError, detail: &str) -> String {
    detail.strip_prefix(&error(String::new()).to_string()).unwrap_or(detail).to_owned()
}

/// Writes a snapshot as the archive that [`Client::backup`] gives.
pub fn write_archive(snapshot: crate::transport::Snapshot, out: impl io::Write) -> io::Result<()> {
    crate::http::backup::write(snapshot, out)
}

/// The innermost causes of an HTTP client's error: the outer ones say only that there was one.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    loop {
        if let Some(said) = last.downcast_ref::<io::Error>().and_then(tls::explain) {
            return said;
        }
        let Some(source) = last.source() else { return last.to_string() };
        last = source;
    }
}

/// Whether an HTTP client's error is that the other side's certificate was refused.
fn distrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(tls::distrusts))
}

/// A name as a path's segment; what is no name would not be found anyway, and must not become another path.
fn segment(name: &str) -> String {
    name.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b == b'_' {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// One client per runtime: its connections are driven by the runtime that opened them, and end with it.
static CLIENTS: Mutex<Option<HashMap<tokio::runtime::Id, Client>>> = Mutex::new(None);

/// Publishes through the running app that the environment points to.
pub(crate) async fn publish(
    app: &str,
    topic: &str,
    messages: Vec<(Bytes, Publish)>,
) -> Vec<Result<Receipt, PublishError>> {
    let runtime = tokio::runtime::Handle::current().id();
    let known = CLIENTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .as_ref()
        .and_then(|all| all.get(&runtime).cloned());
    let client = match known {
        Some(client) => Ok(client),
        None => Client::discover(&std::env::current_dir().unwrap_or_default(), Some(app)),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![Err(error); messages.len()],
    };
    let results = client.publish(topic, messages).await;
    // Kept only while it answers: an app that was started anew may be elsewhere.
    let gone = results.iter().any(|result| {
        matches!(result, Err(PublishError::NoApp { .. } | PublishError::Refused { status: 421, .. }))
    });
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let clients = clients.get_or_insert_default();
    if gone {
        clients.remove(&runtime);
    } else {
        clients.insert(runtime, client);
    }
    results
}

#[cfg(test)]
mod tests;
