//! What became of each resource, a line each.

use std::sync::atomic::{AtomicUsize, Ordering};

use less_runtime::transport::aws::provision::{Done, Kind};

use crate::ui;

/// Counts what is done.
pub struct Progress {
    total: usize,
    done: AtomicUsize,
}

impl Progress {
    /// Towards this many.
    pub fn of(total: usize) -> Self {
        Self { total, done: AtomicUsize::new(0) }
    }

    /// Says what was done.
    pub fn report(&self, kind: Kind, name: &str, done: Done) {
        let word = match done {
            Done::Created => "created",
            Done::Changed => "changed",
            Done::Ended => "ended the old",
            Done::Waiting => {
                ui::say(&format!(
                    "  {kind} {name} was deleted less than a minute ago; AWS makes it again after that, waiting"
                ));
                return;
            }
        };
        self.line(&format!("{word} {kind} {name}"));
    }

    /// Says that something was removed.
    pub fn removed(&self, what: &str) {
        self.line(&format!("removed {what}"));
    }

    fn line(&self, text: &str) {
        let number = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        ui::say(&format!("  {number}/{} {text}", self.total));
    }
}
