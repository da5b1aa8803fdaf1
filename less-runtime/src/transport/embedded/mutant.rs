//! Deliberate bugs, so that the fault tests can show that they would find such. Compiled in with the feature `mutants` alone, and then switched on
//! by `LESS_MUTANT`; no release has them.

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// Nothing is synced.
    NoSync,
    /// New files' names are not synced.
    NoFolderSync,
    /// Publishes are acknowledged before they are written.
    AckBeforeWrite,
    /// An attempt is counted in memory only.
    AttemptLate,
    /// An ending of an attempt that is over counts.
    NoFence,
    /// The write that takes a dead letter out of its queue is not the one that makes it a dead letter.
    DeadNotAtomic,
}

#[cfg(feature = "mutants")]
impl Mutant {
    fn name(self) -> &'static str {
        match self {
            Self::NoSync => "no_sync",
            Self::NoFolderSync => "no_folder_sync",
            Self::AckBeforeWrite => "ack_before_write",
            Self::AttemptLate => "attempt_late",
            Self::NoFence => "no_fence",
            Self::DeadNotAtomic => "dead_not_atomic",
        }
    }

    /// Whether this bug is switched on.
    pub(super) fn on(self) -> bool {
        static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
        CHOSEN.get_or_init(|| std::env::var("LESS_MUTANT").ok()).as_deref() == Some(self.name())
    }
}

#[cfg(not(feature = "mutants"))]
impl Mutant {
    /// Never: this build has no bugs on purpose.
    #[expect(clippy::unused_self, reason = "it stands for one that looks")]
    pub(super) const fn on(self) -> bool {
        false
    }
}
