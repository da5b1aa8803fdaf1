//! The task of a subscription with worker processes: it leases, hands out, takes outcomes, replaces processes, and decides whom an end is charged to.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::control::WorkerState;
use super::frame::{Cancelled, Failed, Kind as Frame, PROTOCOL, Said, Say};
use super::leasing::{Leased, Leasing};
use super::link::{Event, Link, Setup};
use super::process::{Due, Phase, Process, Role};
use super::renewing::{Renewed, Renewing, answered, renewal};
use super::{Control, Foreign};
use crate::app::{Fits, MAX_DELAY};
use crate::error::Kind;
use crate::message::MessageId;
use crate::telemetry::{in_scope, split};
use crate::transport::{Consumer, Leases, TransportError};
use crate::worker::Worker;
use crate::worker::attempt::{Attempt, give_up, tell};
use crate::worker::retry::{Outcome, exhausted};

/// Wait before a process is started again: after one that could not be loaded, and after one that ended before it was of use.
const LOAD_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
const START_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Messages that are remembered because they ended a process alone.
const NOTORIOUS: usize = 4096;
/// What processes have said and the pool has not heard yet.
const EVENTS: usize = 1024;

/// A subscription's processes, and what it has leased.
pub(super) struct Pool {
    worker: Arc<Worker>,
    control: Arc<Control>,
    fits: Option<Fits>,
    setup: Arc<Setup>,
    events: mpsc::Receiver<(u64, Event)>,
    tell: mpsc::Sender<(u64, Event)>,
    processes: BTreeMap<u64, Process>,
    next: u64,
    start_at: Instant,
    again: Duration,
    /// The last process that was started could not be loaded.
    unloadable: bool,
    /// Leased, and not handed out yet.
    waiting: VecDeque<Attempt>,
    /// Groups of deliveries of which one has ended its process, or made it hang.
    suspects: VecDeque<Vec<Attempt>>,
    /// Messages that did so alone: their next attempts harm no neighbour.
    notorious: HashSet<MessageId>,
    alive: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// What the pool wakes up for.
enum Wake {
    Stop,
    Expired,
    Leased(Leased),
    Event(u64, Event),
    Reload,
    Look,
    Renew,
    Renewed(Renewed),
}

impl Pool {
    pub(super) fn new(worker: Arc<Worker>, foreign: Foreign) -> Self {
        let Foreign { app, root, file, fits, program, warden, lines, publisher, control } = foreign;
        let hello = Say::Hello {
            protocol: PROTOCOL,
            app: &app,
            topic: &worker.source.topic,
            subscriber: &worker.source.subscriber,
            root: &root.to_string_lossy(),
            file: &file,
            concurrency: worker.policy.concurrency,
        };
        let hello = hello.frame();
        let label = Arc::clone(&worker.label);
        let (tell, events) = mpsc::channel(EVENTS);
        let (alive, ended) = mpsc::channel(1);
        Self {
            worker,
            control,
            fits,
            setup: Arc::new(Setup { root, program, warden, lines, label, publisher, hello }),
            events,
            tell,
            processes: BTreeMap::new(),
            notorious: HashSet::new(),
            next: 0,
            start_at: Instant::now(),
            again: Duration::ZERO,
            unloadable: false,
            waiting: VecDeque::new(),
            suspects: VecDeque::new(),
            alive,
            ended,
        }
    }

