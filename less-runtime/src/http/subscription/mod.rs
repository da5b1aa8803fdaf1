//! A subscription as a path names it: one that the app has a folder for, or one that is only stored; and how such a one is dropped.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use less_model::filter::Filter;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::admin::{MAX_BODY, SubscriberStatus, failed};
use super::extract::Path;
use super::problem::Problem;
use super::publish::{json_type, read};
use crate::transport::{Guest, SubscriptionIndex, TransportError};

/// A subscription that was found.
pub(super) struct Found {
    pub(super) index: SubscriptionIndex,
    /// Where the app has no folder for it.
    pub(super) guest: Option<Guest>,
}

impl Found {
    /// Which of the topic's messages it gets.
    pub(super) fn filter(&self, shared: &Shared) -> Option<Filter> {
        match &self.guest {
            Some(guest) => guest.filter.clone(),
            None => shared.app.layout().subscriptions.get(self.index.0 as usize)?.filter.clone(),
        }
    }
}

/// The subscription of this topic and subscriber, as `less status` names them.
pub(super) async fn find(shared: &Shared, topic: &str, subscriber: &str) -> Result<Found, Problem> {
    if let Some(index) = shared.app.subscription(topic, subscriber) {
        return Ok(Found { index, guest: None });
    }
    let guests = shared.app.transport().guests().await.map_err(|error| failed(&error))?;
    let mut guests = guests.into_iter().map(|(guest, _)| guest);
    let named = guests.find(|guest| guest.topic.as_str() == topic && guest.address() == subscriber);
    if let Some(guest) = named {
        return Ok(Found { index: guest.index, guest: Some(guest) });
    }
    if !topic.contains(':') {
        shared.app.topic(topic)?;
    }
    let detail = format!("topic `{topic}` has no subscriber `{subscriber}`");
    Err(Problem::new(StatusCode::NOT_FOUND, "unknown-subscriber", detail))
}

/// `{"drop_messages": true}`: also where messages or dead letters are in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    #[serde(default)]
    drop_messages: bool,
}

/// Drops a subscription that the app has no folder for, with all that is in it. Answers with its last books.
pub(super) async fn drop_stored(
    State(shared): State<Arc<Shared>>,
    Path((topic, subscriber)): Path<(String, String)>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let (parts, body) = request.into_parts();
    json_type(&parts.headers)?;
    let body = read(&shared, &parts.headers, body, MAX_BODY).await?;
    let how: How = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad-request", error.to_string()))?;
    let conflict = |kind, detail| Problem::new(StatusCode::CONFLICT, kind, detail);
    let name = format!("{topic}/{subscriber}");
    let Some(guest) = find(&shared, &topic, &subscriber).await?.guest else {
        let detail = format!("`{name}` has a folder in the app that runs, and is not dropped");
        return Err(conflict("has-folder", detail));
    };
    let transport = shared.app.transport();
    if !how.drop_messages {
        let guests = transport.guests().await.map_err(|error| failed(&error))?;
        let ledger = guests.into_iter().find(|(found, _)| found.index == guest.index);
        let held = ledger.map_or(0, |(guest, ledger)| SubscriberStatus::of_guest(&guest, ledger).held());
        if held > 0 {
            let what = if held == 1 { "1 message is".to_owned() } else { format!("{held} messages are") };
            return Err(conflict("not-empty", format!("{what} in `{name}`, and would be lost")));
        }
    }
    match transport.drop_guest(guest.index).await {
        Ok(ledger) => {
            tracing::info!("`{name}` was dropped");
            Ok(Json(json!({ "dropped": SubscriberStatus::of_guest(&guest, ledger) })))
        }
        Err(TransportError::Busy) => Err(conflict("connected", connected(&guest, &name))),
        Err(error) => Err(failed(&error)),
    }
}

fn connected(guest: &Guest, name: &str) -> String {
    match &guest.app {
        Some(app) => format!("`{name}` is in use: app `{app}` runs, and subscribes to it"),
        None => format!("`{name}` is in use"),
    }
}

#[cfg(test)]
mod tests;
