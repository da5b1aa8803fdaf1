//! The way to the server.

use bytes::Bytes;
use http::uri::{Authority, InvalidUri};
use http::{HeaderMap, Request, Response, Uri, header, request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The server behind the proxy.
#[derive(Debug)]
pub(crate) struct Upstream {
    server: String,
    authority: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Why there is no answer of the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error("the request cannot be sent on")]
    Request(#[from] http::Error),
    #[error("the server cannot be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the server's answer broke off")]
    BrokeOff(#[from] hyper::Error),
}

impl Upstream {
    pub(crate) fn new(server: &str) -> Result<Self, InvalidUri> {
        let uri: Uri = server.parse()?;
        let authority = match uri.authority() {
            Some(authority) => authority.clone(),
            None => server.parse()?,
        };
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self { server: format!("http://{authority}"), authority, client })
    }

    /// Has the server do the work.
    pub(crate) async fn send(
        &self,
        head: &request::Parts,
        body: Bytes,
    ) -> Result<Response<Bytes>, ForwardError> {
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut request = Request::builder()
            .method(head.method.clone())
            .uri(format!("{}{path}", self.server))
            .body(Full::new(body))?;
        *request.headers_mut() = end_to_end(&head.headers);
        if let Ok(host) = self.authority.as_str().parse() {
            request.headers_mut().insert(header::HOST, host);
        }
        let (head, body) = self.client.request(request).await?.into_parts();
        let mut answer = Response::new(body.collect().await?.to_bytes());
        *answer.status_mut() = head.status;
        *answer.headers_mut() = end_to_end(&head.headers);
        Ok(answer)
    }
}

/// Headers without those that are about one connection, or about a body that may have changed since.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::EXPECT] {
        kept.remove(name);
    }
    kept
}
