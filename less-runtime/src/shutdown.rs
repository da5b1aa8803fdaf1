//! The shutdown: first nothing new is begun, then, when its grace is over, what still runs is handed back.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Stopping,
    Expired,
}

/// Who watches the shutdown.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    phase: watch::Receiver<Phase>,
}

/// Who causes it. Dropping it is the end of everything.
#[derive(Debug)]
pub(crate) struct ShutdownSwitch {
    phase: watch::Sender<Phase>,
}

/// A switch and its first watcher.
pub(crate) fn channel() -> (ShutdownSwitch, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (ShutdownSwitch { phase: sender }, Shutdown { phase: receiver })
}

impl ShutdownSwitch {
    /// Nothing new is begun from now on.
    pub(crate) fn stop(&self) {
        self.phase.send_replace(Phase::Stopping);
    }

    /// What still runs is interrupted.
    pub(crate) fn expire(&self) {
        self.phase.send_replace(Phase::Expired);
    }
}

impl Shutdown {
    /// Whether nothing new may be begun.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Whether what runs is to be interrupted.
    pub(crate) fn is_expired(&self) -> bool {
        *self.phase.borrow() >= Phase::Expired
    }

    /// Waits until nothing new may be begun.
    pub(crate) async fn stopping(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Waits until what runs is to be interrupted.
    pub(crate) async fn expired(&self) {
        self.reached(Phase::Expired).await;
    }

    async fn reached(&self, phase: Phase) {
        // An error means that the switch is gone, which is the end as well.
        let _ = self.phase.clone().wait_for(|now| *now >= phase).await;
    }
}
