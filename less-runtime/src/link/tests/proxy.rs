//! Stands between two apps, and fails as networks do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the network does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    /// So many bytes each millisecond, in each direction.
    Slow(usize),
    /// Bytes vanish, and no connection ends: a cable that was pulled.
    Silent,
    /// Only what the publisher says vanishes.
    DeafSubscriber,
    /// No connection can be opened.
    Closed,
}

/// A proxy.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    weather: watch::Sender<Weather>,
    /// How often all connections were cut.
    cuts: watch::Sender<u32>,
    _task: JoinSet<()>,
}

impl Proxy {
    /// In front of what is there when a connection comes.
    pub(super) async fn before(target: Arc<Mutex<SocketAddr>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, watched) = watch::channel(Weather::Fine);
        let (cuts, cut) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((near, _)) = listener.accept().await else { continue };
                if *watched.borrow() == Weather::Closed {
                    continue;
                }
                let target = *target.lock().unwrap();
                connections.spawn(pass(near, target, watched.clone(), cut.clone()));
            }
        });
        Self { address, weather, cuts, _task: task }
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Breaks every connection.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass(
    near: TcpStream,
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut cut: watch::Receiver<u32>,
) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    cut.mark_unchanged();
    tokio::select! {
        () = copy(near_read, far_write, weather.clone(), false) => {}
        () = copy(far_read, near_write, weather, true) => {}
        _ = cut.changed() => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    weather: watch::Receiver<Weather>,
    back: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let now = *weather.borrow();
        let most = if let Weather::Slow(bytes) = now { bytes } else { buffer.len() };
        let Ok(read) = from.read(&mut buffer[..most]).await else { return };
        if read == 0 {
            return;
        }
        // As it is now, not as it was when the read began.
        let now = *weather.borrow();
        match now {
            Weather::Silent => continue,
            Weather::DeafSubscriber if back => continue,
            Weather::Slow(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            Weather::Fine | Weather::Closed | Weather::DeafSubscriber => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
