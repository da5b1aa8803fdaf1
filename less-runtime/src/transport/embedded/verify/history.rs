//! Holds what publishers and handlers saw against what is stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{Fate, Queue, Scan, fate};
use crate::clock::Timestamp;
use crate::message::StoredMessage;

/// Something that was seen from outside, in the order in which it was. A message is known by its id, or by what [`Rules::identity`] points to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// A publish was begun; whether it was accepted is unknown until [`EventKind::Published`].
    Publishing {
        /// The topic.
        topic: String,
        /// The message.
        message: String,
    },
    /// A publish was acknowledged.
    Published {
        /// The topic.
        topic: String,
        /// The message.
        message: String,
    },
    /// A handler began.
    Started {
        /// The topic.
        topic: String,
        /// The subscriber.
        subscriber: String,
        /// The message.
        message: String,
        /// The attempt, from 1.
        attempt: u32,
        /// Its ordering key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// A handler ended, and returned this.
    Ended {
        /// The topic.
        topic: String,
        /// The subscriber.
        subscriber: String,
        /// The message.
        message: String,
        /// The attempt, from 1.
        attempt: u32,
        /// Whether it was successful.
        done: bool,
    },
    /// A subscription was dropped, with everything in it. One of its name that comes later begins anew.
    Dropped {
        /// The topic.
        topic: String,
        /// The subscriber; another app's one as `app:subscriber`.
        subscriber: String,
    },
    /// The process was ended from outside: killed, or its power was cut.
    Killed,
}

/// What counts as wrong.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rules {
    /// A JSON pointer to what a message is known by in the events; without one it is the message's id.
    pub identity: Option<String>,
    /// Most attempts of a message.
    pub max_attempts: u32,
    /// How long after a handler's success its ack may still be lost by a kill, in milliseconds: the store's bound, and how late the clock may be read.
    pub ack_bound: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { identity: None, max_attempts: 15, ack_bound: 250 }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// Acknowledged publishes.
    pub published: u64,
    /// Handlers that began.
    pub started: u64,
    /// Messages that a subscriber was handed after it had finished them: a kill took the ack.
    pub duplicates: u64,
    /// Kills.
    pub kills: u64,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// Reads events: a JSON object a line.
pub fn parse(text: &str) -> Result<Vec<Event>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(n, line)| serde_json::from_str(line).map_err(|error| format!("line {n}: {error}"))).collect()
}

/// What is known of a message of a subscriber.
#[derive(Default)]
struct Handled {
    attempt: u32,
    /// When it was finished last.
    done: Option<Timestamp>,
    running: bool,
    ever_done: bool,
}

