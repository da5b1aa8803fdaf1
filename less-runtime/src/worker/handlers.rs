//! The runtime of the handlers, which is replaced when handlers that never return have taken its threads.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Runtime};

type Make = Box<dyn Fn() -> io::Result<Runtime> + Send + Sync>;

/// Where handlers run.
pub(crate) struct Handlers {
    make: Make,
    /// How many runtimes were replaced.
    generation: AtomicUsize,
    inner: Mutex<Inner>,
}

struct Inner {
    current: Handle,
    /// Threads of the current runtime that did not come back.
    lost: usize,
    /// Every runtime there was: what runs there goes on.
    runtimes: Vec<Runtime>,
}

impl Handlers {
    /// Makes the first runtime.
    pub(crate) fn new(make: Make) -> io::Result<Self> {
        let first = make()?;
        let inner = Inner { current: first.handle().clone(), lost: 0, runtimes: vec![first] };
        Ok(Self { make, generation: AtomicUsize::new(0), inner: Mutex::new(inner) })
    }

    /// One that can't be replaced.
    #[cfg(test)]
    pub(super) fn on(current: Handle) -> Self {
        let make = Box::new(|| Err(io::ErrorKind::Unsupported.into()));
        let generation = AtomicUsize::new(0);
        Self { make, generation, inner: Mutex::new(Inner { current, lost: 0, runtimes: Vec::new() }) }
    }

    /// The runtime for what begins now.
    pub(crate) fn handle(&self) -> Handle {
        self.inner().current.clone()
    }

    /// Which of the runtimes that is, counted from 0; or the one before it.
    pub(super) fn generation(&self) -> usize {
        self.generation.load(Ordering::Acquire)
    }

    /// A handler keeps a thread of a runtime after its time was over. Without half of its threads that runtime gets nothing new: it may have nobody
    /// left to look after timers and sockets.
    pub(super) fn lost_thread(&self) {
        let mut inner = self.inner();
        inner.lost += 1;
        if inner.lost * 2 < inner.current.metrics().num_workers() {
            return;
        }
        match (self.make)() {
            Ok(runtime) => {
                tracing::warn!("handlers that never return have taken their threads: others get new ones");
                inner.current = runtime.handle().clone();
                // After that: who sees the new number gets the new runtime.
                self.generation.fetch_add(1, Ordering::Release);
                inner.lost = 0;
                inner.runtimes.push(runtime);
            }
            Err(error) => tracing::error!(
                "handlers that never return have taken their threads, and there are no more: {error}"
            ),
        }
    }

    /// Ends all of them, whatever they still do.
    pub(crate) fn shutdown(&self) {
        for runtime in self.inner().runtimes.drain(..) {
            runtime.shutdown_background();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
