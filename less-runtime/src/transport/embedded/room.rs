//! Room on the disk: publishing is refused before it takes what acks and dead letters need, and goes on by itself when there is more.

use std::time::{Duration, Instant};

use crate::publish::PublishError;

/// How long what the disk has free is believed, but for what is written meanwhile.
const FREE_FOR: Duration = Duration::from_millis(50);
/// With less room than this many times the reserve, a warning is logged.
const WARN_AT: u64 = 8;
/// What a record takes beside its body, about.
const FRAME: u64 = 64;

/// What the log was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Enough,
    Little,
    Refused,
}

/// What the disk has free, as far as it is known.
#[derive(Debug)]
pub(super) struct Room {
    reserve: u64,
    free: Option<(Instant, u64)>,
    said: Said,
}

impl Room {
    pub(super) fn new(reserve: u64) -> Self {
        Self { reserve, free: None, said: Said::Enough }
    }

    /// Takes room for a body of this size, or refuses it. `ask` asks the disk.
    pub(super) fn take(&mut self, size: u64, ask: impl FnOnce() -> u64) -> Result<(), PublishError> {
        let known = self.free.filter(|(at, free)| at.elapsed() < FREE_FOR && *free > self.reserve + size);
        let free = known.map_or_else(ask, |(_, free)| free);
        if known.is_none() {
            self.free = Some((Instant::now(), free));
        }
        let refused = free < self.reserve.saturating_add(size);
        if known.is_none() || refused {
            self.tell(free, refused);
        }
        if refused {
            let reserve = self.reserve;
            let need =
                format!("{free} bytes are free on the data folder's disk, {reserve} are kept for acks");
            return Err(PublishError::Full(need));
        }
        if let Some((_, free)) = &mut self.free {
            *free = free.saturating_sub(size + FRAME);
        }
        Ok(())
    }

    /// Says it once when there is little, when publishing is refused, and when it goes on.
    fn tell(&mut self, free: u64, refused: bool) {
        let reserve = self.reserve;
        let now = match refused {
            true => Said::Refused,
            false if free < reserve.saturating_mul(WARN_AT) => Said::Little,
            false => Said::Enough,
        };
        match (self.said, now) {
            (Said::Refused, Said::Little | Said::Enough) => {
                tracing::warn!("publishing goes on: {free} bytes are free for the data folder");
            }
            (Said::Enough, Said::Little) => {
                tracing::warn!(
                    "{free} bytes are free for the data folder; below {reserve} publishing is refused"
                );
            }
            (Said::Enough | Said::Little, Said::Refused) => {
                tracing::error!(
                    "publishing is refused (507): {free} bytes are free for the data folder, and {reserve} are kept for acks and dead letters, which go on; it goes on by itself when there is room"
                );
            }
            (Said::Enough, Said::Enough)
            | (Said::Little, Said::Little | Said::Enough)
            | (Said::Refused, Said::Refused) => {}
        }
        self.said = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_refused_before_the_reserve_is_touched_and_taken_again_when_there_is_more() {
        let mut room = Room::new(100);
        let mut steps = Vec::new();
        for free in [10_000, 700, 105, 104, 700, 10_000] {
            // As if the last look were long ago.
            room.free = None;
            steps.push((room.take(5, || free).is_ok(), room.said));
        }
        let expected = [
            (true, Said::Enough),
            (true, Said::Little),
            (true, Said::Little),
            (false, Said::Refused),
            (true, Said::Little),
            (true, Said::Enough),
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn what_is_taken_counts_until_the_disk_is_asked_again() {
        let mut room = Room::new(0);
        room.take(100, || 1_000).unwrap();
        let known = room.free.unwrap().1;
        assert_eq!(known, 1_000 - 100 - FRAME);
        // A full disk is asked each time.
        room.free = Some((Instant::now(), 10));
        assert!(room.take(100, || 1_000).is_ok());
    }
}
