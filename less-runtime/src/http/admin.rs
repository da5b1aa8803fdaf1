//! Administration under `/_less/`: the ledger, dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use less_model::contract::Contract;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Shared;
use super::extract::{Path, Query};
use super::problem::Problem;
use super::publish::{json_type, read};
use super::subscription::{Found, find};
use crate::clock::Timestamp;
use crate::link::LinkStatus;
use crate::message::{MessageId, shown};
use crate::transport::{
    DeadLetter, Guest, Layout, Ledger, Replay, ReplayLedger, Selection, Transport, TransportError,
};
use crate::worker::foreign::WorkerStatus;

/// Largest body of an administrative request, in bytes.
pub(super) const MAX_BODY: usize = 1 << 20;

/// `GET /_less/status`: every subscription's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The app's name.
    pub app: String,
    /// The stage it runs as.
    pub stage: String,
    /// The transport's name.
    pub transport: String,
    /// Its subscriptions, by topic and subscriber; then those that it stores for other apps, and those that have no folder any more.
    pub subscribers: Vec<SubscriberStatus>,
    /// Links to the apps whose topics it subscribes to; left out where there are none. The books of subscriptions whose link is not up are those
    /// that were last known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkStatus>,
    /// Apps that subscribe here and are linked now; left out where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<String>,
}

/// One subscription's books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubscriberStatus {
    /// The topic's id.
    pub topic: String,
    /// The subscriber's name; that of another app's is behind that app's and a colon.
    pub subscriber: String,
    /// Messages it was to get; `None` where the transport does not count them.
    pub published: Option<u64>,
    /// Waiting.
    pub pending: u64,
    /// Waiting for their time.
    pub scheduled: u64,
    /// Being handled.
    pub in_flight: u64,
    /// Done; likewise.
    pub done: Option<u64>,
    /// Dead letters.
    pub dead: u64,
    /// Given up, by reason; likewise.
    pub discarded: Option<BTreeMap<String, u64>>,
    /// Age of the oldest pending message, in seconds.
    pub oldest_pending_s: Option<f64>,
    /// Its worker processes; left out where its handler is compiled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerStatus>,
    /// Whether it has no folder any more, and keeps getting messages; left out where it has one, and of other apps' subscribers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orphaned: bool,
    /// Whether the app that keeps its messages has not been reached since this one was started: its numbers are not known, and no zeros. Left out
    /// where they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// Deliveries by replay, which count apart; left out where there were none.
    #[serde(default, skip_serializing_if = "never")]
    pub replay: ReplayLedger,
}

impl Status {
    /// The books of every subscription of a transport.
    pub async fn read(
        app: &str,
        stage: &str,
        layout: &Layout,
        transport: &dyn Transport,
    ) -> Result<Self, TransportError> {
        let ledgers = transport.ledgers().await?;
        let counts = transport.capabilities().counts;
        let rows = (0..).zip(layout.subscriptions.iter().zip(ledgers)).map(|(index, (spec, ledger))| {
            let topic = layout.topics[spec.topic.0 as usize].address();
            let unknown = !transport.knows(crate::transport::SubscriptionIndex(index));
            let row = SubscriberStatus::new(topic, spec.subscriber.to_string(), ledger, counts && !unknown);
            SubscriberStatus { unknown, ..row }
        });
        let guests = transport.guests().await?.into_iter();
        let guests = guests.map(|(guest, ledger)| SubscriberStatus::of_guest(&guest, ledger));
        let subscribers = rows.chain(guests);
        Ok(Self {
            app: app.to_owned(),
            stage: stage.to_owned(),
            transport: transport.name().to_owned(),
            subscribers: subscribers.collect(),
            links: transport.links(),
            linked: Vec::new(),
        })
    }
}

impl SubscriberStatus {
    fn new(topic: String, subscriber: String, ledger: Ledger, counts: bool) -> Self {
        Self {
            topic,
            subscriber,
            published: counts.then_some(ledger.published),
            pending: ledger.pending,
            scheduled: ledger.scheduled,
            in_flight: ledger.in_flight,
            done: counts.then_some(ledger.done),
            dead: ledger.dead,
            discarded: counts.then_some(ledger.discarded),
            #[expect(clippy::cast_precision_loss, reason = "an age of 2^52 ms is not reached")]
            oldest_pending_s: ledger.oldest_pending_ms.map(|age| age as f64 / 1000.0),
            worker: None,
            orphaned: false,
            unknown: false,
            replay: ledger.replay,
        }
    }

