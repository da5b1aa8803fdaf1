//! Holds what a store has against everything that was told of it: what could have become of each message of each subscription.

mod steps;

use std::collections::{BTreeMap, HashMap, HashSet};

use less_runtime::message::MessageId;
use less_runtime::transport::Ledger;

use self::steps::Steps;
use crate::event::{Event, Line, What};
use crate::workload::TOPIC_OF;

/// How long after an ack a crash may still take it back, in microseconds: what the store promises, and how late a busy machine comes to keep it. What
/// the store waits for the disk comes on top: it says when it does.
const ACK_BOUND: u64 = 250_000;

/// Its publish was not acknowledged and never stored.
const ABSENT: u8 = 1;
/// It waits, or is being handled.
const OPEN: u8 = 2;
const DONE: u8 = 4;
const DEAD: u8 = 8;
const PURGED: u8 = 16;

/// What is known of a message of a subscription.
#[derive(Debug, Clone)]
struct Known {
    /// What it may be, as far as was told.
    could: u8,
    /// When it was last acked, and by which process.
    acked: Option<(u64, usize)>,
    /// Whether that was in the present process.
    acked_here: bool,
    /// Fewest and most attempts that may have been counted, before the crashes since.
    attempts: (u32, u32),
    crashes: u64,
    /// Its key's message before it.
    before: Option<MessageId>,
    /// Whether it came back, or may have, out of its key's order: by a release, or a replay.
    again: bool,
    /// Whether one was asked for that has no answer: it may be delivered as if for the first time.
    asked_for: bool,
}

/// What was found, in all that was accounted for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    /// Publishes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Deliveries that were begun.
    pub(crate) started: u64,
    /// Deliveries of messages that had been acked: a crash took the ack back.
    pub(crate) duplicates: u64,
    /// The longest time from such an ack to the crash, in microseconds.
    pub(crate) oldest_duplicate: u64,
    /// The same without what the disk took of it.
    pub(crate) oldest_beside_disk: u64,
    /// How often the store said that all it had taken was synced. Without that, an ack that was synced and is taken back would not be found.
    pub(crate) syncs: u64,
    /// Acknowledged messages that a subscription neither gets nor has got, and dead letters that are gone.
    pub(crate) lost: u64,
    /// What is wrong, in words; the lost ones too.
    pub(crate) problems: Vec<String>,
}

/// The books that are kept beside a store, over all processes that use it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    known: HashMap<(u32, MessageId), Known>,
    /// The last message of every key, by topic.
    keys: HashMap<(u32, u32), MessageId>,
    /// Publishes of each topic: acknowledged, begun.
    published: BTreeMap<u32, (u64, u64)>,
    /// Purges of each subscription: confirmed, begun.
    purged: BTreeMap<u32, (u64, u64)>,
    crashes: u64,
    /// What the store of the present process does.
    steps: Steps,
    /// When each process before it ended, and what its store did. An ack may be taken back by the end of its own process, however late that shows.
    ended: Vec<(u64, Steps)>,
    looking: Option<Look>,
    pub(crate) findings: Findings,
}

/// What a look at the store has seen so far.
#[derive(Debug, Clone, Default)]
struct Look {
    open: HashSet<(u32, MessageId)>,
    dead: HashSet<(u32, MessageId)>,
    ledgers: BTreeMap<u32, Ledger>,
    drained: HashSet<u32>,
}

impl Findings {
    /// Counts others in.
    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            acknowledged,
            started,
            duplicates,
            oldest_duplicate,
            oldest_beside_disk,
            syncs,
            lost,
            mut problems,
        } = other;
        self.acknowledged += acknowledged;
        self.started += started;
        self.duplicates += duplicates;
        self.oldest_duplicate = self.oldest_duplicate.max(oldest_duplicate);
        self.oldest_beside_disk = self.oldest_beside_disk.max(oldest_beside_disk);
        self.syncs += syncs;
        self.lost += lost;
        self.problems.append(&mut problems);
    }
}

impl Book {
    /// The process ended without closing the store.
    pub(crate) fn crash(&mut self, at: u64) {
        self.crashes += 1;
        self.steps.end(at);
        self.ended.push((at, std::mem::take(&mut self.steps)));
        self.looking = None;
        self.known.values_mut().for_each(|known| known.acked_here = false);
    }

    /// What follows comes from a process that looks at the store.
    pub(crate) fn look(&mut self) {
        self.looking = Some(Look::default());
    }

    /// Ends a look that failed: everything that was acknowledged and not finished is out of reach.
    pub(crate) fn refused(&mut self, why: &str) {
        self.looking = None;
        let open = |known: &&Known| known.could & (ABSENT | DONE | PURGED) == 0;
        self.findings.lost += self.known.values().filter(open).count() as u64;
        self.problem(why.to_owned());
    }

