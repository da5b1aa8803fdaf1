//! The listener's side: a certificate and its key.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::client::certificates;
use super::{Stream, TlsError};

/// What a listener shows.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor(…)")
    }
}

impl Acceptor {
    /// A certificate, with those that lead to an authority behind it, and its key: both PEM.
    pub(crate) fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(cert)?;
        let text = std::fs::read(key).map_err(|cause| TlsError::Read { path: key.to_owned(), cause })?;
        let private = PrivateKeyDer::from_pem_slice(&text).map_err(|cause| match cause {
            rustls::pki_types::pem::Error::NoItemsFound => TlsError::NoKey(key.to_owned()),
            cause => TlsError::Pem { path: key.to_owned(), cause: cause.to_string() },
        })?;
        let unusable = |path: &Path, cause: rustls::Error| TlsError::Unusable {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|cause| unusable(key, cause))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|cause| match cause {
                rustls::Error::InconsistentKeys(_) => {
                    TlsError::Mismatch { cert: cert.to_owned(), key: key.to_owned() }
                }
                cause @ rustls::Error::InvalidCertificate(_) => unusable(cert, cause),
                cause => unusable(key, cause),
            })?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Speaks TLS on a connection that was accepted.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        Ok(Box::new(self.0.accept(stream).await?))
    }
}
