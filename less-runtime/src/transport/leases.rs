//! What was leased together.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Delivery, TransportError};
use crate::message::StoredMessage;

/// Messages that were leased together, in the order in which they are to be handled. Those that are left when it is dropped are handed back.
///
/// As an iterator it gives each of them as a [`Delivery`] of its own. Whoever ends most of them at once need not take them out: [`Leases::first`] says
/// which one is next, and [`Leases::done`] ends that.
pub trait Leases: Send {
    /// How many are left.
    fn len(&self) -> usize;

    /// Whether none is left.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first one, and which attempt it is, from 1.
    fn first(&self) -> Option<(&Arc<StoredMessage>, u32)>;

    /// Takes the first one out.
    fn pop(&mut self) -> Option<Box<dyn Delivery>>;

    /// Takes the first ones out, `count` of them or as many as there are.
    fn split(&mut self, count: usize) -> Box<dyn Leases>;

    /// The first one is done: it is out, and the transport learns that from [`Leases::tell`]. False where it has to be waited for, or none is left: then
    /// nothing has changed, and it is to be taken out and acknowledged.
    fn done(&mut self) -> bool;

    /// Tells the transport what is done. Dropping it does so as well, and says nothing of failures.
    fn tell(&mut self) -> Result<(), TransportError>;
}

impl Iterator for dyn Leases + '_ {
    type Item = Box<dyn Delivery>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

/// Of a transport whose endings all have to be waited for. Each one that is dropped is handed back by that.
impl Leases for VecDeque<Box<dyn Delivery>> {
    fn len(&self) -> usize {
        self.len()
    }

    fn first(&self) -> Option<(&Arc<StoredMessage>, u32)> {
        self.front().map(|first| (first.message(), first.attempt()))
    }

    fn pop(&mut self) -> Option<Box<dyn Delivery>> {
        self.pop_front()
    }

    fn split(&mut self, count: usize) -> Box<dyn Leases> {
        let rest = self.split_off(count.min(self.len()));
        Box::new(std::mem::replace(self, rest))
    }

    fn done(&mut self) -> bool {
        false
    }

    fn tell(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}
