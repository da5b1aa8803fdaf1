//! How many publishers share a sync: those who came during the last one, and those whom it has answered, for they are about to publish again.

use std::time::Duration;

use super::inbox::Inbox;

/// With fewer publishers at the same time, they are waited for only where something else would be synced without them.
const CROWD: usize = 8;
/// How long one more publisher is waited for, and all of them.
const EACH: Duration = Duration::from_micros(2);
const MOST: Duration = Duration::from_micros(400);
/// How long one of a few is waited for while consumers wait for their leases. A sync of their own would hold up its next publish for longer.
const FEW: Duration = Duration::from_micros(80);
/// After waiting in vain, this many writes go without, then twice as many, up to the second number.
const PAUSES: (u32, u32) = (4, 256);

#[derive(Default)]
pub(super) struct Crowd {
    /// Publishes since the last write.
    pub(super) published: usize,
    many: Patience,
    few: Patience,
}

/// Whether waiting was worth it lately.
#[derive(Default)]
struct Patience {
    /// How many writes are to go without waiting, and how many after the next time in vain.
    without: u32,
    pause: u32,
}

impl Patience {
    /// Whether to wait this time.
    fn has(&mut self) -> bool {
        let has = self.without == 0;
        self.without = self.without.saturating_sub(1);
        has
    }

    /// Halved, not begun anew: where one in a few comes by chance, waiting is not worth it.
    fn kept(&mut self) {
        self.pause = (self.pause / 2).max(PAUSES.0);
    }

    fn lost(&mut self) {
        self.without = self.pause;
        self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
    }
}

impl Crowd {
    /// Whether several have published since the last write, and the writer has enough to do for them.
    pub(super) fn is_several(&self) -> bool {
        self.published > 1
    }

    /// Waits a little for those who are about to publish. One publisher alone is never held up by that.
    /// `leases` says whether there are leases to be synced.
    pub(super) fn gather(&mut self, inbox: &Inbox, leases: bool) {
        let answered = std::mem::take(&mut self.published);
        if answered == 0 {
            return;
        }
        if answered < CROWD {
            if inbox.publishes() == 0 && (leases || inbox.holds_urgent()) && self.few.has() {
                if inbox.gather(1, FEW) { self.few.kept() } else { self.few.lost() }
            }
            return;
        }
        if !self.many.has() {
            return;
        }
        let here = inbox.publishes();
        let missing = u32::try_from(answered).unwrap_or(u32::MAX);
        if inbox.gather(here + answered, EACH.saturating_mul(missing).min(MOST)) {
            self.many.kept();
        } else if inbox.publishes() < here + answered * 3 / 4 {
            self.many.lost();
        }
    }
}
