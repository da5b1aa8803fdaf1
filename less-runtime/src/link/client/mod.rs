//! The subscriber's side: one connection to another app, kept up, over which the subscriptions of that app's topics lease.

mod admin;
mod connection;
mod consumer;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use less_model::config::Secret;
use less_model::name::AppName;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use self::consumer::LinkConsumer;
use self::state::State;
use super::Timing;
use super::frame::{Frame, encode};
use super::protocol::Subscription;
use super::protocol::{Place, ToPublisher};
use crate::shutdown::Shutdown;
use crate::tls::Trust;
use crate::transport::{Consumer, TransportError};

/// Where another app is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Its URL.
    pub(crate) url: String,
    /// What it asks for.
    pub(crate) token: Option<Secret>,
    /// Whom to believe that it is the app, where the URL is an https:// one.
    pub(crate) trust: Trust,
}

/// Says where the other app is now, or why that is not known.
pub(crate) type Find = Box<dyn Fn() -> Result<Address, String> + Send + Sync>;

/// What a link is made of.
pub(crate) struct LinkOptions {
    /// The other app.
    pub(crate) publisher: AppName,
    /// This app.
    pub(crate) app: AppName,
    /// The number of this app's data folder.
    pub(crate) instance: String,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) find: Find,
    pub(crate) shutdown: Shutdown,
    pub(crate) timing: Timing,
}

/// Whether a link is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Messages come.
    Connected,
    /// It is tried again and again.
    Waiting,
}

/// How a link to another app is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The other app.
    pub app: String,
    /// Whether it is up.
    pub state: LinkState,
    /// Where the other app is, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why it is not up, or what the other app refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A link to another app.
pub(crate) struct Link {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What the connection and the consumers have in common.
struct Shared {
    options: LinkOptions,
    /// This process's own number.
    boot: String,
    state: Mutex<State>,
    /// Told when deliveries of an earlier session are gone.
    gone: Notify,
    /// Told when there are endings to be sent.
    flush: Notify,
    /// Told when the link is to end.
    closing: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this app is ending and the other one is away: what it was to be told can't be told any more.
    async fn given_up(&self) {
        self.options.shutdown.stopping().await;
        loop {
            tokio::time::sleep(self.options.timing.heartbeat).await;
            if self.state().sender.is_none() {
                return;
            }
        }
    }

    /// Sends a frame, where there is a connection; without one the state says later what has to be said.
    fn send(state: &State, head: &ToPublisher) {
        if let Some(sender) = &state.sender {
            let _ = sender.send(encode(head, &[]));
        }
    }
}

impl Link {
    /// Begins to connect.
    pub(crate) fn open(options: LinkOptions) -> Arc<Self> {
        let count = options.subscriptions.len();
        let shared = Arc::new(Shared {
            options,
            boot: format!("{:016x}", rand::random::<u64>()),
            state: Mutex::new(State::new(count)),
            gone: Notify::new(),
            flush: Notify::new(),
            closing: Notify::new(),
        });
        let task = tokio::spawn(connection::keep(Arc::clone(&shared)));
        Arc::new(Self { shared, task: Mutex::new(Some(task)) })
    }

    /// The queue of a subscription, by its place in [`LinkOptions::subscriptions`].
    pub(crate) fn consumer(&self, place: Place) -> Result<Box<dyn Consumer>, TransportError> {
        let mut state = self.shared.state();
        if state.closed {
            return Err(TransportError::Closed);
        }
        let taken = state.consumed.get_mut(place as usize).ok_or(TransportError::Closed)?;
        if std::mem::replace(taken, true) {
            return Err(TransportError::Busy);
        }
        Ok(Box::new(LinkConsumer::new(Arc::clone(&self.shared), place)))
    }

    /// How it is.
    pub(crate) fn status(&self) -> LinkStatus {
        let state = self.shared.state();
        let connected = state.sender.is_some();
        LinkStatus {
            app: self.shared.options.publisher.to_string(),
            state: if connected { LinkState::Connected } else { LinkState::Waiting },
            url: state.url.clone(),
            error: state.problem(),
        }
    }

    /// Says goodbye, so that the publisher need not wait for this process, and ends.
    pub(crate) async fn close(&self) {
        {
            let mut state = self.shared.state();
            connection::send_all(&mut state);
            state.closed = true;
            Shared::send(&state, &ToPublisher::Bye);
            // The writer ends once it has written that.
            let connected = state.sender.take().is_some();
            state.lose_all();
            // Who waits learns that nothing comes any more.
            state.wanted.clear();
            if !connected {
                self.shared.closing.notify_one();
            }
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by itself, at the latest when the other side does not take the goodbye.
            let _ = tokio::time::timeout(self.shared.options.timing.heartbeat, task).await;
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

type Sender = mpsc::UnboundedSender<Frame>;
