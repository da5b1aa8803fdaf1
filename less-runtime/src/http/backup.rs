//! `GET /_less/backup`: everything that is stored, as a tar archive, while work goes on.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::Shared;
use super::admin::failed;
use super::problem::Problem;
use crate::transport::Snapshot;

pub(super) async fn backup(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let snapshot = shared.app.transport().snapshot().await.map_err(|error| failed(&error))?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write(snapshot, Pipe(sender.clone())) {
            tracing::warn!("a backup was not read to its end: {error}");
            // The archive must not look whole.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let body = Body::new(Pieces(receiver).map_err(axum::Error::new));
    Ok(([(header::CONTENT_TYPE, "application/x-tar")], body).into_response())
}

/// Writes a snapshot as an archive.
pub(crate) fn write(snapshot: Snapshot, out: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    for mut file in snapshot.files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.size);
        header.set_mode(0o600);
        let name = file.name.clone();
        archive.append_data(&mut header, name, &mut file)?;
    }
    archive.into_inner()?.flush()
}

/// Hands what is written to the connection, which sets the pace.
struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
