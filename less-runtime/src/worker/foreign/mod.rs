//! Subscribers whose handlers run in worker processes: `docs/worker-protocol.md`, from the app's side.
//!
//! One task per subscription, [`pool`], leases messages, hands them to processes and takes their outcomes. A process is started by the [`warden`],
//! through [`launch`], and spoken to over its [`link`]. Nothing here knows a language.

mod control;
mod frame;
pub(crate) mod launch;
mod leasing;
mod lines;
mod link;
mod pool;
mod process;
mod program;
mod renewing;
mod warden;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use self::control::Control;
pub use self::control::{WorkerState, WorkerStatus};
pub(crate) use self::lines::Lines;
pub(crate) use self::program::Program;
pub(crate) use self::warden::Warden;
use super::Worker;
use crate::app::Fits;
use crate::transport::{Consumer, TransportError};

/// Publishes what a worker asks for: a topic and an array of messages; an array of results.
pub(crate) type Publisher =
    Arc<dyn Fn(String, Box<RawValue>) -> Pin<Box<dyn Future<Output = Value> + Send>> + Send + Sync>;

/// What a subscription with worker processes needs beside what every one needs.
pub(crate) struct Foreign {
    pub(crate) app: String,
    /// The app's folder, absolute.
    pub(crate) root: PathBuf,
    /// The handler's file, relative to it.
    pub(crate) file: String,
    /// What no longer fits its topic's type is never handed to a process.
    pub(crate) fits: Option<Fits>,
    pub(crate) program: Program,
    pub(crate) warden: Arc<Warden>,
    pub(crate) lines: Lines,
    pub(crate) publisher: Publisher,
    pub(crate) control: Arc<Control>,
}

/// Works until the shutdown, then until what it leased has ended. An error means that the transport can't go on.
pub(crate) async fn run(
    worker: Arc<Worker>,
    foreign: Foreign,
    consumer: Box<dyn Consumer>,
) -> Result<(), TransportError> {
    pool::Pool::new(worker, foreign).run(consumer).await
}
