//! Calls that travel together: SNS and SQS take up to ten messages, acks or visibility changes at once, for the price of one.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Most entries of a batch call, of SNS and of SQS.
const MOST: usize = 10;
/// Times that an entry is sent where AWS says that the failure was its own.
const TRIES: u32 = 3;

/// Why an entry of a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// AWS refused this entry.
    #[error("{code}: {message}")]
    Entry {
        /// Its code.
        code: String,
        /// What it says.
        message: String,
        /// Whether the entry itself was at fault.
        sender: bool,
    },
    /// The call as a whole failed; whether its work was done is not known.
    #[error("{0}")]
    Call(String),
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
}

type Answers = Vec<Result<(), Failure>>;
type Flush<T> = Arc<dyn Fn(Vec<T>) -> Pin<Box<dyn Future<Output = Answers> + Send>> + Send + Sync>;

/// How entries are gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Longest that an entry waits for others.
    pub(super) linger: Duration,
    /// Most bytes of a call, unless a single entry has more.
    pub(super) bytes: usize,
    /// Calls at the same time: 1 keeps the order.
    pub(super) calls: u32,
}

struct Item<T> {
    entry: T,
    size: usize,
    answer: oneshot::Sender<Result<(), Failure>>,
}

/// Gathers entries, and sends ten of them with one call.
pub(super) struct Batcher<T> {
    items: Mutex<Option<mpsc::UnboundedSender<Item<T>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Clone + Send + 'static> Batcher<T> {
    /// Entries go out by `flush`, which answers for each one, in their order.
    pub(super) fn new<F>(rules: Rules, flush: impl Fn(Vec<T>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answers> + Send + 'static,
    {
        let flush: Flush<T> = Arc::new(move |entries| Box::pin(flush(entries)));
        let (items, waiting) = mpsc::unbounded_channel();
        let task = tokio::spawn(gather(rules, flush, waiting));
        Self { items: Mutex::new(Some(items)), task: Mutex::new(Some(task)) }
    }

    /// Sends an entry of this many bytes with others. It is on its way when this returns; the answer can be waited for.
    pub(super) fn push(
        &self,
        entry: T,
        size: usize,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<T> {
        let (answer, answered) = oneshot::channel();
        if let Some(items) = &*self.items.lock().unwrap_or_else(PoisonError::into_inner) {
            // Where nobody takes it any more, the answer's other end is gone.
            let _ = items.send(Item { entry, size, answer });
        }
        async move { answered.await.unwrap_or(Err(Failure::Closed)) }
    }

    /// Takes nothing more, and waits until all that it took was sent.
    pub(super) async fn close(&self) {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).take();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself; a panic in it was told where it happened.
            let _ = task.await;
        }
    }
}

async fn gather<T: Clone + Send + 'static>(
    rules: Rules,
    flush: Flush<T>,
    mut waiting: mpsc::UnboundedReceiver<Item<T>>,
) {
    let calls = Arc::new(Semaphore::new(rules.calls as usize));
    let mut first = None;
    loop {
        let next = match first.take() {
            Some(item) => Some(item),
            None => waiting.recv().await,
        };
        let Some(item) = next else { break };
        let mut size = item.size;
        let mut batch = vec![item];
        let late = tokio::time::sleep(rules.linger);
        tokio::pin!(late);
        while batch.len() < MOST {
            let item = tokio::select! {
                biased;
                item = waiting.recv() => item,
                () = &mut late => break,
            };
            let Some(item) = item else { break };
            if size + item.size > rules.bytes {
                first = Some(item);
                break;
            }
            size += item.size;
            batch.push(item);
        }
        let Ok(permit) = Arc::clone(&calls).acquire_owned().await else { break };
        let flush = Arc::clone(&flush);
        let keeps_order = rules.calls == 1;
        tokio::spawn(async move {
            send(&flush, batch, keeps_order).await;
            drop(permit);
        });
    }
    // Whoever closes waits for what is on its way.
    let _ = calls.acquire_many(rules.calls).await;
}

/// Sends a batch; what AWS failed to take by its own fault is sent again, unless that would put it behind what came after it.
async fn send<T: Clone + Send>(flush: &Flush<T>, mut batch: Vec<Item<T>>, keeps_order: bool) {
    for attempt in 1..=TRIES {
        let answers = flush(batch.iter().map(|item| item.entry.clone()).collect()).await;
        let mut again = Vec::new();
        for (item, answer) in batch.into_iter().zip(answers) {
            let is_ours = matches!(answer, Err(Failure::Entry { sender: false, .. }));
            if is_ours && attempt < TRIES && !keeps_order {
                again.push(item);
            } else {
                // Whoever asked may have gone.
                let _ = item.answer.send(answer);
            }
        }
        if again.is_empty() {
            return;
        }
        batch = again;
        tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
    }
}