    /// The books of a subscription that the layout does not have. What keeps such counts.
    pub(super) fn of_guest(guest: &Guest, ledger: Ledger) -> Self {
        let row = Self::new(guest.topic.to_string(), guest.address(), ledger, true);
        Self { orphaned: guest.app.is_none(), ..row }
    }

    /// How many messages and dead letters are in it, replays included: what would be lost with it.
    pub fn held(&self) -> u64 {
        let replay = &self.replay;
        let replays = replay.pending + replay.scheduled + replay.in_flight;
        self.pending + self.scheduled + self.in_flight + replays + self.dead_letters()
    }

    /// How many dead letters it has, replays' included: `dead` is of those alone that were delivered for the first time.
    pub fn dead_letters(&self) -> u64 {
        self.dead + self.replay.dead
    }
}

impl From<DeadLetter> for ShownDeadLetter {
    fn from(letter: DeadLetter) -> Self {
        let (body, not_json) = shown(&letter.message.body);
        Self {
            message_id: letter.message.id,
            reason: letter.reason,
            died_at: letter.died_at,
            published_at: letter.message.published_at,
            attempts: letter.attempts,
            history: letter.history,
            key: letter.message.key.clone(),
            attributes: letter.message.attributes.clone(),
            body,
            not_json,
        }
    }
}

fn never(replay: &ReplayLedger) -> bool {
    replay.requested == 0
}

/// A dead letter, as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShownDeadLetter {
    /// The message's id.
    pub message_id: MessageId,
    /// Why it is one.
    pub reason: crate::transport::DeadReason,
    /// When it became one, in milliseconds since the Unix epoch.
    pub died_at: u64,
    /// When it was published, likewise.
    pub published_at: u64,
    /// Attempts made.
    pub attempts: u32,
    /// The last 20 failed attempts, oldest first.
    pub history: Vec<crate::transport::AttemptError>,
    /// Its ordering key.
    pub key: Option<String>,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its body, as it was published.
    pub body: Box<RawValue>,
    /// Whether the body is no JSON, and `body` a string with its text; left out where it is JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_json: bool,
}

/// `GET /_less/dead-letters/{topic}/{subscriber}`.
#[derive(Serialize, Deserialize)]
pub(crate) struct DeadLetters {
    pub(crate) dead_letters: Vec<ShownDeadLetter>,
}

pub(super) fn failed(error: &TransportError) -> Problem {
    let unsupported = matches!(error, TransportError::Unsupported { .. })
        || matches!(error, TransportError::Replay(why) if why.is_lasting());
    let (status, kind) = if unsupported {
        (StatusCode::NOT_IMPLEMENTED, "unsupported")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    Problem::new(status, kind, error.to_string())
}

pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Result<Json<Status>, Problem> {
    seen(&shared).await.map(Json).map_err(|error| failed(&error))
}

/// What is known of the app's subscriptions, workers and links.
pub(super) async fn seen(shared: &Shared) -> Result<Status, TransportError> {
    let (app, transport) = (&shared.app, shared.app.transport().as_ref());
    let name = app.manifest().app.as_str();
    let mut status = Status::read(name, &shared.options.stage, app.layout(), transport).await?;
    for (subscriber, control) in status.subscribers.iter_mut().zip(&shared.options.workers) {
        subscriber.worker = control.as_ref().map(|control| control.status());
    }
    if let Some(link) = &shared.options.link {
        status.linked = link.connected().into_iter().map(String::from).collect();
    }
    Ok(status)
}

pub(super) async fn topics(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({"app": shared.app.manifest().app, "topics": shared.app.manifest().topics}))
}

/// `GET /_less/contract`: what other apps may rely on.
pub(super) async fn contract(State(shared): State<Arc<Shared>>) -> Result<Json<Contract>, Problem> {
    let contract = shared.app.manifest().contract.clone();
    contract.map(Json).ok_or_else(|| {
        let detail = "this app was built without a contract: build it anew with `less build`";
        Problem::new(StatusCode::NOT_FOUND, "no-contract", detail)
    })
}

