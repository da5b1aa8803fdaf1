//! The listening socket: bound here, or inherited from `less dev`, which keeps it while the app restarts.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use tokio::net::TcpListener;

use super::HostError;

pub(super) async fn open(address: SocketAddr) -> Result<TcpListener, HostError> {
    if std::env::var_os("LESS_LISTENER").is_some_and(|value| value == "stdin") {
        return inherited()
            .map_err(|cause| HostError::System { action: "use the socket that `less dev` opened", cause });
    }
    TcpListener::bind(address)
        .await
        .map_err(|cause| HostError::Listen { address: address.to_string(), cause })
}

/// The socket comes as standard input, as inetd passes it: no number has to be agreed on, and nothing unsafe is needed.
fn inherited() -> std::io::Result<TcpListener> {
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
