//! The writer: the one thread that owns the state and the log.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::File;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::command::{Answer, Books, Command, Death, Lease, Letter, Whereabouts};
use super::compact::Compaction;
use super::consume::{Ack, Acks};
use super::crowd::Crowd;
use super::directory::{Current, Directory};
use super::disk::SnapshotPart;
use super::filters::common;
use super::inbox::Inbox;
use super::log::Log;
use super::mutant::Mutant;
use super::record::{QueueId, Record, Seq, TopicId};
use super::room::Room;
use super::state::State;
use super::steps;
use super::tail::Tail;
use super::{LAZY_SYNC, Options};
use crate::clock::{Clock, Timestamp};
use crate::message::MessageId;
use crate::publish::{PublishError, Receipt};
use crate::transport::{Few, NewMessage, TransportError};

/// Most bytes of one write, beyond the command that passes it.
const WRITE: usize = 4 << 20;
/// Longest wait while something is scheduled, so that a step of the machine's clock is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often a clock that a test moves is looked at.
const MANUAL_WAIT: Duration = Duration::from_millis(1);
/// How many of a topic's recent messages are held before those that everyone has had go.
const TRIM_EVERY: usize = 4096;

pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) state: State,
    pub(super) options: Options,
    pub(super) clock: Clock,
    /// By topic, in milliseconds.
    retention: HashMap<String, u64>,
    failure: Arc<OnceLock<TransportError>>,
    acks: Arc<Acks>,
    /// Those that were taken; empty but for its room.
    taken: Vec<Ack>,
    pub(super) queues_of: Vec<Vec<QueueId>>,
    /// Leases that wait, per queue in the order in which they were asked for.
    pub(super) waiting: BTreeMap<QueueId, VecDeque<Lease>>,
    /// Queues that may have something to lease since they were last looked at.
    pub(super) dirty: BTreeSet<QueueId>,
    /// When queues that wait have something due.
    pub(super) timers: BTreeSet<(Timestamp, QueueId)>,
    /// The message that runs now and may have ended the process before: no other such runs beside it.
    pub(super) isolated: Option<(QueueId, Seq)>,
    pub(super) answers: Vec<Answer>,
    /// When what is written and not synced must be.
    sync_by: Option<Instant>,
    pub(super) tail: Tail,
    room: Room,
    pub(super) compaction: Option<Compaction>,
    pub(super) crowd: Crowd,
    /// What failed while a command was taken: nothing may be acknowledged any more.
    pub(super) broken: Option<TransportError>,
    /// Someone waits until what was written before is synced.
    settling: bool,
    /// What is stored, as it is after the next write; and as it was after the last one, for everyone else.
    pub(super) directory: Arc<Directory>,
    pub(super) current: Current,
    /// Held until this is dropped.
    _lock: Option<File>,
}

impl Writer {
    pub(super) fn new(
        (log, state): (Log, State),
        options: Options,
        clock: Clock,
        retention: HashMap<String, u64>,
        failure: Arc<OnceLock<TransportError>>,
        acks: Arc<Acks>,
        lock: Option<File>,
    ) -> Self {
        let current = Current::default();
        current.set(Arc::new(Directory::of(&state)));
        let mut queues_of = vec![Vec::new(); state.topics.len()];
        for (id, queue) in (0..).zip(&state.queues) {
            queues_of[queue.topic as usize].push(id);
        }
        Self {
            log,
            state,
            tail: Tail::new(options.cache),
            room: Room::new(options.reserve),
            options,
            clock,
            retention,
            failure,
            acks,
            taken: Vec::new(),
            queues_of,
            waiting: BTreeMap::new(),
            dirty: BTreeSet::new(),
            timers: BTreeSet::new(),
            isolated: None,
            answers: Vec::new(),
            sync_by: None,
            compaction: None,
            crowd: Crowd::default(),
            broken: None,
            settling: false,
            directory: current.get(),
            current,
            _lock: lock,
        }
    }

