//! `GET /_less/link`: the connection becomes a link to another app.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{StatusCode, header};
use hyper_util::rt::TokioIo;

use super::Shared;
use super::problem::Problem;
use crate::link::VERSION;

/// The header with the version of the link's protocol.
const HEADER: &str = "less-link";

pub(super) async fn link(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
) -> Result<Response, Problem> {
    let Some(server) = shared.options.link.clone() else {
        let detail = "this app keeps no messages for other apps: its stage runs on a transport that can't";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "unsupported", detail));
    };
    if shared.shutdown.is_stopping() {
        let detail = "the app is shutting down";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail));
    }
    let version = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let Some(version) = version.and_then(|version| version.parse::<u32>().ok()) else {
        let detail = format!(
            "this is for other Less apps: a request with `Upgrade: less-link` and `Less-Link: {VERSION}`"
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no-link", detail));
    };
    if version != VERSION {
        let app = &shared.app.manifest().app;
        let detail = format!(
            "app `{app}` speaks version {VERSION} of the link, and was asked for version {version}: build both apps with the same version of Less"
        );
        tracing::warn!("a link was refused: {detail}");
        return Err(Problem::new(StatusCode::UPGRADE_REQUIRED, "link-version", detail)
            .header(header::UPGRADE, "less-link"));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(io) => server.serve(TokioIo::new(io)).await,
            Err(error) => tracing::debug!("a link did not come about: {error}"),
        }
    });
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "less-link")
        .body(Body::empty());
    answer.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no-link", error.to_string()))
}
