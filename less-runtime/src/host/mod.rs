//! Runs an app in this process: settings, transport, workers, HTTP, signals, drain.

mod arguments;
mod listener;
mod store;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use less_model::config::{Config, resolve};
use less_model::manifest::{Manifest, VERSION};
use less_model::quantity::Span;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::app::App;
use crate::clock::Clock;
use crate::codegen::Registry;
use crate::metrics::Metrics;
use crate::shutdown::{self, Shutdown, ShutdownSwitch};
use crate::transport::{SubscriptionIndex, TransportError};
use crate::worker::{self, Watchdog, Worker};
use crate::{client, http, telemetry};

/// How long handlers may go on after SIGTERM, unless `LESS_DRAIN` says otherwise: under the 30 s after which systemd's and Kubernetes'
/// usual settings kill.
const DRAIN: Span = Span::from_secs(25);

/// Why the app could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error("{0}")]
    Arguments(String),
    #[error("the program and the manifest in it do not fit together: {0}\nhint: run `less build`")]
    Manifest(String),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))]
    Config(Vec<less_model::config::ConfigError>),
    #[error("LESS_DRAIN: {0}")]
    Drain(less_model::quantity::QuantityError),
    #[error(
        "can't listen on {address}: {cause}\nhint: stop what listens there, or choose another address with `--listen` or LESS_LISTEN"
    )]
    Listen { address: String, cause: std::io::Error },
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("{0}\nhint: mend that folder, or choose another one with `--data` or LESS_DATA")]
    Folder(TransportError),
    #[error("can't {action}: {cause}")]
    System { action: &'static str, cause: std::io::Error },
}

impl HostError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_) | Self::Manifest(_) | Self::Config(_) | Self::Drain(_) => 1,
            Self::Listen { .. } | Self::Transport(_) | Self::Folder(_) | Self::System { .. } => 2,
        }
    }
}

/// The generated `main`.
pub(crate) fn main(manifest: &str, topics: &[fn(&mut Registry)]) -> ExitCode {
    match start(manifest, topics) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the log may not be installed yet, and this is the program's last word"
)]
fn complain(error: &HostError) {
    eprintln!("error: {error}");
}

fn start(manifest: &str, topics: &[fn(&mut Registry)]) -> Result<(), HostError> {
    let manifest: Manifest =
        serde_json::from_str(manifest).map_err(|error| HostError::Manifest(error.to_string()))?;
    if manifest.version != VERSION {
        return Err(HostError::Manifest(format!(
            "the manifest has version {}, known is {VERSION}",
            manifest.version
        )));
    }
    let Some(flags) =
        arguments::read(&manifest, std::env::args_os().skip(1)).map_err(HostError::Arguments)?
    else {
        return Ok(());
    };
    let config =
        resolve(&manifest.settings, &flags, |name| std::env::var(name).ok()).map_err(HostError::Config)?;
    let drain = match std::env::var("LESS_DRAIN") {
        Ok(text) => text.parse().map_err(HostError::Drain)?,
        Err(_) => DRAIN,
    };
    telemetry::install(std::env::var_os("LESS_DEV").is_none());
    if std::env::var_os("LESS_DEV").is_some() {
        // `less dev` may be killed without a chance to stop its app.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
            .map_err(|cause| HostError::System { action: "watch `less dev`", cause: cause.into() })?;
    }
    let mut registry = Registry::default();
    for register in topics {
        register(&mut registry);
    }
    let main = runtime("less", 2)?;
    let handlers = runtime("handler", 2)?;
    let result = main.block_on(run(manifest, registry, config, drain.duration(), handlers.handle().clone()));
    // A handler that blocks its thread for ever must not keep the process.
    handlers.shutdown_background();
    main.shutdown_background();
    result
}

fn runtime(name: &str, least_threads: usize) -> Result<Runtime, HostError> {
    let threads =
        std::thread::available_parallelism().map_or(least_threads, |cores| cores.get().max(least_threads));
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|cause| HostError::System { action: "start threads", cause })
}