    /// Ends a look: says what is missing.
    pub(crate) fn looked(&mut self) {
        let look = self.looking.take().unwrap_or_default();
        for subscription in 0..TOPIC_OF.len() {
            let subscription = u32::try_from(subscription).unwrap_or(0);
            if look.drained.contains(&subscription) {
                self.missing(&look, subscription);
                self.balance(&look, subscription);
            } else {
                self.problem(format!("subscription {subscription} was not looked through"));
            }
        }
    }

    /// Takes lines in.
    pub(crate) fn take(&mut self, lines: &[Line]) {
        for line in lines {
            match line {
                Line::Event(event) => self.event(event),
                Line::Books { subscription, ledger, .. } => {
                    if !ledger.balanced() || ledger.in_flight + ledger.replay.in_flight > 0 {
                        self.problem(format!("subscription {subscription}: the books are wrong: {ledger:?}"));
                    }
                    if let Some(look) = &mut self.looking {
                        look.ledgers.insert(*subscription, Ledger::clone(ledger));
                    }
                }
            }
        }
    }

    fn problem(&mut self, problem: String) {
        self.findings.problems.push(problem);
    }

    fn event(&mut self, event: &Event) {
        let Event { what, place, id, number, at } = event;
        match (what, id) {
            (What::Publishing, Some(id)) => self.publishing(*place, *id, *number),
            (What::Drained, None) => {
                if let Some(look) = &mut self.looking {
                    look.drained.insert(*place);
                }
            }
            (What::Closed, None) => {
                // All is written: what was acked stays so.
                for known in self.known.values_mut().filter(|known| known.acked_here) {
                    known.could = DONE;
                }
            }
            (What::Taking | What::AtDisk | What::Answered | What::Synced, None) => {
                self.findings.syncs += u64::from(*what == What::Synced);
                self.steps.take(*what, *at);
            }
            (What::Leasing | What::Opened | What::Failed, None) => {}
            (What::Published, Some(id)) => {
                self.findings.acknowledged += 1;
                self.published.entry(*place).or_default().0 += 1;
                for subscription in subscriptions_of(*place) {
                    if let Some(known) = self.known.get_mut(&(subscription, *id)) {
                        known.could &= !ABSENT;
                    }
                }
            }
            (what, Some(id)) => self.of_message(*what, *place, *id, *number, *at),
            (what, None) => self.problem(format!("{what:?} names no message")),
        }
    }

    fn publishing(&mut self, topic: u32, id: MessageId, key: u32) {
        self.published.entry(topic).or_default().1 += 1;
        let before = if key == 0 { None } else { self.keys.insert((topic, key), id) };
        for subscription in subscriptions_of(topic) {
            let known = Known {
                could: ABSENT | OPEN,
                acked: None,
                acked_here: false,
                attempts: (0, 0),
                crashes: self.crashes,
                before,
                again: false,
                asked_for: false,
            };
            self.known.insert((subscription, id), known);
        }
    }

    fn of_message(&mut self, what: What, place: u32, id: MessageId, number: u32, at: u64) {
        if what == What::Started {
            self.started(place, id, number);
        }
        let Some(known) = self.known.get_mut(&(place, id)) else {
            return self.problem(format!("subscription {place}: {what:?} {id}, which was never published"));
        };
        let anew = |known: &mut Known| {
            (known.could, known.attempts) = (OPEN, (0, 0));
            (known.acked, known.acked_here, known.crashes) = (None, false, self.crashes);
            known.asked_for = false;
        };
        match what {
            What::Acking => known.could |= DONE,
            What::Acked => (known.acked, known.acked_here) = (Some((at, self.ended.len())), true),
            What::HandingBack => known.attempts.0 = known.attempts.0.saturating_sub(1),
            What::Dying => known.could |= DEAD,
            What::Died => known.could = DEAD,
            What::Releasing | What::Replaying => {
                known.could |= OPEN;
                (known.again, known.asked_for) = (true, true);
            }
            What::Released | What::Replayed => anew(known),
            What::Purging => {
                known.could |= PURGED;
                self.purged.entry(place).or_default().1 += 1;
            }
            What::Purged => {
                known.could = PURGED;
                self.purged.entry(place).or_default().0 += 1;
            }
            What::Listed => {
                if known.could & DEAD == 0 {
                    let problem =
                        format!("subscription {place}: {id} is a dead letter, and nothing made it one");
                    self.findings.problems.push(problem);
                }
                known.could = DEAD;
                if let Some(look) = &mut self.looking {
                    look.dead.insert((place, id));
                }
            }
            What::Started
            | What::Retrying
            | What::Retried
            | What::Publishing
            | What::Published
            | What::Leasing
            | What::Opened
            | What::Drained
            | What::Closed
            | What::Failed
            | What::Taking
            | What::AtDisk
            | What::Answered
            | What::Synced => {}
        }
    }

