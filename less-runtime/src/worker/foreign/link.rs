//! A worker process's life: it is started, spoken to, and waited for.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::frame::{Frames, Kind, Said, Say};
use super::warden::Started;
use super::{Lines, Program, Publisher, Warden, launch};

/// How long a process may go on after it has closed its socket.
const AFTER_CLOSE: Duration = Duration::from_secs(1);
/// Publishes of one process that are in progress at the same time; it is not read on while there are more.
const PUBLISHES: usize = 256;
/// Read at once, in bytes.
const READ: usize = 64 << 10;

/// What is needed to start a process.
pub(super) struct Setup {
    pub(super) root: PathBuf,
    pub(super) program: Program,
    pub(super) warden: Arc<Warden>,
    pub(super) lines: Lines,
    pub(super) label: Arc<str>,
    pub(super) publisher: Publisher,
    /// The first frame.
    pub(super) hello: Vec<u8>,
}

/// What a process does.
pub(super) enum Event {
    Said(Said),
    /// It is gone. How it ended, and whether it was started at all.
    Ended(String),
}

/// The app's end of a process.
pub(super) struct Link {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    /// Dropped, it kills the process.
    kill: Option<oneshot::Sender<()>>,
}

impl Link {
    /// Starts a process; what it does is told with its number.
    pub(super) fn open(setup: Arc<Setup>, number: u64, events: mpsc::Sender<(u64, Event)>) -> Self {
        let (frames, outgoing) = mpsc::unbounded_channel();
        let (kill, killed) = oneshot::channel();
        // In order: nothing is said before this.
        let _ = frames.send(setup.hello.clone());
        let link = Self { frames: frames.clone(), kill: Some(kill) };
        tokio::spawn(async move {
            let how = live(&setup, number, &events, outgoing, frames, killed).await;
            // The pool may have ended.
            let _ = events.send((number, Event::Ended(how))).await;
        });
        link
    }

    /// Sends a frame; it is dropped where the process is gone.
    pub(super) fn send(&self, frame: Vec<u8>) {
        let _ = self.frames.send(frame);
    }

    pub(super) fn kill(&mut self) {
        self.kill = None;
    }
}

/// Returns how it ended.
async fn live(
    setup: &Arc<Setup>,
    number: u64,
    events: &mpsc::Sender<(u64, Event)>,
    outgoing: mpsc::UnboundedReceiver<Vec<u8>>,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    mut killed: oneshot::Receiver<()>,
) -> String {
    let (stream, started) = match start(setup).await {
        Ok(started) => started,
        Err(error) => return error,
    };
    let Started { alive, mut ended } = started;
    let mut alive = Some(alive);
    let (reader, writer) = stream.into_split();
    let writing = tokio::spawn(write(writer, outgoing));
    let mut reading = Reading { reader, frames: Frames::default(), publishes: Publishes::new(setup, frames) };
    let mut close = std::pin::pin!(wait(None));
    let mut open = true;
    let status = loop {
        tokio::select! {
            biased;
            _ = &mut killed, if alive.is_some() => alive = None,
            more = reading.more(number, events), if open => match more {
                Ok(true) => {}
                Ok(false) => {
                    open = false;
                    close.set(wait(Some(AFTER_CLOSE)));
                }
                Err(problem) => {
                    drop(alive.take());
                    let _ = (&mut ended).await;
                    writing.abort();
                    return format!("the worker process broke the protocol: {problem}");
                }
            },
            () = &mut close => alive = None,
            status = &mut ended => break status.ok(),
        }
    };
    // What it has said last.
    while open && reading.rest(number, events).await {}
    writing.abort();
    describe(status)
}

fn describe(status: Option<ExitStatus>) -> String {
    status.map_or_else(
        || "the worker process could not be waited for".to_owned(),
        |status| format!("the worker process ended: {status}"),
    )
}

async fn wait(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

async fn start(setup: &Setup) -> Result<(UnixStream, Started), String> {
    let found = setup.program.find(&setup.root, |name| std::env::var_os(name))?;
    let failed = |error: io::Error| format!("can't start {}: {error}", found.program.display());
    let mut command = launch::command(&found.program, &found.arguments);
    command.current_dir(&setup.root).envs(found.environment.iter().map(|(name, value)| (name, value)));
    let socket = connect(setup, &mut command).map_err(failed)?;
    let started = setup.warden.spawn(command).await.map_err(failed)?;
    Ok((socket, started))
}

/// Gives the command its end of the socket, and its output to who prints it.
fn connect(setup: &Setup, command: &mut Command) -> io::Result<UnixStream> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let (out, stdout) = io::pipe()?;
    let (err, stderr) = io::pipe()?;
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(stdout).stderr(stderr);
    setup.lines.follow(out, false, Arc::clone(&setup.label))?;
    setup.lines.follow(err, true, Arc::clone(&setup.label))?;
    UnixStream::from_std(ours)
}

async fn write(mut writer: OwnedWriteHalf, mut outgoing: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(mut frame) = outgoing.recv().await {
        // Small ones that wait go out together.
        while frame.len() < READ
            && let Ok(next) = outgoing.try_recv()
        {
            frame.extend_from_slice(&next);
        }
        if writer.write_all(&frame).await.is_err() {
            // It is gone, which the reader notices.
            return;
        }
    }
}

struct Reading {
    reader: OwnedReadHalf,
    frames: Frames,
    publishes: Publishes,
}

impl Reading {
    /// Reads on and tells what was said. `false` at the end.
    async fn more(&mut self, number: u64, events: &mpsc::Sender<(u64, Event)>) -> Result<bool, String> {
        // First what is there already: dropping this future at a wait loses nothing.
        loop {
            let room = events.reserve().await.map_err(|_| "nobody listens".to_owned())?;
            let Some(said) = self.frames.next()? else { break };
            if said.kind == Kind::Publish {
                drop(room);
                self.publishes.begin(said)?;
            } else {
                room.send((number, Event::Said(said)));
            }
        }
        self.publishes.room().await;
        let buffer = self.frames.buffer();
        buffer.reserve(READ);
        // A reset is an end like any other.
        Ok(self.reader.read_buf(buffer).await.unwrap_or(0) > 0)
    }

    /// The same without waiting, for a process that has ended. `false` when there is no more.
    async fn rest(&mut self, number: u64, events: &mpsc::Sender<(u64, Event)>) -> bool {
        let more = tokio::time::timeout(Duration::from_millis(50), self.more(number, events));
        matches!(more.await, Ok(Ok(true)))
    }
}

/// What a process publishes.
struct Publishes {
    setup: Arc<Setup>,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    room: Arc<Semaphore>,
}

impl Publishes {
    fn new(setup: &Arc<Setup>, frames: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        Self { setup: Arc::clone(setup), frames, room: Arc::new(Semaphore::new(PUBLISHES)) }
    }

    /// Waits until one more may be in progress.
    async fn room(&self) {
        // It is never closed.
        drop(self.room.acquire().await);
    }

    fn begin(&self, said: Said) -> Result<(), String> {
        let Said { request: Some(request), topic: Some(topic), messages: Some(messages), .. } = said else {
            return Err("a `publish` without `request`, `topic` or `messages`".to_owned());
        };
        let published = (self.setup.publisher)(topic, messages);
        let frames = self.frames.clone();
        // One frame may hold more of them than there is room for: those wait in here.
        let room = Arc::clone(&self.room);
        tokio::spawn(async move {
            let _room = room.acquire_owned().await;
            let results = published.await;
            // The process may be gone; what it published is stored all the same.
            let _ = frames.send(Say::Published { request, results }.frame());
        });
        Ok(())
    }
}
