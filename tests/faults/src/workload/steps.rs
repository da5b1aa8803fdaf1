//! Tells what the store itself says that it does.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::event::{What, tell};

/// Listens to the store's steps, and to nothing else where it is filtered by their target.
pub(super) struct Steps;

impl<S: Subscriber> Layer<S> for Steps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Teller);
    }
}

struct Teller;

impl Visit for Teller {
    fn record_str(&mut self, _: &Field, step: &str) {
        match step {
            "taking" => tell(What::Taking, 0, None, 0),
            "synced" => tell(What::Synced, 0, None, 0),
            "disk" => tell(What::AtDisk, 0, None, 0),
            "store" => tell(What::Answered, 0, None, 0),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