/// Which part of the dead letters.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Page {
    after: Option<MessageId>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Path((topic, subscriber)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Result<Json<DeadLetters>, Problem> {
    let subscription = find(&shared, &topic, &subscriber).await?.index;
    let limit = page.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        let detail = format!("limit: {limit} is outside of 1 to 1000");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-query", detail));
    }
    let letters = shared.app.transport().dead_letters(subscription, page.after, limit).await;
    let letters = letters.map_err(|error| failed(&error))?.into_iter();
    Ok(Json(DeadLetters { dead_letters: letters.map(ShownDeadLetter::from).collect() }))
}

/// Which dead letters: `{"all": true}` or `{"ids": […]}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    ids: Vec<MessageId>,
}

async fn selection(shared: &Shared, request: Request) -> Result<Selection, Problem> {
    let (parts, body) = request.into_parts();
    json_type(&parts.headers)?;
    let body = read(shared, &parts.headers, body, MAX_BODY).await?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-selection", detail);
    let which: Which = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    match (which.all, which.ids.is_empty()) {
        (true, true) => Ok(Selection::All),
        (false, false) => Ok(Selection::Ids(which.ids)),
        _ => Err(bad("say `{\"all\": true}` or `{\"ids\": […]}`".to_owned())),
    }
}

pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    Path((topic, subscriber)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let subscription = find(&shared, &topic, &subscriber).await?.index;
    let which = selection(&shared, request).await?;
    let count = shared.app.transport().release(subscription, which).await.map_err(|error| failed(&error))?;
    Ok(Json(json!({ "released": count })))
}

pub(super) async fn purge(
    State(shared): State<Arc<Shared>>,
    Path((topic, subscriber)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let subscription = find(&shared, &topic, &subscriber).await?.index;
    let which = selection(&shared, request).await?;
    let count = shared.app.transport().purge(subscription, which).await.map_err(|error| failed(&error))?;
    Ok(Json(json!({ "purged": count })))
}

/// Starts new worker processes of a subscriber; the old ones finish what they hold.
pub(super) async fn restart(
    State(shared): State<Arc<Shared>>,
    Path((topic, subscriber)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let Found { index, guest } = find(&shared, &topic, &subscriber).await?;
    // Its content is nothing, but a web page could not have asked for this type.
    json_type(request.headers())?;
    let control = shared.options.workers.get(index.0 as usize).and_then(Option::as_ref).ok_or_else(|| {
        let why = if guest.is_some() { "it has no folder here" } else { "its handler is compiled in" };
        let detail = format!("`{topic}/{subscriber}` has no worker processes: {why}");
        Problem::new(StatusCode::CONFLICT, "no-worker", detail)
    })?;
    control.reload();
    Ok(Json(json!({ "restarting": true })))
}

/// Which messages: `{"all": true}`, `{"since": 1790000000000}` (milliseconds since the Unix epoch) or `{"id": "…"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Once {
    #[serde(default)]
    all: bool,
    since: Option<Timestamp>,
    id: Option<MessageId>,
}

pub(super) async fn replay(
    State(shared): State<Arc<Shared>>,
    Path((topic, subscriber)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let subscription = find(&shared, &topic, &subscriber).await?.index;
    let (parts, body) = request.into_parts();
    json_type(&parts.headers)?;
    let body = read(&shared, &parts.headers, body, MAX_BODY).await?;
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-selection", detail);
    let once: Once = serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))?;
    let which = match once {
        Once { all: true, since: None, id: None } => Replay::All,
        Once { all: false, since: Some(since), id: None } => Replay::Since(since),
        Once { all: false, since: None, id: Some(id) } => Replay::Id(id),
        _ => {
            return Err(bad(
                "say `{\"all\": true}`, `{\"since\": MILLISECONDS}` or `{\"id\": \"…\"}`".to_owned()
            ));
        }
    };
    let count = shared.app.transport().replay(subscription, which).await.map_err(|error| failed(&error))?;
    Ok(Json(json!({ "replayed": count })))
}
