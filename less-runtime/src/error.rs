//! What handlers return.

use std::fmt;
use std::time::Duration;

/// A handler's result: `Ok(())` is done, an error is retried with backoff.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a handler did not finish a message. Any error converts into it, so that `?` works.
pub struct Error {
    kind: Kind,
}

/// What shall become of the message.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Retried with backoff.
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// Retried after this long.
    RetryAfter(Duration),
    /// A dead letter at once.
    Reject(String),
    /// The stored message no longer fits the topic's type.
    Schema(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                write!(f, "{error}")?;
                let mut source = error.source();
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Self::RetryAfter(delay) => write!(f, "retry after {delay:?}"),
            Self::Reject(reason) => write!(f, "rejected: {reason}"),
            Self::Schema(problem) => write!(f, "the message does not fit: {problem}"),
        }
    }
}

impl Error {
    /// An error with this text; the message is retried with backoff.
    pub fn msg(text: impl fmt::Display) -> Self {
        Self { kind: Kind::Failed(text.to_string().into()) }
    }

    pub(crate) fn schema(problem: impl fmt::Display) -> Self {
        Self { kind: Kind::Schema(problem.to_string()) }
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.kind
    }
}

/// Makes the message a dead letter at once: `return Err(less::reject("no such user"))`.
pub fn reject(reason: impl fmt::Display) -> Error {
    Error { kind: Kind::Reject(reason.to_string()) }
}

/// Asks for the next attempt after `delay` instead of after the usual backoff. The attempt counts.
pub fn retry_after(delay: Duration) -> Error {
    Error { kind: Kind::RetryAfter(delay) }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self { kind: Kind::Failed(Box::new(error)) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// As it is displayed: this is what a `main` that returns it prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
