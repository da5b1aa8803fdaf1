//! Runs an app in this process: settings, transport, workers, HTTP, signals, drain.

mod arguments;
mod links;
mod listener;
mod register;
mod secure;
mod store;
mod workers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use less_model::config::{Config, DEFAULT_DRAIN, resolve};
use less_model::manifest::{Manifest, TransportKind, VERSION};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::clock::Clock;
use crate::codegen::Registry;
use crate::metrics::Metrics;
use crate::output::Stream;
use crate::shutdown::{self, ShutdownSwitch};
use crate::tls::TlsError;
use crate::transport::TransportError;
use crate::worker::Handlers;
use crate::worker::foreign::launch;
use crate::{client, http, link, telemetry};

/// How long handing back what still runs may take after that.
const LAST: Duration = Duration::from_secs(5);

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
    #[error("LESS_LOG: `{0}` is no level\nhint: error, warn, info, debug, trace, off")]
    Log(String),
    #[error(
        "can't listen on {address}: {cause}\nhint: stop what listens there, or choose another address with `--listen` or LESS_LISTEN"
    )]
    Listen { address: String, cause: std::io::Error },
    #[error("{0}")]
    Transport(#[from] TransportError),
    #[error("{0}\nhint: mend that folder, or choose another one with `--data` or LESS_DATA")]
    Folder(TransportError),
    #[error(
        "{0}\nhint: `less verify` says all that is wrong; move that folder away, and bring a backup back with `less restore FILE`"
    )]
    Damaged(TransportError),
    #[error("{}", .0.join("\nerror: "))]
    External(Vec<String>),
    #[error("`[http.tls]`: {0}")]
    Tls(#[from] TlsError),
    #[error("can't {action}: {cause}")]
    System { action: &'static str, cause: std::io::Error },
}

impl HostError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Arguments(_)
            | Self::Manifest(_)
            | Self::Config(_)
            | Self::Drain(_)
            | Self::Log(_)
            | Self::External(_)
            | Self::Tls(_) => 1,
            Self::Listen { .. }
            | Self::Transport(_)
            | Self::Folder(_)
            | Self::Damaged(_)
            | Self::System { .. } => 2,
        }
    }
}

/// The generated `main`.
pub(crate) fn main(
    manifest: &str,
    topics: &[fn(&mut Registry)],
    arguments: impl Iterator<Item = OsString>,
) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(code) = launch::become_worker(arguments.iter().cloned()) {
        return code;
    }
    match start(manifest, topics, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// The log may not be installed yet, and this is the program's last word.
fn complain(error: &HostError) {
    Stream::Err.print(format!("error: {error}\n").as_bytes());
}

fn start(manifest: &str, topics: &[fn(&mut Registry)], arguments: Vec<OsString>) -> Result<(), HostError> {
    let manifest: Manifest =
        serde_json::from_str(manifest).map_err(|error| HostError::Manifest(error.to_string()))?;
    if manifest.version != VERSION {
        return Err(HostError::Manifest(format!(
            "the manifest has version {}, known is {VERSION}",
            manifest.version
        )));
    }
    let Some(flags) =
        arguments::read(&manifest, arguments.into_iter().skip(1)).map_err(HostError::Arguments)?
    else {
        return Ok(());
    };
    let config =
        resolve(&manifest.settings, &flags, |name| std::env::var(name).ok()).map_err(HostError::Config)?;
    let drain = match std::env::var("LESS_DRAIN") {
        Ok(text) => text.parse().map_err(HostError::Drain)?,
        Err(_) => DEFAULT_DRAIN,
    };
    telemetry::install(std::env::var_os("LESS_DEV").is_none()).map_err(HostError::Log)?;
    if std::env::var_os("LESS_DEV").is_some() {
        // `less dev` may be killed without a chance to stop its app.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
            .map_err(|cause| HostError::System { action: "watch `less dev`", cause: cause.into() })?;
    }
    let mut registry = Registry::default();
    for register in topics {
        register(&mut registry);
    }
    let no_threads = |cause| HostError::System { action: "start threads", cause };
    let main = runtime("less", 2).map_err(no_threads)?;
    let handlers = Arc::new(Handlers::new(Box::new(|| runtime("handler", 2))).map_err(no_threads)?);
    let result = main.block_on(run(manifest, registry, config, drain.duration(), Arc::clone(&handlers)));
    // A handler that blocks its thread for ever must not keep the process.
    handlers.shutdown();
    main.shutdown_background();
    result
}

fn runtime(name: &str, least_threads: usize) -> std::io::Result<Runtime> {
    let threads =
        std::thread::available_parallelism().map_or(least_threads, |cores| cores.get().max(least_threads));
    Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()
}

async fn run(
    manifest: Manifest,
    registry: Registry,
    config: Config,
    drain: Duration,
    handlers: Arc<Handlers>,
) -> Result<(), HostError> {
    // First, so that a signal during the start is not the default's sudden end.
    let signals = Signals::install()?;
    let listener = listener::open(config.listen.value).await?;
    let address =
        listener.local_addr().map_err(|cause| HostError::System { action: "read the address", cause })?;
    let (acceptor, reached) = secure::read(&config, address)?;
    let folder = PathBuf::from(&config.data.value);
    let clock = Clock::System;
    let (switch, shutdown) = shutdown::channel();
    let transport = store::open(&config, &manifest, clock.clone(), &shutdown).await?;
    let transport = match config.transport.value {
        TransportKind::Embedded => links::open(&config, &manifest, transport, &shutdown)?,
        TransportKind::Aws => transport,
    };
    let max_body = usize::try_from(config.max_body.value).unwrap_or(usize::MAX);
    let app = Arc::new(App::new(manifest, &registry.checks, transport, clock, max_body));
    crate::app::install(Arc::clone(&app));
    let metrics = Arc::new(Metrics::default());
    let link = match config.transport.value {
        TransportKind::Embedded => Some(link::Server::new(&app, link::Timing::default(), shutdown.clone())),
        TransportKind::Aws => None,
    };
    let place = workers::Place { app: &app, metrics: &metrics, shutdown: &shutdown };
    let (mut workers, controls) = workers::start(&place, &registry, &handlers).await?;
    let mut options = http::Options::new(&config, Arc::clone(&metrics), controls);
    options.tls = acceptor;
    // A second of the usual half minute; in development, where drains are short, nobody waits for it.
    options.linger = (drain / 30).clamp(Duration::from_millis(100), Duration::from_secs(1));
    let registration = register::register(&config, app.manifest(), &reached, app.clock().now());
    options.link_tokens.extend(registration.token.clone());
    options.link = link.clone();
    let server = tokio::spawn(http::serve(listener, Arc::clone(&app), options, shutdown.clone()));
    if config.transport.value == TransportKind::Aws {
        // It holds nothing but the address: where it can't be made, that is not written.
        let _ = std::fs::create_dir_all(&folder);
    }
    let _address_file = match (
        client::write_address(
            &folder,
            app.manifest().app.as_str(),
            &reached.url,
            reached.certificate.as_deref(),
        ),
        config.transport.value,
    ) {
        (Ok(file), _) => Some(file),
        (Err(cause), TransportKind::Embedded) => {
            return Err(HostError::System { action: "write the address file", cause });
        }
        // Without a broker of its own it may well run where nothing can be written.
        (Err(_), TransportKind::Aws) => None,
    };
    tracing::info!(target: "less_runtime", "{} listens on {}://{address}", app.manifest().app, reached.scheme());

    let ended = wait(signals, &mut workers, drain).await;
    switch.stop();
    let drained = finish(&switch, &mut workers, link.as_deref(), drain).await;
    // The server ends by itself: it watches the same shutdown.
    let _ = server.await;
    app.transport().close().await?;
    tracing::info!(target: "less_runtime", "stopped; nothing is lost");
    ended.and(drained)
}

/// SIGTERM, SIGINT, and SIGHUP unless whoever started this wants it to outlive its terminal.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    fn install() -> Result<Self, HostError> {
        let listen =
            |kind| signal(kind).map_err(|cause| HostError::System { action: "listen for signals", cause });
        let hangup = if ignores_hangup() { None } else { Some(listen(SignalKind::hangup())?) };
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: listen(terminate)?, interrupt: listen(interrupt)?, hangup })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            Some(()) = async { self.hangup.as_mut()?.recv().await } => {}
        }
    }
}