/// Compares.
pub(super) fn check(scan: &Scan, events: &[Event], rules: &Rules) -> Findings {
    let mut findings = Findings::default();
    let stored = Stored::new(scan, rules);
    let mut attempted: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut published: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut handled: HashMap<(&str, &str, &str), Handled> = HashMap::new();
    let mut in_key: HashMap<(&str, &str, &str), &str> = HashMap::new();
    let kills: Vec<Timestamp> =
        events.iter().filter(|event| event.kind == EventKind::Killed).map(|event| event.at).collect();
    findings.kills = kills.len() as u64;
    let last = last_attempts(events);
    let mut lives: HashMap<(&str, &str), u32> = HashMap::new();
    for event in events {
        match &event.kind {
            EventKind::Publishing { topic, message } => {
                attempted.insert((topic, message));
            }
            EventKind::Published { topic, message } => {
                attempted.insert((topic, message));
                published.insert((topic, message));
            }
            EventKind::Started { topic, subscriber, message, attempt, key } => {
                findings.started += 1;
                let known = handled.entry((topic, subscriber, message)).or_default();
                let mut wrong = |what: &str| {
                    let at = event.at;
                    findings
                        .problems
                        .push(format!("{topic}/{subscriber}: {message}, attempt {attempt} at {at}: {what}"));
                };
                if !attempted.contains(&(topic.as_str(), message.as_str())) {
                    wrong("it was never published");
                }
                if *attempt > rules.max_attempts {
                    wrong("there were more attempts than are allowed");
                }
                if let Some(done) = known.done {
                    findings.duplicates += 1;
                    let caused = kills.iter().any(|kill| *kill >= done && *kill <= done + rules.ack_bound);
                    if !caused {
                        wrong("it was done before, and no kill took that back");
                    }
                } else if known.running {
                    wrong("its last attempt had not ended");
                }
                if *attempt <= known.attempt {
                    wrong("its number does not rise");
                }
                if let Some(key) = key {
                    let held = in_key.insert((topic, subscriber, key), message);
                    if held.is_some_and(|held| held != message) {
                        wrong("another message of its key had not ended");
                    }
                    let life = lives.get(&(topic.as_str(), subscriber.as_str())).copied().unwrap_or(0);
                    let before =
                        stored.unfinished_before(scan, topic, message, key, &handled, (subscriber, life));
                    if let Some(before) = before {
                        wrong(&format!("{before} of the same key comes first"));
                    }
                }
                let known = handled.entry((topic, subscriber, message)).or_default();
                (known.attempt, known.done, known.running) = (*attempt, None, true);
            }
            EventKind::Ended { topic, subscriber, message, attempt, done } => {
                // One that had begun when its subscription was dropped ends for nobody.
                let Some(known) = handled.get_mut(&(topic.as_str(), subscriber.as_str(), message.as_str()))
                else {
                    continue;
                };
                known.running = false;
                if *done {
                    known.done = Some(event.at);
                    known.ever_done = true;
                }
                // A dead letter frees its key too: with the last of its attempts.
                let life = lives.get(&(topic.as_str(), subscriber.as_str())).copied().unwrap_or(0);
                let over = *done || last.get(&(topic, subscriber, message, life)) == Some(attempt);
                in_key.retain(|(t, s, _), held| !(t == topic && s == subscriber && held == message && over));
            }
            EventKind::Dropped { topic, subscriber } => {
                *lives.entry((topic, subscriber)).or_default() += 1;
                handled.retain(|(t, s, _), _| !(t == topic && s == subscriber));
                in_key.retain(|(t, s, _), _| !(t == topic && s == subscriber));
            }
            EventKind::Killed => {
                for known in handled.values_mut() {
                    known.running = false;
                }
                in_key.clear();
            }
        }
    }
    findings.published = published.len() as u64;
    findings.problems.extend(missing(scan, &stored, &published, &handled));
    findings
}

/// Acknowledged messages that are not stored, or that a subscriber neither has nor ever finished.
fn missing(
    scan: &Scan,
    stored: &Stored,
    published: &BTreeSet<(&str, &str)>,
    handled: &HashMap<(&str, &str, &str), Handled>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut unhandled: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (topic, message) in published {
        let Some((id, seq)) = stored.find(topic, message) else {
            problems.push(format!("{topic}: {message} was acknowledged and is not stored"));
            continue;
        };
        for (number, queue) in (0..).zip(&scan.state.queues).filter(|(_, queue)| queue.topic == id) {
            let known = handled.get(&(topic, queue.name.as_str(), message));
            let done = known.is_some_and(|known| known.ever_done);
            if fate(queue, seq) == Fate::Finished && !done && !scan.kept_away.contains(&(number, seq)) {
                let text =
                    format!("{topic}/{}: {message} was acknowledged, and is gone unhandled", queue.name);
                unhandled.entry(number).or_default().push(text);
            }
        }
    }
    for (number, texts) in unhandled {
        // The records of some that a filter kept away may be gone with their segments; how many there were is known.
        let known = scan.kept_away.range((number, 0)..=(number, u64::MAX)).count() as u64;
        let filtered = scan.state.queues[number as usize].filtered();
        if texts.len() as u64 > filtered.saturating_sub(known) {
            problems.extend(texts);
        }
    }
    problems
}

/// Topic, subscriber, message, and how often that subscriber was dropped before.
type Life<'a> = (&'a str, &'a str, &'a str, u32);

