//! Doors to what is private, for the fuzz targets of `fuzz/`. Compiled under `cfg(fuzzing)` alone; promises nothing.
//!
//! The store's files are compiled once more here, so that the targets reach the log and its replay on a disk in memory, below threads and files.

#![allow(clippy::missing_panics_doc, reason = "a fuzz target panics where a promise is broken")]

macro_rules! again {
    ($($path:literal $name:ident)*) => {
        $(
            #[allow(dead_code, unused_imports, clippy::duplicate_mod, reason = "the same code as the store's, of which the targets need a part")]
            #[path = $path]
            mod $name;
        )*
    };
}
again! {
    "transport/embedded/disk.rs" disk
    "transport/embedded/file.rs" file
    "transport/embedded/log.rs" log
    "transport/embedded/mutant.rs" mutant
    "transport/embedded/reader.rs" reader
    "transport/embedded/record.rs" record
    "transport/embedded/scan.rs" scan
    "transport/embedded/state/mod.rs" state
    "transport/embedded/steps.rs" steps
    "transport/embedded/witness.rs" witness
}

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use less_model::manifest::{DEFAULT_RETENTION, Manifest, Policy, Settings, Subscriber, Topic, VERSION};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use self::disk::{Disk, DiskFile};
use self::log::Log;
use self::record::Record;
use self::state::State;
use crate::app::{App, Check, check};
use crate::clock::Clock;
use crate::message::{Message, MessageId, StoredMessage};
use crate::metrics::Metrics;
use crate::publish::{PublishError, Receipt};
use crate::shutdown::{self, ShutdownSwitch};
use crate::transport::{
    AttemptError, AttemptErrorKind, Consumer, DeadLetter, DeadReason, Few, Ledger, NewMessage, Replay,
    Selection, SubscriptionIndex, TopicIndex, Transport, TransportError,
};

/// Where the replay's clock stands, in milliseconds.
const NOON: u64 = 1_800_000_000_000;
/// Where a log begins.
const START: state::Place = state::Place { segment: 0, offset: 0 };
/// Segments of the logs that are opened here, in bytes.
const SEGMENT: u64 = 64 << 20;

/// Appends a frame around this payload to a segment, with the checksum that is right there.
pub fn frame(payload: &[u8], segment: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let offset = u32::try_from(segment.len()).unwrap_or(u32::MAX).to_le_bytes();
    let head = [[0; 4], offset, length].concat();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head), payload);
    segment.extend([&length, &crc.to_le_bytes(), payload].concat());
}

/// Reads bytes as a frame and as a payload. What is a record is the same record after it was written and read.
pub fn decode(bytes: &[u8]) {
    if let Some(length) = record::length(bytes, record::MAX_PAYLOAD)
        && let Some(frame) = bytes.get(..length)
    {
        let _ = record::sound(frame, START);
    }
    let heading = record::heading(bytes);
    let Some(read) = record::read(bytes) else { return };
    let mut written = Vec::new();
    record::encode(&read, START, &mut written);
    assert!(record::sound(&written, START), "{read:?}");
    assert_eq!(record::length(&written, record::MAX_PAYLOAD), Some(written.len()));
    assert_eq!(record::read(&written[record::HEADER..]).as_ref(), Some(&read));
    let (Record::Publish { topic, seq, .. }
    | Record::PublishFiltered { topic, seq, .. }
    | Record::Moved { topic, seq, .. }
    | Record::Copied { topic, seq, .. }) = read
    else {
        return;
    };
    assert_eq!(heading, Some((topic, seq)));
}

/// Opens a log whose only segment holds these bytes: it opens, or says that it is damaged. An open one is looked through as the writer would, and
/// opening what that left finds the same state. Returns whether it opened.
pub fn replay(segment: &[u8]) -> bool {
    let disk = Arc::new(Memory::default());
    disk.files().insert(log::name(0), Arc::new(MemoryFile(Mutex::new(segment.to_vec()))));
    let Some((mut log, mut state)) = open(&disk) else { return false };
    state.rebuild();
    let Some((_, mut again)) = open(&disk) else { panic!("it opened once, and then not again") };
    again.rebuild();
    assert_eq!(again, state, "opening it again found something else");
    log.checkpoint(&state).expect("a disk in memory does not fail");
    let Some((_, mut from_checkpoint)) = open(&disk) else { panic!("the checkpoint could not be read") };
    from_checkpoint.rebuild();
    assert_eq!(from_checkpoint, state, "the checkpoint holds something else");
    look_through(log, state);
    true
}

