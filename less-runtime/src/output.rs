//! What an app prints. Its log must neither end nor hold up what it does: who reads it may have gone, the disk that it is kept on may be full, a
//! terminal may be stopped. What can't be written at once is dropped, and the next line that can says how much that was.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A pipe that takes anything takes as much at once.
const AT_ONCE: usize = 4096;

/// One of the process's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Both streams, as they may be the same file: one thread writes at a time.
static WRITING: Mutex<Lost> = Mutex::new(Lost { texts: 0, torn: false });

/// What could not be written.
struct Lost {
    /// Texts since the last one that could.
    texts: u64,
    /// The last one ended in the middle of a line.
    torn: bool,
}

fn writing() -> MutexGuard<'static, Lost> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stream {
    fn with<T>(self, write: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self {
            Self::Out => write(io::stdout().as_fd()),
            Self::Err => write(io::stderr().as_fd()),
        }
    }

    /// Writes whole lines now, or drops them.
    pub(crate) fn print(self, text: &[u8]) {
        self.with(|stream| writing().print(stream, text));
    }

    /// Writes whole lines, and waits as long as nobody takes them. Others may write meanwhile.
    pub(crate) fn print_patiently(self, text: &[u8]) {
        self.with(|stream| patiently(stream, text, writing));
    }
}

impl Lost {
    fn print(&mut self, stream: BorrowedFd<'_>, text: &[u8]) {
        let written = self.pour(stream, text);
        if written < text.len() {
            self.texts += 1;
            self.torn |= written > 0;
        }
    }

    /// Writes as much as is taken without waiting, behind what tells of a gap. Returns how much that was.
    fn pour(&mut self, stream: BorrowedFd<'_>, text: &[u8]) -> usize {
        if self.torn && pour(stream, b"\n") == 1 {
            self.torn = false;
        }
        if self.texts > 0 {
            let note = format!("[less] warn: {} texts were not printed: nobody took them\n", self.texts);
            if pour(stream, note.as_bytes()) == note.len() {
                self.texts = 0;
            }
        }
        if self.torn || self.texts > 0 { 0 } else { pour(stream, text) }
    }
}

/// Writes all of it, as long as that may take; what can't be taken at all is dropped.
fn patiently<'a>(stream: BorrowedFd<'_>, text: &[u8], writing: impl Fn() -> MutexGuard<'a, Lost>) {
    let mut rest = text;
    while !rest.is_empty() {
        while !is_ready(stream, Some(Duration::from_millis(200))) {}
        let mut lost = writing();
        let written = lost.pour(stream, rest);
        rest = &rest[written..];
        // It was ready, and still is: what it is ready for is to fail.
        if written == 0 && is_ready(stream, None) {
            return lost.print(stream, rest);
        }
    }
}

/// Writes as much as is taken without waiting. Returns how much that was.
fn pour(stream: BorrowedFd<'_>, text: &[u8]) -> usize {
    let mut written = 0;
    while written < text.len() && is_ready(stream, None) {
        let piece = &text[written..text.len().min(written + AT_ONCE)];
        match rustix::io::write(stream, piece) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(rustix::io::Errno::INTR) => {}
            // Nobody reads it, or there is no room.
            Err(_) => break,
        }
    }
    written
}

/// Whether a write would not wait, or would fail at once; waits that long for it.
fn is_ready(stream: BorrowedFd<'_>, patience: Option<Duration>) -> bool {
    let patience = Timespec::try_from(patience.unwrap_or_default()).ok();
    let mut polled = [PollFd::new(&stream, PollFlags::OUT)];
    match poll(&mut polled, patience.as_ref()) {
        Ok(ready) => ready > 0,
        // Whatever it is, the write says so.
        Err(error) => error != rustix::io::Errno::INTR,
    }
}

/// The log's way out.
pub(crate) struct Log;

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        Stream::Err.print(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_nobody_takes_is_dropped_and_told_once_somebody_does() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut lost = Lost { texts: 0, torn: false };
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let mut printed = 0;
        while lost.texts < 3 {
            lost.print(writer.as_fd(), &line);
            printed += 1;
            assert!(printed < 10_000, "a pipe has an end");
        }
        let mut taken = vec![0; 1 << 20];
        let first = reader.read(&mut taken).unwrap();
        let whole = taken[..first].chunks_exact(line.len()).filter(|chunk| **chunk == line).count();
        assert_eq!(printed - 3, whole, "all others are whole");
        lost.print(writer.as_fd(), b"after\n");
        drop(writer);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let rest = rest.trim_start_matches(['x', '\n']);
        assert_eq!(rest, "[less] warn: 3 texts were not printed: nobody took them\nafter\n");
    }

    #[test]
    fn who_is_patient_has_all_of_it_taken_however_slowly() {
        let (mut reader, writer) = io::pipe().unwrap();
        let text: Vec<u8> =
            (0..300_000).map(|n: u32| if n % 16_384 == 16_383 { b'\n' } else { b'x' }).collect();
        let reading = std::thread::spawn(move || {
            let mut taken = Vec::new();
            let mut piece = [0; 1_000];
            while let Ok(read @ 1..) = reader.read(&mut piece) {
                taken.extend_from_slice(&piece[..read]);
            }
            taken
        });
        let lost = Mutex::new(Lost { texts: 0, torn: false });
        patiently(writer.as_fd(), &text, || lost.lock().unwrap());
        drop(writer);
        assert!(reading.join().unwrap() == text);
        assert_eq!(lost.lock().unwrap().texts, 0);
    }

    #[test]
    fn who_is_patient_does_not_wait_for_a_reader_that_has_gone() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lost = Mutex::new(Lost { texts: 0, torn: false });
        patiently(writer.as_fd(), b"one\n", || lost.lock().unwrap());
        assert_eq!(lost.lock().unwrap().texts, 1);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut lost = Lost { texts: 0, torn: false };
        lost.print(writer.as_fd(), b"one\n");
        lost.print(writer.as_fd(), b"two\n");
        assert_eq!((lost.texts, lost.torn), (2, false));
    }
}
