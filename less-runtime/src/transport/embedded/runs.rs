//! What subscribers that are behind have read: those that are as far behind find it here, and read nothing.

use std::collections::VecDeque;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::reader::Run;
use super::record::{Seq, TopicId};

/// Readers of the same place wait for each other; of others as good as never.
const TURNS: usize = 32;
/// Most runs that are kept, however small they are: all are looked through.
const MOST: usize = 64;

/// The runs that were read last, up to a limit of bytes.
pub(super) struct Runs {
    limit: usize,
    kept: Mutex<Kept>,
    turns: [tokio::sync::Mutex<()>; TURNS],
}

#[derive(Default)]
struct Kept {
    /// The last one at the front, each with its size.
    runs: VecDeque<(TopicId, usize, Arc<Run>)>,
    size: usize,
}

impl Runs {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::default(), turns: std::array::from_fn(|_| tokio::sync::Mutex::default()) }
    }

    /// Held by who looks for a run and reads it if there is none.
    pub(super) async fn turn(&self, topic: TopicId, seq: Seq) -> impl Drop + '_ {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((topic, seq));
        let turn = usize::try_from(hash % TURNS as u64).unwrap_or(0);
        self.turns[turn].lock().await
    }

    /// A run that covers this message.
    pub(super) fn find(&self, topic: TopicId, seq: Seq) -> Option<Arc<Run>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let covers =
            |(owner, _, run): &&(TopicId, usize, Arc<Run>)| *owner == topic && run.get(seq).is_some();
        kept.runs.iter().find(covers).map(|(.., run)| Arc::clone(run))
    }

    /// Keeps a run for others. One with a message that could not be read is not kept: the disk may be well again the next time.
    pub(super) fn keep(&self, topic: TopicId, run: &Arc<Run>) {
        let Some(size) = run.size().filter(|size| *size <= self.limit) else { return };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.runs.push_front((topic, size, Arc::clone(run)));
        kept.size += size;
        let mut gone = Vec::new();
        while (kept.size > self.limit || kept.runs.len() > MOST)
            && let Some((_, size, run)) = kept.runs.pop_back()
        {
            kept.size -= size;
            gone.push(run);
        }
        // Freed when nobody waits for the lock.
        drop(kept);
        drop(gone);
    }
}
