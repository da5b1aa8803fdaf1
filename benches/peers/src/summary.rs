//! Medians over the rounds.

use crate::cells::Cell;
use crate::record::{Outcome, Record};
use crate::system::System;

/// A median with the range it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Summary {
    /// `None` where there is nothing.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), least, most })
    }
}

/// The results of a run.
pub(crate) struct Results(pub(crate) Vec<Record>);

impl Results {
    /// Whether anything of this system was measured.
    pub(crate) fn has(&self, system: System) -> bool {
        self.0.iter().any(|record| record.system == system.id())
    }

    fn summary(&self, system: System, pick: impl Fn(&Outcome) -> Option<f64>) -> Option<Summary> {
        let of_system = self.0.iter().filter(|record| record.system == system.id());
        Summary::of(of_system.filter_map(|record| pick(&record.result)).collect())
    }

    /// Messages confirmed per second.
    pub(crate) fn published(&self, system: System, wanted: Cell) -> Option<Summary> {
        self.summary(system, |result| match result {
            Outcome::Throughput { cell, published, .. } => (*cell == wanted).then_some(*published),
            Outcome::Latency { .. } | Outcome::Bare { .. } | Outcome::Memory { .. } => None,
        })
    }

    /// Messages done per second, over all subscribers.
    pub(crate) fn delivered(&self, system: System, wanted: Cell) -> Option<Summary> {
        self.summary(system, |result| match result {
            Outcome::Throughput { cell, delivered, .. } => (*cell == wanted).then_some(*delivered),
            Outcome::Latency { .. } | Outcome::Bare { .. } | Outcome::Memory { .. } => None,
        })
    }

    /// Synced appends per second.
    pub(crate) fn bare(&self, wanted: usize) -> Option<Summary> {
        self.summary(System::Bare, |result| match result {
            Outcome::Bare { bytes, per_second } => (*bytes == wanted).then_some(*per_second),
            Outcome::Throughput { .. } | Outcome::Latency { .. } | Outcome::Memory { .. } => None,
        })
    }

    /// Rate that was held, median, 99th percentile and maximum in microseconds.
    pub(crate) fn latency(&self, system: System) -> Option<[Summary; 4]> {
        let part = |index: usize| {
            self.summary(system, |result| match result {
                Outcome::Latency { per_second, p50_us, p99_us, max_us } => {
                    Some([*per_second, *p50_us, *p99_us, *max_us][index])
                }
                Outcome::Throughput { .. } | Outcome::Bare { .. } | Outcome::Memory { .. } => None,
            })
        };
        Some([part(0)?, part(1)?, part(2)?, part(3)?])
    }

    /// Resident memory after the load and at its most, in KiB.
    pub(crate) fn memory(&self, system: System) -> Option<[Summary; 2]> {
        let part = |index: usize| {
            self.summary(system, |result| match result {
                Outcome::Memory { resident_kib, peak_kib } => {
                    Some([*resident_kib as f64, *peak_kib as f64][index])
                }
                Outcome::Throughput { .. } | Outcome::Latency { .. } | Outcome::Bare { .. } => None,
            })
        };
        Some([part(0)?, part(1)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle_and_between_the_two_middle_ones_of_an_even_count() {
        let summary = |values: &[f64]| Summary::of(values.to_vec());
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&[3.0, 1.0, 2.0]), Some(Summary { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(summary(&[4.0, 1.0]), Some(Summary { median: 2.5, least: 1.0, most: 4.0 }));
    }
}
