//! How many publishers share a sync: those who came during the last one, and those whom it has answered, for they are about to publish again.

use std::time::Duration;

use super::inbox::Inbox;

/// With fewer publishers at the same time, nobody is waited for.
const CROWD: usize = 8;
/// How long one more publisher is waited for, and all of them.
const EACH: Duration = Duration::from_micros(2);
const MOST: Duration = Duration::from_micros(400);
/// After waiting in vain, this many writes go without, then twice as many, up to the second number.
const PAUSES: (u32, u32) = (4, 256);

#[derive(Default)]
pub(super) struct Crowd {
    /// Publishes since the last write.
    pub(super) published: usize,
    /// How many writes are to go without waiting, and how many after the next time in vain.
    without: u32,
    pause: u32,
}

impl Crowd {
    /// Waits a little for those who are about to publish. One publisher alone never waits.
    pub(super) fn gather(&mut self, inbox: &Inbox) {
        let answered = std::mem::take(&mut self.published);
        if answered < CROWD {
            return;
        }
        if self.without > 0 {
            self.without -= 1;
            return;
        }
        let here = inbox.publishes();
        let missing = u32::try_from(answered).unwrap_or(u32::MAX);
        if inbox.gather(here + answered, EACH.saturating_mul(missing).min(MOST)) {
            self.pause = PAUSES.0;
        } else if inbox.publishes() < here + answered * 3 / 4 {
            self.without = self.pause;
            self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
        }
    }
}