fn open(disk: &Arc<Memory>) -> Option<(Log, State)> {
    match Log::open(Arc::<Memory>::clone(disk), SEGMENT) {
        Ok(opened) => Some(opened),
        Err(TransportError::Damaged { .. }) => None,
        Err(other) => panic!("it neither opens nor is damaged: {other}"),
    }
}

/// What the writer asks of a state after opening it: books, leases, bodies, the next checkpoint.
fn look_through(mut log: Log, mut state: State) {
    log.push(&mut state, &Record::Opened { at: NOON });
    for id in (0..state.queues.len()).filter_map(|id| u32::try_from(id).ok()) {
        let (queue, topic) = state.both(id);
        let _ = queue.ledger(topic, NOON);
        let picked = queue.pick(topic, NOON, 100, true, |_| Some(0));
        let _ = queue.next_due();
        for (seq, _) in picked.seqs {
            if let Some(place) = topic.place(seq) {
                // A body that is damaged is an error, which is an answer.
                let _ = log.segments().read(queue.topic, seq, place);
            }
        }
    }
    let _ = state.to_move(NOON, &HashMap::new());
    state.forget(NOON, &HashMap::new());
    let _ = state.live();
}

/// Writes a message to a log, opens it again, and expects the same message.
pub fn round_trip(message: &StoredMessage, due: Option<u64>, idempotency_key: Option<String>) {
    let disk = Arc::new(Memory::default());
    let (mut log, mut state) = open(&disk).expect("an empty log opens");
    log.push(&mut state, &Record::Topic { id: 0, name: "t".into() });
    log.push(&mut state, &Record::Queue { id: 0, topic: 0, name: "s".into(), start: 0 });
    let idempotency_key = idempotency_key.map(Cow::Owned);
    let message = Cow::Borrowed(message);
    log.push(
        &mut state,
        &Record::Publish { topic: 0, seq: 0, due, idempotency_key, message: message.clone() },
    );
    log.write().and_then(|()| log.sync()).expect("a disk in memory does not fail");
    state.rebuild();
    let (again, mut found) = open(&disk).expect("what was written opens");
    found.rebuild();
    assert_eq!(found, state);
    let place = found.topics[0].place(0).expect("the message has a place");
    let read = again.segments().read(0, 0, place).expect("the message can be read");
    assert_eq!(*read, *message);
}

/// Files in memory.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, Arc<MemoryFile>>>);

struct MemoryFile(Mutex<Vec<u8>>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<MemoryFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for Memory {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(MemoryFile(Mutex::default()));
        self.files().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.files().get(name).cloned();
        file.map(|file| file as Arc<dyn DiskFile>).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl DiskFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.bytes().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let end = from.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes.get(from..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.bytes().truncate(usize::try_from(size).map_err(io::Error::other)?);
        Ok(())
    }
}

/// The HTTP endpoint of a running app, on a socket of the loopback interface: topic `user_created` has a type, `anything` has none. What is published
/// is counted and thrown away.
pub struct Http {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
    _switch: ShutdownSwitch,
}

/// Longest body of the app, in bytes.
pub const MAX_BODY: usize = 1000;

/// Longest wait for a connection's end: whoever reaches it hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the endpoint waits for a body that does not come whole. Everything that was sent is there long before.
const BODY_TIMEOUT: Duration = Duration::from_millis(20);

#[derive(Serialize, Deserialize)]
struct UserCreated {
    user_id: u64,
    tags: Vec<String>,
}

impl Message for UserCreated {
    const NAME: Option<&'static str> = Some("UserCreated");
}

impl Http {
    /// Starts it. Everything runs on the calling thread, while it waits for answers.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (switch, shutdown) = shutdown::channel();
        let options = crate::http::Options {
            stage: "dev".to_owned(),
            hosts: vec!["api.example.com".to_owned()],
            api_key: None,
            link_tokens: Vec::new(),
            tls: None,
            link: None,
            max_connections: 100,
            max_publishes: 100,
            header_timeout: PATIENCE,
            body_timeout: BODY_TIMEOUT,
            linger: Duration::ZERO,
            drain: PATIENCE,
            metrics: Arc::new(Metrics::default()),
            workers: Vec::new(),
        };
        runtime.spawn(crate::http::serve(listener, Arc::new(app()), options, shutdown));
        Ok(Self { runtime, address, _switch: switch })
    }

    /// Sends bytes and then nothing more; returns what comes back until the connection ends.
    pub fn send(&self, bytes: &[u8]) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut stream = self.connect(bytes).await;
            // The endpoint may be gone already.
            let _ = stream.shutdown().await;
            let mut answer = Vec::new();
            let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            // A connection that is reset has ended as well.
            let _ = read.expect("the connection ends");
            answer
        })
    }

    /// Sends a whole request, with a client that stays; returns what comes back until `whole` is content with it.
    pub fn ask(&self, bytes: &[u8], whole: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        self.runtime.block_on(async {
            let mut stream = self.connect(bytes).await;
            let mut answer = Vec::new();
            let read = async {
                while !whole(&answer) && stream.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {}
            };
            tokio::time::timeout(PATIENCE, read).await.expect("an answer");
            answer
        })
    }

    async fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("the endpoint listens");
        // No connection is left waiting for its time: thousands a second would use up all ports.
        stream.set_zero_linger().expect("a socket's option");
        // An endpoint that has answered need not read the rest.
        let _ = stream.write_all(bytes).await;
        stream
    }
}

