//! HTTPS, where `[http.tls]` asks for it.

use std::net::SocketAddr;
use std::path::Path;

use less_model::config::Config;

use super::HostError;
use super::register::Reached;
use crate::client::local_url;
use crate::tls::Acceptor;

/// What the endpoint shows, and where that makes it reached.
pub(super) fn read(config: &Config, address: SocketAddr) -> Result<(Option<Acceptor>, Reached), HostError> {
    let Some(tls) = &config.tls else {
        return Ok((None, Reached { url: local_url(address, "http"), certificate: None }));
    };
    let (cert, key) = (Path::new(&tls.value.cert), Path::new(&tls.value.key));
    let acceptor = Acceptor::read(cert, key)?;
    let certificate = std::path::absolute(cert)
        .map_err(|cause| HostError::System { action: "find the certificate's folder", cause })?;
    let reached = Reached { url: local_url(address, "https"), certificate: Some(certificate) };
    Ok((Some(acceptor), reached))
}

impl Reached {
    /// `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }
}
