//! strace, which makes one system call of one thread fail, or kills the process at it.
//!
//! It counts the calls of each thread for itself, and so does a proof that wants every one of them: what opens a store runs on the main thread, which
//! strace starts; what it does then runs on the store's own thread, which strace attaches to alone.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::PATIENCE;

/// System calls by which a store changes its folder.
pub(crate) const CALLS: [&str; 9] =
    ["write", "pwrite64", "fdatasync", "fsync", "openat", "rename", "ftruncate", "unlink", "mkdir"];

/// Log files whose calls are looked for.
const SEGMENTS: u32 = 32;

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed at it.
    Kill,
    /// It fails: the device is broken.
    Io,
    /// It fails: the device is full.
    Full,
}

/// Every fault, with its name in the table.
pub(crate) const FAULTS: [(Fault, &str); 3] =
    [(Fault::Kill, "KILL"), (Fault::Io, "EIO"), (Fault::Full, "ENOSPC")];

/// Which call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub(crate) call: &'static str,
    pub(crate) fault: Fault,
    /// From 1.
    pub(crate) number: u32,
}

impl Aim {
    /// strace for this aim: only calls on the files of a data folder count. Without that the runtime's own wake-ups would.
    fn strace(self, trace: &Path, folder: &Path) -> Command {
        let Self { call, fault, number } = self;
        let what = match fault {
            Fault::Kill => "signal=KILL",
            Fault::Io => "error=EIO",
            Fault::Full => "error=ENOSPC",
        };
        let mut command = Command::new("strace");
        command.arg("-o").arg(trace).args(["-ttt", "-e", "signal=none"]);
        command.arg("-e").arg(format!("trace={call}"));
        command.arg("-e").arg(format!("inject={call}:{what}:when={number}"));
        let files = ["lock", "format", "checkpoint", "checkpoint.new"].map(str::to_owned);
        let files = files.into_iter().chain((0..SEGMENTS).map(|n| format!("{n:010}.log")));
        for path in files.map(|file| folder.join(file)).chain([folder.to_owned()]) {
            command.arg("-P").arg(path);
        }
        command
    }

    /// A command under strace: the calls of its main thread count.
    pub(crate) fn around(self, trace: &Path, folder: &Path, command: &Command) -> Command {
        let mut strace = self.strace(trace, folder);
        strace.arg("--").arg(command.get_program()).args(command.get_args());
        strace
    }

    /// strace on the thread of a process that writes the store: its calls count. It is attached when this returns.
    pub(crate) fn attach(self, trace: &Path, folder: &Path, process: u32) -> Result<Child> {
        let thread = store_thread(process)?;
        let mut command = self.strace(trace, folder);
        let mut strace =
            command.args(["-p", &thread]).stderr(Stdio::piped()).spawn().context("can't start strace")?;
        let mut said = BufReader::new(strace.stderr.take().context("it has a stderr")?).lines();
        // Once it says so, the thread is about to stop at its next call.
        let attached = said.any(|line| line.is_ok_and(|line| line.ends_with("attached")));
        ensure!(attached, "strace can't attach to thread {thread}");
        Ok(strace)
    }
}

/// The thread that writes the store, by its name, which it gives itself when it begins.
fn store_thread(process: u32) -> Result<String> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
            let task = task?;
            if std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "less-store")
            {
                return Ok(task.file_name().to_string_lossy().into_owned());
            }
        }
        std::thread::yield_now();
    }
    bail!("process {process} has no thread `less-store`")
}

/// When a call was made to fail, in microseconds since 1970; `None` if none was.
pub(crate) fn injected(trace: &Path) -> Result<Option<u64>> {
    let text = std::fs::read_to_string(trace)?;
    let Some(line) = text.lines().find(|line| line.ends_with("(INJECTED)")) else { return Ok(None) };
    let (seconds, rest) = line.trim_start().split_once('.').context("a line begins with its time")?;
    let micros = rest.get(..6).context("a time has microseconds")?;
    Ok(Some(seconds.parse::<u64>()? * 1_000_000 + micros.parse::<u64>()?))
}

/// Why it can't be used here, if it can't.
pub(crate) fn unavailable() -> Option<String> {
    let version =
        Command::new("strace").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match version {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("`strace --version` ends with {status}")),
        Err(error) => Some(format!("can't start `strace`: {error}\nhint: apt-get install -y strace")),
    }
}

#[cfg(test)]
mod tests {
    use super::injected;

    #[test]
    fn the_time_of_a_call_that_was_made_to_fail_is_found() {
        let trace = tempfile::NamedTempFile::new().unwrap();
        let call = "1795233638.949308 fdatasync(11) = ";
        std::fs::write(
            trace.path(),
            format!("{call}0\n1795233638.950558 fdatasync(11) = -1 EIO (Input/output error) (INJECTED)\n"),
        )
        .unwrap();
        assert_eq!(injected(trace.path()).unwrap(), Some(1_795_233_638_950_558));
        std::fs::write(trace.path(), format!("{call}0\n")).unwrap();
        assert_eq!(injected(trace.path()).unwrap(), None);
    }
}
