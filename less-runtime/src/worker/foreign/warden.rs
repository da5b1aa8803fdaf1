//! The thread that starts worker processes and waits for their ends.
//!
//! One thread that lasts as long as the app: the system ends a child with the thread that started it, where the child asks for that.

use std::io;
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::sync::{mpsc, oneshot};

/// Starts processes.
pub(crate) struct Warden {
    requests: mpsc::UnboundedSender<Request>,
}

struct Request {
    command: Command,
    started: oneshot::Sender<io::Result<Started>>,
}

/// A process that was started.
pub(super) struct Started {
    /// Dropping it kills the process and its group.
    pub(super) alive: oneshot::Sender<()>,
    /// How it ended.
    pub(super) ended: oneshot::Receiver<ExitStatus>,
}

impl Warden {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (requests, mut incoming) = mpsc::unbounded_channel::<Request>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("warden".to_owned()).spawn(move || {
            runtime.block_on(async {
                while let Some(Request { command, started }) = incoming.recv().await {
                    // Whoever asked may be gone; then the process ends as it began.
                    let _ = started.send(start(command));
                }
            });
        })?;
        Ok(Self { requests })
    }

    /// Starts a process in a group of its own.
    pub(super) async fn spawn(&self, command: Command) -> io::Result<Started> {
        let (started, answer) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts processes is gone");
        self.requests.send(Request { command, started }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn start(command: Command) -> io::Result<Started> {
    let mut child = tokio::process::Command::from(command).process_group(0).kill_on_drop(true).spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let (alive, dropped) = oneshot::channel();
    let (told, ended) = oneshot::channel();
    tokio::spawn(async move {
        let status = tokio::select! {
            biased;
            status = child.wait() => status,
            _ = dropped => {
                kill(group);
                child.wait().await
            }
        };
        // What the worker has started itself ends with it.
        kill(group);
        if let Ok(status) = status {
            // Nobody may want to know any more.
            let _ = told.send(status);
        }
    });
    Ok(Started { alive, ended })
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // An error means that nobody is left in it.
        let _ = kill_process_group(group, Signal::KILL);
    }
}
