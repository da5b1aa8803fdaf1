//! Damage at rest: it is told, never served, confined to what it hit, and never taken for a torn write.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use less_model::filter::{Filter, Scope};
use less_model::manifest::Start;
use serde_json::json;

use super::super::disk::Disk as _;
use super::super::log::{CHECKPOINT, Log, Position, number, read_checkpoint};
use super::super::provision::open_disk;
use super::super::record;
use super::super::scan::{Scanned, Scanner};
use super::super::state::State;
use super::super::verify::{Problem, inspect_disk};
use super::super::{Embedded, Options, witness};
use super::fault_disk::{FaultDisk, Unsynced};
use super::{NOON, open, small};
use crate::clock::{Clock, ManualClock};
use crate::transport::conformance::{filter, layout, lease, message};
use crate::transport::{
    Attachment, AttemptError, AttemptErrorKind, DeadReason, Layout, Replay, Selection, SubscriptionIndex,
    TopicIndex, Transport as _,
};

pub(super) const LOG: &str = "0000000000.log";
/// What a disk reads and writes at once, in bytes.
const SECTOR: usize = 512;

/// What was stored, and where.
pub(super) struct Stored {
    pub(super) disk: Arc<FaultDisk>,
    /// The same with the room that was laid out when the power was cut.
    pub(super) crashed: Arc<FaultDisk>,
    clock: ManualClock,
    options: Options,
    pub(super) bodies: Vec<String>,
    /// The bytes that each message takes, by file.
    frames: BTreeMap<String, Vec<(Range<usize>, u64)>>,
    subscriptions: Vec<Subscription>,
}

/// A subscription: its name, whether it was dropped, its filter.
pub(super) type Subscription = (String, bool, Option<String>);

/// All of them, in the order of their numbers.
pub(super) fn subscriptions(state: &State) -> Vec<Subscription> {
    let queues = (0..).zip(&state.queues);
    queues
        .map(|(id, queue)| (queue.name.clone(), queue.is_dropped(), state.filters.get(&id).cloned()))
        .collect()
}

fn failure() -> AttemptError {
    AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: NOON }
}

