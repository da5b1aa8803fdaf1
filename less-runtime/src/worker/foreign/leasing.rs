//! Leases that a pool waits for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::transport::{Consumer, Leases, TransportError};

/// Leases that are waited for at the same time: the second one's slots became free during the sync of the first.
const LEASES: usize = 2;

pub(super) type Leased = Result<Box<dyn Leases>, TransportError>;

type Lease = Pin<Box<dyn Future<Output = Leased> + Send>>;

/// Leases that are waited for, each with how many messages it may bring. They are kept across other events: one that is dropped has cost a sync for nothing.
#[derive(Default)]
pub(super) struct Leasing(Vec<(usize, Lease)>);

impl Leasing {
    /// Asks for what there is room for and was not asked for yet.
    pub(super) fn ask(&mut self, consumer: &Arc<dyn Consumer>, room: usize) {
        let asked: usize = self.0.iter().map(|(asked, _)| asked).sum();
        let room = room.saturating_sub(asked);
        if room > 0 && self.0.len() < LEASES {
            let consumer = Arc::clone(consumer);
            self.0.push((room, Box::pin(async move { consumer.lease(room).await })));
        }
    }

    /// Waits for none of them any more.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Waits for the first one that comes.
    pub(super) async fn next(&mut self) -> Leased {
        std::future::poll_fn(|context| {
            for at in 0..self.0.len() {
                if let Poll::Ready(leased) = self.0[at].1.as_mut().poll(context) {
                    drop(self.0.remove(at));
                    return Poll::Ready(leased);
                }
            }
            Poll::Pending
        })
        .await
    }
}
