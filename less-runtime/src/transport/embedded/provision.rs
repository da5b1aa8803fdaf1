//! Opening the folder, and making what the layout asks for: the third room.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use less_model::manifest::Start;

use super::consume::Acks;
use super::directory::StoredFilter;
use super::disk::{Disk, RealDisk};
use super::filters;
use super::inbox::Inbox;
use super::log::Log;
use super::reader::Segments;
use super::record::{Record, Seq};
use super::runs::Runs;
use super::state::{State, Topic};
use super::writer::Writer;
use super::{Commands, Embedded, Options, TransportError};
use crate::clock::{Clock, Timestamp};
use crate::message::StoredMessage;
use crate::transport::Layout;

/// The form of the folder that this version reads and writes.
pub(super) const FORMAT: u32 = 1;

/// Opens a data folder, made where it is missing (only its owner can enter it), and provides what the layout asks for.
///
/// Fails when another process owns it, when another version wrote it, when what is stored is damaged, and when the disk can't be read or written.
/// Topics and subscriptions that left the layout keep what they have.
pub fn open(
    folder: &Path,
    layout: &Layout,
    options: Options,
    clock: Clock,
) -> Result<Embedded, TransportError> {
    let io_error = |action: &'static str, path: &Path, cause: &io::Error| TransportError::Io {
        action,
        file: path.display().to_string(),
        cause: cause.to_string(),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| io_error("make the data folder", folder, &error))?;
    let lock = lock(folder)?;
    if !has_format(folder)? {
        let format = folder.join("format");
        write_format(folder, &format).map_err(|error| io_error("write", &format, &error))?;
    }
    open_disk(Arc::new(RealDisk::new(folder.to_owned())), layout, options, clock, Some(lock))
}

