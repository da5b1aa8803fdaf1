//! Which transport an app runs on.

use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "embedded")]
use std::time::{Duration, Instant};

use less_model::config::Config;
use less_model::manifest::{Manifest, TransportKind};

use super::HostError;
use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::transport::{Transport, TransportError};

/// Opens the stage's transport.
pub(super) async fn open(
    config: &Config,
    manifest: &Manifest,
    clock: Clock,
    shutdown: &Shutdown,
) -> Result<Arc<dyn Transport>, HostError> {
    match config.transport.value {
        TransportKind::Embedded => {
            let opened = embedded(Path::new(&config.data.value), manifest, clock).await;
            let (stage, data) = (&config.stage.value, &config.data.value);
            if opened.is_ok() {
                tracing::info!(target: "less_runtime", "stage `{stage}` on the embedded broker, {data}");
            }
            opened.map_err(|error| match error {
                error @ TransportError::Io { .. } => HostError::Folder(error),
                error @ TransportError::Damaged { .. } => HostError::Damaged(error),
                error => HostError::Transport(error),
            })
        }
        TransportKind::Aws => aws(config, manifest, clock, shutdown).await,
    }
}

/// How long an app waits for the one before it to let go of the folder. One that was killed, or whose `less dev` was, takes a moment to be gone.
#[cfg(feature = "embedded")]
const LETTING_GO: Duration = Duration::from_secs(3);

/// Opens the embedded broker, off the runtime's threads: reading a long log takes a while.
#[cfg(feature = "embedded")]
async fn embedded(
    folder: &Path,
    manifest: &Manifest,
    clock: Clock,
) -> Result<Arc<dyn Transport>, TransportError> {
    use crate::transport::embedded::{self, Options};
    let began = Instant::now();
    loop {
        let (folder, layout, clock) = (folder.to_owned(), crate::app::layout(manifest).own(), clock.clone());
        let opened =
            tokio::task::spawn_blocking(move || embedded::open(&folder, &layout, Options::default(), clock));
        match opened.await.map_err(|_| TransportError::Closed)? {
            Err(TransportError::InUse { .. }) if began.elapsed() < LETTING_GO => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return Ok(Arc::new(opened?)),
        }
    }
}

#[cfg(not(feature = "embedded"))]
#[expect(clippy::unused_async, reason = "it stands for one that is")]
async fn embedded(_: &Path, _: &Manifest, _: Clock) -> Result<Arc<dyn Transport>, TransportError> {
    Err(TransportError::NotCompiled { transport: "embedded" })
}

/// Finds the stage's topics and queues.
#[cfg(feature = "aws")]
async fn aws(
    config: &Config,
    manifest: &Manifest,
    clock: Clock,
    shutdown: &Shutdown,
) -> Result<Arc<dyn Transport>, HostError> {
    use crate::transport::aws::{Keeping, Known, Options, connect_to, open_known};
    let known = Known::from_env(|name| std::env::var(name).ok()).map_err(HostError::Arguments)?;
    let connection = connect_to(&config.aws, known.as_ref()).await?;
    let topology = less_model::topology::Topology::of(manifest, &config.stage.value);
    let layout = crate::app::layout(manifest);
    let known = known.unwrap_or_default();
    let open = open_known(&connection, &topology, &layout, Options::default(), clock, &known).await?;
    let shutdown = shutdown.clone();
    open.keep_dead_letters(Keeping::default(), async move { shutdown.stopping().await });
    let site = &connection.site;
    tracing::info!(target: "less_runtime", "stage `{}` on AWS, {}, account {}", config.stage.value, site.region, site.account);
    Ok(open)
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "it stands for one that is")]
async fn aws(_: &Config, _: &Manifest, _: Clock, _: &Shutdown) -> Result<Arc<dyn Transport>, HostError> {
    Err(TransportError::NotCompiled { transport: "aws" }.into())
}
