//! Connections of the SDK, and what becomes of a call.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, header, request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::call::Call;
use crate::fault::Fault;
use crate::forward::ForwardError;
use crate::{Refusal, Shared, batch, locked, received};

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("closed, as a rule says")]
    OnPurpose,
    #[error("the request broke off")]
    Request(#[from] hyper::Error),
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

type Body = BoxBody<Bytes, Gone>;

/// Serves connections until it is dropped, and them with it.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A small answer that waits for more to send would look like a slow server.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    // It ends with an error where a rule closes it, which is as it should be.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, Gone> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let Some(mut call) = Call::read(&head.headers, &body) else {
        shared.count("other", None);
        return Ok(whole(shared.upstream.send(&head, body).await?));
    };
    let fault = locked(&shared.rules).decide(call.operation());
    shared.count(call.operation(), fault.as_ref());
    // Where nothing is changed, the server gets the very bytes.
    let unchanged = call.clone();
    locked(&shared.duplicates).hurry(&mut call);
    let body = if call == unchanged { body } else { call.body() };

    let answer = match fault {
        None => shared.work(&call, head, body).await?,
        Some(Fault::Refuse(refusal)) => refusal.answer(call.protocol()).map(Bytes::from),
        Some(Fault::Drop) => return Err(Gone::OnPurpose),
        Some(Fault::Cut) => {
            shared.work(&call, head, body).await?;
            return Err(Gone::OnPurpose);
        }
        Some(Fault::Tear) => return Ok(torn(shared.work(&call, head, body).await?)),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            shared.work(&call, head, body).await?
        }
        Some(Fault::Late(time)) => {
            let answer = shared.work(&call, head, body).await?;
            tokio::time::sleep(time).await;
            answer
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::HangAfter) => {
            shared.work(&call, head, body).await?;
            std::future::pending().await
        }
        Some(Fault::FailEntries { which, refusal }) => {
            let places = locked(&shared.rules).choose(&which, batch::entries(&call));
            shared.in_part(call, head, &places, &refusal).await?
        }
        Some(Fault::Duplicate) => {
            let answer = shared.clone().work_once(head, body).await?;
            let mut duplicates = locked(&shared.duplicates);
            duplicates.keep(&call, answer.body());
            answer.map(|body| duplicates.again(&call, body))
        }
        Some(Fault::Reorder) => {
            let answer = shared.work(&call, head, body).await?;
            answer.map(|body| received::reorder(&body, &mut locked(&shared.rules)))
        }
    };
    Ok(whole(answer))
}

impl Shared {
    fn count(&self, operation: &str, fault: Option<&Fault>) {
        self.counts.send_modify(|counts| {
            *counts.calls.entry(operation.to_owned()).or_default() += 1;
            if let Some(fault) = fault {
                *counts.injected.entry(format!("{operation} {}", fault.name())).or_default() += 1;
            }
        });
    }

    /// Has the server do the work, and adds messages that are to come again.
    async fn work(
        self: &Arc<Self>,
        call: &Call,
        head: request::Parts,
        body: Bytes,
    ) -> Result<Response<Bytes>, Gone> {
        let answer = Arc::clone(self).work_once(head, body).await?;
        Ok(answer.map(|body| locked(&self.duplicates).again(call, body)))
    }

    /// Has the server do the work, also where the SDK goes away meanwhile: a server that was asked does not hear of that.
    async fn work_once(self: Arc<Self>, head: request::Parts, body: Bytes) -> Result<Response<Bytes>, Gone> {
        let work = tokio::spawn(async move { self.upstream.send(&head, body).await });
        // It is neither aborted nor does it panic; were it so, there would be no answer.
        Ok(work.await.map_err(|_| Gone::OnPurpose)??)
    }

    /// Has the server do a batch without the entries at these places, which fail.
    async fn in_part(
        self: &Arc<Self>,
        mut call: Call,
        head: request::Parts,
        places: &[usize],
        refusal: &Refusal,
    ) -> Result<Response<Bytes>, Gone> {
        let failed = batch::take(&mut call, places);
        if failed.is_empty() {
            let body = call.body();
            return self.work(&call, head, body).await;
        }
        let answer = if batch::entries(&call) == 0 {
            let mut answer = Response::new(batch::nothing_done(&call));
            if let Some(kind) = head.headers.get(header::CONTENT_TYPE) {
                answer.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
            }
            answer
        } else {
            let body = call.body();
            self.work(&call, head, body).await?
        };
        // A server that refuses the whole has said all there is to say.
        Ok(if answer.status().is_success() {
            answer.map(|body| batch::fail(&call, &body, &failed, refusal))
        } else {
            answer
        })
    }
}

fn whole(answer: Response<Bytes>) -> Response<Body> {
    answer.map(|body| Full::new(body).map_err(|never: Infallible| match never {}).boxed())
}

/// An answer that promises its full length, and ends in the middle.
fn torn(answer: Response<Bytes>) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    head.headers.insert(header::CONTENT_LENGTH, body.len().into());
    let half = body.slice(..body.len() / 2);
    Response::from_parts(head, Torn { half: Some(half) }.boxed())
}

/// Half a body, and an error.
struct Torn {
    half: Option<Bytes>,
}

impl hyper::body::Body for Torn {
    type Data = Bytes;
    type Error = Gone;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Gone>>> {
        Poll::Ready(Some(self.half.take().map(Frame::data).ok_or(Gone::OnPurpose)))
    }
}
