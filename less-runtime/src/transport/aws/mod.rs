//! SNS topics and SQS queues: a topic each, and for every subscriber a queue with one for its dead letters.
//!
//! What they are called follows from the app, the stage and the folders' names ([`less_model::topology`]); nothing is listed or searched for.

mod connect;
#[cfg(feature = "deploy")]
pub mod provision;
mod site;

pub use self::connect::{Connection, Purpose, connect};
pub use self::site::{Site, partition};
