//! Keeps the connection: dials, greets, says again what the other side may not have heard, and listens.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::frame::{self, Reader, encode};
use super::super::protocol::{Hello, ToPublisher, ToSubscriber, VERSION};
use super::{Address, Shared};
use crate::dial;
use crate::message::StoredMessage;

/// Longest answer that is read of an app which refuses the link, in bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// Most endings in a frame.
const ENDINGS: usize = 256;
/// A connection that does not live as long was no good.
const GOOD: Duration = Duration::from_secs(1);

/// Connects again and again, until the link is closed.
pub(super) async fn keep(shared: Arc<Shared>) {
    let timing = shared.options.timing;
    let mut wait = timing.retry;
    loop {
        let began = Instant::now();
        let (welcomed, why) = {
            let mut welcomed = false;
            let why = tokio::select! {
                why = once(&shared, &mut welcomed) => why,
                () = shared.closing.notified() => return,
                () = give_up(&shared) => "it was down for too long".to_owned(),
            };
            (welcomed, why)
        };
        if shared.state().closed {
            return;
        }
        down(&shared, why);
        wait = if welcomed && began.elapsed() > GOOD.min(timing.lease / 10) {
            timing.retry
        } else {
            (wait * 2).min(timing.longest_retry)
        };
        // Not all subscribers of an app that was restarted at the same moment.
        let pause = wait.mul_f64(rand::random_range(0.5..1.0));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.closing.notified() => return,
        }
    }
}

/// Notes that there is no connection, and why. What is new is logged.
fn down(shared: &Shared, why: String) {
    let mut state = shared.state();
    state.sender = None;
    state.asked.clear();
    let since = *state.down.get_or_insert_with(Instant::now);
    if since.elapsed() >= shared.options.timing.lease {
        state.lose_all();
    }
    if state.error.as_ref() != Some(&why) {
        tracing::warn!("no link to app `{}`: {why}", shared.options.publisher);
        state.error = Some(why);
    }
}

/// Waits until what is held is lost, because the link was down for too long; for ever where it is not down.
async fn give_up(shared: &Shared) {
    let down = {
        let state = shared.state();
        state.down.filter(|_| state.session.is_some())
    };
    match down {
        Some(since) => tokio::time::sleep_until(since + shared.options.timing.lease).await,
        None => std::future::pending().await,
    }
    let is_down = {
        let mut state = shared.state();
        if state.down.is_some() {
            state.lose_all();
        }
        state.down.is_some()
    };
    if !is_down {
        // It came back.
        std::future::pending::<()>().await;
    }
}

/// One connection, from its beginning to its end. Returns why it ended.
async fn once(shared: &Arc<Shared>, welcomed: &mut bool) -> String {
    let address = match (shared.options.find)() {
        Ok(address) => address,
        Err(why) => return why,
    };
    shared.state().url = Some(address.url.clone());
    let opened = tokio::time::timeout(shared.options.timing.silence, upgrade(&address)).await;
    match opened {
        Err(_) => format!("{} does not answer", address.url),
        Ok(Err(why)) => why,
        Ok(Ok(io)) => match talk(shared, TokioIo::new(io), welcomed).await {
            Ok(()) => "it was closed".to_owned(),
            Err(error) => error.to_string(),
        },
    }
}

/// Asks the app for a link: from then on the connection carries frames.
async fn upgrade(address: &Address) -> Result<Upgraded, String> {
    let Address { url, token, trust } = address;
    let failed = |error: &dyn std::fmt::Display| format!("can't reach {url}: {error}");
    let uri: http::Uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
    let authority = uri.authority().ok_or_else(|| format!("`{url}` is no URL"))?;
    let stream = dial::connect(&uri, trust).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::builder()
        .uri("/_less/link")
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "less-link")
        .header("less-link", VERSION.to_string());
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let request = request.body(Empty::<bytes::Bytes>::new()).map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return hyper::upgrade::on(answer).await.map_err(|error| failed(&error));
    }
    let status = answer.status();
    let body = http_body_util::Limited::new(answer.into_body(), MAX_REFUSAL).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().map(str::to_owned);
    let detail =
        detail.unwrap_or_else(|| format!("{status}; it is no app of Less, or one of an older version"));
    Err(format!("{url} refuses the link: {detail}"))
}

/// Greets, and listens until the connection ends.
async fn talk(
    shared: &Arc<Shared>,
    io: impl AsyncRead + AsyncWrite + Send + 'static,
    welcomed: &mut bool,
) -> io::Result<()> {
    let timing = shared.options.timing;
    let (read, write) = tokio::io::split(io);
    let mut reader = Reader::new(read, timing.silence);
    let (sender, frames) = mpsc::unbounded_channel();
    let _ = sender.send(encode(&ToPublisher::Hello(hello(shared)), &[]));
    let writing = frame::write(write, frames, timing.silence);
    let listening = async {
        let Some((first, _)) = reader.next::<ToSubscriber>().await? else {
            return Err(frame::bad("it was closed before a word was said".to_owned()));
        };
        welcome(shared, first, &sender)?;
        *welcomed = true;
        tracing::info!("linked to app `{}`", shared.options.publisher);
        drop(sender);
        let flushing = flush(shared, timing.heartbeat);
        tokio::select! {
            never = flushing => never,
            ended = listen(shared, &mut reader) => ended,
        }
    };
    tokio::pin!(writing, listening);
    tokio::select! {
        // All senders are gone, so that this app has said goodbye; or nobody is there who takes what is written.
        written = &mut writing => written,
        ended = &mut listening => ended,
    }
}

