//! Starts a worker for every subscription: in this process where the handler is compiled in, else over processes of its language.

use std::collections::HashMap;
use std::sync::Arc;

use less_model::manifest::Subscriber;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::HostError;
use crate::app::App;
use crate::codegen::Registry;
use crate::context::Source;
use crate::handler::checked;
use crate::http::batch::publisher;
use crate::metrics::Metrics;
use crate::shutdown::Shutdown;
use crate::transport::{SubscriptionIndex, SubscriptionSpec, TransportError};
use crate::worker::foreign::{self, Control, Foreign, Lines, Program, Publisher, Warden};
use crate::worker::{self, Compiled, Handlers, Watchdog, Worker};

/// The tasks of all subscriptions.
pub(super) type Workers = JoinSet<Result<(), TransportError>>;

/// What the workers belong to.
pub(super) struct Place<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) shutdown: &'a Shutdown,
}

/// Starts them. Also returns, for each subscription with processes of its own, how they are.
pub(super) async fn start(
    place: &Place<'_>,
    registry: &Registry,
    handlers: &Arc<Handlers>,
) -> Result<(Workers, Vec<Option<Arc<Control>>>), HostError> {
    let layout = place.app.layout();
    let (mut workers, mut controls) = (JoinSet::new(), Vec::new());
    let mut uses: HashMap<&str, u32> = HashMap::new();
    for spec in &layout.subscriptions {
        *uses.entry(spec.subscriber.as_str()).or_default() += 1;
    }
    let watchdog = Watchdog::start();
    let mut processes = None;
    for (index, spec) in (0..).zip(&layout.subscriptions) {
        let (topic, subscriber) = names(place.app, spec);
        let (topic, described) = (topic.as_str(), place.app.described(spec.topic));
        let consumer = place.app.transport().consumer(SubscriptionIndex(index)).await?;
        // The subscriber's name alone, unless two topics have one of that name.
        let label =
            if uses[subscriber] > 1 { format!("{topic}/{subscriber}") } else { subscriber.to_owned() };
        let worker = Arc::new(describe(place, spec, &label));
        if let Some(handler) = registry.handlers.get(&(topic.to_owned(), subscriber.to_owned())) {
            // A type from a `message.rs` is a check in itself.
            let has_schema = described.is_some_and(|topic| topic.schema.is_some());
            let fits = if has_schema { place.app.fits(topic) } else { None };
            let handler = Arc::clone(handler);
            let handler =
                fits.map_or_else(|| Arc::clone(&handler), |fits| checked(Arc::clone(&handler), fits));
            let watchdog = Arc::clone(&watchdog);
            let compiled = Compiled { handler, handlers: Arc::clone(handlers), watchdog };
            workers.spawn(worker::run(worker, compiled, consumer));
            controls.push(None);
            continue;
        }
        let processes = match &mut processes {
            Some(processes) => processes,
            none => none.insert(Processes::begin(place)?),
        };
        let found =
            described.and_then(|topic| topic.subscribers.iter().find(|found| found.name == spec.subscriber));
        let foreign = processes.of(place.app, topic, found)?;
        controls.push(Some(Arc::clone(&foreign.control)));
        workers.spawn(foreign::run(worker, foreign, consumer));
    }
    Ok((workers, controls))
}

/// The topic's address, and the subscriber's name.
fn names<'a>(app: &App, spec: &'a SubscriptionSpec) -> (String, &'a str) {
    (app.layout().topics[spec.topic.0 as usize].address(), spec.subscriber.as_str())
}

fn describe(place: &Place, spec: &SubscriptionSpec, label: &str) -> Worker {
    let (topic, subscriber) = names(place.app, spec);
    Worker {
        source: Arc::new(Source {
            topic: place.app.layout().topics[spec.topic.0 as usize].name.to_string(),
            subscriber: subscriber.to_owned(),
        }),
        label: label.into(),
        policy: spec.policy,
        home: Handle::current(),
        clock: place.app.clock().clone(),
        observer: place.metrics.attempts(&topic, subscriber),
        shutdown: place.shutdown.clone(),
    }
}

/// What all worker processes share.
struct Processes {
    root: std::path::PathBuf,
    warden: Arc<Warden>,
    lines: Lines,
    publisher: Publisher,
}

impl Processes {
    fn begin(place: &Place) -> Result<Self, HostError> {
        let failed = |action| move |cause| HostError::System { action, cause };
        Ok(Self {
            root: std::env::current_dir().map_err(failed("find the app's folder"))?,
            warden: Arc::new(Warden::start().map_err(failed("start threads"))?),
            lines: Lines::start().map_err(failed("start threads"))?,
            publisher: publisher(Arc::clone(place.app), Arc::clone(place.metrics)),
        })
    }

    fn of(&self, app: &App, topic: &str, found: Option<&Subscriber>) -> Result<Foreign, HostError> {
        let manifest = app.manifest();
        let program = found.and_then(|found| Some((found, manifest.workers.get(&found.language)?)));
        let Some((found, program)) = program else {
            let subscriber = found.map_or("?", |found| found.name.as_str());
            return Err(HostError::Manifest(format!("`{topic}/{subscriber}` has no handler")));
        };
        Ok(Foreign {
            app: manifest.app.to_string(),
            root: self.root.clone(),
            file: found.file.clone(),
            fits: app.fits(topic),
            program: Program::new(program.clone()),
            warden: Arc::clone(&self.warden),
            lines: self.lines.clone(),
            publisher: Arc::clone(&self.publisher),
            control: Arc::default(),
        })
    }
}