    pub(super) async fn run(mut self, consumer: Box<dyn Consumer>) -> Result<(), TransportError> {
        let consumer: Arc<dyn Consumer> = Arc::from(consumer);
        let mut leasing = Leasing::default();
        let mut stopping = false;
        let mut result = Ok(());
        let (mut renew_at, mut renewing) = (None, None::<Renewing>);
        let shutdown = self.worker.shutdown.clone();
        let control = Arc::clone(&self.control);
        loop {
            if stopping {
                // Not begun yet: dropped, they are handed back.
                self.waiting.clear();
                self.suspects.clear();
                if self.load() == 0 {
                    break;
                }
            } else {
                self.start_missing();
                if !self.able() {
                    leasing.clear();
                    if self.unloadable {
                        // What nobody will take soon waits in its queue, not here.
                        self.waiting.clear();
                        self.suspects.clear();
                    }
                }
            }
            self.hand_out();
            if !stopping {
                leasing.ask(&consumer, self.room());
            }
            let look_at = self.next_look();
            let wake = tokio::select! {
                biased;
                () = shutdown.stopping(), if !stopping => Wake::Stop,
                () = shutdown.expired() => Wake::Expired,
                Some((number, event)) = self.events.recv() => Wake::Event(number, event),
                leased = leasing.next() => Wake::Leased(leased),
                () = control.reloaded(), if !stopping => Wake::Reload,
                () = until(look_at) => Wake::Look,
                renewed = answered(&mut renewing) => Wake::Renewed(renewed),
                () = until(renew_at), if renewing.is_none() => Wake::Renew,
            };
            match wake {
                Wake::Stop => {
                    stopping = true;
                    leasing.clear();
                }
                Wake::Expired => break,
                Wake::Leased(leased) => match leased {
                    Ok(deliveries) => {
                        let lease = self.leased(deliveries);
                        renew_at = renew_at.or_else(|| renewal(lease));
                    }
                    Err(error) => {
                        result = Err(error);
                        stopping = true;
                    }
                },
                Wake::Event(number, event) => {
                    self.event(number, event);
                    // What has been said meanwhile costs no further turn.
                    while let Ok((number, event)) = self.events.try_recv() {
                        self.event(number, event);
                    }
                }
                Wake::Reload => self.reload(),
                Wake::Look => self.look(),
                Wake::Renew => renewing = Some(Renewing::begin(self.leases())),
                Wake::Renewed(renewed) => {
                    renewing = None;
                    renew_at = renewed.again;
                    self.lost(&renewed.told(&self.worker.label));
                }
            }
        }
        drop(leasing);
        self.end().await;
        result
    }

    /// Whether there is a process that takes deliveries.
    fn able(&self) -> bool {
        self.processes.values().any(Process::takes)
    }

    /// How many more deliveries could begin now.
    fn room(&self) -> usize {
        if self.able() { (self.worker.policy.concurrency as usize).saturating_sub(self.load()) } else { 0 }
    }

    /// Deliveries that are leased.
    fn load(&self) -> usize {
        let held: usize = self.processes.values().map(Process::load).sum();
        held + self.waiting.len() + self.suspects.iter().map(Vec::len).sum::<usize>()
    }

    /// Takes what was leased. Returns how long a lease lasts.
    fn leased(&mut self, deliveries: Box<dyn Leases>) -> Option<Duration> {
        let mut lease = None;
        for delivery in deliveries {
            lease = lease.or(delivery.lease());
            let attempt = Attempt { delivery, alive: self.alive.clone(), began: Instant::now() };
            if exhausted(&self.worker.policy, attempt.delivery.attempt()) {
                let worker = Arc::clone(&self.worker);
                self.worker.home.spawn(async move { give_up(&worker, attempt).await });
            } else if let Some(problem) = self.misfit(&attempt) {
                tell(&self.worker, attempt, Outcome::Returned(Kind::Schema(problem)));
            } else if self.notorious.contains(&attempt.delivery.message().id) {
                self.suspects.push_back(vec![attempt]);
            } else {
                self.waiting.push_back(attempt);
            }
        }
        lease
    }

    /// Why a message does not fit: its topic's type has changed since it was accepted.
    fn misfit(&self, attempt: &Attempt) -> Option<String> {
        self.fits.as_ref()?(&attempt.delivery.message().body).err()
    }

    /// Starts what is missing, unless it is too early for that.
    fn start_missing(&mut self) {
        if Instant::now() < self.start_at {
            return;
        }
        for _ in 0..self.missing() {
            self.start(Role::Serving);
        }
        if !self.suspects.is_empty() && self.count(Role::Isolation) == 0 {
            self.start(Role::Isolation);
        }
    }

