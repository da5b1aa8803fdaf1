//! What a store did by its own account: when it took acks, when they were synced, and when it waited for the disk.

use crate::event::What;

/// The steps of one process. Times are in microseconds since 1970.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    /// When acks were last taken.
    taking: u64,
    /// What was acked before is on stable storage.
    synced: u64,
    /// Since when the disk is asked for something.
    asked: Option<u64>,
    /// When it was, from and to.
    at_disk: Vec<(u64, u64)>,
}

impl Steps {
    pub(super) fn take(&mut self, what: What, at: u64) {
        match what {
            What::Taking => self.taking = at,
            What::Synced => self.synced = self.taking,
            What::AtDisk => self.asked = Some(at),
            What::Answered => self.end(at),
            _ => {}
        }
    }

    /// The process ended, or was stopped.
    pub(super) fn end(&mut self, at: u64) {
        self.at_disk.extend(self.asked.take().map(|from| (from, at)));
    }

    /// Whether what was acked at that time was synced.
    pub(super) fn holds(&self, acked: u64) -> bool {
        acked < self.synced
    }

    /// How much of the time between two moments the disk took.
    pub(super) fn disk_between(&self, from: u64, to: u64) -> u64 {
        let part = |(began, ended): &(u64, u64)| (*ended).min(to).saturating_sub((*began).max(from));
        self.at_disk.iter().map(part).sum()
    }
}
