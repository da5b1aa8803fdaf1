//! What can go wrong.

use std::time::Duration;

use crate::Refusal;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The server refuses: throttled, broken, not allowed, a stale receipt handle.
    Refuse(Refusal),
    /// The connection is closed before the server heard of the call.
    Drop,
    /// The server does the work, and the connection is closed without an answer.
    Cut,
    /// The server does the work, and the connection is closed in the middle of the answer.
    Tear,
    /// The call reaches the server later.
    Delay(Duration),
    /// The server does the work, and its answer arrives later.
    Late(Duration),
    /// The server never hears of the call, and nobody closes the connection.
    Hang,
    /// The server does the work, its answer never arrives, and nobody closes the connection.
    HangAfter,
    /// Some entries of a batch fail, the rest reaches the server. Other calls pass.
    FailEntries {
        /// Which ones.
        which: Entries,
        /// As what.
        refusal: Refusal,
    },
    /// Messages received come again, by this call where it has room, or by later ones from the same queue, with one receive more.
    Duplicate,
    /// Messages received are shuffled.
    Reorder,
}

/// Entries of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Entries {
    /// All.
    All,
    /// Those at these places, from 0.
    At(Vec<usize>),
    /// Each with this probability, and at least one.
    Chance(f64),
}

impl Fault {
    /// A short name for counting.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refused",
            Self::Drop => "dropped",
            Self::Cut => "cut",
            Self::Tear => "torn",
            Self::Delay(_) => "delayed",
            Self::Late(_) => "late",
            Self::Hang => "hung",
            Self::HangAfter => "hung after",
            Self::FailEntries { .. } => "entries failed",
            Self::Duplicate => "duplicated",
            Self::Reorder => "reordered",
        }
    }
}