/// Whether a folder says that it is of the format that is known here. One that says otherwise is an error.
pub(super) fn has_format(folder: &Path) -> Result<bool, TransportError> {
    let format = folder.join("format");
    match std::fs::read_to_string(&format) {
        Ok(text) if text.trim() == FORMAT.to_string() => Ok(true),
        Ok(text) => Err(TransportError::Format {
            folder: folder.display().to_string(),
            found: text.trim().to_owned(),
            known: FORMAT,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(TransportError::Io {
            action: "read",
            file: format.display().to_string(),
            cause: cause.to_string(),
        }),
    }
}

/// Appears whole or not at all: a folder with half a format could not be opened any more.
fn write_format(folder: &Path, format: &Path) -> io::Result<()> {
    let new = folder.join("format.new");
    std::fs::write(&new, format!("{FORMAT}\n"))?;
    File::open(&new)?.sync_all()?;
    std::fs::rename(&new, format)?;
    File::open(folder)?.sync_all()
}

pub(super) fn lock(folder: &Path) -> Result<File, TransportError> {
    let path = folder.join("lock");
    let failed = |action: &'static str, cause: &io::Error| TransportError::Io {
        action,
        file: path.display().to_string(),
        cause: cause.to_string(),
    };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| failed("open", &error))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            // Whose it is only helps; it may be unreadable.
            let _ = file.read_to_string(&mut owner);
            let pid = owner.trim().parse().ok();
            return Err(TransportError::InUse { folder: folder.display().to_string(), pid });
        }
        Err(error) => return Err(failed("lock", &error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(|error| failed("write", &error))?;
    Ok(file)
}

/// The same on any disk.
pub(super) fn open_disk(
    disk: Arc<dyn Disk>,
    layout: &Layout,
    options: Options,
    clock: Clock,
    lock: Option<File>,
) -> Result<Embedded, TransportError> {
    let filters = filters::of_layout(layout)?;
    let (mut log, mut state) = Log::open(disk, options.segment_size)?;
    log.push(&mut state, &Record::Opened { at: clock.now() });
    let topics: Vec<u32> =
        layout.topics.iter().map(|topic| provide_topic(&mut log, &mut state, topic.name.as_str())).collect();
    let mut queues = Vec::new();
    let now = clock.now();
    for (spec, filter) in layout.subscriptions.iter().zip(&filters) {
        let wanted = Wanted {
            topic: topics[spec.topic.0 as usize],
            name: spec.subscriber.as_str(),
            start: spec.policy.start,
            filter: filter.as_ref(),
        };
        queues.push(provide_queue(&mut log, &mut state, &wanted, now)?);
    }
    log.write()?;
    log.sync()?;
    if log.damaged() || !log.knows(&state) {
        // What everything else depends on is then not read from the log again. Also where the power was cut between such a record and its checkpoint.
        log.checkpoint(&state)?;
    }
    state.rebuild();
    let failure = Arc::new(OnceLock::new());
    let inbox = Arc::new(Inbox::default());
    let writers = Arc::clone(&inbox);
    let segments = log.segments().clone();
    let retention: HashMap<String, u64> = layout
        .topics
        .iter()
        .map(|topic| (topic.name.as_str().to_owned(), topic.retention.as_millis()))
        .collect();
    let acks = Arc::new(Acks::default());
    let runs = Arc::new(Runs::new(options.cache / 8));
    let writer = Writer::new(
        (log, state),
        options,
        clock.clone(),
        retention,
        Arc::clone(&failure),
        Arc::clone(&acks),
        lock,
    );
    let current = writer.current.clone();
    let thread = std::thread::Builder::new()
        .name("less-store".to_owned())
        .spawn(move || writer.run(&writers))
        .map_err(|error| TransportError::Io {
            action: "start",
            file: "the store's thread".to_owned(),
            cause: error.to_string(),
        })?;
    Ok(Embedded {
        commands: Commands { inbox, failure },
        topics,
        topic_names: layout.topics.iter().map(|topic| topic.name.clone()).collect(),
        queues,
        current,
        acks,
        consumed: Arc::new(Mutex::new(HashSet::new())),
        segments,
        runs,
        clock,
        writer: Mutex::new(Some(thread)),
    })
}

fn provide_topic(log: &mut Log, state: &mut State, name: &str) -> u32 {
    let found = state.topics.iter().position(|topic| topic.name == name);
    let index = found.unwrap_or_else(|| {
        let id = u32::try_from(state.topics.len()).unwrap_or(u32::MAX);
        log.push(state, &Record::Topic { id, name: name.into() });
        state.topics.len() - 1
    });
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// A subscription that is asked for.
pub(super) struct Wanted<'a> {
    pub(super) topic: u32,
    pub(super) name: &'a str,
    pub(super) start: Start,
    pub(super) filter: Option<&'a StoredFilter>,
}

/// The number of a subscription, which is made if it is not there, and whose filter is then this one.
pub(super) fn provide_queue(
    log: &mut Log,
    state: &mut State,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<u32, TransportError> {
    let Wanted { topic, name, start, filter } = *wanted;
    let mut left = (0..).zip(&state.queues).filter(|(_, queue)| !queue.is_dropped());
    let found = left.find(|(_, queue)| queue.topic == topic && queue.name == name);
    let id = if let Some((id, _)) = found {
        let text = filter.map(|filter| &filter.text);
        if state.filters.get(&id) != text {
            log.push(state, &Record::QueueFilter { id, filter: text.map(Cow::from) });
        }
        id
    } else {
        let known = &state.topics[topic as usize];
        let start = match start {
            Start::Now => known.next,
            Start::Earliest => known.base(),
            Start::Ago(span) => {
                // What was published since the last write is not on the disk, but for topics that this process has not made.
                log.write()?;
                first_since(log.segments(), topic, known, now.saturating_sub(span.as_millis()))?
            }
        };
        let id = u32::try_from(state.queues.len()).unwrap_or(u32::MAX);
        let name = name.into();
        let record = match filter {
            Some(StoredFilter { text, matcher, .. }) => {
                let mut runs = filters::judge(log.segments(), topic, known, start, matcher)?;
                if runs.iter().all(|(_, kept)| *kept == 0) {
                    runs.clear();
                }
                Record::QueueWithFilter { id, topic, name, start, runs: runs.into(), filter: text.into() }
            }
            None => Record::Queue { id, topic, name, start },
        };
        log.push(state, &record);
        id
    };
    Ok(id)
}

/// The first retained message that was published at `since` or later.
fn first_since(segments: &Segments, id: u32, topic: &Topic, since: Timestamp) -> Result<Seq, TransportError> {
    let mut next = topic.index.before(since).map_or(topic.next, |entry| entry.first);
    while let Some(place) = topic.place(next) {
        let run = segments.read_run(id, next, place, 1 << 20)?;
        let young = |message: &StoredMessage| message.published_at >= since;
        if let Some((seq, _)) = run.iter().find(|(_, message)| message.as_ref().is_ok_and(|m| young(m))) {
            return Ok(seq);
        }
        next = run.iter().last().map_or(next, |(seq, _)| seq) + 1;
    }
    Ok(topic.next)
}
