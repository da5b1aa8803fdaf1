//! Which call meets which fault.

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::{ANY, Entries, Fault};

/// Which calls of its operation a rule is for, counted from when it was added.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// Every one.
    Always,
    /// The first so many.
    First(u64),
    /// This one alone, from 1.
    Nth(u64),
    /// Each with this probability.
    Chance(f64),
}

/// Rules, and the chance that some leave things to.
#[derive(Debug)]
pub(crate) struct Rules {
    list: Vec<Rule>,
    chance: StdRng,
}

#[derive(Debug)]
struct Rule {
    operation: String,
    when: When,
    fault: Fault,
    seen: u64,
}

impl Rules {
    pub(crate) fn new(seed: u64) -> Self {
        Self { list: Vec::new(), chance: StdRng::seed_from_u64(seed) }
    }

    pub(crate) fn add(&mut self, operation: &str, when: When, fault: Fault) {
        self.list.push(Rule { operation: operation.to_owned(), when, fault, seen: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// What a call of this operation meets. A rule counts every call that is for it, also one that an earlier rule decided on.
    pub(crate) fn decide(&mut self, operation: &str) -> Option<Fault> {
        let mut decided = None;
        for rule in &mut self.list {
            if rule.operation != operation && rule.operation != ANY {
                continue;
            }
            rule.seen += 1;
            let applies = match rule.when {
                When::Always => true,
                When::First(calls) => rule.seen <= calls,
                When::Nth(call) => rule.seen == call,
                When::Chance(probability) => self.chance.random_bool(probability),
            };
            if applies && decided.is_none() {
                decided = Some(rule.fault.clone());
            }
        }
        decided
    }

    /// Places of a batch with so many entries.
    pub(crate) fn choose(&mut self, which: &Entries, count: usize) -> Vec<usize> {
        match which {
            Entries::All => (0..count).collect(),
            Entries::At(places) => places.iter().copied().filter(|place| *place < count).collect(),
            Entries::Chance(probability) => {
                let mut places: Vec<usize> =
                    (0..count).filter(|_| self.chance.random_bool(*probability)).collect();
                if places.is_empty() && count > 0 {
                    places.push(self.chance.random_range(0..count));
                }
                places
            }
        }
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        list.shuffle(&mut self.chance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_applies_decides() {
        let mut rules = Rules::new(1);
        rules.add("Publish", When::Nth(2), Fault::Cut);
        rules.add(ANY, When::First(3), Fault::Drop);
        assert_eq!(rules.decide("Publish"), Some(Fault::Drop));
        assert_eq!(rules.decide("Publish"), Some(Fault::Cut));
        assert_eq!(rules.decide("ReceiveMessage"), Some(Fault::Drop));
        assert_eq!(rules.decide("Publish"), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let mut rules = Rules::new(seed);
            rules.add(ANY, When::Chance(0.3), Fault::Hang);
            (0..50).map(|_| rules.decide("Publish").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        assert_ne!(run(5), run(6));
        assert!(run(5).contains(&true) && run(5).contains(&false));
    }

    #[test]
    fn chance_takes_at_least_one_entry() {
        let mut rules = Rules::new(1);
        assert_eq!(rules.choose(&Entries::Chance(0.0), 10).len(), 1);
        assert_eq!(rules.choose(&Entries::Chance(0.0), 0), [] as [usize; 0]);
        assert_eq!(rules.choose(&Entries::At(vec![1, 7]), 3), [1]);
    }
}
