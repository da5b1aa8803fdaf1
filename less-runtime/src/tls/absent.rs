//! In place of TLS, in a program without it.

use std::io;
use std::path::Path;

use hyper_util::client::legacy::connect::HttpConnector;
use tokio::net::TcpStream;

use super::{Stream, TlsError, Trust};

/// What opens connections for an HTTP client.
pub(crate) type Connector = HttpConnector;

/// What a listener shows: there is no value of it.
#[derive(Debug, Clone)]
pub(crate) enum Acceptor {}

impl Acceptor {
    pub(crate) fn read(_: &Path, _: &Path) -> Result<Self, TlsError> {
        Err(TlsError::NotCompiled)
    }

    #[expect(clippy::unused_async, reason = "it stands for one that is")]
    pub(crate) async fn accept(&self, _: TcpStream) -> io::Result<Stream> {
        match *self {}
    }
}

pub(crate) async fn connect(_: TcpStream, _: &str, _: &Trust) -> io::Result<Stream> {
    Err(TlsError::NotCompiled.into())
}

/// For `http://` alone; `encrypted` says that it shall be for more.
pub(crate) fn connector(http: HttpConnector, _: &Trust, encrypted: bool) -> Result<Connector, TlsError> {
    if encrypted { Err(TlsError::NotCompiled) } else { Ok(http) }
}

pub(crate) fn explain(_: &io::Error) -> Option<String> {
    None
}

pub(crate) fn distrusts(_: &io::Error) -> bool {
    false
}
