//! What a Less app is.
//!
//! Names, languages, durations, the manifest that a built app carries, and its settings. With the feature `parse` also how an app is read
//! from its folder: source, scan, checks, diagnostics. Nothing here knows tokio, HTTP or a cloud.

pub mod config;
pub mod contract;
pub mod diagnostic;
pub mod elsewhere;
pub mod filter;
pub mod language;
pub mod manifest;
pub mod name;
pub mod quantity;
pub mod shape;
pub mod topology;

#[cfg(feature = "parse")]
mod check;
#[cfg(feature = "parse")]
pub mod handler;
#[cfg(feature = "parse")]
pub mod lock;
#[cfg(feature = "parse")]
mod message;
#[cfg(feature = "parse")]
mod rust;
#[cfg(feature = "parse")]
pub mod scan;
#[cfg(feature = "parse")]
pub mod source;
#[cfg(feature = "parse")]
pub mod tree;
