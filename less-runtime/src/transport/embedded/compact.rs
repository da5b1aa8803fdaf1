//! Compaction: what little is still needed of a mostly finished segment is written again at the log's end, a piece at a time between other work,
//! so that the segment can be deleted. Without it a quiet topic with a long retention would keep everything that a busy one wrote meanwhile.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::record::{Record, Seq, TopicId};
use super::state::{Entry, Place, SPAN, Spot};
use super::writer::Writer;

/// A segment of which less than one part in this many is needed is compacted.
const SPARSE: u64 = 3;
/// Bytes that are copied between two looks at other work, about.
const PIECE: u64 = 64 << 10;

/// A segment that is being emptied.
pub(super) struct Compaction {
    /// Messages that are kept one by one.
    moved: Vec<(TopicId, Seq)>,
    /// Runs of messages, each with the message that follows it.
    entries: Vec<(TopicId, Entry, Seq)>,
}

impl Compaction {
    /// The complete segment of which the least is needed, if that is little enough.
    pub(super) fn choose(writer: &Writer) -> Option<Self> {
        let live: BTreeMap<u32, u64> = writer.state.live();
        let candidates =
            writer.log.complete().into_iter().filter_map(|segment| Some((*live.get(&segment)?, segment)));
        let (bytes, segment) = candidates.min()?;
        if bytes > writer.options.segment_size / SPARSE {
            return None;
        }
        let (mut moved, mut entries) = writer.state.in_segment(segment);
        moved.reverse();
        entries.reverse();
        Some(Self { moved, entries })
    }
}

impl Writer {
    /// Copies the next piece.
    pub(super) fn compact(&mut self) {
        let Some(mut work) = self.compaction.take() else { return };
        let mut copied = 0;
        while copied < PIECE {
            if let Some((topic, entry, until)) = work.entries.pop() {
                copied += u64::from(entry.bytes);
                self.rehome(topic, entry, until);
            } else if let Some(message) = work.moved.pop() {
                copied += 1 << 10;
                self.move_messages(vec![message]);
            } else {
                return;
            }
        }
        self.compaction = Some(work);
    }

    /// Copies the messages of an entry, and says where they are now.
    fn rehome(&mut self, id: TopicId, entry: Entry, until: Seq) {
        let topic = &self.state.topics[id as usize];
        if topic.index.find(entry.first) != Some(entry) {
            // Forgotten, or grown, since it was chosen.
            return;
        }
        let ahead = u64::from(SPAN) + u64::from(entry.bytes);
        let spot = Spot { place: entry.place, until };
        let run = match self.log.segments().read_run(id, entry.first, spot, ahead) {
            Ok(run) => run,
            Err(error) => {
                tracing::error!("messages can't be moved: {error}");
                return;
            }
        };
        let mut place: Option<Place> = None;
        let mut covered = entry.first;
        let mut bytes = 0;
        for (seq, message) in run.iter().take_while(|(seq, _)| *seq < until) {
            covered = seq + 1;
            // One that is damaged is missing in its new place too: reading it will tell.
            let Ok(message) = message else { continue };
            let record = Record::Copied { topic: id, seq, message: Cow::Borrowed(&**message) };
            let before = self.log.waiting_bytes();
            let at = self.log.push(&mut self.state, &record);
            place.get_or_insert(at);
            bytes += self.log.waiting_bytes() - before;
        }
        let (Some(place), true) = (place, covered == until) else {
            tracing::error!(
                "messages {} to {until} of a topic can't be moved: they are damaged",
                entry.first
            );
            return;
        };
        let entry = Entry { place, bytes: u32::try_from(bytes).unwrap_or(u32::MAX), ..entry };
        let entries = Cow::Owned(vec![entry]);
        self.log.push(&mut self.state, &Record::Rehomed { topic: id, entries, until });
    }
}
