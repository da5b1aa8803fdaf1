//! Frames: `length of both: u32 | length of the head: u32 | head, JSON | bodies`, big endian.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::protocol::Head;
use crate::message::StoredMessage;

/// Largest frame, in bytes: many times the largest message.
const MAX_FRAME: usize = 16 << 20;
/// Most bytes of bodies that go into one frame, beyond the first body.
pub(super) const BODIES: usize = 1 << 20;
/// What is read at once.
const READ: usize = 64 << 10;
/// Most frames that are written with one call.
const TOGETHER: usize = 64;

/// A frame, ready to be sent.
pub(super) type Frame = Vec<u8>;

/// A frame of a head and bodies.
pub(super) fn encode(head: &impl Serialize, bodies: &[Arc<StoredMessage>]) -> Frame {
    let mut out = vec![0; 8];
    // Writing to memory does not fail, and neither do these types.
    let _ = serde_json::to_writer(&mut out, head);
    let head_length = u32::try_from(out.len() - 8).unwrap_or(u32::MAX);
    for message in bodies {
        out.extend_from_slice(&message.body);
    }
    let length = u32::try_from(out.len() - 8).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&length.to_be_bytes());
    out[4..8].copy_from_slice(&head_length.to_be_bytes());
    out
}

/// Reads frames.
pub(super) struct Reader<R> {
    io: R,
    buffer: BytesMut,
    silence: Duration,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// `silence` is the longest wait for a byte.
    pub(super) fn new(io: R, silence: Duration) -> Self {
        Self { io, buffer: BytesMut::new(), silence }
    }

    /// The next frame's head and bodies; `None` where the peer has closed the connection. Dropping the future loses nothing.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Bytes)>> {
        loop {
            if let Some((head, bodies)) = self.buffered()? {
                let head = serde_json::from_slice(&head)
                    .map_err(|error| bad(format!("a frame that is not understood: {error}")))?;
                return Ok(Some((head, bodies)));
            }
            self.buffer.reserve(READ);
            let read = tokio::time::timeout(self.silence, self.io.read_buf(&mut self.buffer)).await;
            let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the other side has fallen silent");
            if read.map_err(silent)?? == 0 {
                return Ok(None);
            }
        }
    }

    fn buffered(&mut self) -> io::Result<Option<(Bytes, Bytes)>> {
        let Some(lengths) = self.buffer.first_chunk::<8>() else { return Ok(None) };
        let number = |at: usize| {
            u32::from_be_bytes([lengths[at], lengths[at + 1], lengths[at + 2], lengths[at + 3]]) as usize
        };
        let (length, head) = (number(0), number(4));
        if length > MAX_FRAME || head > length {
            return Err(bad(format!("a frame of {length} bytes, {head} of them its head")));
        }
        if self.buffer.len() < 8 + length {
            self.buffer.reserve(8 + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(8);
        let mut frame = self.buffer.split_to(length).freeze();
        let head = frame.split_to(head);
        Ok(Some((head, frame)))
    }
}

/// Writes what comes, as much with one call as there is, until all senders are gone or the peer is. A peer that takes nothing for longer than
/// `silence` counts as gone.
pub(super) async fn write(
    mut io: impl AsyncWrite + Unpin,
    mut frames: mpsc::UnboundedReceiver<Frame>,
    silence: Duration,
) -> io::Result<()> {
    let mut together = Vec::new();
    let mut out = BytesMut::new();
    while frames.recv_many(&mut together, TOGETHER).await > 0 {
        together.drain(..).for_each(|frame| out.extend_from_slice(&frame));
        while out.has_remaining() {
            let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "the other side takes nothing");
            if tokio::time::timeout(silence, io.write_buf(&mut out)).await.map_err(silent)?? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        io.flush().await?;
    }
    io.shutdown().await
}

pub(super) fn bad(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

impl Head {
    pub(super) fn of(message: &StoredMessage) -> Self {
        Self {
            message_id: message.id,
            published_at: message.published_at,
            key: message.key.clone(),
            attributes: message.attributes.clone(),
            traceparent: message.traceparent.clone(),
            body: message.body.len(),
        }
    }

    /// What it takes in a frame, in bytes, about.
    pub(super) fn size(&self) -> usize {
        let attributes = self.attributes.iter().map(|(name, value)| name.len() + value.len() + 8);
        200 + self.body + self.key.as_ref().map_or(0, String::len) + attributes.sum::<usize>()
    }

    /// The message, whose body begins `bodies`.
    pub(super) fn message(self, bodies: &mut Bytes) -> io::Result<StoredMessage> {
        if self.body > bodies.len() {
            return Err(bad("a frame whose bodies are cut off".to_owned()));
        }
        Ok(StoredMessage {
            id: self.message_id,
            published_at: self.published_at,
            key: self.key,
            attributes: self.attributes,
            traceparent: self.traceparent,
            // A copy, so that a message that is handled for long does not keep those that came with it.
            body: Bytes::copy_from_slice(&bodies.split_to(self.body)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::ToPublisher;
    use super::*;

    #[tokio::test]
    async fn frames_come_back_however_they_are_cut() {
        let (mut far, near) = tokio::io::duplex(7);
        let frames: Vec<Frame> = (0..3).map(|seen| encode(&ToPublisher::Ping { seen }, &[])).collect();
        tokio::spawn(async move { far.write_all(&frames.concat()).await });
        let mut reader = Reader::new(near, Duration::from_secs(5));
        for expected in 0..3 {
            let (frame, _) = reader.next::<ToPublisher>().await.unwrap().unwrap();
            assert!(matches!(frame, ToPublisher::Ping { seen } if seen == expected));
        }
        assert!(reader.next::<ToPublisher>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused_and_silence_is_noticed() {
        for bytes in [&[255; 8][..], &[0, 0, 0, 1, 0, 0, 0, 2, 0], &[0, 0, 0, 1, 0, 0, 0, 1, b'{']] {
            let error = Reader::new(bytes, Duration::from_secs(5)).next::<ToPublisher>().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let (_far, near) = tokio::io::duplex(7);
        let error = Reader::new(near, Duration::from_millis(1)).next::<ToPublisher>().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