/// Whether SIGHUP was ignored before this process began, as `nohup` does it.
fn ignores_hangup() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let ignored =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored & 1 == 1)
}

/// Waits for a signal, or for a worker that can't go on.
async fn wait(
    mut signals: Signals,
    workers: &mut workers::Workers,
    drain: Duration,
) -> Result<(), HostError> {
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
            tracing::info!(target: "less_runtime", "{}", stopping(drain));
            tokio::spawn(async move {
                signals.next().await;
                tracing::warn!(target: "less_runtime", "a second signal: this ends at once, and what handlers have begun is attempted again");
                std::process::exit(130);
            });
            Ok(())
        }
        error = failed => Err(error.into()),
    }
}

/// What is said at a signal: how long handlers may go on, which under `less dev` is not long.
fn stopping(drain: Duration) -> String {
    if drain.is_zero() {
        return "stopping: what handlers have begun is handed back, and attempted again".to_owned();
    }
    format!(
        "stopping: handlers have {drain:?} for what they have begun; the rest is handed back, and attempted again"
    )
}

/// Lets the workers finish; after `drain` what still runs is handed back.
async fn finish(
    switch: &ShutdownSwitch,
    workers: &mut workers::Workers,
    link: Option<&link::Server>,
    drain: Duration,
) -> Result<(), HostError> {
    let all = async |workers: &mut workers::Workers| {
        let mut first = Ok(());
        while let Some(joined) = workers.join_next().await {
            if let (Ok(Err(error)), Ok(())) = (joined, &first) {
                first = Err(error.into());
            }
        }
        first
    };
    // What other apps hold is waited for beside this one's workers.
    let linked = async {
        if let Some(link) = link {
            link.finish().await;
        }
    };
    tokio::pin!(linked);
    let mut unlinked = false;
    let drained = async {
        let both = async {
            linked.as_mut().await;
            unlinked = true;
        };
        tokio::join!(all(workers), both).0
    };
    if let Ok(result) = tokio::time::timeout(drain, drained).await {
        return result;
    }
    switch.expire();
    let last = async {
        let rest = async {
            if !unlinked {
                linked.await;
            }
        };
        tokio::join!(all(workers), rest).0
    };
    tokio::time::timeout(LAST, last).await.unwrap_or_else(|_| {
        tracing::warn!(target: "less_runtime", "some handlers do not let go: what they hold is delivered again, and this counts as an attempt");
        Ok(())
    })
}
