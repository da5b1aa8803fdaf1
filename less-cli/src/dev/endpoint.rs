//! Where the app of `less dev` is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use less_runtime::PublishError;
use less_runtime::client::{Client, Trust};

/// The app's address, and what it shows there.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    /// The file with its certificate, where it speaks HTTPS.
    pub(super) certificate: Option<PathBuf>,
}

impl Endpoint {
    /// Where it listens.
    pub(super) fn url(&self) -> String {
        self.url_of(self.address)
    }

    /// Where it is reached from here: an address that takes every interface is none to go to.
    pub(super) fn reached(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        self.url_of(SocketAddr::new(ip, self.address.port()))
    }

    fn url_of(&self, address: SocketAddr) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    pub(super) fn client(&self) -> Result<Client, PublishError> {
        let key = std::env::var("LESS_API_KEY").ok().filter(|key| !key.is_empty());
        Client::believing(
            &self.reached(),
            key,
            &self.certificate.clone().map_or(Trust::System, Trust::Exactly),
        )
    }

    /// Waits until the app answers. The socket is open before the app is, so one request simply waits for its answer.
    pub(super) async fn ready(&self) {
        loop {
            // The certificate may be what is wrong: the app says so itself, and ends.
            if let Ok(client) = self.client()
                && client.ready().await.is_ok()
            {
                return;
            }
            // It answers "not yet" while it starts or stops.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