fn app() -> App {
    let subscriber = Subscriber {
        name: "send_email".parse().expect("a name"),
        language: less_model::language::Language::Rust,
        file: "x".to_owned(),
        policy: Policy::default(),
        filter: None,
    };
    let topic = |name: &str, message_type: Option<&str>| Topic {
        name: name.parse().expect("a name"),
        message_type: message_type.map(str::to_owned),
        schema: None,
        retention: DEFAULT_RETENTION,
        ordered: false,
        max_message: less_model::manifest::DEFAULT_MAX_MESSAGE,
        subscribers: vec![subscriber.clone()],
    };
    let topics = vec![topic("anything", None), topic("user_created", Some("UserCreated"))];
    let manifest = Manifest {
        contract: None,
        external: Vec::new(),
        version: VERSION,
        app: "shop".parse().expect("a name"),
        settings: Settings::default(),
        workers: std::collections::BTreeMap::new(),
        topics,
    };
    let checks = HashMap::from([("user_created".to_owned(), check::<UserCreated> as Check)]);
    App::new(manifest, &checks, Arc::new(Nowhere), Clock::System, MAX_BODY)
}

/// A transport that accepts everything and keeps nothing.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere"
    }

    async fn publish(&self, _: TopicIndex, messages: Few<NewMessage>) -> Few<Result<Receipt, PublishError>> {
        messages.into_iter().map(|new| Ok(Receipt::new(new.message.id, false))).collect()
    }

    async fn consumer(&self, _: SubscriptionIndex) -> Result<Box<dyn Consumer>, TransportError> {
        Err(TransportError::Closed)
    }

    async fn ledgers(&self) -> Result<Vec<Ledger>, TransportError> {
        Ok(vec![Ledger { published: 3, dead: 1, done: 2, ..Ledger::default() }; 2])
    }

    async fn dead_letters(
        &self,
        _: SubscriptionIndex,
        _: Option<MessageId>,
        _: usize,
    ) -> Result<Vec<DeadLetter>, TransportError> {
        let message = StoredMessage {
            id: MessageId::from_bytes([7; 16]),
            published_at: 1,
            key: None,
            attributes: BTreeMap::new(),
            traceparent: None,
            body: "{\"user_id\":1}".into(),
        };
        let error = AttemptError { kind: AttemptErrorKind::Rejected, message: "no".to_owned(), at: 2 };
        let (reason, history) = (DeadReason::Rejected, vec![error]);
        Ok(vec![DeadLetter { message: Arc::new(message), reason, died_at: 2, attempts: 1, history }])
    }

    async fn release(&self, _: SubscriptionIndex, _: Selection) -> Result<u64, TransportError> {
        Ok(1)
    }

    async fn purge(&self, _: SubscriptionIndex, _: Selection) -> Result<u64, TransportError> {
        Ok(1)
    }

    async fn replay(&self, _: SubscriptionIndex, _: Replay) -> Result<u64, TransportError> {
        Ok(1)
    }

    async fn close(&self) -> Result<(), TransportError> {
        Ok(())
    }
}
