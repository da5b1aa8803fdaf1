//! The retry policy: what becomes of a delivery after an attempt. Nothing else decides this.

use std::time::Duration;

use less_model::manifest::Policy;

use crate::clock::Timestamp;
use crate::error::Kind;
use crate::transport::{AttemptError, AttemptErrorKind, DeadReason};

/// Longest error text that is kept, in bytes.
pub(crate) const MAX_ERROR: usize = 2048;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler returned `Ok`.
    Done,
    /// The handler returned an error.
    Returned(Kind),
    /// The handler panicked, with this message.
    Panicked(String),
    /// The handler took longer than its timeout.
    TimedOut,
    /// The worker process ended during the attempt; how.
    Exited(String),
}

impl Outcome {
    /// The word for it in metrics and logs.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Returned(Kind::Failed(_)) => "error",
            Self::Returned(Kind::RetryAfter(_)) => "retry_after",
            Self::Returned(Kind::Reject(_)) => "rejected",
            Self::Returned(Kind::Schema(_)) => "schema",
            Self::Panicked(_) => "panic",
            Self::TimedOut => "timeout",
            Self::Exited(_) => "exit",
        }
    }
}

/// What becomes of the delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done.
    Ack,
    /// It is attempted again.
    Retry { after: Duration, error: AttemptError },
    /// It is a dead letter.
    Dead { reason: DeadReason, error: AttemptError },
}

/// Decides. `jitter` is uniform in 0..1.
pub(crate) fn decide(
    policy: &Policy,
    attempt: u32,
    outcome: Outcome,
    now: Timestamp,
    jitter: f64,
) -> Verdict {
    let error = |kind, message: String| AttemptError { kind, message: cut(message), at: now };
    let (after, error) = match outcome {
        Outcome::Done => return Verdict::Ack,
        Outcome::Returned(Kind::Reject(reason)) => {
            return Verdict::Dead {
                reason: DeadReason::Rejected,
                error: error(AttemptErrorKind::Rejected, reason),
            };
        }
        Outcome::Returned(Kind::Schema(problem)) => {
            return Verdict::Dead {
                reason: DeadReason::Schema,
                error: error(AttemptErrorKind::Rejected, problem),
            };
        }
        Outcome::Returned(Kind::RetryAfter(delay)) => (
            delay,
            error(
                AttemptErrorKind::RetryAfter,
                format!("the handler asked for another attempt after {delay:?}"),
            ),
        ),
        Outcome::Returned(failed @ Kind::Failed(_)) => {
            (backoff(policy, attempt, jitter), error(AttemptErrorKind::Error, failed.to_string()))
        }
        Outcome::Panicked(message) => {
            (backoff(policy, attempt, jitter), error(AttemptErrorKind::Panic, message))
        }
        Outcome::Exited(how) => (backoff(policy, attempt, jitter), error(AttemptErrorKind::Exit, how)),
        Outcome::TimedOut => (
            backoff(policy, attempt, jitter),
            error(AttemptErrorKind::Timeout, format!("the handler took longer than {}", policy.timeout)),
        ),
    };
    if attempt >= policy.max_attempts {
        Verdict::Dead { reason: DeadReason::MaxAttempts, error }
    } else {
        Verdict::Retry { after, error }
    }
}

/// For a delivery whose attempts were all used up by processes that ended during them.
pub(crate) fn exhausted(policy: &Policy, attempt: u32) -> bool {
    attempt > policy.max_attempts
}

/// Doubles from `min_backoff` up to `max_backoff`, then takes 50 % to 100 % of that, so that messages that failed together come back apart.
fn backoff(policy: &Policy, attempt: u32, jitter: f64) -> Duration {
    let doubled = 2_u64
        .checked_pow(attempt.saturating_sub(1))
        .and_then(|n| n.checked_mul(policy.min_backoff.as_millis()));
    let full = doubled.unwrap_or(u64::MAX).min(policy.max_backoff.as_millis());
    Duration::from_millis(full).mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_ERROR {
        let end = (0..=MAX_ERROR).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use less_model::quantity::Span;

    use super::*;

    fn policy() -> Policy {
        Policy { max_attempts: 3, max_backoff: Span::from_secs(3), ..Policy::default() }
    }

    fn failed() -> Outcome {
        Outcome::Returned(Kind::Failed("no".into()))
    }

    #[test]
    fn backoff_doubles_up_to_its_limit_and_jitter_takes_up_to_half() {
        let waits: Vec<_> = (1..=4).map(|attempt| backoff(&policy(), attempt, 1.0).as_millis()).collect();
        assert_eq!(waits, [1000, 2000, 3000, 3000]);
        assert_eq!(backoff(&policy(), 1, 0.0).as_millis(), 500);
        assert_eq!(backoff(&policy(), u32::MAX, 1.0).as_millis(), 3000);
    }

    #[test]
    fn the_last_attempt_makes_a_dead_letter() {
        assert!(matches!(decide(&policy(), 2, failed(), 0, 0.0), Verdict::Retry { .. }));
        let Verdict::Dead { reason, error } = decide(&policy(), 3, failed(), 7, 0.0) else {
            panic!("not dead")
        };
        assert_eq!((reason, error.message.as_str(), error.at), (DeadReason::MaxAttempts, "no", 7));
    }

    #[test]
    fn reject_is_dead_at_once_and_retry_after_names_the_delay() {
        let rejected = decide(&policy(), 1, Outcome::Returned(Kind::Reject("bad".to_owned())), 0, 0.0);
        assert!(matches!(rejected, Verdict::Dead { reason: DeadReason::Rejected, .. }));
        let delay = Duration::from_secs(99);
        let later = decide(&policy(), 1, Outcome::Returned(Kind::RetryAfter(delay)), 0, 0.0);
        assert!(matches!(later, Verdict::Retry { after, .. } if after == delay));
        let last = decide(&policy(), 3, Outcome::Returned(Kind::RetryAfter(delay)), 0, 0.0);
        assert!(matches!(last, Verdict::Dead { reason: DeadReason::MaxAttempts, .. }));
    }

    #[test]
    fn panic_and_timeout_are_errors_like_any_other() {
        for (outcome, kind) in [
            (Outcome::Panicked("boom".to_owned()), AttemptErrorKind::Panic),
            (Outcome::TimedOut, AttemptErrorKind::Timeout),
        ] {
            assert!(
                matches!(decide(&policy(), 1, outcome, 0, 0.0), Verdict::Retry { error, .. } if error.kind == kind)
            );
        }
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let text = cut("é".repeat(MAX_ERROR));
        assert_eq!(text.len(), MAX_ERROR);
        assert_eq!(cut(format!("x{text}")).len(), MAX_ERROR - 1);
    }
}