/// A store in which everything happened that leaves a record, as a power cut leaves it, about this many bytes of it.
pub(super) async fn stored(options: Options, size: usize, body: &str) -> Stored {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let mut store = open_first(&disk, &options, &clock);
    let mut bodies = Vec::new();
    let mut consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let full = |disk: &FaultDisk| logs(disk).iter().map(|name| used(disk, name)).sum::<usize>() >= size;
    while !full(&disk) || end(&disk).offset == 0 || bodies.len() <= 18 {
        // Each of these ends with a checkpoint. What follows is read from the log, up to where the witness says.
        if let Some(past) = bodies.len().checked_sub(9).filter(|past| *past <= 9) {
            with_guests(&store, past / 3).await;
        }
        let batch = (0..3).map(|n| bodies.len() + n);
        let batch = batch.map(|n| json!({ "n": n, "even": n % 2 == 0, "text": body }).to_string());
        let batch: Vec<_> = batch.collect();
        let messages = batch.iter().map(|body| message(&clock, body)).collect();
        bodies.extend(batch);
        for result in store.publish(TopicIndex(0), messages).await {
            result.expect("it is accepted");
        }
        for (n, delivery) in lease(&*consumer, 2).await.into_iter().enumerate() {
            match (bodies.len() / 3 + n) % 5 {
                0 => delivery.dead_letter(DeadReason::Rejected, failure()).await.expect("a dead letter"),
                1 => delivery.retry_after(Duration::from_millis(1), failure()).await.expect("a retry"),
                _ => delivery.ack().await.expect("an ack"),
            }
        }
        clock.advance(Duration::from_millis(5));
        if bodies.len() == 9 {
            // A subscriber whose filter judges what was published before, and from then on what is published.
            drop(consumer);
            store.close().await.expect("it closes");
            store = open_with(&disk, &options, &clock);
            consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
        }
        if bodies.len() == 18 {
            let dead = store.dead_letters(SubscriptionIndex(0), None, 2).await.expect("dead letters");
            let ids = |n: usize| Selection::Ids(vec![dead[n].message.id]);
            store.release(SubscriptionIndex(0), ids(0)).await.expect("a release");
            store.purge(SubscriptionIndex(0), ids(1)).await.expect("a purge");
            store.replay(SubscriptionIndex(0), Replay::All).await.expect("a replay");
        }
    }
    // Everything that was told is synced, and once nothing came for a while the folder knows that it was.
    let began = Instant::now();
    let known = || {
        let checkpoint = read_checkpoint(&*disk).expect("it can be read").position;
        witness::read(&*disk).expect("it can be read").max(checkpoint)
    };
    while known() != Some(end(&disk)) {
        assert!(began.elapsed() < Duration::from_secs(20), "the last write has no witness");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let left = disk.after_power_cut(Unsynced::Lost);
    drop((consumer, store));
    let crashed = left.after_power_cut(Unsynced::Kept);
    for name in logs(&left) {
        let used = used(&left, &name);
        left.edit(&name, |bytes| bytes.truncate(used));
    }
    let frames = logs(&left).into_iter().map(|name| (name.clone(), frames(&left, &name))).collect();
    let (_, state) = Log::open(left.after_power_cut(Unsynced::Kept), 1 << 30).expect("it opens");
    let subscriptions = subscriptions(&state);
    let told = |(name, dropped, filter): &Subscription| format!("{name} {dropped} {}", filter.is_some());
    let expected = [
        "a false false",
        "b false false",
        "even false true",
        "friends:suggest false true",
        "friends:count true false",
        "friends:count false true",
    ];
    assert_eq!(subscriptions.iter().map(told).collect::<Vec<_>>(), expected);
    Stored { disk: left, crashed, clock, options, bodies, frames, subscriptions }
}

/// Another app's subscribers: they come, with a filter and without one, handle some, get another filter; one goes, and comes anew.
async fn with_guests(store: &Embedded, step: usize) {
    let passing = |even: bool| Some(filter(Scope::Body, &json!({ "even": [even] })));
    match step {
        0 => {
            attach(store, "suggest", Start::Earliest, passing(true)).await;
            attach(store, "count", Start::Earliest, None).await;
        }
        1 => {
            let suggest = attach(store, "suggest", Start::Earliest, passing(false)).await;
            let count = attach(store, "count", Start::Earliest, None).await;
            for guest in [suggest, count] {
                let consumer = store.consumer(guest).await.expect("a consumer");
                let mut leased = lease(&*consumer, 2).await;
                let last = leased.pop().expect("a delivery");
                last.dead_letter(DeadReason::Rejected, failure()).await.expect("a dead letter");
                for delivery in leased {
                    delivery.ack().await.expect("an ack");
                }
            }
        }
        2 => {
            let count = attach(store, "count", Start::Earliest, None).await;
            store.drop_guest(count).await.expect("it is dropped");
        }
        _ => drop(attach(store, "count", Start::Now, passing(true)).await),
    }
}

async fn attach(
    store: &Embedded,
    subscriber: &str,
    start: Start,
    filter: Option<Filter>,
) -> SubscriptionIndex {
    let app = "friends".parse().expect("a name");
    let wanted = Attachment { app, subscriber: subscriber.parse().expect("a name"), start, filter };
    store.attach(TopicIndex(0), wanted).await.expect("it is attached")
}

/// As it is at first: `a`, and `b`, which nobody handles.
fn open_first(disk: &Arc<FaultDisk>, options: &Options, clock: &ManualClock) -> Embedded {
    open_as(disk, &layout(&["a", "b"]), options, clock)
}

/// The same with `even`, whose filter lets every other message pass.
fn open_with(disk: &Arc<FaultDisk>, options: &Options, clock: &ManualClock) -> Embedded {
    let mut layout = layout(&["a", "b", "even"]);
    layout.subscriptions[2].filter = Some(filter(Scope::Body, &json!({ "even": [true] })));
    layout.subscriptions[2].policy.start = Start::Earliest;
    open_as(disk, &layout, options, clock)
}

pub(super) fn open_as(
    disk: &Arc<FaultDisk>,
    layout: &Layout,
    options: &Options,
    clock: &ManualClock,
) -> Embedded {
    let (disk, clock) = (Arc::<FaultDisk>::clone(disk), Clock::Manual(clock.clone()));
    open_disk(disk, layout, options.clone(), clock, None).expect("it opens")
}

pub(super) fn logs(disk: &FaultDisk) -> Vec<String> {
    disk.list().expect("it can be listed").into_iter().filter(|name| number(name).is_some()).collect()
}

/// Where the log ends.
fn end(disk: &FaultDisk) -> Position {
    let segment = logs(disk).iter().filter_map(|name| number(name)).max().expect("a log");
    Position { segment, offset: used(disk, &super::super::log::name(segment)) as u64 }
}

/// How much of a segment is written: what is laid out behind that is not counted.
pub(super) fn used(disk: &FaultDisk, name: &str) -> usize {
    let file = disk.open(name).expect("it is there");
    let mut scanner = Scanner::new(file, number(name).expect("a log"), 0).expect("it can be read");
    while scanner.next().expect("it can be read").is_some() {}
    usize::try_from(scanner.offset()).expect("it is small")
}

/// Where the messages of a segment are.
fn frames(disk: &FaultDisk, name: &str) -> Vec<(Range<usize>, u64)> {
    let file = disk.open(name).expect("it is there");
    let mut scanner = Scanner::new(file, number(name).expect("a log"), 0).expect("it can be read");
    let mut out = Vec::new();
    while let Some(next) = scanner.next().expect("it can be read") {
        let Scanned::Frame { offset, length, payload } = next else { panic!("it is damaged already") };
        if let Some((_, seq)) = record::heading(&payload) {
            let offset = usize::try_from(offset).expect("it is small");
            out.push((offset..offset + length as usize, seq));
        }
    }
    out
}

impl Stored {
    /// The same again, to be damaged.
    fn copy(&self) -> Arc<FaultDisk> {
        self.disk.after_power_cut(Unsynced::Kept)
    }

    /// The messages that these bytes of a file belong to.
    fn hit(&self, name: &str, bytes: &Range<usize>) -> BTreeSet<u64> {
        let frames = self.frames.get(name).into_iter().flatten();
        frames.filter(|(at, _)| at.start < bytes.end && bytes.start < at.end).map(|(_, seq)| *seq).collect()
    }

    /// Holds a folder in which these bytes of a file were changed against what was stored. Returns the messages that are lost.
    pub(super) fn look(
        &self,
        disk: &Arc<FaultDisk>,
        name: &str,
        bytes: &Range<usize>,
        what: &str,
    ) -> BTreeSet<u64> {
        self.look_at(disk, name, &self.hit(name, bytes), what)
    }

    fn look_at(&self, disk: &Arc<FaultDisk>, name: &str, hit: &BTreeSet<u64>, what: &str) -> BTreeSet<u64> {
        let inspection = inspect_disk(&**disk, NOON).unwrap_or_else(|error| panic!("{what}: {error}"));
        if inspection.problems.is_empty() {
            // The segment behind it tells its size. Where that is gone or empty, a checkpoint knows what was cut off, but for messages.
            let next = number(name).map(|number| super::super::log::name(number + 1));
            let silent = |next| !logs(disk).contains(&next) || disk.len(&next) == 0;
            assert!(next.is_some_and(silent), "{what}: nobody told");
            assert!(hit.is_empty(), "{what}: nobody told that {hit:?} are lost");
        }
        assert_eq!(inspection.torn, 0, "{what}: it was taken for a torn write");
        for problem in &inspection.problems {
            let right = match problem {
                Problem::Damaged { file, .. } => file == name,
                Problem::Checkpoint { .. } => name == CHECKPOINT,
                Problem::Gone { .. } => true,
                _ => false,
            };
            assert!(right, "{what}: {problem}");
        }
        let (log, mut state) = Log::open(Arc::<FaultDisk>::clone(disk), 1 << 30)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        state.rebuild();
        assert_eq!(subscriptions(&state), self.subscriptions, "{what}");
        self.read(&log, &mut state, hit, what)
    }

    /// Reads every message: it is what was published, or is told as damaged.
    pub(super) fn read(
        &self,
        log: &Log,
        state: &mut State,
        hit: &BTreeSet<u64>,
        what: &str,
    ) -> BTreeSet<u64> {
        let mut lost = BTreeSet::new();
        let topic = &state.topics[0];
        let mut seq = 0;
        while seq < self.bodies.len() as u64 {
            let spot = topic.place(seq).filter(|_| seq < topic.next);
            let Some(run) = spot.and_then(|spot| log.segments().read_run(0, seq, spot, 1 << 20).ok()) else {
                lost.insert(seq);
                seq += 1;
                continue;
            };
            for (at, message) in run.iter() {
                match (message, self.bodies.get(usize::try_from(at).expect("it is small"))) {
                    (Ok(read), Some(body)) => {
                        assert_eq!(read.body, body.as_bytes(), "{what}: message {at} is served and wrong");
                    }
                    (Ok(read), None) => panic!("{what}: message {at} was never published: {read:?}"),
                    (Err(_), _) => drop(lost.insert(at)),
                }
                seq = at + 1;
            }
        }
        assert!(lost.is_subset(hit), "{what}: messages {lost:?} are lost, it hit {hit:?}");
        for id in 0..u32::try_from(state.queues.len()).expect("it is small") {
            let (queue, topic) = state.both(id);
            let (ledger, _) = queue.ledger(topic, NOON + 1_000_000);
            assert!(ledger.balanced(), "{what}: {ledger:?}");
        }
        lost
    }

    /// Opens the store and handles everything: `b`, which had nothing of it before, gets what is not lost, in order; the rest is counted as corrupt.
    pub(super) async fn drain(&self, disk: &Arc<FaultDisk>, lost: &BTreeSet<u64>, what: &str) {
        let store = open_with(disk, &self.options, &self.clock);
        let consumer = store.consumer(SubscriptionIndex(1)).await.expect("a consumer");
        let expected: Vec<&String> = (0_u64..)
            .zip(&self.bodies)
            .filter(|(seq, _)| !lost.contains(seq))
            .map(|(_, body)| body)
            .collect();
        let mut got = Vec::new();
        while got.len() < expected.len() {
            for delivery in lease(&*consumer, 100).await {
                got.push(String::from_utf8_lossy(&delivery.message().body).into_owned());
                delivery.ack().await.expect("an ack");
            }
        }
        assert!(got.iter().eq(expected), "{what}: {got:?}");
        let began = Instant::now();
        loop {
            let ledger = store.ledgers().await.expect("ledgers").swap_remove(1);
            assert!(ledger.balanced(), "{what}: {ledger:?}");
            if ledger.pending + ledger.in_flight == 0 {
                assert_eq!(ledger.done, got.len() as u64, "{what}: {ledger:?}");
                // One that nothing later speaks of is not known to have been: the folder's damage is all that is told of it.
                let corrupt = ledger.discarded.get("corrupt").copied().unwrap_or(0);
                let known = ledger.published - ledger.done;
                assert_eq!(corrupt, known, "{what}: {ledger:?}");
                let end = lost.contains(&(self.bodies.len() as u64 - 1));
                assert!(
                    known == lost.len() as u64 || (end && known < lost.len() as u64),
                    "{what}: {ledger:?}"
                );
                break;
            }
            // Nothing is left to lease; the lease finds out what is damaged.
            let _ = tokio::time::timeout(Duration::from_millis(20), consumer.lease(100)).await;
            assert!(began.elapsed() < Duration::from_secs(20), "{what}: {ledger:?}");
        }
        for (guest, _) in store.guests().await.expect("guests") {
            self.drain_guest(&store, guest.index, lost, what).await;
        }
    }

    /// Handles everything that another app's subscriber has left: none of it is lost, and none comes twice.
    async fn drain_guest(
        &self,
        store: &Embedded,
        guest: SubscriptionIndex,
        lost: &BTreeSet<u64>,
        what: &str,
    ) {
        let consumer = store.consumer(guest).await.expect("a consumer");
        let (began, mut got) = (Instant::now(), BTreeSet::new());
        loop {
            let guests = store.guests().await.expect("guests").into_iter();
            let (_, ledger) =
                guests.into_iter().find(|(known, _)| known.index == guest).expect("it is there");
            assert!(ledger.balanced(), "{what}: {ledger:?}");
            if ledger.pending + ledger.scheduled + ledger.in_flight == 0 {
                let corrupt = ledger.discarded.get("corrupt").copied().unwrap_or(0);
                assert!(corrupt <= lost.len() as u64, "{what}: {ledger:?}, lost are {lost:?}");
                assert!(ledger.done >= got.len() as u64, "{what}: {ledger:?}");
                return;
            }
            let leased = tokio::time::timeout(Duration::from_millis(20), consumer.lease(100)).await;
            for delivery in leased.ok().into_iter().flatten().flatten() {
                let body = String::from_utf8_lossy(&delivery.message().body).into_owned();
                let seq = self.bodies.iter().position(|known| *known == body);
                let seq = seq.unwrap_or_else(|| panic!("{what}: {body} was never published")) as u64;
                assert!(!lost.contains(&seq) && got.insert(seq), "{what}: {seq}");
                delivery.ack().await.expect("an ack");
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{what}: {ledger:?}");
        }
    }
}

/// One segment, all of which is read when the store opens; and many, of which a checkpoint spares most.
pub(super) fn both() -> [(&'static str, Options); 2] {
    [("one segment", Options { reserve: 0, ..Options::default() }), ("small segments", small())]
}

#[tokio::test]
async fn every_flipped_bit_of_a_log_is_told_and_loses_no_more_than_the_message_it_hit() {
    let (which, options) = both()[0].clone();
    let stored = stored(options, 16 << 10, &"body ".repeat(120)).await;
    let size = stored.disk.len(LOG);
    assert!(size >= 16 << 10 && logs(&stored.disk).len() == 1);
    let half = size * 8 / 2;
    let run = |bits: Range<usize>| {
        let mut losses = Vec::new();
        for bit in bits {
            let disk = stored.copy();
            disk.flip(LOG, bit);
            let what = format!("{which}, {LOG}, bit {bit}");
            let lost = stored.look(&disk, LOG, &(bit / 8..bit / 8 + 1), &what);
            if bit % 509 == 0 {
                losses.push((disk, lost, what));
            }
        }
        losses
    };
    let losses = std::thread::scope(|scope| {
        let first = scope.spawn(|| run(0..half));
        let mut all = run(half..size * 8);
        all.extend(first.join().expect("it holds"));
        all
    });
    assert!(losses.iter().any(|(_, lost, _)| !lost.is_empty()), "no flip hit a message");
    for (disk, lost, what) in losses {
        stored.drain(&disk, &lost, &what).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_in_any_segment_and_in_the_checkpoint_is_told() {
    let (which, options) = both()[1].clone();
    let stored = stored(options, 16 << 10, &"body ".repeat(120)).await;
    assert!(logs(&stored.disk).len() > 4);
    for name in logs(&stored.disk).iter().map(String::as_str).chain([CHECKPOINT]) {
        for bit in (0..stored.disk.len(name) * 8).step_by(13) {
            let disk = stored.copy();
            disk.flip(name, bit);
            let what = format!("{which}, {name}, bit {bit}");
            let lost = stored.look(&disk, name, &(bit / 8..bit / 8 + 1), &what);
            if bit % 2003 == 0 {
                stored.drain(&disk, &lost, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_witness_changes_nothing() {
    let stored = stored(both()[0].1.clone(), 2 << 10, "body").await;
    for bit in 0..stored.disk.len("synced") * 8 {
        let disk = stored.copy();
        disk.flip("synced", bit);
        let inspection = inspect_disk(&*disk, NOON).expect("it can be read");
        assert_eq!(inspection.problems, [], "bit {bit}");
        let (log, mut state) = Log::open(Arc::<FaultDisk>::clone(&disk), 1 << 30).expect("it opens");
        state.rebuild();
        assert!(stored.read(&log, &mut state, &BTreeSet::new(), "the witness").is_empty());
    }
}

#[tokio::test]
async fn a_log_that_is_cut_short_anywhere_is_told_and_loses_what_was_cut() {
    for (which, options) in both() {
        let stored = stored(options, 16 << 10, &"body ".repeat(120)).await;
        for name in logs(&stored.disk) {
            let size = stored.disk.len(&name);
            for length in 0..size {
                let disk = stored.copy();
                disk.edit(&name, |bytes| bytes.truncate(length));
                let what = format!("{which}, {name} cut at {length} of {size}");
                let lost = stored.look(&disk, &name, &(length..size), &what);
                if length % 2003 == 0 {
                    stored.drain(&disk, &lost, &what).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn zeroed_and_swapped_blocks_are_told_and_lose_what_was_in_them() {
    for (which, options) in both() {
        let stored = stored(options, 16 << 10, &"body ".repeat(120)).await;
        for name in logs(&stored.disk) {
            let size = stored.disk.len(&name);
            let blocks: Vec<Range<usize>> =
                (0..size).step_by(SECTOR).map(|at| at..(at + SECTOR).min(size)).collect();
            for block in &blocks {
                let disk = stored.copy();
                disk.edit(&name, |bytes| bytes[block.clone()].fill(0));
                let what = format!("{which}, {name}, {block:?} zeroed");
                let lost = stored.look(&disk, &name, block, &what);
                stored.drain(&disk, &lost, &what).await;
            }
            let whole = blocks.iter().filter(|block| block.len() == SECTOR);
            for (one, other) in whole.clone().flat_map(|one| whole.clone().map(move |other| (one, other))) {
                if one.start >= other.start {
                    continue;
                }
                let disk = stored.copy();
                let mut changed = false;
                disk.edit(&name, |bytes| {
                    let (left, right) = bytes.split_at_mut(other.start);
                    changed = left[one.clone()] != right[..SECTOR];
                    left[one.clone()].swap_with_slice(&mut right[..SECTOR]);
                });
                if !changed {
                    // Both lie within the same text of two messages.
                    continue;
                }
                let what = format!("{which}, {name}, {one:?} and {other:?} swapped");
                let mut hit = stored.hit(&name, one);
                hit.extend(stored.hit(&name, other));
                stored.look_at(&disk, &name, &hit, &what);
            }
        }
    }
}

#[tokio::test]
async fn a_message_that_rots_while_the_store_is_open_is_counted_as_corrupt_and_the_others_go_on() {
    let (disk, clock) = (Arc::new(FaultDisk::default()), ManualClock::new(NOON));
    let store = open(&disk, &layout(&["a"]), &clock).expect("it opens");
    store
        .publish(TopicIndex(0), vec![message(&clock, "\"first\"")].into())
        .await
        .remove(0)
        .expect("a receipt");
    let end = used(&disk, LOG);
    store
        .publish(TopicIndex(0), vec![message(&clock, "\"second\"")].into())
        .await
        .remove(0)
        .expect("a receipt");
    disk.flip(LOG, end * 8 - 20);
    let consumer = store.consumer(SubscriptionIndex(0)).await.expect("a consumer");
    let mut leased = lease(&*consumer, 10).await;
    assert_eq!(leased.len(), 1);
    assert_eq!(&leased[0].message().body[..], b"\"second\"");
    leased.remove(0).ack().await.expect("an ack");
    let ledger = store.ledgers().await.expect("ledgers").remove(0);
    assert!(ledger.balanced());
    assert_eq!((ledger.done, ledger.discarded.get("corrupt")), (1, Some(&1)));
}
