//! What became of a queue's messages, from the first unfinished one on: a byte each, and runs when stored.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Seq;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) enum Mark {
    /// Its first attempt has not begun.
    Waiting,
    /// Its first attempt has begun.
    Leased,
    /// It was attempted before: the queue's `open` says more.
    Open,
    /// Nothing more is to be done.
    Finished,
}

/// The marks of a queue. Every message before the floor is finished, every one from the end on waits.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in super::super) struct Marks {
    floor: Seq,
    marks: VecDeque<Mark>,
}

impl Marks {
    pub(super) fn new(floor: Seq) -> Self {
        Self { floor, marks: VecDeque::new() }
    }

    /// The first unfinished message.
    pub(in super::super) fn floor(&self) -> Seq {
        self.floor
    }

    /// From here on every message waits.
    pub(super) fn end(&self) -> Seq {
        self.floor + self.marks.len() as u64
    }

    pub(in super::super) fn get(&self, seq: Seq) -> Mark {
        match seq.checked_sub(self.floor) {
            None => Mark::Finished,
            Some(at) => {
                let mark = usize::try_from(at).ok().and_then(|at| self.marks.get(at));
                mark.copied().unwrap_or(Mark::Waiting)
            }
        }
    }

    /// Marks a message; one before the floor stays finished.
    pub(super) fn set(&mut self, seq: Seq, mark: Mark) {
        let Some(at) = seq.checked_sub(self.floor).and_then(|at| usize::try_from(at).ok()) else { return };
        if at == 0 && mark == Mark::Finished {
            self.marks.pop_front();
            self.floor += 1;
            while self.marks.front() == Some(&Mark::Finished) {
                self.marks.pop_front();
                self.floor += 1;
            }
            return;
        }
        if at >= self.marks.len() {
            self.marks.resize(at + 1, Mark::Waiting);
        }
        self.marks[at] = mark;
    }

    /// Marks every message from `from` up to `to` that is not finished. Returns how many those are.
    pub(super) fn advance(&mut self, from: Seq, to: Seq, mark: Mark) -> u64 {
        let at = |seq: Seq| usize::try_from(seq.saturating_sub(self.floor)).unwrap_or(usize::MAX);
        let (from, to) = (at(from), at(to));
        if to > self.marks.len() {
            self.marks.resize(to, Mark::Waiting);
        }
        let mut count = 0;
        for known in self.marks.range_mut(from..to).filter(|known| **known != Mark::Finished) {
            *known = mark;
            count += 1;
        }
        let finished = self.marks.iter().take_while(|mark| **mark == Mark::Finished).count();
        self.marks.drain(..finished);
        self.floor += finished as u64;
        count
    }

    /// The messages from the floor to the end, each with its mark.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Seq, Mark)> {
        (self.floor..).zip(self.marks.iter().copied())
    }

    pub(super) fn count(&self, wanted: Mark) -> u64 {
        self.marks.iter().filter(|mark| **mark == wanted).count() as u64
    }
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut runs: Vec<(Mark, u64)> = Vec::new();
        for mark in &self.marks {
            match runs.last_mut() {
                Some((last, count)) if last == mark => *count += 1,
                _ => runs.push((*mark, 1)),
            }
        }
        (self.floor, runs).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (floor, runs) = <(Seq, Vec<(Mark, u64)>)>::deserialize(deserializer)?;
        // More than memory holds can't have been written.
        if runs.iter().map(|(_, count)| *count).fold(0, u64::saturating_add) > u64::from(u32::MAX) {
            return Err(serde::de::Error::custom("too many marks"));
        }
        let mut marks = VecDeque::new();
        for (mark, count) in runs {
            marks.extend(std::iter::repeat_n(mark, usize::try_from(count).unwrap_or(0)));
        }
        Ok(Self { floor, marks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_rises_over_what_is_finished_and_no_further() {
        let mut marks = Marks::new(5);
        marks.set(5, Mark::Leased);
        marks.set(7, Mark::Finished);
        assert_eq!((marks.floor(), marks.end()), (5, 8));
        assert_eq!(marks.get(6), Mark::Waiting);
        marks.set(5, Mark::Finished);
        assert_eq!(marks.floor(), 6);
        marks.set(6, Mark::Finished);
        assert_eq!((marks.floor(), marks.end()), (8, 8));
        assert_eq!((marks.get(7), marks.get(8)), (Mark::Finished, Mark::Waiting));
    }

    #[test]
    fn a_message_finished_at_the_floor_without_a_mark_is_passed() {
        let mut marks = Marks::new(3);
        marks.set(3, Mark::Finished);
        assert_eq!((marks.floor(), marks.end()), (4, 4));
    }

    #[test]
    fn many_at_once_are_the_same_as_one_by_one() {
        for mark in [Mark::Leased, Mark::Finished, Mark::Open] {
            for (from, to) in [(0, 3), (3, 9), (5, 6), (6, 20), (9, 9), (15, 18)] {
                let mut known = Marks::new(5);
                for (seq, mark) in
                    [(6, Mark::Leased), (7, Mark::Finished), (9, Mark::Open), (12, Mark::Leased)]
                {
                    known.set(seq, mark);
                }
                let mut single = known.clone();
                let mut count = 0;
                for seq in from..to {
                    if single.get(seq) != Mark::Finished {
                        single.set(seq, mark);
                        count += 1;
                    }
                }
                assert_eq!(known.advance(from, to, mark), count, "{from}..{to} {mark:?}");
                assert_eq!(known, single, "{from}..{to} {mark:?}");
            }
        }
    }

    #[test]
    fn what_is_stored_as_runs_reads_back_the_same() {
        let mut marks = Marks::new(100);
        for (seq, mark) in
            [(101, Mark::Finished), (102, Mark::Finished), (103, Mark::Open), (110, Mark::Leased)]
        {
            marks.set(seq, mark);
        }
        let bytes = postcard::to_allocvec(&marks).expect("it can be written");
        assert_eq!(postcard::from_bytes::<Marks>(&bytes).expect("it can be read"), marks);
    }
}
