//! What follows a handler's first poll: it waits under its timeout, its lease renewed; then its outcome is told to the transport.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Wakes, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinError, JoinHandle};

use super::Worker;
use super::retry::{Outcome, Verdict, decide};
use crate::error::Result;
use crate::telemetry;
use crate::transport::{AttemptError, AttemptErrorKind, DeadReason, Delivery, Renewal, TransportError};

/// How long a handler whose time is over is waited for until it has let go: only what blocks its thread takes longer than the machine needs.
const LETS_GO: Duration = Duration::from_secs(1);

/// A leased message that is to be handled, with what it holds until its end.
pub(super) struct Attempt {
    pub(super) delivery: Box<dyn Delivery>,
    /// Held until the outcome was told.
    pub(super) alive: mpsc::Sender<()>,
    pub(super) began: Instant,
}

/// How the wait for the handler ended.
enum Ended {
    With(Outcome),
    /// The shutdown's grace is over.
    Interrupted,
    /// Someone else has the message now.
    LeaseLost(TransportError),
}

/// A handler's task, cancelled when this is dropped.
pub(super) struct Going(JoinHandle<Result<()>>);

impl Going {
    pub(super) fn new(handler: JoinHandle<Result<()>>) -> Self {
        Self(handler)
    }

    /// What ends it early.
    pub(super) fn abort_handle(&self) -> AbortHandle {
        self.0.abort_handle()
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> Outcome {
        outcome((&mut self.0).await)
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends a handler early, at its next wait.
pub(super) enum Cancel {
    /// It is a task of its own.
    Task(AbortHandle),
    /// It may become one, once it no longer blocks its lane.
    Soon(Arc<OnceLock<AbortHandle>>),
    /// It has a thread of its own, which sees when this is dropped.
    Thread(oneshot::Sender<()>),
}

impl Cancel {
    /// Returns whether it will let go, if nothing blocks its thread.
    fn now(self) -> bool {
        match self {
            Self::Task(task) => task.abort(),
            Self::Soon(task) => match task.get() {
                Some(task) => task.abort(),
                None => return false,
            },
            Self::Thread(sender) => drop(sender),
        }
        true
    }
}

/// Waits for a handler that goes on elsewhere, and tells its outcome. A handler whose time is over has let go of everything by then: its next attempt
/// does not begin beside it.
pub(super) async fn supervise(
    worker: Arc<Worker>,
    attempt: Attempt,
    handler: impl Future<Output = Outcome> + Send,
    cancel: Cancel,
) {
    let timeout = worker.policy.timeout.duration().saturating_sub(attempt.began.elapsed());
    tokio::pin!(handler);
    let ended = wait(&worker, &*attempt.delivery, handler.as_mut(), timeout).await;
    if matches!(ended, Ended::With(Outcome::TimedOut)) && cancel.now() {
        // One that blocks its thread goes on, and may meet its next attempt.
        let _ = tokio::time::timeout(LETS_GO, handler).await;
    }
    match ended {
        Ended::With(outcome) => conclude(&worker, attempt, outcome).await,
        Ended::Interrupted => told(&worker, attempt.delivery.hand_back().await),
        Ended::LeaseLost(error) => {
            let id = attempt.delivery.message().id;
            tracing::warn!(subscriber = %worker.label, message_id = %id, "{error}; its handler was cancelled");
        }
    }
}

/// Tells an outcome. What the transport takes at once costs no task.
pub(super) fn tell(worker: &Arc<Worker>, attempt: Attempt, outcome: Outcome) {
    let home = worker.home.clone();
    let worker = Arc::clone(worker);
    if !matches!(outcome, Outcome::Done) {
        home.spawn(async move { conclude(&worker, attempt, outcome).await });
        return;
    }
    let Attempt { delivery, alive, began } = attempt;
    (worker.observer)(outcome.label(), 1, began.elapsed());
    acknowledge(&worker, delivery, Some(alive));
}

/// Tells that it is done. What the transport takes at once costs no task.
pub(super) fn acknowledge(
    worker: &Arc<Worker>,
    delivery: Box<dyn Delivery>,
    alive: Option<mpsc::Sender<()>>,
) {
    let mut ack = delivery.ack();
    match ack.as_mut().poll(&mut Wakes::from_waker(Waker::noop())) {
        Poll::Ready(result) => told(worker, result),
        Poll::Pending => {
            let worker = Arc::clone(worker);
            worker.home.clone().spawn(async move {
                told(&worker, ack.await);
                drop(alive);
            });
        }
    }
}

/// Tells the transport what became of an attempt.
pub(super) async fn conclude(worker: &Worker, attempt: Attempt, outcome: Outcome) {
    let Attempt { delivery, alive, began } = attempt;
    (worker.observer)(outcome.label(), 1, began.elapsed());
    let (number, id) = (delivery.attempt(), delivery.message().id);
    let result = match decide(&worker.policy, number, outcome, worker.clock.now(), rand::random()) {
        Verdict::Ack => delivery.ack().await,
        Verdict::Retry { after, error } => {
            let next = format!("next attempt in {}", brief(after));
            telemetry::failed(&worker.label, id, number, &error, &next);
            delivery.retry_after(after, error).await
        }
        Verdict::Dead { reason, error } => {
            telemetry::failed(&worker.label, id, number, &error, "it is a dead letter now");
            delivery.dead_letter(reason, error).await
        }
    };
    told(worker, result);
    drop(alive);
}

/// Ends a message whose attempts were all used up by processes that ended during them: it is not begun again.
pub(super) async fn give_up(worker: &Worker, attempt: Attempt) {
    let Attempt { delivery, alive, .. } = attempt;
    let last = delivery.attempt() - 1;
    let message = match delivery.lease() {
        None => format!("the process ended during attempt {last}"),
        // The attempt was charged when the message was handed over, which the process may not have lived to see.
        Some(_) => {
            format!("the process that had received it for attempt {last} ended, perhaps before that began")
        }
    };
    let error = AttemptError { kind: AttemptErrorKind::Crash, message, at: worker.clock.now() };
    telemetry::failed(&worker.label, delivery.message().id, last, &error, "it is a dead letter now");
    told(worker, delivery.dead_letter(DeadReason::MaxAttempts, error).await);
    drop(alive);
}

async fn wait(
    worker: &Worker,
    delivery: &dyn Delivery,
    handler: impl Future<Output = Outcome>,
    timeout: Duration,
) -> Ended {
    let timeout = tokio::time::sleep(timeout);
    tokio::pin!(timeout, handler);
    let mut renewal = None;
    loop {
        tokio::select! {
            biased;
            outcome = &mut handler => return Ended::With(outcome),
            () = &mut timeout => return Ended::With(Outcome::TimedOut),
            () = worker.shutdown.expired() => return Ended::Interrupted,
            renewed = renewed(delivery, &mut renewal) => match renewed {
                Ok(()) => {}
                Err(error @ TransportError::LeaseLost) => return Ended::LeaseLost(error),
                Err(error) => tracing::warn!(subscriber = %worker.label, "can't renew a lease, will try again: {error}"),
            },
        }
    }
}

/// Waits until the lease is to be renewed, and for the answer.
async fn renewed(delivery: &dyn Delivery, renewal: &mut Option<Renewal>) -> Result<(), TransportError> {
    if renewal.is_none() {
        // At a third of its length, so that two renewals may fail before it is lost.
        sleep(delivery.lease().map(|lease| lease / 3)).await;
    }
    let result = renewal.get_or_insert_with(|| delivery.renew()).await;
    *renewal = None;
    result
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

pub(super) fn outcome(joined: Result<Result<()>, JoinError>) -> Outcome {
    match joined {
        Ok(Ok(())) => Outcome::Done,
        Ok(Err(error)) => Outcome::Returned(error.into_kind()),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Outcome::Panicked(panic_text(&*payload)),
            // Nobody but this attempt aborts its handler; a runtime that is being dropped does.
            Err(error) => Outcome::Panicked(error.to_string()),
        },
    }
}

pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}

fn brief(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} s", duration.as_secs())
    }
}

pub(super) fn told(worker: &Worker, result: Result<(), TransportError>) {
    if let Err(error) = result {
        tracing::error!(subscriber = %worker.label, "a delivery's outcome could not be stored; it will be delivered again: {error}");
    }
}