    /// How many processes there are too few.
    fn missing(&self) -> usize {
        (self.worker.policy.processes as usize).saturating_sub(self.count(Role::Serving))
    }

    fn count(&self, role: Role) -> usize {
        self.processes.values().filter(|process| process.is(role)).count()
    }

    fn start(&mut self, role: Role) {
        self.next += 1;
        let link = Link::open(Arc::clone(&self.setup), self.next, self.tell.clone());
        self.processes.insert(self.next, Process::new(link, role, self.worker.policy.timeout.duration()));
    }

    /// Hands out what waits: to whoever holds least, and suspects to a process apart.
    fn hand_out(&mut self) {
        for process in self.processes.values_mut().filter(|process| process.isolates()) {
            match self.suspects.pop_front() {
                Some(group) => process.deliver(group),
                None => process.leave(None),
            }
        }
        if self.waiting.is_empty() {
            return;
        }
        let mut takers: Vec<&mut Process> =
            self.processes.values_mut().filter(|process| process.takes()).collect();
        if let [only] = &mut takers[..] {
            only.deliver(self.waiting.drain(..).collect());
            return;
        }
        let mut shares: Vec<Vec<Attempt>> = takers.iter().map(|_| Vec::new()).collect();
        while let Some(least) = (0..takers.len()).min_by_key(|at| takers[*at].load() + shares[*at].len())
            && let Some(attempt) = self.waiting.pop_front()
        {
            shares[least].push(attempt);
        }
        for (process, share) in takers.iter_mut().zip(shares).filter(|(_, share)| !share.is_empty()) {
            process.deliver(share);
        }
    }

    fn event(&mut self, number: u64, event: Event) {
        match event {
            Event::Said(said) => self.said(number, said),
            Event::Ended(how) => self.process_ended(number, how),
        }
    }

    fn said(&mut self, number: u64, said: Said) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        match said.kind {
            Frame::Ready => self.ready(number, &said),
            Frame::Failed | Frame::Crash => process.last_words = said.error,
            Frame::Results => {
                self.again = Duration::ZERO;
                for id in said.done {
                    if let Some(attempt) = process.ended(id) {
                        if !self.notorious.is_empty() {
                            self.notorious.remove(&attempt.delivery.message().id);
                        }
                        tell(&self.worker, attempt, Outcome::Done);
                    }
                }
                for failed in said.failed {
                    let late = process.cancelled(failed.id);
                    if let Some(attempt) = process.ended(failed.id) {
                        tell(&self.worker, attempt, outcome(failed, late));
                    }
                }
            }
            Frame::Cancelled => {
                let (Some(id), Some(state)) = (said.id, said.state) else { return };
                match state {
                    Cancelled::Running => {
                        if let Some(attempt) = process.charge(id) {
                            tell(&self.worker, attempt, Outcome::TimedOut);
                        }
                    }
                    // Dropped, it is handed back.
                    Cancelled::Waiting => drop(process.take(id)),
                    Cancelled::Unknown => {}
                }
            }
            // Told apart where it was read.
            Frame::Publish => {}
        }
    }

