//! Processes under test: started from this same program, listened to, stopped, killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::event::{Event, Line, What, now};

/// Longest wait for a process to do what it always does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// This program again, with these arguments, looking at this folder.
pub(crate) fn this(arguments: &[&str], folder: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this program's path")?);
    command.args(arguments).arg("--folder").arg(folder);
    Ok(command)
}

/// What a process has told so far.
#[derive(Default)]
struct Told {
    lines: Mutex<(Vec<Line>, bool)>,
    more: Condvar,
}

/// How a process ended.
pub(crate) struct End {
    /// Everything that it told.
    pub(crate) lines: Vec<Line>,
    pub(crate) status: ExitStatus,
    /// Whether it had to be killed because it went on for too long.
    pub(crate) hung: bool,
    /// When nothing more of it could be told, in microseconds since 1970.
    pub(crate) at: u64,
}

/// A process whose events are read while it runs. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    told: Arc<Told>,
    reader: Option<JoinHandle<Result<u64>>>,
}

impl Process {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        // A group of its own: a signal from the terminal is not for it.
        command.stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("can't start {command:?}"))?;
        let stdout = child.stdout.take().context("it has a stdout")?;
        let told = Arc::<Told>::default();
        let reader = std::thread::spawn({
            let told = Arc::clone(&told);
            move || {
                let result = read(stdout, &told);
                told.lines.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
                told.more.notify_all();
                result
            }
        });
        Ok(Self { child, told, reader: Some(reader) })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its end of a pipe, where it has one.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits until it tells of this. Returns whether it did before it ended.
    pub(crate) fn wait_for(&self, what: What) -> Result<bool> {
        let until = Instant::now() + PATIENCE;
        let mut seen = 0;
        let mut lines = self.told.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if lines.0[seen..]
                .iter()
                .any(|line| matches!(line, Line::Event(Event { what: told, .. }) if *told == what))
            {
                return Ok(true);
            }
            seen = lines.0.len();
            if lines.1 {
                return Ok(false);
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                bail!("{what:?} was not told within {} s", PATIENCE.as_secs());
            };
            lines = self.told.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Stops every thread of it.
    pub(crate) fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let until = Instant::now() + PATIENCE;
        while !stopped(self.id())? {
            if Instant::now() > until {
                bail!("process {} does not stop", self.id());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Kills it.
    pub(crate) fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("no such process id")?;
        kill_process(pid, signal).with_context(|| format!("can't signal process {}", self.id()))
    }

    /// Waits for its end, for a while: one that hangs is killed, with those that it started.
    pub(crate) fn end(mut self) -> Result<End> {
        let until = Instant::now() + PATIENCE;
        let mut hung = false;
        while !self.finished() {
            if Instant::now() > until && !hung {
                hung = true;
                for child in children(self.id()) {
                    // It may end by itself meanwhile.
                    let _ = kill_process(child, Signal::KILL);
                }
                self.kill()?;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let status = self.child.wait()?;
        let reader = self.reader.take().context("it ends once")?;
        let at = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        let lines = std::mem::take(&mut self.told.lines.lock().unwrap_or_else(PoisonError::into_inner).0);
        Ok(End { lines, status, hung, at })
    }

    /// Whether it has closed its stdout, which only its end does.
    fn finished(&self) -> bool {
        self.told.lines.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.reader.is_some() {
            // It may be gone already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Reads what it tells, to its end. Returns when that was.
fn read(stdout: ChildStdout, told: &Told) -> Result<u64> {
    let mut stdout = BufReader::with_capacity(1 << 16, stdout);
    let mut text = String::new();
    loop {
        text.clear();
        if stdout.read_line(&mut text)? == 0 {
            return Ok(now());
        }
        let line = text.parse()?;
        told.lines.lock().unwrap_or_else(PoisonError::into_inner).0.push(line);
        // What is asked for is told early, and looked for by few.
        told.more.notify_all();
    }
}

/// The processes that a process started.
fn children(process: u32) -> Vec<Pid> {
    let text =
        std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Whether every thread of a process is stopped.
fn stopped(process: u32) -> Result<bool> {
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that has ended meanwhile is as good as stopped.
        let Ok(stat) = std::fs::read_to_string(task?.path().join("stat")) else { continue };
        let state = stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().next());
        if state != Some("T") {
            return Ok(false);
        }
    }
    Ok(true)
}
