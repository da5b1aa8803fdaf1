//! Who may ask: the Host allow-list, and the API key.

use std::net::{IpAddr, Ipv4Addr};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use super::{APP_HEADER, Options};

/// Says no to a request that is not addressed to this app, or not by someone who may.
pub(super) fn check(options: &Options, own: &str, request: &Parts) -> Result<(), Problem> {
    host(options, request)?;
    let headers = &request.headers;
    app(own, headers)?;
    match request.uri.path() {
        "/healthz" | "/readyz" => Ok(()),
        "/_less/link" => link(options, headers),
        // What is promised to an app is for whoever may link.
        "/_less/contract" => {
            key(options, headers).or_else(|problem| link(options, headers).map_err(|_| problem))
        }
        _ => key(options, headers),
    }
}

/// A page that the user visits can make a browser send requests to loopback under the page's own name; IP addresses can't be rebound like names.
fn host(options: &Options, request: &Parts) -> Result<(), Problem> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let first = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    // Nor does a Host header hold a user's name.
    let given = || first.filter(|host| !host.contains('@'));
    // The usual name, with or without a port, needs no parser.
    if request.uri.host().is_none() && given().map(without_port).is_some_and(|host| is_own(options, host)) {
        return Ok(());
    }
    let named = request.uri.host().map(str::to_owned).or_else(|| {
        given()?.parse::<http::uri::Authority>().ok().map(|authority| authority.host().to_owned())
    });
    let Some(host) = named else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no-host", "the request has no valid Host header"));
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if is_own(options, &host) || bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown-host",
        "the Host header names none of this app's hosts; `hosts` under `[http]` in less.toml lists them",
    ))
}

/// A client of Less says which app it means: an address may be an older one, by which another app is reached now.
fn app(own: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(meant) = headers.get(APP_HEADER).filter(|meant| *meant != own) else { return Ok(()) };
    let meant = String::from_utf8_lossy(meant.as_bytes());
    let detail = format!("this is the app `{own}`, and the request is for `{meant}`: nothing was done");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-app", detail).with("app", own))
}

fn without_port(host: &str) -> &str {
    let port = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    port.map_or(host, |(name, _)| name)
}

/// Whether it is this app's by its name, or an address of IPv4, which needs no brackets to be told from a name.
fn is_own(options: &Options, host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || options.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
        || host.parse::<Ipv4Addr>().is_ok()
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
