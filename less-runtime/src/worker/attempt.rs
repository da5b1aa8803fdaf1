//! One attempt: the handler under its timeout, its lease renewed, its outcome told to the transport.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinHandle};

use super::Worker;
use super::retry::{Outcome, Verdict, decide, exhausted};
use crate::context::Context;
use crate::error::Result;
use crate::telemetry;
use crate::transport::{AttemptError, AttemptErrorKind, DeadReason, Delivery, TransportError};

/// How the wait for the handler ended.
enum Ended {
    With(Outcome),
    /// The shutdown's grace is over.
    Interrupted,
    /// Someone else has the message now.
    LeaseLost(TransportError),
}

pub(super) async fn run(worker: Arc<Worker>, mut delivery: Box<dyn Delivery>, slot: OwnedSemaphorePermit) {
    let (attempt, id) = (delivery.attempt(), delivery.message().id);
    if exhausted(&worker.policy, attempt) {
        let error = AttemptError {
            kind: AttemptErrorKind::Crash,
            message: format!("the process ended during attempt {}", attempt - 1),
            at: worker.clock.now(),
        };
        told(&worker, delivery.dead_letter(DeadReason::MaxAttempts, error).await);
        return;
    }
    let began = Instant::now();
    let handler = start(&worker, &*delivery, slot);
    let abort = handler.abort_handle();
    let outcome = match wait(&worker, &mut *delivery, handler).await {
        Ended::With(outcome) => outcome,
        Ended::Interrupted => {
            abort.abort();
            told(&worker, delivery.hand_back().await);
            return;
        }
        Ended::LeaseLost(error) => {
            abort.abort();
            tracing::warn!(subscriber = %worker.label, message_id = %id, "{error}; its handler was cancelled");
            return;
        }
    };
    abort.abort();
    (worker.observer)(&worker.topic, &worker.subscriber, outcome.label(), began.elapsed());
    let told_to_transport = match decide(&worker.policy, attempt, outcome, worker.clock.now(), rand::random())
    {
        Verdict::Ack => delivery.ack().await,
        Verdict::Retry { after, error } => {
            telemetry::failed(
                &worker.label,
                id,
                attempt,
                &error,
                &format!("next attempt in {}", brief(after)),
            );
            delivery.retry_after(after, error).await
        }
        Verdict::Dead { reason, error } => {
            telemetry::failed(&worker.label, id, attempt, &error, "it is a dead letter now");
            delivery.dead_letter(reason, error).await
        }
    };
    told(&worker, told_to_transport);
}

/// Starts the handler on the handlers' runtime. Its slot is free again when it has really ended, also where it outlives its timeout.
fn start(
    worker: &Arc<Worker>,
    delivery: &dyn Delivery,
    slot: OwnedSemaphorePermit,
) -> JoinHandle<Result<()>> {
    let message = Arc::clone(delivery.message());
    let context = Context::new(
        Arc::clone(&worker.topic),
        Arc::clone(&worker.subscriber),
        delivery.attempt(),
        Arc::clone(&message),
    );
    let handler = Arc::clone(&worker.handler);
    worker.handlers.spawn(telemetry::labelled(Arc::clone(&worker.label), async move {
        let _slot = slot;
        // Called in here, so that a panic of the handler's first lines is caught like any other.
        handler(message, context).await
    }))
}

async fn wait(worker: &Worker, delivery: &mut dyn Delivery, mut handler: JoinHandle<Result<()>>) -> Ended {
    let timeout = tokio::time::sleep(worker.policy.timeout.duration());
    tokio::pin!(timeout);
    loop {
        // Renewed at a third of its length, so that two renewals may fail before it is lost.
        let renewal = delivery.lease().map(|lease| lease / 3);
        tokio::select! {
            biased;
            joined = &mut handler => return Ended::With(outcome(joined)),
            () = &mut timeout => return Ended::With(Outcome::TimedOut),
            () = worker.shutdown.expired() => return Ended::Interrupted,
            () = sleep(renewal) => match delivery.renew().await {
                Ok(()) => {}
                Err(error @ TransportError::LeaseLost) => return Ended::LeaseLost(error),
                Err(error) => tracing::warn!(subscriber = %worker.label, "can't renew a lease, will try again: {error}"),
            },
        }
    }
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

fn outcome(joined: Result<Result<()>, JoinError>) -> Outcome {
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

fn panic_text(payload: &(dyn Any + Send)) -> String {
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

fn told(worker: &Worker, result: Result<(), TransportError>) {
    if let Err(error) = result {
        tracing::error!(subscriber = %worker.label, "a delivery's outcome could not be stored; it will be delivered again: {error}");
    }
}
