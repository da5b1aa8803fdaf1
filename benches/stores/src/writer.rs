//! The group commit: one thread takes all that waits, stores it, syncs once, and only then answers.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::engine::Engine;

/// Most bytes that share a sync.
const WRITE: usize = 4 << 20;

struct Publish {
    body: Bytes,
    done: oneshot::Sender<()>,
}

/// The way to the writer.
pub(crate) struct GroupCommit {
    sender: Sender<Publish>,
    thread: JoinHandle<Result<()>>,
}

impl GroupCommit {
    /// Starts the thread; the engine is its own from here on.
    pub(crate) fn start(engine: Box<dyn Engine>) -> Self {
        let (sender, receiver) = channel();
        Self { sender, thread: std::thread::spawn(move || write(engine, &receiver)) }
    }

    /// Publishes a body.
    pub(crate) async fn publish(&self, body: Bytes) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.sender.send(Publish { body, done }).map_err(|_| anyhow!("the writer has stopped"))?;
        answer.await.map_err(|_| anyhow!("the writer has stopped"))
    }

    /// Ends the thread, and closes the engine with it.
    pub(crate) fn close(self) -> Result<()> {
        drop(self.sender);
        self.thread.join().map_err(|_| anyhow!("the writer panicked"))?
    }
}

fn write(mut engine: Box<dyn Engine>, waiting: &Receiver<Publish>) -> Result<()> {
    let (mut bodies, mut answers) = (Vec::new(), Vec::new());
    while let Ok(first) = waiting.recv() {
        let (mut next, mut size) = (Some(first), 0);
        while let Some(Publish { body, done }) = next.take() {
            size += body.len();
            bodies.push(body);
            answers.push(done);
            if size < WRITE {
                next = waiting.try_recv().ok();
            }
        }
        engine.append(&bodies)?;
        bodies.clear();
        for done in answers.drain(..) {
            // Whoever asked may be gone; it is stored all the same.
            let _ = done.send(());
        }
    }
    engine.close()
}
