//! Errors as problem+json (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::publish::PublishError;

/// An error answer: status, title, detail, and what else a program may want to know.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    extra: Map<String, Value>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), extra: Map::new(), headers: Vec::new() }
    }

    /// What it is called.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Adds a member.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Its members, as they stand in a list of results.
    pub(super) fn to_json(&self) -> Value {
        let mut out = self.extra.clone();
        // `about:blank` would say that the status says it all; the word does.
        out.insert("type".to_owned(), json!(format!("urn:less:{}", self.kind)));
        out.insert("title".to_owned(), json!(self.kind.replace('-', " ")));
        out.insert("status".to_owned(), json!(self.status.as_u16()));
        out.insert("detail".to_owned(), json!(self.detail));
        Value::Object(out)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let detail = error.to_string();
        match error {
            PublishError::UnknownTopic { nearest, .. } => {
                let problem = Self::new(StatusCode::NOT_FOUND, "unknown-topic", detail);
                match nearest {
                    Some(nearest) => problem.with("nearest", nearest),
                    None => problem,
                }
            }
            PublishError::NotJson { line, column, .. } => {
                Self::new(StatusCode::BAD_REQUEST, "not-json", detail)
                    .with("line", line)
                    .with("column", column)
            }
            PublishError::DoesNotFit { type_name, pointer, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "does-not-fit", detail)
                    .with("pointer", pointer)
                    .with("message_type", type_name)
            }
            PublishError::TooLarge { limit, setting, .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                    .with("limit", limit)
                    .with("setting", setting)
            }
            PublishError::BadCharacter { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-character", detail)
            }
            PublishError::BadOption { option, .. } => {
                Self::new(StatusCode::BAD_REQUEST, "bad-option", detail).with("option", option)
            }
            PublishError::Serialize(_) => Self::new(StatusCode::BAD_REQUEST, "bad-option", detail),
            PublishError::Unsupported { .. } => Self::new(StatusCode::NOT_IMPLEMENTED, "unsupported", detail),
            PublishError::Full(_) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", detail).header(header::RETRY_AFTER, "10")
            }
            PublishError::Unavailable(_)
            | PublishError::ShuttingDown
            | PublishError::NoApp { .. }
            | PublishError::NoAddress
            | PublishError::AddressUnreadable { .. }
            | PublishError::Untrusted { .. }
            | PublishError::BadUrl { .. }
            | PublishError::Unauthorized { .. }
            | PublishError::BrokeOff { .. }
            | PublishError::Refused { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
                    .header(header::RETRY_AFTER, "1")
            }
        }
    }
}
