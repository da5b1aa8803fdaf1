//! Which transport an app runs on.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::transport::{Layout, Transport, TransportError};

/// Opens the embedded broker, off the runtime's threads: reading a long log takes a while.
#[cfg(feature = "embedded")]
pub(super) async fn open(
    folder: &Path,
    layout: Layout,
    clock: Clock,
) -> Result<Arc<dyn Transport>, TransportError> {
    use crate::transport::embedded::{self, Options};
    let folder = folder.to_owned();
    let opened =
        tokio::task::spawn_blocking(move || embedded::open(&folder, &layout, Options::default(), clock));
    Ok(Arc::new(opened.await.map_err(|_| TransportError::Closed)??))
}

/// Says that there is no transport.
#[cfg(not(feature = "embedded"))]
#[expect(clippy::unused_async, reason = "it stands for one that is")]
pub(super) async fn open(_: &Path, _: Layout, _: Clock) -> Result<Arc<dyn Transport>, TransportError> {
    Err(TransportError::NotCompiled)
}
