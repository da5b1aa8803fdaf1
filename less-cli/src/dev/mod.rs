//! `less dev`: build, run, watch.
//!
//! A build that fails leaves the last good process running; a change during a build starts the build anew; the socket outlives them all.

mod banner;
mod child;
mod endpoint;
mod orphans;
mod reload;
mod watch;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use less_model::config::{Config, Flags, resolve};
use less_model::diagnostic::Diagnostic;
use less_model::manifest::{Manifest, TransportKind};
use less_model::tree;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::child::{App, Stop};
use self::endpoint::Endpoint;
use self::watch::Watch;
use crate::cargo::BuildOptions;
use crate::cli::ExitStatus;
use crate::command::build::{Failure, generate};
use crate::lock::Locking;
use crate::program::{self, Program};
use crate::project::Project;
use crate::ui::tell;

/// Wait before an app that ended by itself is started again; doubled up to the longest while it keeps ending soon.
const RESTART_FIRST: Duration = Duration::from_millis(500);
const RESTART_LONGEST: Duration = Duration::from_secs(10);
/// An app that ran this long did not end soon.
const RAN_WELL: Duration = Duration::from_secs(30);

/// Runs until Ctrl-C, or until the first start fails for a reason that no change of the sources mends.
pub async fn run(project: &Project, flags: &Flags) -> anyhow::Result<ExitStatus> {
    let mut signals = Signals::install()?;
    let mut watch = Watch::begin(&project.root).context("can't watch the app's folder")?;
    let mut session = Session {
        project,
        flags: flags.clone(),
        socket: None,
        certificate: None,
        app: None,
        was_live: false,
        restart_in: RESTART_FIRST,
        changed: Vec::new(),
        told: Vec::new(),
        told_orphans: BTreeSet::new(),
    };
    let mut news = News::Changed(Vec::new());
    loop {
        match &news {
            News::Changed(paths) => {
                if !paths.is_empty() {
                    say(&format!("changed: {}", list(paths)));
                    session.changed.extend_from_slice(paths);
                }
                // A change during the build drops the build, which kills cargo, and begins anew.
                news = tokio::select! {
                    biased;
                    () = signals.next() => News::Quit,
                    paths = watch.changed() => News::Changed(paths),
                    done = session.rebuild() => match done? {
                        Rebuilt::Live | Rebuilt::Failed => News::None,
                        Rebuilt::Hopeless(status) => return Ok(status),
                    },
                };
            }
            News::Ended => {
                let wait = session.restart_in;
                session.restart_in = (wait * 2).min(RESTART_LONGEST);
                news = tokio::select! {
                    biased;
                    () = signals.next() => News::Quit,
                    paths = watch.changed() => News::Changed(paths),
                    () = tokio::time::sleep(wait) => {
                        if let Err(error) = session.start_again() {
                            complain(&format!("{error:#}"));
                            say("waiting for a change");
                        }
                        News::None
                    }
                };
            }
            News::None => {
                news = tokio::select! {
                    biased;
                    () = signals.next() => News::Quit,
                    paths = watch.changed() => News::Changed(paths),
                    () = session.ended() => News::Ended,
                };
            }
            News::Quit => return session.quit(&mut signals).await,
        }
    }
}

enum News {
    /// Sources changed; these, or none at the start.
    Changed(Vec<PathBuf>),
    /// The app ended by itself.
    Ended,
    /// Nothing to do but wait.
    None,
    /// Ctrl-C or SIGTERM.
    Quit,
}

enum Rebuilt {
    /// The newest build runs.
    Live,
    /// The sources are wrong, and that has been said; the last good process goes on.
    Failed,
    /// Nothing runs, and no change of the sources would help.
    Hopeless(ExitStatus),
}

struct Running {
    app: App,
    program: Program,
    arguments: Vec<String>,
    /// What it was started with.
    manifest: Manifest,
    since: Instant,
}