    /// A delivery: the message must be open, its attempt must be the next one, and its key's message before it finished.
    fn started(&mut self, place: u32, id: MessageId, attempt: u32) {
        self.findings.started += 1;
        if let Some(look) = &mut self.looking {
            look.open.insert((place, id));
        }
        // The caller tells of an unknown one.
        let Some(known) = self.known.get(&(place, id)) else { return };
        let mut wrong = Vec::new();
        if known.could & OPEN == 0 {
            wrong.push("it was finished for good".to_owned());
        }
        if known.acked_here {
            wrong.push("it was acked, and no crash took that back".to_owned());
        }
        let before =
            known.before.filter(|_| !known.again).and_then(|before| self.known.get(&(place, before)));
        if before.is_some_and(|before| before.could == OPEN && !before.again) {
            wrong.push("the message of its key before it is not finished".to_owned());
        }
        let (least, most) = known.attempts;
        let most = u64::from(most) + self.crashes - known.crashes;
        // A message that comes back in a replay, or a release, whose answer the crash took, is attempted anew.
        let anew = attempt == 1 && known.asked_for;
        if !anew && !(u64::from(least) + 1..=most + 1).contains(&u64::from(attempt)) {
            wrong.push(format!("between {least} and {most} attempts were made before"));
        }
        if let Some((acked, process)) = known.acked.filter(|_| !anew)
            && let Some((ended, steps)) = self.ended.get(process)
        {
            let age = ended.saturating_sub(acked);
            let disk = steps.disk_between(acked, *ended);
            let held = age.saturating_sub(disk);
            let told = format!(
                "it was acked {} ms before the crash, {} ms of which the disk took",
                age / 1000,
                disk / 1000
            );
            self.findings.duplicates += 1;
            self.findings.oldest_duplicate = self.findings.oldest_duplicate.max(age);
            self.findings.oldest_beside_disk = self.findings.oldest_beside_disk.max(held);
            if steps.holds(acked) {
                wrong.push(format!("{told}, and synced"));
            } else if held > ACK_BOUND {
                wrong.push(told);
            }
        }
        for wrong in wrong {
            self.problem(format!("subscription {place}: {id} was handed out, attempt {attempt}: {wrong}"));
        }
        if let Some(known) = self.known.get_mut(&(place, id)) {
            (known.could, known.attempts, known.crashes) = (OPEN, (attempt, attempt), self.crashes);
            (known.acked, known.acked_here, known.asked_for) = (None, false, false);
        }
    }

    /// Everything that was not seen must be finished, or never have been stored.
    fn missing(&mut self, look: &Look, subscription: u32) {
        let mut problems = Vec::new();
        for ((of, id), known) in self.known.iter_mut().filter(|((of, _), _)| *of == subscription) {
            let key = (*of, *id);
            if look.open.contains(&key) || look.dead.contains(&key) {
                continue;
            }
            let left = known.could & (ABSENT | DONE | PURGED);
            if left == 0 {
                let was = if known.could & OPEN == 0 { "a dead letter" } else { "acknowledged" };
                problems.push(format!("subscription {subscription}: {id} was {was}, and is gone"));
            }
            // Told once.
            known.could = if left == 0 { DONE } else { left };
        }
        self.findings.lost += problems.len() as u64;
        self.findings.problems.append(&mut problems);
    }

    /// The store's own numbers must be those that were told.
    fn balance(&mut self, look: &Look, subscription: u32) {
        let Some(ledger) = look.ledgers.get(&subscription) else {
            return self.problem(format!("subscription {subscription} has no books"));
        };
        let seen =
            |set: &HashSet<(u32, MessageId)>| set.iter().filter(|(of, _)| *of == subscription).count() as u64;
        let (open, dead) = (seen(&look.open), seen(&look.dead));
        let Ledger { replay, .. } = ledger;
        let (least, most) = self.published.get(&TOPIC_OF[subscription as usize]).copied().unwrap_or_default();
        let (confirmed, begun) = self.purged.get(&subscription).copied().unwrap_or_default();
        let discarded = |reasons: &BTreeMap<String, u64>| reasons.get("purged").copied().unwrap_or(0);
        let purged = discarded(&ledger.discarded) + discarded(&replay.discarded);
        let mut wrong = Vec::new();
        if !(least..=most).contains(&ledger.published) {
            wrong.push(format!("{least} to {most} messages were published"));
        }
        if ledger.pending + ledger.scheduled + replay.pending + replay.scheduled != open {
            wrong.push(format!("{open} messages were handed out"));
        }
        if ledger.dead + replay.dead != dead {
            wrong.push(format!("{dead} dead letters are listed"));
        }
        if !(confirmed..=begun).contains(&purged) {
            wrong.push(format!("{confirmed} to {begun} dead letters were purged"));
        }
        if ledger.discarded.keys().chain(replay.discarded.keys()).any(|reason| reason != "purged") {
            wrong.push("something was discarded".to_owned());
        }
        for wrong in wrong {
            self.problem(format!("subscription {subscription}: {wrong}, but the books say {ledger:?}"));
        }
    }
}

fn subscriptions_of(topic: u32) -> impl Iterator<Item = u32> {
    (0..).zip(TOPIC_OF).filter(move |(_, of)| *of == topic).map(|(subscription, _)| subscription)
}

#[cfg(test)]
mod tests;
