//! TLS for those who speak HTTP: whom a client believes, and what a listener shows. Everything else sees streams of bytes.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::registry::Entry;

#[cfg(not(feature = "tls"))]
pub(crate) use self::absent::{Acceptor, Connector, connect, connector, distrusts, explain};
#[cfg(feature = "tls")]
pub(crate) use self::client::{Connector, connect, connector, distrusts, explain};
#[cfg(feature = "tls")]
pub(crate) use self::server::Acceptor;

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, with or without TLS.
pub(crate) type Stream = Box<dyn Duplex>;

/// Whom a client believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those whom this system trusts.
    #[default]
    System,
    /// Those whose certificates are in this file, PEM.
    Authorities(PathBuf),
    /// Whoever has the first certificate in this file, PEM, whatever names and dates are in it: an app of the same user has named the file.
    Exactly(PathBuf),
}

impl Trust {
    /// Those in the file that `LESS_CA` names, else those whom this system trusts.
    pub fn usual() -> Self {
        let file = std::env::var_os("LESS_CA").filter(|file| !file.is_empty());
        file.map_or(Self::System, |file| Self::Authorities(file.into()))
    }

    /// An app that runs on this machine: it has named what it shows.
    pub fn of(entry: &Entry) -> Self {
        entry.certificate.clone().map_or(Self::System, Self::Exactly)
    }
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[cfg(feature = "tls")]
    #[error("can't read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[cfg(feature = "tls")]
    #[error("{} is no PEM file: {cause}", path.display())]
    Pem { path: PathBuf, cause: String },
    #[cfg(feature = "tls")]
    #[error("{} holds no certificate\nhint: it begins with `-----BEGIN CERTIFICATE-----`", .0.display())]
    NoCertificate(PathBuf),
    #[cfg(feature = "tls")]
    #[error("{} holds no private key\nhint: it begins with `-----BEGIN PRIVATE KEY-----`", .0.display())]
    NoKey(PathBuf),
    #[cfg(feature = "tls")]
    #[error("the key in {} does not belong to the first certificate in {}", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[cfg(feature = "tls")]
    #[error("{} can't be used: {cause}", path.display())]
    Unusable { path: PathBuf, cause: String },
    #[cfg(feature = "tls")]
    #[error(
        "this system trusts nobody: {0}\nhint: install its CA certificates (`ca-certificates`), or name a file of them: SSL_CERT_FILE"
    )]
    NoRoots(String),
    #[cfg(not(feature = "tls"))]
    #[error(
        "this program has no TLS: it was built without the feature `tls` of less-runtime\nhint: `less build`; it turns the feature on where less.toml has `[http.tls]`, or an https:// URL under `[external]`"
    )]
    NotCompiled,
}

impl From<TlsError> for std::io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}
