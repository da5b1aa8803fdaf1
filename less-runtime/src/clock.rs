//! Time, as something that can be injected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// Where the time comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that a test moves.
    Manual(ManualClock),
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<AtomicU64>,
    moved: Arc<watch::Sender<()>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { now: Arc::new(AtomicU64::new(now)), moved: Arc::new(watch::channel(()).0) }
    }

    /// Moves it forward and wakes whoever sleeps.
    pub fn advance(&self, by: Duration) {
        self.now.fetch_add(millis(by), Ordering::SeqCst);
        self.moved.send_replace(());
    }
}

impl Clock {
    /// The present time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis),
            Self::Manual(clock) => clock.now.load(Ordering::SeqCst),
        }
    }

    /// Waits until the clock shows `when` or later.
    pub async fn sleep_until(&self, when: Timestamp) {
        match self {
            Self::System => {
                // In slices, so that a step of the machine's clock is noticed within a minute.
                while let Some(left) = when.checked_sub(self.now()).filter(|left| *left > 0) {
                    tokio::time::sleep(Duration::from_millis(left.min(60_000))).await;
                }
            }
            Self::Manual(clock) => {
                let mut moved = clock.moved.subscribe();
                while self.now() < when {
                    if moved.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// Whole milliseconds, at most `u64::MAX`.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
