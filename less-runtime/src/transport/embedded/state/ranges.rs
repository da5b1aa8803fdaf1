//! A set of message numbers as sorted ranges: what a replay still has to hand out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Seq;

/// Disjoint half-open ranges, by their beginning.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Ranges(BTreeMap<Seq, Seq>);

impl Ranges {
    /// Adds a range that overlaps none.
    pub(super) fn add(&mut self, from: Seq, to: Seq) {
        if from < to {
            self.0.insert(from, to);
        }
    }

    /// Takes a number out. Returns whether it was in.
    pub(super) fn remove(&mut self, seq: Seq) -> bool {
        let Some((&from, &to)) = self.0.range(..=seq).next_back() else { return false };
        if seq >= to {
            return false;
        }
        self.0.remove(&from);
        self.add(from, seq);
        self.add(seq + 1, to);
        true
    }

    pub(super) fn contains(&self, seq: Seq) -> bool {
        self.0.range(..=seq).next_back().is_some_and(|(_, to)| seq < *to)
    }

    /// The first number in the set from `seq` on.
    pub(super) fn next(&self, seq: Seq) -> Option<Seq> {
        if self.contains(seq) {
            return Some(seq);
        }
        self.0.range(seq..).next().map(|(from, _)| *from)
    }

    pub(super) fn first(&self) -> Option<Seq> {
        self.0.first_key_value().map(|(from, _)| *from)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_a_number_out_splits_its_range() {
        let mut ranges = Ranges::default();
        ranges.add(5, 8);
        ranges.add(10, 11);
        assert!(ranges.remove(6) && !ranges.remove(6) && !ranges.remove(9));
        assert_eq!(
            (ranges.next(0), ranges.next(6), ranges.next(8), ranges.next(11)),
            (Some(5), Some(7), Some(10), None)
        );
        assert_eq!(ranges.len(), 3);
        assert!(ranges.remove(5) && ranges.remove(7) && ranges.remove(10) && ranges.is_empty());
    }
}
