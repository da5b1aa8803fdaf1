//! The writer: the one thread that owns the state and the log.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Sender;

use super::consume::{Body, Leased};
use super::log::Log;
use super::record::{QueueId, Record, Seq, TopicId};
use super::state::{Dead, Entry, State};
use super::{Commands, LAZY_SYNC, Options};
use crate::clock::{Clock, Timestamp};
use crate::message::StoredMessage;
use crate::publish::{PublishError, Receipt};
use crate::transport::{AttemptError, DeadReason, Ledger, NewMessage, TransportError};

/// Most bytes of one write, beyond the command that passes it.
const WRITE: usize = 4 << 20;
/// Longest wait while something is scheduled, so that a step of the machine's clock is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often a clock that a test moves is looked at.
const MANUAL_WAIT: Duration = Duration::from_millis(1);

/// What the writer is asked to do.
pub(super) enum Command {
    Publish { topic: TopicId, messages: Vec<NewMessage>, reply: Sender<Vec<Result<Receipt, PublishError>>> },
    Lease { queue: QueueId, max: usize, back: Commands, reply: Sender<Vec<Leased>> },
    Done { queue: QueueId, seq: Seq },
    HandBack { queue: QueueId, seq: Seq },
    Discard { queue: QueueId, seq: Seq, reason: &'static str },
    Retry { queue: QueueId, seq: Seq, due: Timestamp, error: AttemptError, reply: Sender<()> },
    Dead { queue: QueueId, seq: Seq, reason: DeadReason, error: AttemptError, reply: Sender<()> },
    Release { queue: QueueId, seqs: Vec<Seq>, reply: Sender<u64> },
    Purge { queue: QueueId, seqs: Vec<Seq>, reply: Sender<u64> },
    Ledgers { queues: Vec<QueueId>, reply: Sender<Vec<Ledger>> },
    DeadLetters { queue: QueueId, reply: Sender<Vec<(Seq, Entry, Dead)>> },
    Close { reply: Sender<Result<(), TransportError>> },
}

/// A consumer that waits for messages.
struct Waiting {
    max: usize,
    back: Commands,
    reply: Sender<Vec<Leased>>,
}

/// An answer that goes out after the sync.
type Answer = Box<dyn FnOnce() + Send>;

pub(super) struct Writer {
    log: Log,
    state: State,
    options: Options,
    clock: Clock,
    /// By topic, in milliseconds.
    retention: HashMap<String, u64>,
    failure: Arc<OnceLock<TransportError>>,
    waiting: BTreeMap<QueueId, Waiting>,
    answers: Vec<Answer>,
    /// When what is written and not synced must be.
    sync_by: Option<Instant>,
    cache: Cache,
    /// Held until this is dropped.
    _lock: Option<File>,
}

impl Writer {
    pub(super) fn new(
        log: Log,
        state: State,
        options: Options,
        clock: Clock,
        retention: HashMap<String, u64>,
        failure: Arc<OnceLock<TransportError>>,
        lock: Option<File>,
    ) -> Self {
        let cache = Cache { limit: options.cache, ..Cache::default() };
        Self {
            log,
            state,
            options,
            clock,
            retention,
            failure,
            waiting: BTreeMap::new(),
            answers: Vec::new(),
            sync_by: None,
            cache,
            _lock: lock,
        }
    }

