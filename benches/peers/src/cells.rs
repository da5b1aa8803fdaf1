//! What is varied.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// Subscribers of the topic.
    pub(crate) subscribers: usize,
    /// Size of a body.
    pub(crate) bytes: usize,
    /// Publishes that are not confirmed yet, at most.
    pub(crate) in_flight: usize,
}

/// The bodies' sizes.
pub(crate) const SIZES: [usize; 2] = [256, 1024];
/// One at a time, and as many as keep every system busy.
pub(crate) const IN_FLIGHT: [usize; 2] = [1, 256];
/// Rate, subscribers and body of the latency run.
pub(crate) const RATE: u32 = 2000;
pub(crate) const RATE_SUBSCRIBERS: usize = 4;
pub(crate) const RATE_BYTES: usize = 256;
/// Writes of the bare log.
pub(crate) const BARE_WRITES: usize = 2000;

/// All combinations.
pub(crate) fn all() -> impl Iterator<Item = Cell> {
    load::FANOUTS.into_iter().flat_map(|(_, subscribers)| {
        SIZES.into_iter().flat_map(move |bytes| {
            IN_FLIGHT.into_iter().map(move |in_flight| Cell { subscribers, bytes, in_flight })
        })
    })
}

/// How long is published.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    /// Before anything is recorded: connections, caches, just-in-time compilers.
    pub(crate) warm_up: Duration,
    pub(crate) throughput: Duration,
    pub(crate) latency: Duration,
}

impl Lengths {
    pub(crate) fn new(quick: bool) -> Self {
        let [warm_up, throughput, latency] = if quick { [200, 400, 1500] } else { [1000, 2000, 5000] };
        Self {
            warm_up: Duration::from_millis(warm_up),
            throughput: Duration::from_millis(throughput),
            latency: Duration::from_millis(latency),
        }
    }
}
