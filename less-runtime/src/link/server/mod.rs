//! The publisher's side: sessions of other apps, which lease from the queues that this app's broker keeps for them.

mod questions;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use less_model::name::{AppName, TopicName, nearest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use self::session::{Over, Resumed, Session, Subscribed};
use super::Timing;
use super::frame::{self, Reader, encode};
use super::protocol::{DeliveryId, Hello, Place, Subscription, ToPublisher, ToSubscriber};
use crate::app::App;
use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::transport::{
    Attachment, Consumer, Guest, Layout, SubscriptionIndex, TopicIndex, Transport, TransportError,
};

/// How often a queue is tried that another session is just letting go of.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Serves other apps' links.
pub(crate) struct Server {
    app: AppName,
    /// The app's own topics.
    layout: Layout,
    transport: Arc<dyn Transport>,
    clock: Clock,
    timing: Timing,
    shutdown: Shutdown,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<u64, Arc<Session>>,
    /// Queues that some session leases from, and how many do.
    consumers: HashMap<SubscriptionIndex, (Arc<dyn Consumer>, usize)>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("app", &self.app).finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(app: &App, timing: Timing, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            app: app.manifest().app.clone(),
            layout: app.layout().own(),
            transport: Arc::clone(app.transport()),
            clock: app.clock().clone(),
            timing,
            shutdown,
            inner: Mutex::default(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Apps that have a connection now.
    pub(crate) fn connected(&self) -> Vec<AppName> {
        let inner = self.inner();
        let connected = inner.sessions.values().filter(|session| session.is_connected());
        let mut apps: Vec<AppName> = connected.map(|session| session.app.clone()).collect();
        apps.sort();
        apps.dedup();
        apps
    }

    /// Serves one connection, until it ends.
    pub(crate) async fn serve(self: Arc<Self>, io: impl AsyncRead + AsyncWrite + Send + 'static) {
        let (read, write) = tokio::io::split(io);
        let mut reader = Reader::new(read, self.timing.silence);
        let (sender, frames) = mpsc::unbounded_channel();
        let silence = self.timing.silence;
        let mut writing = tokio::spawn(frame::write(write, frames, silence));
        let Ok(Some((ToPublisher::Hello(hello), _))) = reader.next::<ToPublisher>().await else { return };
        let app = hello.app.clone();
        let session = match self.open(hello, &sender).await {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!("app `{app}` can't be linked: {error}");
                let refused = ToSubscriber::Refused { error };
                let _ = sender.send(encode(&refused, &[]));
                drop(sender);
                let _ = writing.await;
                return;
            }
        };
        let (session, connection) = session;
        tracing::info!("app `{app}` is linked");
        let heartbeat = tokio::spawn(beat(sender.clone(), self.timing.heartbeat));
        drop(sender);
        let mut told = false;
        let ended = tokio::select! {
            ended = self.listen(&session, connection, &mut reader) => ended,
            written = &mut writing => written.ok().and_then(Result::err).map_or_else(
                || "it was closed".to_owned(),
                |error| error.to_string(),
            ),
            () = session.ended(connection) => {
                told = true;
                "it has ended here".to_owned()
            }
        };
        heartbeat.abort();
        if told {
            // What was confirmed last is still to be written.
            let _ = tokio::time::timeout(self.timing.heartbeat, &mut writing).await;
        }
        writing.abort();
        if session.detach(connection) {
            tracing::info!("the link to app `{app}` is down: {ended}");
            let server = Arc::clone(&self);
            tokio::spawn(async move { server.expire(session, connection).await });
        }
    }

    /// Takes frames until the connection ends. Returns why it did.
    async fn listen(
        self: &Arc<Self>,
        session: &Arc<Session>,
        connection: u64,
        reader: &mut Reader<impl AsyncRead + Unpin>,
    ) -> String {
        loop {
            let said = match reader.next::<ToPublisher>().await {
                Ok(Some((said, _))) => said,
                Ok(None) => return "it was closed".to_owned(),
                Err(error) => return error.to_string(),
            };
            match said {
                ToPublisher::Hello(_) => return "it was greeted twice".to_owned(),
                ToPublisher::Lease { request, of, max } => {
                    session.lease(connection, request, of, max, self.shutdown.clone());
                }
                ToPublisher::Cancel { request } => session.cancel(request),
                ToPublisher::End { endings, seen } => {
                    // In this order: what is told again may be among what was seen.
                    session.end(endings, &self.transport);
                    session.seen(seen);
                }
                ToPublisher::Ask { request, what } => {
                    let (session, transport) = (Arc::clone(session), Arc::clone(&self.transport));
                    tokio::spawn(async move {
                        let (answer, bodies) = questions::answer(&session, &*transport, what).await;
                        session.send(&ToSubscriber::Answer { request, answer }, &bodies);
                    });
                }
                ToPublisher::Ping { seen } => session.seen(seen),
                ToPublisher::Bye => {
                    // Apart from this connection, whose end must not cut it off.
                    let (server, session) = (Arc::clone(self), Arc::clone(session));
                    tokio::spawn(async move { server.end_session(&session, Over::HandBack).await });
                    return "it said goodbye".to_owned();
                }
            }
        }
    }

    /// Begins a session, or goes on with one; its connection's number is returned with it.
    async fn open(
        &self,
        hello: Hello,
        sender: &mpsc::UnboundedSender<frame::Frame>,
    ) -> Result<(Arc<Session>, u64), String> {
        if self.shutdown.is_stopping() {
            return Err(format!("`{}` is shutting down", self.app));
        }
        if hello.app == self.app {
            return Err(format!("both apps are called `{}`", self.app));
        }
        let Hello { app, instance, boot, session, holding, subscriptions } = hello;
        self.end_earlier(&app, &instance, &boot, session).await;
        let (mut places, mut refused) = (Vec::with_capacity(subscriptions.len()), Vec::new());
        for (place, wanted) in (0 as Place..).zip(&subscriptions) {
            places.push(match self.subscribe(&app, wanted).await {
                Ok(subscribed) => Some(subscribed),
                Err(error) => {
                    refused.push((place, error));
                    None
                }
            });
        }
        let left = self.left(&app, &subscriptions).await;
        let others = self.others(&app, &instance);
        let welcome = |session: u64, lost: Vec<DeliveryId>| {
            let app = self.app.clone();
            encode(
                &ToSubscriber::Welcome {
                    app,
                    session,
                    lost,
                    refused: refused.clone(),
                    left: left.clone(),
                    others,
                },
                &[],
            )
        };
        let known = session.and_then(|id| self.inner().sessions.get(&id).cloned());
        if let Some(known) = known.filter(|known| known.boot == boot) {
            match known.resume(places, &holding, sender, |lost| welcome(known.id, lost)) {
                Ok(Resumed { connection, released, never: _never }) => {
                    self.release(released);
                    return Ok((known, connection));
                }
                // It has just ended: what it held is somebody else's by now.
                Err(back) => places = back,
            }
        }
        let id = rand::random();
        let new = Arc::new(Session::new(id, app, instance, boot, self.clock.clone()));
        let resumed = new.resume(places, &[], sender, |_| welcome(id, holding));
        self.inner().sessions.insert(id, Arc::clone(&new));
        let connection = resumed.map_or(0, |resumed| resumed.connection);
        Ok((new, connection))
    }

    /// How many other processes of an app are linked. They share its queues, which is told, as it may be meant or not.
    fn others(&self, app: &AppName, instance: &str) -> usize {
        let inner = self.inner();
        let all = inner.sessions.values();
        let others =
            all.filter(|other| other.app == *app && other.instance != instance && other.is_connected());
        let others = others.count();
        if others > 0 {
            tracing::warn!(
                "app `{app}` is linked {} times, from as many data folders: they share its queues, and the filters of the last one hold",
                others + 1
            );
        }
        others
    }

    /// Ends sessions of processes that are gone: their successor is here.
    async fn end_earlier(&self, app: &AppName, instance: &str, boot: &str, session: Option<u64>) {
        let gone: Vec<(Arc<Session>, Over)> = {
            let inner = self.inner();
            let all = inner.sessions.values().filter(|other| other.app == *app && other.instance == instance);
            let gone = all.filter_map(|other| match (other.boot == boot, session == Some(other.id)) {
                (true, true) => None,
                // The same process has given it up.
                (true, false) => Some((Arc::clone(other), Over::Lost)),
                (false, _) => Some((Arc::clone(other), Over::Crashed)),
            });
            gone.collect()
        };
        for (session, over) in gone {
            self.end_session(&session, over).await;
        }
    }

    async fn subscribe(&self, app: &AppName, wanted: &Subscription) -> Result<Subscribed, String> {
        let found = self.layout.topics.iter().position(|topic| topic.name == wanted.topic);
        let Some(topic) = found.and_then(|found| u32::try_from(found).ok()) else {
            let names = self.layout.topics.iter().map(|topic| topic.name.as_str());
            let near = nearest(wanted.topic.as_str(), names);
            let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("app `{}` has no topic `{}`{near}", self.app, wanted.topic));
        };
        let attachment = Attachment {
            app: app.clone(),
            subscriber: wanted.subscriber.clone(),
            start: wanted.start,
            filter: wanted.filter.clone(),
        };
        let failed = |error: TransportError| error.to_string();
        let index = self.transport.attach(TopicIndex(topic), attachment).await.map_err(failed)?;
        let consumer = self.consumer(index).await.map_err(failed)?;
        Ok(Subscribed { index, consumer })
    }