    /// Works until it is closed, or until the disk fails.
    pub(super) fn run(mut self, inbox: &Inbox) {
        let guard = inbox.guard();
        let (mut commands, mut refused) = (Vec::new(), Vec::new());
        let mut closing = None;
        let result = loop {
            inbox.wait(self.wait());
            self.crowd.gather(inbox, self.log.waits());
            inbox.take(&mut commands);
            let mut result = Ok(());
            for command in commands.drain(..) {
                match command {
                    Command::Close { reply } => closing = Some(reply),
                    // Whoever sent it learns why, once that is said.
                    command if result.is_err() || self.broken.is_some() => refused.push(command),
                    command => self.take(command),
                }
                if self.log.waiting_bytes() >= WRITE {
                    result = result.and_then(|()| self.commit());
                }
            }
            self.take_acks();
            while self.serve() {}
            let result = result.and_then(|()| self.commit());
            if result.is_err() || closing.is_some() {
                break result;
            }
            // Those whose leases go on may have more to come already.
            while self.serve() {}
        };
        let result = result.and_then(|()| if closing.is_some() { self.finish() } else { Ok(()) });
        if let Err(error) = &result {
            tracing::error!("the store stops, so that nothing is acknowledged that is not stored: {error}");
        }
        // Set before the answers are dropped, so that whoever waits learns why.
        let _ = self.failure.set(result.as_ref().err().cloned().unwrap_or(TransportError::Closed));
        drop(guard);
        drop(self);
        if let Some(reply) = closing {
            // Whoever closed it may be gone; it is closed all the same.
            let _ = reply.send(result);
        }
    }

    /// How long nothing has to be done unless a command comes.
    fn wait(&self) -> Option<Duration> {
        if self.compaction.is_some() || self.log.waits() {
            return Some(Duration::ZERO);
        }
        let sync = self.sync_by.map(|by| by.saturating_duration_since(Instant::now()));
        let due = self.timers.first().map(|(due, _)| match self.clock {
            Clock::System => Duration::from_millis(due.saturating_sub(self.clock.now())).min(LONGEST_WAIT),
            Clock::Manual(_) => MANUAL_WAIT,
        });
        [sync, due].into_iter().flatten().min()
    }

    /// Turns a command into records and an answer.
    fn take(&mut self, command: Command) {
        match command {
            Command::Publish { topic, messages, kept_from, judged_by, reply } => {
                self.crowd.published += 1;
                let kept_from = self.judged(topic, &messages, kept_from, judged_by);
                let results = self.publish(topic, messages, kept_from);
                self.answers.push(Answer::Published(reply, results));
            }
            Command::Lease(lease) if self.state.queues[lease.queue as usize].is_dropped() => {
                self.refuse(lease);
            }
            Command::Lease(lease) => {
                self.dirty.insert(lease.queue);
                self.waiting.entry(lease.queue).or_default().push_back(lease);
            }
            Command::Acks | Command::AcksNow => {}
            Command::HandBack { queue, seq, attempt } => {
                if self.holds(queue, seq, attempt) {
                    self.push(queue, &Record::HandBack { queue, seq });
                }
            }
            Command::Discard { queue, seq, attempt, reason } => {
                if self.holds(queue, seq, attempt) {
                    self.push(queue, &Record::Discard { queue, seq, reason: reason.into() });
                }
            }
            Command::Retry { queue, seq, attempt, due, error, reply } => {
                let held = self.holds(queue, seq, attempt);
                if held {
                    self.push(queue, &Record::Retry { queue, seq, due, error: Cow::Owned(error) });
                }
                self.answers.push(Answer::Told(reply, held));
            }
            Command::Dead(death) => self.dead(*death),
            Command::Release { queue, which, reply } => {
                let seqs = self.state.queues[queue as usize].select(which);
                self.push(queue, &Record::Release { queue, seqs: seqs.as_slice().into() });
                self.answers.push(Answer::Count(reply, seqs.len() as u64));
            }
            Command::Purge { queue, which, reply } => {
                let seqs = self.state.queues[queue as usize].select(which);
                self.push(queue, &Record::Purge { queue, seqs: seqs.as_slice().into() });
                self.answers.push(Answer::Count(reply, seqs.len() as u64));
            }
            Command::Replay { queue, ranges, reply } => {
                self.take_acks();
                let (known, topic) = self.state.both(queue);
                let (from, to) =
                    (ranges.first().map_or(0, |first| first.0), ranges.last().map_or(0, |last| last.1));
                let replayable = known.replayable(from.max(topic.base()), to.min(topic.next));
                let ranges = common(&replayable, &ranges);
                let count = ranges.iter().map(|(from, to)| to - from).sum();
                if count > 0 {
                    self.push(queue, &Record::Replay { queue, ranges: ranges.into() });
                }
                self.answers.push(Answer::Count(reply, count));
            }
            Command::Where { topic, since, seq, reply } => {
                let topic = &self.state.topics[topic as usize];
                let since = since.and_then(|since| topic.index.before(since));
                let since = since.and_then(|entry| Some((entry.first, topic.place(entry.first)?)));
                let found = since.or_else(|| Some((seq?, topic.place(seq?)?)));
                self.answers.push(Answer::Other(Box::new(move || drop(reply.send(Whereabouts { found })))));
            }
            Command::Ledgers { queues, reply } => {
                let books = self.books(queues);
                self.answers.push(Answer::Other(Box::new(move || drop(reply.send(books)))));
            }
            Command::DeadLetters { queue, after, limit, reply } => {
                let letters = self.letters(queue, after, limit);
                self.answers.push(Answer::Other(Box::new(move || drop(reply.send(letters)))));
            }
            Command::Attach(wanted) => self.attach(*wanted),
            Command::Drop { queue, reply } => self.drop_queue(queue, reply),
            Command::Settle { reply } => {
                self.take_acks();
                self.settling = true;
                self.answers.push(Answer::Settled(reply));
            }
            Command::Snapshot { reply } => {
                let result = self.snapshot();
                self.broken = result.as_ref().err().cloned();
                self.answers.push(Answer::Other(Box::new(move || drop(reply.send(result)))));
            }
            Command::Close { reply } => drop(reply),
        }
    }

