//! Time that never goes back, and that the driver and the app agree on where both need it.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

static START: LazyLock<(Instant, u64)> = LazyLock::new(|| {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Instant::now(), u64::try_from(age.as_nanos()).unwrap_or(u64::MAX))
});

/// Nanoseconds since the Unix epoch, as it was when this was first called, and steady from then on.
pub fn now() -> u64 {
    let (instant, epoch) = *START;
    epoch + u64::try_from(instant.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
