//! An HTTP proxy between an AWS SDK and a server of SNS and SQS, that fails as they do.
//!
//! What no local server shows: throttling, lost answers, batches of which a part fails, duplicates. The SDK's `endpoint_url` is [`Proxy::url`];
//! calls pass unless a rule says otherwise, and are counted, retries of the SDK included. It changes requests without signing them again, which
//! servers for tests don't check.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use less_aws_proxy::{Fault, Proxy, When};
//!
//! let proxy = Proxy::start("http://127.0.0.1:4566", 7).await?;
//! // The first answer to a publish is lost: the SDK tries again, and the message is there twice.
//! proxy.inject("PublishBatch", When::First(1), Fault::Cut);
//! # Ok(())
//! # }
//! ```

mod batch;
mod call;
mod fault;
mod forward;
mod received;
mod refusal;
mod rules;
mod serve;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::fault::{Entries, Fault};
pub use self::refusal::Refusal;
pub use self::rules::When;

use self::forward::Upstream;
use self::received::Duplicates;
use self::rules::Rules;

/// The operation of a rule that is for every one of them.
pub const ANY: &str = "*";

/// How often what happened, by name.
pub type Tally = BTreeMap<String, u64>;

/// A proxy on a free port of the loopback interface, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    rules: Mutex<Rules>,
    duplicates: Mutex<Duplicates>,
    counts: watch::Sender<Counts>,
}

#[derive(Debug, Default, Clone)]
struct Counts {
    calls: Tally,
    injected: Tally,
}

impl Proxy {
    /// Starts in front of a server, such as `http://127.0.0.1:4566`. The seed decides what is left to chance.
    pub async fn start(server: &str, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream: Upstream::new(server).map_err(io::Error::other)?,
            rules: Mutex::new(Rules::new(seed)),
            duplicates: Mutex::default(),
            counts: watch::Sender::default(),
        });
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, accepting })
    }

    /// Where it is: the endpoint for the SDK.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds a rule for calls of one operation, such as `ReceiveMessage`, or of [`ANY`]; the first rule that applies to a call decides on it.
    pub fn inject(&self, operation: &str, when: When, fault: Fault) {
        locked(&self.shared.rules).add(operation, when, fault);
    }

    /// Removes every rule. What hangs goes on hanging.
    pub fn calm(&self) {
        locked(&self.shared.rules).clear();
    }

    /// Calls that arrived, by operation; each try counts.
    pub fn calls(&self) -> Tally {
        self.shared.counts.borrow().calls.clone()
    }

    /// Calls of one operation that arrived.
    pub fn calls_of(&self, operation: &str) -> u64 {
        self.shared.counts.borrow().calls.get(operation).copied().unwrap_or(0)
    }

    /// Faults that were injected, by operation and kind, such as `PublishBatch cut`.
    pub fn injected(&self) -> Tally {
        self.shared.counts.borrow().injected.clone()
    }

    /// Waits until so many calls of an operation have arrived.
    pub async fn arrived(&self, operation: &str, calls: u64) {
        let mut counts = self.shared.counts.subscribe();
        let enough = |counts: &Counts| counts.calls.get(operation).is_some_and(|seen| *seen >= calls);
        // The sender lives as long as the proxy, which is borrowed here.
        let _ = counts.wait_for(enough).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections end with it: they are in its `JoinSet`.
        self.accepting.abort();
    }
}

/// Nothing here panics while it holds a lock; if it did, what is behind it would still be sound.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
