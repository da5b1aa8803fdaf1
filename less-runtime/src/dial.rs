//! Opens a connection to an app, for what is more than a request and its answer.

use std::io;

use http::Uri;
use tokio::net::TcpStream;

use crate::tls::{self, Stream, Trust};

/// Connects to the host of an `http://` or `https://` URL; with the latter the host is believed only if `trust` says so.
pub(crate) async fn connect(uri: &Uri, trust: &Trust) -> io::Result<Stream> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let (encrypted, usual) = match uri.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err(io::Error::other("a URL begins with http:// or https://")),
    };
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(usual))).await?;
    stream.set_nodelay(true)?;
    if encrypted { tls::connect(stream, host, trust).await } else { Ok(Box::new(stream)) }
}
