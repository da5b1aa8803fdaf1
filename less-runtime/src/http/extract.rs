//! What handlers take from a request's path and query; what can't be read is a problem like any other.

use axum::extract::{FromRequestParts, rejection};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The parts of a path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let bad = |error: rejection::PathRejection| {
            Problem::new(StatusCode::BAD_REQUEST, "bad-path", error.body_text())
        };
        let axum::extract::Path(found) =
            axum::extract::Path::from_request_parts(parts, state).await.map_err(bad)?;
        Ok(Self(found))
    }
}

/// What stands behind a path's `?`.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let bad = |error: rejection::QueryRejection| {
            Problem::new(StatusCode::BAD_REQUEST, "bad-query", error.body_text())
        };
        let axum::extract::Query(found) =
            axum::extract::Query::from_request_parts(parts, state).await.map_err(bad)?;
        Ok(Self(found))
    }
}
