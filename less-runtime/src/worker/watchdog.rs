//! Notices handlers that block their thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::Lanes;

/// How often it looks.
const TICK: Duration = Duration::from_millis(5);
/// How long a poll may take before its lane counts as blocked.
const PATIENCE: Duration = Duration::from_millis(5);
/// After this many looks at lanes that do nothing, it stops to look at them.
const IDLE: u32 = 40;

/// Watches the lanes of all workers while they do something.
#[derive(Default)]
pub(crate) struct Watchdog {
    new: Mutex<Vec<Arc<Lanes>>>,
    wake: Notify,
}

impl Watchdog {
    /// Starts it on this runtime, with which it ends.
    pub(crate) fn start() -> Arc<Self> {
        let watchdog = Arc::new(Self::default());
        let this = Arc::clone(&watchdog);
        tokio::spawn(async move {
            let mut watched: Vec<(Arc<Lanes>, u32)> = Vec::new();
            loop {
                watched.extend(this.take().into_iter().map(|lanes| (lanes, 0)));
                if watched.is_empty() {
                    this.wake.notified().await;
                    continue;
                }
                tokio::time::sleep(TICK).await;
                watched.retain_mut(|(lanes, idle)| {
                    *idle = if lanes.look(PATIENCE) { 0 } else { *idle + 1 };
                    *idle < IDLE || !lanes.unwatch()
                });
            }
        });
        watchdog
    }

    /// Watches these lanes until they do nothing for a while.
    pub(super) fn watch(&self, lanes: Arc<Lanes>) {
        self.new.lock().unwrap_or_else(PoisonError::into_inner).push(lanes);
        self.wake.notify_one();
    }

    fn take(&self) -> Vec<Arc<Lanes>> {
        std::mem::take(&mut self.new.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