async fn run(
    manifest: Manifest,
    registry: Registry,
    config: Config,
    drain: Duration,
    handlers: Handle,
) -> Result<(), HostError> {
    // First, so that a signal during the start is not the default's sudden end.
    let signals = Signals::install()?;
    let listener = listener::open(config.listen.value).await?;
    let address =
        listener.local_addr().map_err(|cause| HostError::System { action: "read the address", cause })?;
    let folder = PathBuf::from(&config.data.value);
    let layout = crate::app::layout(&manifest);
    let clock = Clock::System;
    let transport = store::open(&folder, layout, clock.clone()).await.map_err(|error| match error {
        error @ TransportError::Io { .. } => HostError::Folder(error),
        error => HostError::Transport(error),
    })?;
    let max_body = usize::try_from(config.max_body.value).unwrap_or(usize::MAX);
    let app = Arc::new(App::new(manifest, &registry.checks, transport, clock, max_body));
    crate::app::install(Arc::clone(&app));
    let metrics = Arc::new(Metrics::default());
    let (switch, shutdown) = shutdown::channel();
    let mut workers = work(&app, &registry, &metrics, &shutdown, &handlers).await?;
    let options = http::Options::new(&config, Arc::clone(&metrics));
    let server = tokio::spawn(http::serve(listener, Arc::clone(&app), options, shutdown.clone()));
    let _address_file = client::write_address(&folder, address)
        .map_err(|cause| HostError::System { action: "write the address file", cause })?;
    tracing::info!(target: "less_runtime", "{} listens on http://{address}", app.manifest().app);

    let ended = wait(signals, &mut workers).await;
    switch.stop();
    let drained = finish(&switch, &mut workers, drain).await;
    // The server ends by itself: it watches the same shutdown.
    let _ = server.await;
    app.transport().close().await?;
    tracing::info!(target: "less_runtime", "stopped; nothing is lost");
    ended.and(drained)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn install() -> Result<Self, HostError> {
        let listen =
            |kind| signal(kind).map_err(|cause| HostError::System { action: "listen for signals", cause });
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

type Workers = JoinSet<Result<(), TransportError>>;

/// Starts a worker for every subscription.
async fn work(
    app: &Arc<App>,
    registry: &Registry,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
    handlers: &Handle,
) -> Result<Workers, HostError> {
    let layout = app.layout();
    let mut uses: HashMap<&str, u32> = HashMap::new();
    for spec in &layout.subscriptions {
        *uses.entry(spec.subscriber.as_str()).or_default() += 1;
    }
    let mut workers = JoinSet::new();
    let watchdog = Watchdog::start();
    for (index, spec) in (0..).zip(&layout.subscriptions) {
        let topic = layout.topics[spec.topic.0 as usize].name.as_str();
        let subscriber = spec.subscriber.as_str();
        let Some(handler) = registry.handlers.get(&(topic.to_owned(), subscriber.to_owned())) else {
            return Err(HostError::Manifest(format!("`{topic}/{subscriber}` has no handler")));
        };
        // The subscriber's name alone, unless two topics have one of that name.
        let label =
            if uses[subscriber] > 1 { format!("{topic}/{subscriber}") } else { subscriber.to_owned() };
        let observer = metrics.attempts(topic, subscriber);
        let worker = Worker {
            topic: topic.into(),
            subscriber: subscriber.into(),
            label: label.into(),
            policy: spec.policy,
            handler: Arc::clone(handler),
            handlers: handlers.clone(),
            home: Handle::current(),
            watchdog: Arc::clone(&watchdog),
            clock: app.clock().clone(),
            observer,
            shutdown: shutdown.clone(),
        };
        let consumer = app.transport().consumer(SubscriptionIndex(index)).await?;
        workers.spawn(worker::run(Arc::new(worker), consumer));
    }
    Ok(workers)
}

/// Waits for a signal, or for a worker that can't go on.
async fn wait(mut signals: Signals, workers: &mut Workers) -> Result<(), HostError> {
    let failed = async {
        while let Some(joined) = workers.join_next().await {
            if let Ok(Err(error)) = joined {
                return error;
            }
        }
        // An app without subscribers only accepts messages.
        std::future::pending().await
    };
    tokio::select! {
        () = signals.next() => {
            tracing::info!(target: "less_runtime", "stopping: handlers finish what they have begun");
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(130);
            });
            Ok(())
        }
        error = failed => Err(error.into()),
    }
}

/// Lets the workers finish; after `drain` what still runs is handed back.
async fn finish(switch: &ShutdownSwitch, workers: &mut Workers, drain: Duration) -> Result<(), HostError> {
    let all = async |workers: &mut Workers| {
        let mut first = Ok(());
        while let Some(joined) = workers.join_next().await {
            if let (Ok(Err(error)), Ok(())) = (joined, &first) {
                first = Err(error.into());
            }
        }
        first
    };
    if let Ok(result) = tokio::time::timeout(drain, all(workers)).await {
        return result;
    }
    switch.expire();
    all(workers).await
}