    fn ready(&mut self, number: u64, said: &Said) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        if said.protocol != Some(PROTOCOL) {
            let spoken = said.protocol.map_or_else(|| "none".to_owned(), |version| version.to_string());
            process.last_words = Some(format!(
                "the worker speaks version {spoken} of the protocol, and this app version {PROTOCOL}\nhint: run `less build`"
            ));
            // It can't be loaded, and its end will say why.
            return process.kill(Phase::Starting);
        }
        if process.phase != Phase::Starting {
            return;
        }
        process.phase = Phase::Ready;
        self.unloadable = false;
        let runtime = said.runtime.as_deref().unwrap_or_default();
        let mended = self.control.status().error.is_some();
        in_scope(&self.worker.label, || {
            tracing::debug!("worker {number} is ready ({runtime})");
            if mended {
                tracing::info!("the newest version could be loaded, and runs");
            }
        });
        if process.role == Role::Successor {
            process.role = Role::Serving;
            let serving = |(number, process): (&u64, &Process)| process.takes().then_some(*number);
            let serving: Vec<u64> = self.processes.iter().filter_map(serving).collect();
            if serving.len() > self.worker.policy.processes as usize
                && let Some(oldest) = self.processes.get_mut(&serving[0])
            {
                oldest.leave(None);
            }
        }
        self.show(|status| status.error = None);
    }

    fn process_ended(&mut self, number: u64, how: String) {
        let Some(mut process) = self.processes.remove(&number) else { return };
        let text = match process.last_words.take() {
            Some(words) => words,
            None => how,
        };
        let held = process.take_all();
        match process.phase {
            // Dropped, they are handed back.
            Phase::Leaving(_) | Phase::Killed => drop(held),
            Phase::Hung => {
                // Those that are not to blame take little time alone, and the one that is its timeout: once, not in every half.
                let groups = held.len();
                self.blame(held, groups, Outcome::TimedOut);
                self.control.change(|status| status.restarts += 1);
            }
            Phase::Ready => {
                self.say(
                    &text,
                    &match held.len() {
                        0 => "no message was being handled".to_owned(),
                        1 => "one message was being handled".to_owned(),
                        more => format!("{more} messages were being handled, and one is to blame"),
                    },
                );
                self.blame(held, 2, Outcome::Exited(text));
                if !process.useful {
                    self.start_later(START_AGAIN);
                }
                self.control.change(|status| status.restarts += 1);
            }
            Phase::Starting => {
                self.not_loaded(&text, process.role);
            }
        }
        self.show(|_| {});
    }

    /// A process did not become ready.
    fn not_loaded(&mut self, text: &str, role: Role) {
        self.show(|status| status.error = Some(text.to_owned()));
        if role == Role::Successor {
            return self.say(text, "the last version that could be loaded keeps running; saving a file of this one tries it again");
        }
        self.unloadable = true;
        self.start_later(LOAD_AGAIN);
        self.say(text, &format!("its messages wait; next try in {} s", self.again.as_secs()));
    }

    /// Tells of the end of a process, in the subscriber's name.
    fn say(&self, text: &str, next: &str) {
        let (first, rest) = split(text, &self.worker.label);
        in_scope(&self.worker.label, || tracing::error!("{first}; {next}{rest}"));
    }

    fn start_later(&mut self, (first, longest): (Duration, Duration)) {
        self.again = (self.again * 2).clamp(first, longest);
        self.start_at = Instant::now() + self.again;
    }

    /// One of these is to blame. A single one is charged; more are tried again apart, in so many groups.
    fn blame(&mut self, mut held: Vec<Attempt>, groups: usize, outcome: Outcome) {
        if held.len() > 1 {
            let size = held.len().div_ceil(groups);
            while !held.is_empty() {
                let rest = held.split_off(size.min(held.len()));
                self.suspects.push_back(std::mem::replace(&mut held, rest));
            }
        } else if let Some(attempt) = held.pop() {
            if self.notorious.len() == NOTORIOUS {
                self.notorious.clear();
            }
            self.notorious.insert(attempt.delivery.message().id);
            tell(&self.worker, attempt, outcome);
        }
    }

    /// Starts processes of the handler as it is now.
    fn reload(&mut self) {
        let mut serving = 0;
        for process in self.processes.values_mut() {
            match (process.role, process.phase) {
                (Role::Serving, Phase::Ready) => serving += 1,
                // Whatever is being started may be of the old version, and suspects may be none in the new one.
                (_, Phase::Starting) | (Role::Successor | Role::Isolation, Phase::Ready) => {
                    process.leave(None);
                }
                (_, Phase::Leaving(_) | Phase::Killed | Phase::Hung) => {}
            }
        }
        self.start_at = Instant::now();
        self.again = Duration::ZERO;
        self.notorious.clear();
        for _ in 0..serving {
            self.start(Role::Successor);
        }
    }

    fn next_look(&self) -> Option<Instant> {
        let wanted = self.missing() > 0 || (!self.suspects.is_empty() && self.count(Role::Isolation) == 0);
        let start = (wanted && self.start_at > Instant::now()).then_some(self.start_at);
        self.processes.values().filter_map(Process::next_look).chain(start).min()
    }

    fn look(&mut self) {
        let now = Instant::now();
        let label = Arc::clone(&self.worker.label);
        let warn = |text: &str| in_scope(&label, || tracing::warn!("{text}"));
        for process in self.processes.values_mut() {
            match process.look(now) {
                None => {}
                Some(Due::NotReady) => {
                    process.last_words = Some("the worker did not become ready within 60 s".to_owned());
                    // It is still starting: its end says that it could not be loaded.
                    process.kill(Phase::Starting);
                    process.began = now;
                }
                Some(Due::Hangs) => {
                    warn("the worker process hangs, and is replaced");
                    process.kill(Phase::Hung);
                }
                Some(Due::Overdue) => {
                    warn("a handler goes on after its timeout: its worker process is replaced");
                    process.leave(None);
                }
                Some(Due::Leave) => process.kill(Phase::Killed),
            }
        }
    }

    /// Everything that is leased.
    fn leases(&self) -> impl Iterator<Item = &Attempt> {
        let held = self.processes.values().flat_map(Process::held);
        held.chain(&self.waiting).chain(self.suspects.iter().flatten())
    }

    /// Lets go of messages that someone else has now.
    fn lost(&mut self, ids: &HashSet<MessageId>) {
        let kept = |attempt: &Attempt| !ids.contains(&attempt.delivery.message().id);
        self.waiting.retain(kept);
        self.suspects.iter_mut().for_each(|group| group.retain(kept));
        self.suspects.retain(|group| !group.is_empty());
        self.processes.values_mut().for_each(|process| process.lost(ids));
    }

    /// Ends all processes; what they still hold is handed back.
    async fn end(mut self) {
        self.waiting.clear();
        self.suspects.clear();
        for process in self.processes.values_mut() {
            if process.load() == 0 {
                process.leave(None);
            } else {
                drop(process.take_all());
                process.kill(Phase::Killed);
            }
        }
        while !self.processes.is_empty() {
            let look_at = self.next_look();
            tokio::select! {
                biased;
                Some((number, event)) = self.events.recv() => {
                    if let Event::Ended(_) = event {
                        self.processes.remove(&number);
                    }
                }
                () = self.worker.shutdown.expired() => break,
                () = until(look_at) => self.look(),
            }
        }
        // Outcomes that are still being told.
        drop(self.alive);
        self.ended.recv().await;
    }

    /// Shows how the processes are.
    fn show(&self, change: impl FnOnce(&mut super::WorkerStatus)) {
        let ready = self.processes.values().filter(|process| process.phase == Phase::Ready).count();
        self.control.change(|status| {
            change(status);
            status.processes = u32::try_from(ready).unwrap_or(u32::MAX);
            status.state = match (ready, &status.error) {
                (0, Some(_)) => WorkerState::Failed,
                (0, None) => WorkerState::Starting,
                _ => WorkerState::Ready,
            };
        });
    }
}

/// What a worker says of a failure; `late` where its time was over by then, and an error most likely what that caused.
fn outcome(failed: Failed, late: bool) -> Outcome {
    Outcome::Returned(match failed {
        Failed { reject: Some(reason), .. } => Kind::Reject(reason),
        Failed { retry_after_ms: Some(delay), .. } => {
            Kind::RetryAfter(Duration::from_millis(delay).min(MAX_DELAY))
        }
        Failed { .. } if late => return Outcome::TimedOut,
        Failed { error, .. } => {
            Kind::Failed(error.unwrap_or_else(|| "the worker said no reason".to_owned()).into())
        }
    })
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
