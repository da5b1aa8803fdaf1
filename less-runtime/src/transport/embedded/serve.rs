//! The writer's leases: what is ready goes to whoever waits for it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::command::{Answer, Lease, LeaseAnswer};
use super::consume::{Body, Leased, QueueLeases, Shared};
use super::mutant::Mutant;
use super::record::{QueueId, Record, Seq};
use super::writer::Writer;

impl Writer {
    /// Leases what is ready to whoever waits longest for it. Returns whether the next ones in line are to be looked at.
    pub(super) fn serve(&mut self) -> bool {
        let now = self.clock.now();
        while let Some((due, queue)) = self.timers.first().copied()
            && due <= now
        {
            self.timers.pop_first();
            self.dirty.insert(queue);
        }
        let mut runs: Vec<(QueueId, Seq, u32)> = Vec::new();
        let mut leased = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(line) = self.waiting.get_mut(&id) else { continue };
            while line.front().is_some_and(|lease| lease.reply.is_closed()) {
                line.pop_front();
            }
            let Some(waiting) = line.front() else {
                self.waiting.remove(&id);
                continue;
            };
            let (queue, topic) = self.state.both(id);
            let (tail, topic_id) = (&self.tail, queue.topic);
            let key = |seq| {
                let run = || match waiting.run.as_ref()?.get(seq)? {
                    Ok(message) => Some(super::state::key_hash(message.key.as_deref())),
                    Err(_) => Some(0),
                };
                tail.key(topic_id, seq).or_else(run)
            };
            let room = waiting.room();
            if room == 0 {
                // Nothing to be stored: whoever waits for this learns it at once.
                if let Some(Lease { reply, .. }) = self.next_in_line(id) {
                    let _ = reply.send(LeaseAnswer::Full);
                }
                continue;
            }
            let picked = queue.pick(topic, now, room, self.isolated.is_none(), key);
            if let Some(seq) = picked.suspect {
                self.isolated = Some((id, seq));
            }
            if picked.seqs.is_empty() {
                if let Some(seq) = picked.behind
                    && let Some(spot) = topic.place(seq)
                {
                    // Told after the write: the message may be part of it.
                    if let Some(lease) = self.next_in_line(id) {
                        let answer = LeaseAnswer::Behind { topic: topic_id, seq, spot };
                        self.answers.push(Answer::Leased(lease, answer));
                    }
                } else if let Some(due) = queue.next_due() {
                    self.timers.insert((due, id));
                }
                continue;
            }
            let keyed = topic.keyed;
            for (seq, key) in &picked.seqs {
                if keyed && *key != 0 {
                    self.log.push(&mut self.state, &Record::LeaseKeyed { queue: id, seq: *seq, key: *key });
                    continue;
                }
                match runs.last_mut() {
                    Some((last, first, count)) if *last == id && *first + u64::from(*count) == *seq => {
                        *count += 1;
                    }
                    _ => runs.push((id, *seq, 1)),
                }
            }
            leased.push((id, picked.seqs));
        }
        if !runs.is_empty() {
            let record = Record::Lease { leases: runs.as_slice().into() };
            if Mutant::AttemptLate.on() {
                self.state.apply(&record, super::state::Place { segment: 0, offset: 0 }, 0);
            } else {
                self.log.push(&mut self.state, &record);
            }
        }
        for (id, seqs) in leased {
            let Some(lease) = self.next_in_line(id) else { continue };
            let answer = self.handed_out(id, Arc::clone(&lease.shared), &seqs);
            self.answers.push(Answer::Leased(lease, answer));
        }
        !self.dirty.is_empty()
    }

    /// What a consumer gets of what it leased.
    fn handed_out(&mut self, id: QueueId, shared: Arc<Shared>, seqs: &[(Seq, u64)]) -> LeaseAnswer {
        let (queue, topic) = self.state.both(id);
        let (tail, topic_id) = (&self.tail, queue.topic);
        let mut list = VecDeque::with_capacity(seqs.len());
        let cached = seqs.iter().all(|(seq, _)| {
            let Some(body) = tail.get(topic_id, *seq) else { return false };
            list.push_back(Leased { seq: *seq, attempt: queue.attempt(*seq), body });
            true
        });
        if cached {
            return LeaseAnswer::Leased(Box::new(QueueLeases::new(shared, list)));
        }
        let list = seqs.iter().map(|(seq, _)| {
            let body = match tail.get(topic_id, *seq) {
                Some(message) => Body::Cached(message),
                None => Body::At(topic_id, topic.place(*seq)),
            };
            Leased { seq: *seq, attempt: queue.attempt(*seq), body }
        });
        LeaseAnswer::Unread(QueueLeases::new(shared, list.collect()))
    }

    /// Takes the lease that has waited longest; a queue with more of them is looked at again.
    fn next_in_line(&mut self, id: QueueId) -> Option<Lease> {
        let line = self.waiting.get_mut(&id)?;
        let first = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&id);
        } else {
            self.dirty.insert(id);
        }
        first
    }

    /// Answers what was asked. Leases of queues that have no more for now go on, and wait for what comes.
    pub(super) fn answer(&mut self) {
        let mut answers = std::mem::take(&mut self.answers);
        let takers = !self.crowd.is_several();
        for lease in answers.drain(..).filter_map(|answer| answer.send(takers)) {
            let (queue, topic) = self.state.both(lease.queue);
            if queue.cursor() < topic.next {
                // Who is behind asks again, for as much as there is room for by then.
                let _ = lease.reply.send(LeaseAnswer::Full);
                continue;
            }
            self.dirty.insert(lease.queue);
            self.waiting.entry(lease.queue).or_default().push_back(lease);
        }
        self.answers = answers;
    }
}
