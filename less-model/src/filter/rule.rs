//! What is asked of a key.

use super::operator::Operator;

/// One element of a key's list.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// Whether the message has the key.
    Exists(bool),
    /// What a value of it is.
    Operator(Operator),
}
