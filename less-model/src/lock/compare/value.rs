//! Single values: whether fewer fit than before, and whether those who know the old type can hold the others.

use super::Readers;
use crate::shape::{Array, Bound, Bounds, Integer, Text};

/// Whether an old value may not fit, and what becomes of readers.
pub(super) type Verdict = (bool, Readers);

/// A schema's integers are `i64`, or `u64` where none is negative; Rust's have the bounds of their type.
pub(super) fn integers(old: Integer, new: Integer, exact: bool) -> Verdict {
    let narrower = new.min > old.min || new.max < old.max;
    let wider = new.min < old.min || new.max > old.max;
    let holds = |number: i128| {
        if old.min < 0 { i64::try_from(number).is_ok() } else { u64::try_from(number).is_ok() }
    };
    let held = !exact && holds(new.min) && holds(new.max);
    (narrower, if wider && !held { Readers::New } else { Readers::Fine })
}

/// Integers that became numbers: who expects a whole number gets a fraction.
pub(super) fn loosened(old: Integer, new: &Bounds) -> Verdict {
    #[allow(clippy::cast_precision_loss, reason = "a bound that is off by less than one part in 2^53")]
    let (least, greatest) = (old.min as f64, old.max as f64);
    let below = |bound: &Bound| {
        bound.value.as_f64().is_some_and(|limit| least < limit || (bound.exclusive && least <= limit))
    };
    let above = |bound: &Bound| {
        bound.value.as_f64().is_some_and(|limit| greatest > limit || (bound.exclusive && greatest >= limit))
    };
    (new.min.as_ref().is_some_and(below) || new.max.as_ref().is_some_and(above), Readers::Broken)
}

/// Every language has one type for all of them.
pub(super) fn numbers(old: &Bounds, new: &Bounds) -> Verdict {
    let tighter = |old: &Option<Bound>, new: &Option<Bound>, sign: f64| {
        let Some(new) = new else { return false };
        let Some(old) = old else { return true };
        let (Some(before), Some(after)) = (old.value.as_f64(), new.value.as_f64()) else { return true };
        let (before, after) = (before * sign, after * sign);
        #[allow(clippy::float_cmp, reason = "the same digits are the same number")]
        let same = after == before;
        after > before || (same && new.exclusive && !old.exclusive)
    };
    (tighter(&old.min, &new.min, 1.0) || tighter(&old.max, &new.max, -1.0), Readers::Fine)
}

/// Lengths are in no language's type, but for `char`; a format may be what a reader parses, or the Rust type itself.
pub(super) fn texts(old: Text, new: Text, exact: bool) -> Verdict {
    let shorter = fewer(old.max_length, new.max_length);
    let narrower = new.min_length > old.min_length || shorter;
    let wider = new.min_length < old.min_length || fewer(new.max_length, old.max_length);
    let (other, broken) = match (old.format, new.format) {
        (old, new) if old == new => (false, false),
        (None, _) => (true, false),
        (Some(_), None) => (false, true),
        (Some(_), Some(_)) => (true, true),
    };
    let readers = match (broken, wider && exact) {
        (true, _) => Readers::Broken,
        (false, true) => Readers::New,
        (false, false) => Readers::Fine,
    };
    (narrower || other, readers)
}

/// Words that became any text.
pub(super) fn spelled(old: &[String], new: Text) -> Verdict {
    let fits = |word: &String| has_length(word, new) && new.format.is_none_or(|format| format.fits(word));
    (!old.iter().all(fits), Readers::Broken)
}

/// Any text that became one of these words: texts like any other, unless readers parse them.
pub(super) fn listed(old: Text, new: &[String], exact: bool) -> Verdict {
    let other = |word: &String| old.format.is_some_and(|format| !format.fits(word));
    let readers = if new.iter().any(other) {
        Readers::Broken
    } else if exact && !new.iter().all(|word| has_length(word, old)) {
        Readers::New
    } else {
        Readers::Fine
    };
    (true, readers)
}

fn has_length(word: &str, rules: Text) -> bool {
    let count = word.chars().count() as u64;
    count >= rules.min_length && rules.max_length.is_none_or(|most| count <= most)
}

/// Rust's arrays and tuples have their length in their type.
pub(super) fn arrays(old: &Array, new: &Array, exact: bool) -> Verdict {
    let narrower = new.min_items > old.min_items || fewer(old.max_items, new.max_items);
    let wider = new.min_items < old.min_items || fewer(new.max_items, old.max_items);
    (narrower, if wider && exact { Readers::New } else { Readers::Fine })
}

/// Whether the second limit is the lower one; none is no limit.
fn fewer(old: Option<u64>, new: Option<u64>) -> bool {
    match (old, new) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(old), Some(new)) => new < old,
    }
}
