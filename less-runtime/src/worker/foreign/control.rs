//! What others see of a subscription's workers, and tell them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// How the worker processes of a subscriber are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// `starting`, `ready`, or `failed`: none could be started, and messages wait.
    pub state: WorkerState,
    /// Processes that take messages.
    pub processes: u32,
    /// How often a process was started again because one had ended.
    pub restarts: u64,
    /// Why the last one that was started did not become ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a subscriber's messages are being handled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// The first process is being started.
    #[default]
    Starting,
    /// At least one process takes messages.
    Ready,
    /// None could be started; it is tried again.
    Failed,
}

/// One subscription's, shared with whoever administers it.
#[derive(Debug, Default)]
pub(crate) struct Control {
    status: Mutex<WorkerStatus>,
    reload: Notify,
}

impl Control {
    pub(crate) fn status(&self) -> WorkerStatus {
        self.lock().clone()
    }

    /// Asks for new processes; the old ones finish what they hold.
    pub(crate) fn reload(&self) {
        self.reload.notify_one();
    }

    pub(super) async fn reloaded(&self) {
        self.reload.notified().await;
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut WorkerStatus)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, WorkerStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
