//! What a stage needs on AWS: planned as data, then made; and what is no longer needed, removed as far as that is asked for.

pub mod archive;
pub mod ask;
pub mod code;
pub mod errors;
pub mod external;
pub mod orphan;
pub mod plan;
pub mod progress;
pub mod remove;
pub mod show;
pub mod target;
#[cfg(test)]
mod tests;
pub mod wait;
