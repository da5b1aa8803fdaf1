//! `less.lock`: who compares, who refuses, who writes. What is compared, and how, is in the model.

use anyhow::Context as _;
use less_model::diagnostic::{Diagnostic, Severity};
use less_model::lock::{FILE, Review};

use crate::output;
use crate::project::{Project, Read};
use crate::ui;

/// What a command does about changes since the lock was written.
pub enum Locking<'a> {
    /// It refuses what breaks somebody: `build`, `start`, `deploy`.
    Refuse,
    /// It takes that, too: `build --accept-breaking`.
    Accept,
    /// It says what `build` would refuse, goes on, and leaves the lock alone: `dev`. What was said before is not said again.
    Tell(&'a mut Vec<Diagnostic>),
    /// It asks nothing: `new`.
    Skip,
}

/// A lock that is to be written when the app is built: what can't be compiled is nobody's type.
#[derive(Default)]
pub struct Pending {
    review: Review,
    accepted: bool,
}

/// Compares an app with its lock: what is to be written, and what is to be said.
pub fn review(read: &Read, locking: Locking) -> (Pending, Vec<Diagnostic>) {
    let review = || less_model::lock::review(&read.tree, &read.app);
    match locking {
        Locking::Skip => (Pending::default(), Vec::new()),
        Locking::Refuse => {
            let review = review();
            let said = review.errors();
            (Pending { review, accepted: false }, said)
        }
        Locking::Accept => {
            let review = review();
            let said = review.warnings();
            (Pending { review, accepted: true }, said)
        }
        Locking::Tell(told) => {
            let as_warning = |found| Diagnostic { severity: Severity::Warning, ..found };
            let said: Vec<Diagnostic> = review().warnings().into_iter().map(as_warning).collect();
            let news = if said == *told { Vec::new() } else { said.clone() };
            *told = said;
            (Pending::default(), news)
        }
    }
}

impl Pending {
    /// Writes the lock, where it is out of date.
    pub fn write(&self, project: &Project) -> anyhow::Result<()> {
        if !self.review.stale {
            return Ok(());
        }
        let path = project.root.join(FILE);
        output::replace(&path, &self.review.text)
            .with_context(|| format!("can't write {}", path.display()))?;
        ui::say(&format!("{} {FILE}: commit it", if self.review.exists { "updated" } else { "wrote" }));
        if self.accepted && !self.review.breaking.is_empty() {
            self.say_what_follows();
        }
        Ok(())
    }

    /// What writing would do, as a line.
    pub fn difference(&self) -> Option<&'static str> {
        match (self.review.stale, self.review.exists) {
            (false, _) => None,
            (true, true) => Some("  changed: less.lock"),
            (true, false) => Some("  missing: less.lock"),
        }
    }

    fn say_what_follows(&self) {
        ui::say(&format!("accepted {}", ui::count(self.review.breaking.len(), "breaking change")));
        for topic in &self.review.stored {
            ui::say(&format!(
                "messages of `{topic}` that are stored and no longer fit become dead letters with the reason `schema`, without a retry; `less dlq list` shows them"
            ));
        }
    }
}