struct Session<'a> {
    project: &'a Project,
    flags: Flags,
    socket: Option<(SocketAddr, TcpListener)>,
    /// The file with the certificate that the app shows, where it speaks HTTPS.
    certificate: Option<PathBuf>,
    app: Option<Running>,
    /// Whether an app has run here: from then on nothing but who started it ends `less dev`.
    was_live: bool,
    restart_in: Duration,
    /// Sources that have changed since the app that runs was started or told.
    changed: Vec<PathBuf>,
    /// What was last said of changes since `less.lock` was written.
    told: Vec<Diagnostic>,
    /// Subscriptions without a folder that were told.
    told_orphans: BTreeSet<String>,
}

impl Session<'_> {
    async fn rebuild(&mut self) -> anyhow::Result<Rebuilt> {
        let began = Instant::now();
        let first = !self.was_live;
        let generated = match generate(self.project, Locking::Tell(&mut self.told)) {
            Ok(generated) => generated,
            Err(failure) => return self.failed(failure),
        };
        let config = match resolve(&generated.app.settings, &self.flags, |name| std::env::var(name).ok()) {
            Ok(config) => config,
            Err(errors) => {
                for error in errors {
                    complain(&error.to_string());
                }
                return Ok(self.hopeless_at_first(ExitStatus::UserError));
            }
        };
        let manifest = generated.app.manifest();
        if let Some(running) = &self.app
            && running.manifest == manifest
            && let Some(subscribers) = reload::subscribers(&generated.app, &self.changed)
        {
            match reload::replace(&self.endpoint(), &subscribers).await {
                Ok(()) => self.changed.clear(),
                Err(error) => complain(&format!("the workers could not be replaced: {error}")),
            }
            return Ok(Rebuilt::Live);
        }
        if first && generated.app.needs_rust() {
            say(&format!("building `{}`; the first time takes a while", generated.app.name));
        }
        let program =
            match program::make(self.project, &generated.app, &BuildOptions { release: false }).await {
                Ok(program) => program,
                Err(failure) => return self.failed(failure),
            };
        if let Err(error) = self.bind(&config) {
            complain(&format!("{error:#}"));
            return Ok(self.hopeless_at_first(ExitStatus::Failure));
        }
        let arguments = self.arguments();
        let started = match self.app.take().map(|running| running.app.stop(Stop::Reload)) {
            Some(stopped) => stopped.await.context("can't stop the app").map(drop),
            None => Ok(()),
        };
        if let Err(error) = started.and_then(|()| self.start(program, arguments, manifest)) {
            return self.failed(Failure::Surroundings(error));
        }
        if !self.wait_until_ready().await? {
            // It has said why. Where its first start fails, no source is to blame: the folder, the lock, the disk.
            return Ok(self.hopeless_at_first(ExitStatus::Failure));
        }
        self.was_live = true;
        self.restart_in = RESTART_FIRST;
        self.changed.clear();
        if first {
            banner::print(&generated.app, &self.endpoint(), began.elapsed());
        } else {
            say(&format!("reloaded in {:.1} s", began.elapsed().as_secs_f64()));
        }
        if config.transport.value == TransportKind::Embedded {
            self.tell_orphans().await;
        }
        Ok(Rebuilt::Live)
    }

    /// Says which subscriptions have no folder.
    async fn tell_orphans(&mut self) {
        let Ok(client) = self.endpoint().client() else { return };
        // An app that does not answer has other troubles, and says so.
        let Ok(status) = client.status().await else { return };
        for line in orphans::news(&status.subscribers, &mut self.told_orphans) {
            say(&line);
        }
    }

    fn failed(&mut self, failure: Failure) -> anyhow::Result<Rebuilt> {
        match failure {
            // What is wrong has been printed.
            Failure::User => {}
            Failure::Surroundings(error) if !self.was_live => return Err(error),
            Failure::Surroundings(error) => complain(&format!("{error:#}")),
        }
        self.say_what_goes_on();
        Ok(Rebuilt::Failed)
    }

    fn hopeless_at_first(&self, status: ExitStatus) -> Rebuilt {
        if !self.was_live {
            return Rebuilt::Hopeless(status);
        }
        self.say_what_goes_on();
        Rebuilt::Failed
    }

    fn say_what_goes_on(&self) {
        say(if self.app.is_some() {
            "the last good build keeps running; waiting for a change"
        } else {
            "waiting for a change"
        });
    }

    /// Opens the socket, or keeps the one that is open.
    fn bind(&mut self, config: &Config) -> anyhow::Result<()> {
        self.certificate = config.tls.as_ref().map(|tls| self.project.root.join(&tls.value.cert));
        let wanted = config.listen.value;
        if self.socket.as_ref().is_some_and(|(address, _)| *address == wanted) {
            return Ok(());
        }
        let listener = TcpListener::bind(wanted).map_err(|cause| {
            anyhow::anyhow!(
                "can't listen on {wanted}: {cause}\nhint: stop what listens there, or choose another address: `less dev --listen 127.0.0.1:4101`, or `listen` in less.toml"
            )
        })?;
        self.socket = Some((wanted, listener));
        Ok(())
    }

    fn address(&self) -> SocketAddr {
        let bound = self.socket.as_ref().and_then(|(_, listener)| listener.local_addr().ok());
        bound.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { address: self.address(), certificate: self.certificate.clone() }
    }

    fn arguments(&self) -> Vec<String> {
        let mut out = vec!["--listen".to_owned(), self.address().to_string()];
        let flags = [("--data", &self.flags.data), ("--stage", &self.flags.stage)];
        for (flag, value) in flags {
            if let Some(value) = value {
                out.extend([flag.to_owned(), value.clone()]);
            }
        }
        out
    }

    fn start(&mut self, program: Program, arguments: Vec<String>, manifest: Manifest) -> anyhow::Result<()> {
        let (_, listener) = self.socket.as_ref().context("the socket is not open")?;
        let command = program.command()?;
        let path = PathBuf::from(command.get_program());
        let app = App::start(command, &self.project.root, listener, &arguments)
            .with_context(|| format!("can't start {}", path.display()))?;
        self.app = Some(Running { app, program, arguments, manifest, since: Instant::now() });
        Ok(())
    }

    fn start_again(&mut self) -> anyhow::Result<()> {
        match self.app.take() {
            Some(old) => self.start(old.program, old.arguments, old.manifest),
            None => Ok(()),
        }
    }

    /// Whether the app came up; `false` means that it ended instead.
    async fn wait_until_ready(&mut self) -> anyhow::Result<bool> {
        let endpoint = self.endpoint();
        let Some(running) = self.app.as_mut() else { return Ok(false) };
        tokio::select! {
            () = endpoint.ready() => Ok(true),
            status = running.app.ended() => {
                status.context("can't wait for the app")?;
                self.app = None;
                Ok(false)
            }
        }
    }

    /// Waits until the app ends by itself, and says so.
    async fn ended(&mut self) {
        let Some(running) = self.app.as_mut() else { return std::future::pending().await };
        let status = running.app.ended().await;
        if running.since.elapsed() > RAN_WELL {
            self.restart_in = RESTART_FIRST;
        }
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        complain(&format!(
            "the app ended by itself: {how}\nhint: what it had begun is attempted again; starting it in {:?}",
            self.restart_in
        ));
    }

    async fn quit(&mut self, signals: &mut Signals) -> anyhow::Result<ExitStatus> {
        let Some(running) = self.app.take() else { return Ok(ExitStatus::Success) };
        let mut app = running.app;
        app.hurry();
        let status = tokio::select! {
            status = app.ended() => status,
            () = signals.next() => {
                say("not waiting for handlers any longer; what they have begun is attempted again");
                app.stop(Stop::Quit).await
            }
        };
        let status = status.context("can't wait for the app")?;
        Ok(if status.success() { ExitStatus::Success } else { ExitStatus::Failure })
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> anyhow::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    const MOST: usize = 3;
    let mut out: Vec<String> = paths.iter().take(MOST).map(|path| path.display().to_string()).collect();
    if paths.len() > MOST {
        out.push(format!("{} more", paths.len() - MOST));
    }
    out.join(", ")
}

fn say(text: &str) {
    tell!("[less] {text}");
}

fn complain(text: &str) {
    tell!("error: {text}");
}

/// The first topic of an app, for an example; one with a subscriber is preferred.
fn example(app: &tree::App) -> Option<&tree::Topic> {
    app.topics.iter().find(|topic| !topic.subscribers.is_empty()).or_else(|| app.topics.first())
}