fn hello(shared: &Shared) -> Hello {
    let state = shared.state();
    Hello {
        app: shared.options.app.clone(),
        instance: shared.options.instance.clone(),
        boot: shared.boot.clone(),
        session: state.session,
        holding: state.held.keys().copied().collect(),
        subscriptions: shared.options.subscriptions.clone(),
    }
}

/// The answer to the greeting: what is still held, and all that has to be said again.
fn welcome(shared: &Shared, first: ToSubscriber, sender: &super::Sender) -> io::Result<()> {
    let (app, session, lost, refused, left, others) = match first {
        ToSubscriber::Welcome { app, session, lost, refused, left, others } => {
            (app, session, lost, refused, left, others)
        }
        ToSubscriber::Refused { error } => return Err(frame::bad(error)),
        ToSubscriber::Deliver { .. }
        | ToSubscriber::Ended { .. }
        | ToSubscriber::Answer { .. }
        | ToSubscriber::Ping
        | ToSubscriber::Bye => return Err(frame::bad("it does not greet".to_owned())),
    };
    let options = &shared.options;
    if app != options.publisher {
        return Err(frame::bad(format!("the app there is `{app}`, not `{}`", options.publisher)));
    }
    let mut state = shared.state();
    if state.session == Some(session) {
        state.lose(lost);
    } else {
        state.lose_all();
        state.session = Some(session);
    }
    for (place, error) in refused.iter().filter(|refused| !state.refused.contains(refused)) {
        let Some(subscription) = options.subscriptions.get(*place as usize) else { continue };
        tracing::error!("`{app}:{}/{}` gets nothing: {error}", subscription.topic, subscription.subscriber);
    }
    if others > 0 {
        tracing::warn!(
            "`{}` is linked to app `{app}` from {} data folders: they share its queues, and the filters of the last one hold",
            options.app,
            others + 1
        );
    }
    for (topic, subscriber, waits, dead) in left {
        tracing::warn!(
            "app `{app}` keeps {waits} messages and {dead} dead letters of topic `{topic}` for `{subscriber}`, which has no folder here any more; \
             `less drop {topic}/{}:{subscriber}` there drops them",
            options.app
        );
    }
    state.refused = refused;
    state.error = None;
    state.down = None;
    state.sender = Some(sender.clone());
    for wanted in state.wanted.values_mut().filter(|wanted| !wanted.came.is_empty()) {
        // The rest of it does not come any more.
        if let Some(reply) = wanted.reply.take() {
            let _ = reply.send(());
        }
    }
    for (request, wanted) in state.wanted.iter().filter(|(_, wanted)| wanted.reply.is_some()) {
        let lease = ToPublisher::Lease { request: *request, of: wanted.of, max: wanted.max };
        Shared::send(&state, &lease);
    }
    state.tell_again();
    drop(state);
    shared.flush.notify_one();
    Ok(())
}

/// Sends endings, all that wait with one frame, and says now and then that this app is there.
async fn flush(shared: &Shared, heartbeat: Duration) -> io::Result<()> {
    let mut beats = tokio::time::interval(heartbeat);
    loop {
        tokio::select! {
            () = shared.flush.notified() => send_endings(shared),
            _ = beats.tick() => {
                let state = shared.state();
                Shared::send(&state, &ToPublisher::Ping { seen: state.seen });
            }
        }
    }
}

pub(super) fn send_endings(shared: &Shared) {
    let mut state = shared.state();
    send_all(&mut state);
}

/// Endings have errors with them, and a frame has its limit.
pub(super) fn send_all(state: &mut super::State) {
    if state.sender.is_none() {
        return;
    }
    let endings = std::mem::take(&mut state.outbox);
    for endings in endings.chunks(ENDINGS) {
        Shared::send(state, &ToPublisher::End { endings: endings.to_vec(), seen: state.seen });
    }
}

async fn listen(shared: &Shared, reader: &mut Reader<impl AsyncRead + Unpin>) -> io::Result<()> {
    while let Some((said, mut bodies)) = reader.next::<ToSubscriber>().await? {
        match said {
            ToSubscriber::Welcome { .. } | ToSubscriber::Refused { .. } => {
                return Err(frame::bad("it greets twice".to_owned()));
            }
            ToSubscriber::Deliver { request, deliveries, more } => {
                let mut came = Vec::with_capacity(deliveries.len());
                for delivered in deliveries {
                    let message: StoredMessage = delivered.head.clone().message(&mut bodies)?;
                    came.push((delivered, message));
                }
                shared.state().came(request, came, more);
                shared.flush.notify_one();
            }
            ToSubscriber::Ended { number, done, late } => {
                let mut state = shared.state();
                state.seen = state.seen.max(number);
                state.confirmed(done, late);
            }
            ToSubscriber::Answer { request, answer } => {
                if let Some(asked) = shared.state().asked.remove(&request) {
                    let _ = asked.send((answer, bodies));
                }
            }
            ToSubscriber::Ping => {}
            ToSubscriber::Bye => {
                tracing::info!("app `{}` is shutting down", shared.options.publisher);
            }
        }
    }
    Ok(())
}