    fn books(&mut self, queues: Vec<QueueId>) -> Vec<Books> {
        // What the handlers have finished by now counts.
        self.take_acks();
        let now = self.clock.now();
        let books = queues.into_iter().map(|id| {
            let (queue, topic) = self.state.both(id);
            let (ledger, oldest) = queue.ledger(topic, now);
            let id = queue.topic;
            (ledger, oldest.and_then(|seq| Some((id, seq, topic.place(seq)?))))
        });
        books.collect()
    }

    fn letters(&mut self, queue: QueueId, after: Option<MessageId>, limit: usize) -> Vec<Letter> {
        let (queue, topic) = self.state.both(queue);
        let mut passed = after.is_none();
        let letters = queue.dead.iter().filter(|(_, dead)| {
            let wanted = passed;
            passed |= Some(dead.id) == after;
            wanted
        });
        let letters = letters.take(limit).map(|(seq, dead)| {
            let (topic_id, place) = (queue.topic, topic.place(*seq));
            Letter { topic: topic_id, seq: *seq, place, dead: dead.clone() }
        });
        letters.collect()
    }

    /// Adds a record that may let a queue go on.
    pub(super) fn push(&mut self, queue: QueueId, record: &Record<'_>) {
        self.log.push(&mut self.state, record);
        self.dirty.insert(queue);
    }

    fn holds(&mut self, queue: QueueId, seq: Seq, attempt: u32) -> bool {
        if self.isolated == Some((queue, seq)) {
            // It ends, so that the next one of its kind may go, wherever it waits.
            self.isolated = None;
            let queues = (0..).zip(&self.state.queues).filter(|(_, queue)| queue.suspects());
            self.dirty.extend(queues.map(|(id, _)| id));
        }
        let held = self.state.queues[queue as usize].holds(seq, attempt);
        if !held {
            tracing::debug!("an ending of attempt {attempt} of message {seq} comes too late");
        }
        held || Mutant::NoFence.on()
    }

    fn dead(&mut self, death: Death) {
        let Death { queue, seq, attempt, id, reason, error, reply } = death;
        let held = self.holds(queue, seq, attempt);
        if held && Mutant::DeadNotAtomic.on() {
            self.push(queue, &Record::Done { done: Cow::Borrowed(&[(queue, seq, 1)]) });
        } else if held {
            self.push(queue, &Record::Dead { queue, seq, id, reason, error: Cow::Owned(error) });
        }
        self.answers.push(Answer::Told(reply, held));
    }

    fn publish(
        &mut self,
        topic: TopicId,
        messages: Few<NewMessage>,
        kept_from: Vec<Vec<QueueId>>,
    ) -> Few<Result<Receipt, PublishError>> {
        let mut results = Few::with_capacity(messages.len());
        let kept_from = kept_from.into_iter().chain(std::iter::repeat(Vec::new()));
        for (NewMessage { message, due, idempotency_key }, kept_from) in messages.into_iter().zip(kept_from) {
            let target = &self.state.topics[topic as usize];
            if let Some(key) = &idempotency_key
                && let Some(first) = target.seen(key, self.clock.now())
            {
                results.push(Ok(Receipt::new(first, true)));
                continue;
            }
            let (id, seq) = (message.id, target.next);
            let ask = || self.log.free().unwrap_or(u64::MAX);
            if let Err(error) = self.room.take(message.body.len() as u64, ask) {
                results.push(Err(error));
                continue;
            }
            let (idempotency_key, stored) = (idempotency_key.map(Cow::Owned), Cow::Borrowed(&*message));
            let record = if kept_from.is_empty() {
                Record::Publish { topic, seq, due, idempotency_key, message: stored }
            } else {
                let kept_from = kept_from.into();
                Record::PublishFiltered { topic, seq, due, idempotency_key, message: stored, kept_from }
            };
            self.log.push(&mut self.state, &record);
            self.tail.insert(topic, seq, message);
            results.push(Ok(Receipt::new(id, false)));
        }
        if self.tail.len(topic) % TRIM_EVERY == TRIM_EVERY - 1 {
            let queues = self.queues_of[topic as usize].iter();
            let had = queues.map(|queue| self.state.queues[*queue as usize].cursor()).min();
            self.tail.trim(topic, had.unwrap_or(Seq::MAX));
        }
        self.dirty.extend(self.queues_of[topic as usize].iter().filter(|id| self.waiting.contains_key(id)));
        results
    }