/// The answers of a batch call: `done` and `failed` name entries by their place.
pub(super) fn answers(
    count: usize,
    done: impl Iterator<Item = String>,
    failed: impl Iterator<Item = (String, Failure)>,
) -> Answers {
    let silent = || Failure::Call("the answer says nothing of it".to_owned());
    let mut answers: Answers = (0..count).map(|_| Err(silent())).collect();
    let place = |id: &str| id.parse::<usize>().ok().filter(|place| *place < count);
    for id in done {
        if let Some(place) = place(&id) {
            answers[place] = Ok(());
        }
    }
    for (id, failure) in failed {
        if let Some(place) = place(&id) {
            answers[place] = Err(failure);
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { linger: Duration::from_millis(100), bytes: 100, calls: 4 };

    type Calls = Arc<Mutex<Vec<Vec<u32>>>>;

    /// A batcher that writes its calls down, and answers by `answer` (which call, entry).
    fn batcher(rules: Rules, answer: fn(usize, u32) -> Result<(), Failure>) -> (Batcher<u32>, Calls) {
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let batcher = Batcher::new(rules, move |entries: Vec<u32>| {
            let mut seen = seen.lock().unwrap();
            seen.push(entries.clone());
            let number = seen.len();
            async move { entries.into_iter().map(|entry| answer(number, entry)).collect() }
        });
        (batcher, calls)
    }

    #[tokio::test(start_paused = true)]
    async fn ten_go_at_once_and_the_rest_when_its_time_is_up() {
        let (batcher, calls) = batcher(RULES, |_, _| Ok(()));
        let answers: Vec<_> = (0..13).map(|n| batcher.push(n, 1)).collect();
        for answer in answers {
            assert_eq!(answer.await, Ok(()));
        }
        assert_eq!(*calls.lock().unwrap(), [(0..10).collect::<Vec<_>>(), vec![10, 11, 12]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_no_more_bytes_than_allowed_unless_one_entry_alone_has() {
        let (batcher, calls) = batcher(RULES, |_, _| Ok(()));
        let answers: Vec<_> =
            [(0, 60), (1, 60), (2, 40), (3, 500), (4, 1)].map(|(n, size)| batcher.push(n, size)).into();
        batcher.close().await;
        for answer in answers {
            assert_eq!(answer.await, Ok(()));
        }
        assert_eq!(*calls.lock().unwrap(), [vec![0], vec![1, 2], vec![3], vec![4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_aws_failed_at_is_sent_again_and_what_was_refused_is_not() {
        let entry = |sender| Failure::Entry { code: "X".to_owned(), message: String::new(), sender };
        let (batcher, calls) = batcher(RULES, |call, n| {
            let entry = |sender| Failure::Entry { code: "X".to_owned(), message: String::new(), sender };
            match n {
                0 => Err(entry(true)),
                1 if call == 1 => Err(entry(false)),
                2 => Err(entry(false)),
                _ => Ok(()),
            }
        });
        let answers: Vec<_> = (0..4).map(|n| batcher.push(n, 1)).collect();
        let mut got = Vec::new();
        for answer in answers {
            got.push(answer.await);
        }
        assert_eq!(got, [Err(entry(true)), Ok(()), Err(entry(false)), Ok(())]);
        assert_eq!(*calls.lock().unwrap(), [vec![0, 1, 2, 3], vec![1, 2], vec![2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_sends_what_waits_and_then_nothing_is_taken() {
        let (batcher, calls) = batcher(RULES, |_, _| Ok(()));
        let answer = batcher.push(1, 1);
        batcher.close().await;
        assert_eq!(answer.await, Ok(()));
        assert_eq!(batcher.push(2, 1).await, Err(Failure::Closed));
        assert_eq!(*calls.lock().unwrap(), [vec![1]]);
    }

    #[test]
    fn an_entry_that_the_answer_leaves_out_has_failed() {
        let refused = Failure::Entry { code: "X".to_owned(), message: String::new(), sender: true };
        let done = ["1".to_owned(), "7".to_owned()].into_iter();
        let found = answers(3, done, [("2".to_owned(), refused.clone())].into_iter());
        assert!(matches!(found[0], Err(Failure::Call(_))));
        assert_eq!(found[1..], [Ok(()), Err(refused)]);
    }
}