/// The last attempt of each message of each subscriber, until that is dropped.
fn last_attempts(events: &[Event]) -> HashMap<Life<'_>, u32> {
    let mut lives: HashMap<(&str, &str), u32> = HashMap::new();
    let mut last = HashMap::new();
    for event in events {
        match &event.kind {
            EventKind::Started { topic, subscriber, message, attempt, .. } => {
                let life = lives.get(&(topic.as_str(), subscriber.as_str())).copied().unwrap_or(0);
                last.insert((topic.as_str(), subscriber.as_str(), message.as_str(), life), *attempt);
            }
            EventKind::Dropped { topic, subscriber } => *lives.entry((topic, subscriber)).or_default() += 1,
            EventKind::Publishing { .. }
            | EventKind::Published { .. }
            | EventKind::Ended { .. }
            | EventKind::Killed => {}
        }
    }
    last
}

/// The stored messages by what they are known by.
struct Stored<'a> {
    topics: HashMap<&'a str, u32>,
    messages: HashMap<(u32, String), u64>,
    /// Messages of a key, in their order.
    keys: BTreeMap<(u32, &'a str), Vec<(u64, String)>>,
}

impl<'a> Stored<'a> {
    fn new(scan: &'a Scan, rules: &Rules) -> Self {
        let topics = (0..).zip(&scan.state.topics).map(|(id, topic)| (topic.name.as_str(), id)).collect();
        let mut messages = HashMap::new();
        let mut keys: BTreeMap<(u32, &str), Vec<(u64, String)>> = BTreeMap::new();
        for (topic, found) in &scan.found {
            for (seq, message) in found {
                let Some(message) = message else { continue };
                let name = known_by(message, rules);
                if let Some(key) = &message.key {
                    keys.entry((*topic, key)).or_default().push((*seq, name.clone()));
                }
                messages.insert((*topic, name), *seq);
            }
        }
        Self { topics, messages, keys }
    }

    fn find(&self, topic: &str, message: &str) -> Option<(u32, u64)> {
        let topic = *self.topics.get(topic)?;
        Some((topic, *self.messages.get(&(topic, message.to_owned()))?))
    }

    /// The message before this one of the same key, if the subscriber has neither finished it nor given it up. What a filter kept away, or was
    /// published before the subscriber was there, is passed over.
    fn unfinished_before<'s>(
        &'s self,
        scan: &Scan,
        topic: &str,
        message: &str,
        key: &'s str,
        handled: &HashMap<(&str, &str, &str), Handled>,
        (subscriber, life): (&str, u32),
    ) -> Option<&'s str> {
        let (id, seq) = self.find(topic, message)?;
        let same = self.keys.get(&(id, key))?;
        let at = same.partition_point(|(other, _)| *other < seq);
        let named = |(_, queue): &(u32, &Queue)| queue.topic == id && queue.name == subscriber;
        let mut queues = (0..).zip(&scan.state.queues).filter(named);
        // Of one that was dropped nobody knows any more what was kept away from it.
        let (number, queue) = queues.nth(life as usize).filter(|(_, queue)| !queue.is_dropped())?;
        let filtered = queue.filtered() > 0;
        let kept_away = |seq: u64| {
            let fate = fate(queue, seq);
            // Where the record is gone that says so, how many were kept away is held against how many are missing.
            let compacted = filtered && fate == Fate::Finished;
            scan.kept_away.contains(&(number, seq)) || compacted || fate == Fate::NotMeant
        };
        let started = |name: &str| handled.contains_key(&(topic, subscriber, name));
        let mut earlier = same[..at].iter().rev();
        let (_, before) = earlier.find(|(seq, name)| started(name) || !kept_away(*seq))?;
        let known = handled.get(&(topic, subscriber, before.as_str()));
        known.is_none_or(|known| known.attempt == 0).then_some(before.as_str())
    }
}

fn known_by(message: &StoredMessage, rules: &Rules) -> String {
    let Some(pointer) = &rules.identity else { return message.id.to_string() };
    let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap_or_default();
    match body.pointer(pointer) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => message.id.to_string(),
    }
}