    /// Writes down what was acknowledged since the last time, as runs.
    pub(super) fn take_acks(&mut self) {
        let mut acks = std::mem::take(&mut self.taken);
        steps::taking();
        self.acks.take(&mut acks);
        if acks.is_empty() {
            self.taken = acks;
            return;
        }
        acks.sort_unstable();
        let mut done: Vec<(QueueId, Seq, u32)> = Vec::new();
        for Ack { queue, first, count, attempt } in acks.iter().copied() {
            for seq in (first..first + u64::from(count)).filter(|seq| self.holds(queue, *seq, attempt)) {
                match done.last_mut() {
                    Some((last, first, count)) if *last == queue && *first + u64::from(*count) == seq => {
                        *count += 1;
                    }
                    _ => done.push((queue, seq, 1)),
                }
            }
        }
        self.log.push(&mut self.state, &Record::Done { done: done.as_slice().into() });
        self.dirty.extend(done.iter().map(|(queue, ..)| *queue));
        acks.clear();
        self.taken = acks;
    }

    /// Writes what waits, syncs where someone waits for that, and answers.
    fn commit(&mut self) -> Result<(), TransportError> {
        if Mutant::AckBeforeWrite.on() {
            self.answer();
        }
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let wrote = self.log.waits();
        self.log.write()?;
        let late = self.sync_by.is_some_and(|by| by <= Instant::now());
        let settling = std::mem::take(&mut self.settling);
        if self.log.unsynced() && (late || settling || (wrote && !self.answers.is_empty())) {
            self.log.sync()?;
            self.sync_by = None;
        } else if late && self.log.unmarked() {
            // Nothing came for a while: the last write gets its witness.
            self.log.mark()?;
        }
        self.sync_by = match self.sync_by {
            Some(by) if !late => Some(by),
            _ if self.log.unsynced() || self.log.unmarked() => Some(Instant::now() + LAZY_SYNC),
            _ => None,
        };
        self.answer();
        if wrote {
            self.log.lay();
        }
        if self.log.full() {
            self.log.sync()?;
            self.log.rotate()?;
            self.checkpoint()?;
            self.compaction = Compaction::choose(self);
        } else if self.compaction.is_some() {
            self.compact();
        }
        Ok(())
    }

    /// Moves what would be lost with old segments, forgets what nobody needs, writes the state down, deletes segments.
    pub(super) fn checkpoint(&mut self) -> Result<(), TransportError> {
        let now = self.clock.now();
        self.move_messages(self.state.to_move(now, &self.retention));
        self.state.forget(now, &self.retention);
        self.log.write()?;
        self.log.sync()?;
        self.log.checkpoint(&self.state)?;
        self.log.prune(&self.state)
    }

    /// A checkpoint on request, and the files that go with it.
    fn snapshot(&mut self) -> Result<Vec<SnapshotPart>, TransportError> {
        self.take_acks();
        self.log.write()?;
        self.log.sync()?;
        self.log.rotate()?;
        self.checkpoint()?;
        self.log.files()
    }

    pub(super) fn move_messages(&mut self, messages: Vec<(TopicId, Seq)>) {
        for (topic, seq) in messages {
            let Some(place) = self.state.topics[topic as usize].place(seq) else { continue };
            match self.log.segments().read(topic, seq, place) {
                Ok(message) => {
                    let message = Cow::Borrowed(&*message);
                    self.log.push(&mut self.state, &Record::Moved { topic, seq, message });
                }
                // It stays where it is: reading it will tell.
                Err(error) => tracing::error!("a dead letter can't be moved: {error}"),
            }
        }
    }

    fn finish(&mut self) -> Result<(), TransportError> {
        self.take_acks();
        self.log.write()?;
        self.log.sync()?;
        self.answer();
        self.checkpoint()
    }
}