    /// The queue's one consumer, which sessions share.
    async fn consumer(&self, index: SubscriptionIndex) -> Result<Arc<dyn Consumer>, TransportError> {
        let until = tokio::time::Instant::now() + self.timing.silence;
        loop {
            if let Some((consumer, uses)) = self.inner().consumers.get_mut(&index) {
                *uses += 1;
                return Ok(Arc::clone(consumer));
            }
            match self.transport.consumer(index).await {
                Ok(consumer) => {
                    let consumer: Arc<dyn Consumer> = Arc::from(consumer);
                    self.inner().consumers.insert(index, (Arc::clone(&consumer), 1));
                    return Ok(consumer);
                }
                // A lease that was cancelled a moment ago still holds it, or another connection has just opened it.
                Err(TransportError::Busy) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn release(&self, subscribed: Vec<Subscribed>) {
        let mut inner = self.inner();
        for Subscribed { index, consumer } in subscribed {
            drop(consumer);
            if let Some((_, uses)) = inner.consumers.get_mut(&index) {
                *uses -= 1;
                if *uses == 0 {
                    inner.consumers.remove(&index);
                }
            }
        }
    }

    /// What this app keeps for the other one, and that one does not ask for: what waits there, and dead letters.
    async fn left(
        &self,
        app: &AppName,
        wanted: &[Subscription],
    ) -> Vec<(TopicName, less_model::name::SubscriberName, u64, u64)> {
        let guests = self.transport.guests().await.unwrap_or_default();
        let left = guests.into_iter().filter(|(guest, _)| {
            guest.app.as_ref() == Some(app) && !wanted.iter().any(|wanted| is(wanted, guest))
        });
        left.map(|(guest, ledger)| {
            let waits = ledger.pending + ledger.scheduled + ledger.in_flight;
            (guest.topic, guest.subscriber, waits, ledger.dead)
        })
        .collect()
    }

    /// Ends a session that has had no connection for too long.
    async fn expire(&self, session: Arc<Session>, connection: u64) {
        tokio::select! {
            // Longer than the subscriber itself waits, who may notice later that the connection is broken: its handlers are cancelled first.
            () = tokio::time::sleep(self.timing.lease + self.timing.silence) => {}
            // Then `finish` looks after it.
            () = self.shutdown.stopping() => return,
        }
        if session.is_detached(connection) {
            self.end_session(&session, Over::Lost).await;
        }
    }

    async fn end_session(&self, session: &Arc<Session>, over: Over) {
        let subscribed = session.finish(over).await;
        self.release(subscribed);
        self.inner().sessions.remove(&session.id);
    }

    /// After the shutdown has begun: waits until nobody holds anything, or until its grace is over. What is held then is handed back.
    pub(crate) async fn finish(&self) {
        let sessions: Vec<Arc<Session>> = self.inner().sessions.values().cloned().collect();
        for session in &sessions {
            session.say_goodbye();
        }
        for session in &sessions {
            tokio::select! {
                () = session.idle() => {}
                () = self.shutdown.expired() => {}
            }
            self.end_session(session, Over::HandBack).await;
        }
    }
}

fn is(wanted: &Subscription, guest: &Guest) -> bool {
    wanted.topic == guest.topic && wanted.subscriber == guest.subscriber
}

async fn beat(sender: mpsc::UnboundedSender<frame::Frame>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if sender.send(encode(&ToSubscriber::Ping, &[])).is_err() {
            return;
        }
    }
}
