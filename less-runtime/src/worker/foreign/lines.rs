//! What workers print: whole lines, each beginning with the subscriber's name.
//!
//! One thread writes for all, through a queue with an end: when nobody reads what the app prints, workers that print wait, and nothing else does.

use std::io::{self, PipeReader};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use crate::output::Stream;

/// Longest piece of a line that is printed at once, in bytes.
const LONGEST: u64 = 16 << 10;
/// Pieces that wait to be printed.
const WAITING: usize = 256;

/// Prints lines.
#[derive(Clone)]
pub(crate) struct Lines(mpsc::Sender<(bool, Vec<u8>)>);

impl Lines {
    /// Starts the thread that prints.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::channel::<(bool, Vec<u8>)>(WAITING);
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || {
            while let Some((to_stderr, text)) = receiver.blocking_recv() {
                let stream = if to_stderr { Stream::Err } else { Stream::Out };
                stream.print_patiently(&text);
            }
        })?;
        Ok(Self(sender))
    }

    /// Prints what comes through a pipe, until it ends.
    pub(super) fn follow(&self, pipe: PipeReader, to_stderr: bool, label: Arc<str>) -> io::Result<()> {
        let mut reader = BufReader::new(Receiver::from_owned_fd(pipe.into())?);
        let out = self.0.clone();
        tokio::spawn(async move {
            let mut line = Vec::new();
            loop {
                line.clear();
                line.extend_from_slice(format!("[{label}] ").as_bytes());
                let prefix = line.len();
                match (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
                if line.last() != Some(&b'\n') {
                    line.push(b'\n');
                }
                if line.len() > prefix && out.send((to_stderr, line.clone())).await.is_err() {
                    break;
                }
            }
        });
        Ok(())
    }
}
