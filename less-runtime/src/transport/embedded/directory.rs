//! What subscriptions there are, with their filters: for all who ask the writer, and for publishers, who judge their messages themselves.
//!
//! The writer alone changes it, as a whole. What a publisher has judged by an older one is judged again by the writer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use less_model::filter::{Candidate, Filter, Matcher};

use super::record::{QueueId, TopicId};
use super::state::State;
use crate::transport::NewMessage;

/// Every subscription that is stored.
#[derive(Clone, Default)]
pub(super) struct Directory {
    version: u64,
    queues: BTreeMap<QueueId, Listed>,
    /// The same filters, as publishers look for them.
    filters: HashMap<TopicId, Vec<(QueueId, Arc<Matcher>)>>,
}

/// A subscription.
#[derive(Clone)]
pub(super) struct Listed {
    pub(super) topic: TopicId,
    pub(super) topic_name: String,
    pub(super) name: String,
    pub(super) filter: Option<StoredFilter>,
}

/// A filter, as it is stored and as it judges.
#[derive(Clone)]
pub(super) struct StoredFilter {
    pub(super) text: String,
    pub(super) filter: Filter,
    pub(super) matcher: Arc<Matcher>,
}

impl StoredFilter {
    /// The filter, ready to be stored; `Err` with what is wrong with it.
    pub(super) fn new(filter: &Filter) -> Result<Self, String> {
        let matcher = filter.matcher().map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.join(", ")
        })?;
        let text = serde_json::to_string(filter).map_err(|error| error.to_string())?;
        Ok(Self { text, filter: filter.clone(), matcher: Arc::new(matcher) })
    }

    fn read(text: &str) -> Result<Self, String> {
        let filter: Filter = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // As it was stored, so that it is the same for whoever compares.
        Ok(Self { text: text.to_owned(), ..Self::new(&filter)? })
    }
}

impl Directory {
    /// What is stored.
    pub(super) fn of(state: &State) -> Self {
        let mut directory = Self::default();
        for (id, queue) in (0..).zip(&state.queues).filter(|(_, queue)| !queue.is_dropped()) {
            let topic_name = state.topics[queue.topic as usize].name.clone();
            let filter = state.filters.get(&id).map(|text| StoredFilter::read(text)).transpose();
            let filter = filter.unwrap_or_else(|problem| {
                // More than it asked for is handed out rather than less.
                let name = &queue.name;
                tracing::error!("the stored filter of `{topic_name}/{name}` can't be read, and everything passes: {problem}");
                None
            });
            directory.insert(id, Listed { topic: queue.topic, topic_name, name: queue.name.clone(), filter });
        }
        directory
    }

    /// Adds a subscription, or changes its filter.
    pub(super) fn insert(&mut self, id: QueueId, listed: Listed) {
        self.remove(id);
        if let Some(filter) = &listed.filter {
            self.filters.entry(listed.topic).or_default().push((id, Arc::clone(&filter.matcher)));
        }
        self.queues.insert(id, listed);
        self.version += 1;
    }

    /// Takes a subscription out.
    pub(super) fn remove(&mut self, id: QueueId) {
        let Some(listed) = self.queues.remove(&id) else { return };
        if let Some(all) = self.filters.get_mut(&listed.topic) {
            all.retain(|(queue, _)| *queue != id);
            if all.is_empty() {
                self.filters.remove(&listed.topic);
            }
        }
        self.version += 1;
    }

    /// A subscription, unless it was dropped.
    pub(super) fn get(&self, id: QueueId) -> Option<&Listed> {
        self.queues.get(&id)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (QueueId, &Listed)> {
        self.queues.iter().map(|(id, listed)| (*id, listed))
    }

    /// The subscription of this name.
    pub(super) fn find(&self, topic: TopicId, name: &str) -> Option<(QueueId, &Listed)> {
        self.iter().find(|(_, listed)| listed.topic == topic && listed.name == name)
    }

    /// Which one this is: what was judged by another is to be judged again.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// For each message the queues that it is kept away from; nothing at all where the topic has no filters.
    pub(super) fn keep(&self, topic: TopicId, messages: &[NewMessage]) -> Vec<Vec<QueueId>> {
        let Some(all) = self.filters.get(&topic) else { return Vec::new() };
        let judge = |new: &NewMessage| {
            let candidate = Candidate::new(&new.message.body, &new.message.attributes);
            all.iter().filter(|(_, matcher)| !matcher.passes(&candidate)).map(|(queue, _)| *queue).collect()
        };
        messages.iter().map(judge).collect()
    }
}

/// The directory as it is now: what it says is on stable storage.
#[derive(Clone, Default)]
pub(super) struct Current(Arc<RwLock<Arc<Directory>>>);

impl Current {
    pub(super) fn get(&self) -> Arc<Directory> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, directory: Arc<Directory>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = directory;
    }
}
