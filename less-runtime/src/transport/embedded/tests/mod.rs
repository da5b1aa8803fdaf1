//! The embedded broker against the suite, against a disk that fails, against power cuts, and against its own locks.

mod compaction;
mod crash;
mod damage;
mod fault_disk;
mod filtered;
mod folder;
mod golden;
mod guests;
mod laid;
mod model;
mod relied;
mod restore;
mod runs;
mod seeds;
mod suspects;
mod takers;
mod witnessed;

use std::sync::Arc;

use async_trait::async_trait;

use super::provision::open_disk;
use super::{Embedded, Options};
use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::ByHand;
use crate::transport::{Layout, Transport, TransportError};
use fault_disk::FaultDisk;

/// Where the tests' clock begins.
const NOON: u64 = 1_800_000_000_000;

/// Segments so small that every test rotates and checkpoints, and no cache, so that every body is read from the disk.
fn small() -> Options {
    Options { segment_size: 2_000, cache: 0, reserve: 0 }
}

fn open(disk: &Arc<FaultDisk>, layout: &Layout, clock: &ManualClock) -> Result<Embedded, TransportError> {
    open_disk(Arc::<FaultDisk>::clone(disk), layout, small(), Clock::Manual(clock.clone()), None)
}

struct Embed {
    disk: Arc<FaultDisk>,
    clock: ManualClock,
    options: Options,
}

#[async_trait]
impl ByHand for Embed {
    async fn open(&self, layout: &Layout) -> Arc<dyn Transport> {
        let disk = Arc::<FaultDisk>::clone(&self.disk);
        Arc::new(
            open_disk(disk, layout, self.options.clone(), Clock::Manual(self.clock.clone()), None)
                .expect("it opens"),
        )
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

fn harness(options: Options) -> Embed {
    Embed { disk: Arc::default(), clock: ManualClock::new(NOON), options }
}

mod small_segments {
    crate::suite!(super::harness(super::small()));
}

mod default_options {
    crate::suite!(super::harness(super::Options { reserve: 0, ..super::Options::default() }));
}
