//! What the writer does, told at the trace level: who wonders why something took long sees whether the disk was at it, or the store.

/// The target under which the steps are told, each in a field `step`.
pub(super) const TARGET: &str = "less_runtime::steps";

/// Whatever was acknowledged until now is part of the next write.
pub(super) fn taking() {
    tracing::trace!(target: TARGET, step = "taking");
}

/// What was taken is on stable storage.
pub(super) fn synced() {
    tracing::trace!(target: TARGET, step = "synced");
}

/// The disk is asked for something, until this is dropped.
pub(super) struct AtDisk;

impl AtDisk {
    pub(super) fn begin() -> Self {
        tracing::trace!(target: TARGET, step = "disk");
        Self
    }
}

impl Drop for AtDisk {
    fn drop(&mut self) {
        tracing::trace!(target: TARGET, step = "store");
    }
}