    /// Works until it is closed, until nobody can ask any more, or until the disk fails.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        let result = loop {
            let first = match self.wait() {
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => commands.recv_timeout(wait),
            };
            let mut next = match first {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break self.finish(),
            };
            let mut close = None;
            let mut size = 0;
            while let Some(command) = next.take() {
                match command {
                    Command::Close { reply } => close = Some(reply),
                    command => size = self.take(command),
                }
                if close.is_none() && size < WRITE {
                    next = commands.try_recv().ok();
                }
            }
            self.serve();
            let result = self.commit();
            if let Some(reply) = close {
                let result = result.and_then(|()| self.finish());
                let _ = self.failure.set(TransportError::Closed);
                // Whoever closed it may be gone; it is closed all the same.
                let _ = reply.send(result);
                return;
            }
            if result.is_err() {
                break result;
            }
        };
        if let Err(error) = result {
            tracing::error!("the store stops, so that nothing is acknowledged that is not stored: {error}");
            // Set before the answers are dropped, so that whoever waits learns why.
            let _ = self.failure.set(error);
        }
    }

    /// How long nothing has to be done unless a command comes.
    fn wait(&self) -> Option<Duration> {
        let sync = self.sync_by.map(|by| by.saturating_duration_since(Instant::now()));
        let now = self.clock.now();
        let due =
            self.waiting.keys().filter_map(|queue| self.state.queues[*queue as usize].next_due()).min().map(
                |due| match self.clock {
                    Clock::System => Duration::from_millis(due.saturating_sub(now)).min(LONGEST_WAIT),
                    Clock::Manual(_) => MANUAL_WAIT,
                },
            );
        [sync, due].into_iter().flatten().min()
    }

    /// Turns a command into records and an answer. Returns how many bytes wait to be written.
    fn take(&mut self, command: Command) -> usize {
        let (log, state) = (&mut self.log, &mut self.state);
        match command {
            Command::Publish { topic, messages, reply } => {
                let results = self.publish(topic, messages);
                self.answer(reply, results);
            }
            Command::Lease { queue, max, back, reply } => {
                self.waiting.insert(queue, Waiting { max, back, reply });
            }
            Command::Done { queue, seq } => {
                log.push(state, &Record::Done { queue, seq });
            }
            Command::HandBack { queue, seq } => {
                log.push(state, &Record::HandBack { queue, seq });
            }
            Command::Discard { queue, seq, reason } => {
                log.push(state, &Record::Discard { queue, seq, reason: reason.into() });
            }
            Command::Retry { queue, seq, due, error, reply } => {
                log.push(state, &Record::Retry { queue, seq, due, error: Cow::Owned(error) });
                self.answer(reply, ());
            }
            Command::Dead { queue, seq, reason, error, reply } => {
                log.push(state, &Record::Dead { queue, seq, reason, error: Cow::Owned(error) });
                self.answer(reply, ());
            }
            Command::Release { queue, seqs, reply } => {
                let seqs = still_dead(state, queue, seqs);
                log.push(state, &Record::Release { queue, seqs: seqs.as_slice().into() });
                self.answer(reply, seqs.len() as u64);
            }
            Command::Purge { queue, seqs, reply } => {
                let seqs = still_dead(state, queue, seqs);
                log.push(state, &Record::Purge { queue, seqs: seqs.as_slice().into() });
                self.answer(reply, seqs.len() as u64);
            }
            Command::Ledgers { queues, reply } => {
                let now = self.clock.now();
                let ledgers = queues.into_iter().map(|queue| {
                    let (queue, topic) = state.both(queue);
                    queue.ledger(topic, now)
                });
                let ledgers = ledgers.collect();
                self.answer(reply, ledgers);
            }
            Command::DeadLetters { queue, reply } => {
                let (queue, topic) = state.both(queue);
                let letters = queue
                    .dead
                    .iter()
                    .filter_map(|(seq, dead)| topic.entry(*seq).map(|entry| (*seq, entry, dead.clone())))
                    .collect();
                self.answer(reply, letters);
            }
            Command::Close { reply } => drop(reply),
        }
        self.log.waiting_bytes()
    }

    fn answer<T: Send + 'static>(&mut self, reply: Sender<T>, value: T) {
        // Whoever asked may have gone away; what was done stays done.
        self.answers.push(Box::new(move || drop(reply.send(value))));
    }

    fn publish(&mut self, topic: TopicId, messages: Vec<NewMessage>) -> Vec<Result<Receipt, PublishError>> {
        let free = self.log.free().unwrap_or(u64::MAX);
        let mut room = free.saturating_sub(self.options.reserve);
        let now = self.clock.now();
        let mut results = Vec::with_capacity(messages.len());
        for NewMessage { message, due, idempotency_key } in messages {
            let target = &self.state.topics[topic as usize];
            if let Some(first) = idempotency_key.as_ref().and_then(|key| target.seen(key, now)) {
                results.push(Ok(Receipt::new(first, true)));
                continue;
            }
            let size = message.body.len() as u64;
            if size > room {
                let need = format!(
                    "{free} bytes are free on the data folder's disk, {} are kept for acks",
                    self.options.reserve
                );
                results.push(Err(PublishError::Full(need)));
                continue;
            }
            room -= size;
            let (id, seq) = (message.id, target.next());
            let message = Arc::new(message);
            let record = Record::Publish {
                topic,
                seq,
                due,
                idempotency_key: idempotency_key.map(Cow::Owned),
                message: Cow::Borrowed(&message),
            };
            self.log.push(&mut self.state, &record);
            self.cache.insert((topic, seq), message);
            results.push(Ok(Receipt::new(id, false)));
        }
        results
    }

    /// Leases what is ready to those who wait.
    fn serve(&mut self) {
        let now = self.clock.now();
        let queues: Vec<QueueId> = self.waiting.keys().copied().collect();
        for id in queues {
            if self.waiting.get(&id).is_some_and(|waiting| waiting.reply.is_closed()) {
                self.waiting.remove(&id);
                continue;
            }
            let Some(max) = self.waiting.get(&id).map(|waiting| waiting.max) else { continue };
            let (queue, topic) = self.state.both(id);
            let seqs = queue.pick(topic, now, max);
            if seqs.is_empty() {
                continue;
            }
            let topic_id = queue.topic;
            self.log.push(&mut self.state, &Record::Lease { queue: id, seqs: seqs.as_slice().into() });
            let Some(Waiting { back, reply, .. }) = self.waiting.remove(&id) else { continue };
            let (queue, topic) = self.state.both(id);
            let leased = seqs.into_iter().filter_map(|seq| {
                let body = match self.cache.get((topic_id, seq)) {
                    Some(message) => Body::Cached(message),
                    None => Body::At(topic.entry(seq)?),
                };
                let attempt = queue.open.get(&seq).map_or(1, |open| open.attempts);
                Some(Leased { queue: id, seq, attempt, body, back: Some(back.clone()) })
            });
            let leased: Vec<Leased> = leased.collect();
            self.answer(reply, leased);
        }
    }

    /// Writes what waits, syncs where someone waits for that, and answers.
    fn commit(&mut self) -> Result<(), TransportError> {
        let wrote = self.log.waits();
        self.log.write()?;
        if self.log.unsynced() {
            let late = self.sync_by.is_some_and(|by| by <= Instant::now());
            // Answers that follow from no record need no sync, but they are rare.
            if late || (wrote && !self.answers.is_empty()) {
                self.log.sync()?;
                self.sync_by = None;
            } else if self.sync_by.is_none() {
                self.sync_by = Some(Instant::now() + LAZY_SYNC);
            }
        } else {
            self.sync_by = None;
        }
        for answer in self.answers.drain(..) {
            answer();
        }
        if self.log.full() {
            self.log.sync()?;
            self.log.rotate()?;
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Moves what would be lost with old segments, forgets what nobody needs, writes the state down, deletes segments.
    fn checkpoint(&mut self) -> Result<(), TransportError> {
        let now = self.clock.now();
        self.move_messages(self.state.to_move(now, &self.retention));
        self.state.forget(now, &self.retention);
        self.move_messages(self.state.scattered(self.options.segment_size / 4, self.log.segment()));
        self.log.write()?;
        self.log.sync()?;
        self.log.checkpoint(&self.state)?;
        self.log.prune(&self.state)
    }

    fn move_messages(&mut self, messages: Vec<(TopicId, Seq)>) {
        for (topic, seq) in messages {
            let Some(entry) = self.state.topics[topic as usize].entry(seq) else { continue };
            match self.log.segments().read(entry) {
                Ok(message) => {
                    let message = Cow::Owned(message);
                    self.log.push(&mut self.state, &Record::Moved { topic, seq, message });
                }
                // It stays where it is: reading it will tell.
                Err(error) => tracing::error!("a dead letter can't be moved: {error}"),
            }
        }
    }

    fn finish(&mut self) -> Result<(), TransportError> {
        self.log.write()?;
        self.log.sync()?;
        for answer in self.answers.drain(..) {
            answer();
        }
        self.checkpoint()
    }
}

fn still_dead(state: &State, queue: QueueId, seqs: Vec<Seq>) -> Vec<Seq> {
    let dead = &state.queues[queue as usize].dead;
    seqs.into_iter().filter(|seq| dead.contains_key(seq)).collect()
}

/// Recent messages, so that who keeps up never reads the disk.
#[derive(Default)]
struct Cache {
    limit: usize,
    size: usize,
    messages: HashMap<(TopicId, Seq), Arc<StoredMessage>>,
    order: VecDeque<(TopicId, Seq)>,
}

impl Cache {
    fn insert(&mut self, key: (TopicId, Seq), message: Arc<StoredMessage>) {
        self.size += cost(&message);
        self.messages.insert(key, message);
        self.order.push_back(key);
        while self.size > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(message) = self.messages.remove(&oldest) {
                self.size -= cost(&message);
            }
        }
    }

    fn get(&self, key: (TopicId, Seq)) -> Option<Arc<StoredMessage>> {
        self.messages.get(&key).cloned()
    }
}

/// What a cached message takes, roughly: its body and what is around it.
fn cost(message: &StoredMessage) -> usize {
    message.body.len() + 256
}
