//! What goes wrong with AWS while topics and queues are made.

use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};

use super::Kind;
use crate::transport::aws::calls::brief;

/// A failure of one call, or of what it should have done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// AWS refused a call, or did not answer.
    #[error("can't {action} `{target}`: {cause}")]
    Call {
        /// What was tried.
        action: &'static str,
        /// On what.
        target: String,
        /// What AWS says.
        cause: String,
    },
    /// Something of this name exists, and has not this app's and stage's tags.
    #[error("{kind} `{name}` exists already, and is not this app's and stage's: its tags are {tags}")]
    Taken {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Its tags.
        tags: String,
    },
    /// AWS said yes, but what is read back is something else.
    #[error(
        "{kind} `{name}` was set up, but reads back differently: `{attribute}` is `{found}` instead of `{wanted}`\nhint: deploy once more; if it stays so, something else is changing it"
    )]
    ReadBack {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
        /// Which attribute.
        attribute: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// It was made, and is not to be found.
    #[error("{kind} `{name}` was made, but is gone\nhint: something else deletes it; deploy once more")]
    Gone {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
}

/// For `map_err`: what was tried on what.
pub(super) fn failed<E, R>(
    action: &'static str,
    target: &str,
) -> impl FnOnce(SdkError<E, R>) -> ProvisionError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let target = target.to_owned();
    move |error| ProvisionError::Call { action, target, cause: brief(&error) }
}
