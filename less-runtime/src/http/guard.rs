//! Who may ask: the Host allow-list, and the API key.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use super::{Options, Shared};

/// Lets a request pass that is addressed to this app by someone who may. Where the app stops, an answer is its connection's last.
pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = judge(&shared, request, next).await;
    if shared.shutdown.is_stopping() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn judge(shared: &Shared, request: Request, next: Next) -> Response {
    if let Err(problem) = host(&shared.options, &request) {
        return problem.into_response();
    }
    let allowed = match request.uri().path() {
        "/healthz" | "/readyz" => Ok(()),
        "/_less/link" => link(&shared.options, request.headers()),
        // What is promised to an app is for whoever may link.
        "/_less/contract" => key(&shared.options, request.headers())
            .or_else(|problem| link(&shared.options, request.headers()).map_err(|_| problem)),
        _ => key(&shared.options, request.headers()),
    };
    if let Err(problem) = allowed {
        return problem.into_response();
    }
    next.run(request).await
}

/// A page that the user visits can make a browser send requests to loopback under the page's own name; IP addresses can't be rebound like names.
fn host(options: &Options, request: &Request) -> Result<(), Problem> {
    let named = request.uri().host().map(str::to_owned).or_else(|| {
        let host = request.headers().get(header::HOST)?.to_str().ok()?;
        host.parse::<http::uri::Authority>().ok().map(|authority| authority.host().to_owned())
    });
    let Some(host) = named else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no-host", "the request has no valid Host header"));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let allowed = host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok()
        || options.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&host));
    if allowed {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown-host",
        "the Host header names none of this app's hosts; `hosts` under `[http]` in less.toml lists them",
    ))
}

/// A link asks for a token even where everything else is open: whoever has one gets messages, and decides what becomes of them.
fn link(options: &Options, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(given) = given(headers) else {
        let detail = "a link asks for a token, this app's LESS_LINK_TOKEN: `token_env` under `[external.…]` in the other app's less.toml names the variable that holds it";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "no-link-token", detail);
        return Err(problem.header(header::WWW_AUTHENTICATE, "Bearer"));
    };
    let tokens = options.link_tokens.iter().chain(&options.api_key);
    // All are compared, so that the time does not tell which one is near.
    let fits = tokens.fold(false, |fits, token| fits | bool::from(given.ct_eq(token.expose().as_bytes())));
    if fits {
        return Ok(());
    }
    let detail = "the token is not this app's; LESS_LINK_TOKEN in its environment says which one is";
    Err(Problem::new(StatusCode::FORBIDDEN, "wrong-link-token", detail))
}

/// The key or token that a request carries.
fn given(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.strip_prefix(b"Bearer ").or_else(|| value.strip_prefix(b"bearer ")));
    bearer.or_else(|| headers.get("x-api-key").map(HeaderValue::as_bytes))
}

fn key(options: &Options, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(key) = &options.api_key else { return Ok(()) };
    let Some(given) = given(headers) else {
        let detail = "this app asks for an API key: `Authorization: Bearer …` or `X-Api-Key: …`";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "no-api-key", detail);
        return Err(problem.header(header::WWW_AUTHENTICATE, "Bearer"));
    };
    if bool::from(given.ct_eq(key.expose().as_bytes())) {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::FORBIDDEN, "wrong-api-key", "the API key is not this app's"))
    }
}
