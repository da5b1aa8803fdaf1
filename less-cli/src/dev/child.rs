//! The app's process, as `less dev` runs it.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// How long handlers may go on when the app is replaced; what is not done then is handed back without charging an attempt.
const RELOAD_DRAIN: &str = "500ms";
/// How long the process may take to write everything down and end after that, before it is killed.
const KILL_AFTER: Duration = Duration::from_secs(10);

/// A running app.
pub(super) struct App {
    child: Child,
}

/// Why an app is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A newer build takes over: quickly.
    Reload,
    /// `less dev` itself ends.
    Quit,
}

impl App {
    /// Starts a program. It takes the socket as its standard input, so that no request is refused while one process follows the other.
    pub(super) fn start(
        program: std::process::Command,
        root: &Path,
        listener: &TcpListener,
        arguments: &[String],
    ) -> std::io::Result<Self> {
        let socket = OwnedFd::from(listener.try_clone()?);
        let child = Command::from(program)
            .args(arguments)
            .current_dir(root)
            .env("LESS_DEV", "1")
            .env("LESS_LISTENER", "stdin")
            .env("LESS_DRAIN", RELOAD_DRAIN)
            .stdin(Stdio::from(socket))
            // Its own group: Ctrl-C reaches `less dev` alone, which passes it on.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child })
    }

    /// Waits until it ends.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Tells it to end, and waits until it has. A process that does not end is killed; then what it held is delivered again.
    pub(super) async fn stop(mut self, how: Stop) -> std::io::Result<ExitStatus> {
        self.signal(match how {
            Stop::Reload => Signal::TERM,
            Stop::Quit => Signal::INT,
        });
        match how {
            Stop::Quit => self.child.wait().await,
            Stop::Reload => {
                if let Ok(status) = tokio::time::timeout(KILL_AFTER, self.child.wait()).await {
                    status
                } else {
                    self.child.start_kill()?;
                    self.child.wait().await
                }
            }
        }
    }

    /// Tells it to end at once.
    pub(super) fn hurry(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            // It may have ended by itself meanwhile.
            let _ = kill_process(pid, signal);
        }
    }
}
