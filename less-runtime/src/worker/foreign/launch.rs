//! How a process becomes a worker: this program, started once more, asks the system to be killed when its parent ends, passes the socket on, and
//! becomes the worker's program.
//!
//! Both would have to happen between fork and exec otherwise, which can't be done safely.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// The first argument of a process that is to become a worker.
const MARK: &str = "--less-become-a-worker";
/// The variable that names the socket.
const SOCKET: &str = "LESS_WORKER_FD";
/// What only the app itself is to know.
const OURS: [&str; 4] = ["LESS_LISTENER", "LESS_DRAIN", "LESS_DEV", SOCKET];

/// The command that starts this program so that it becomes `program`. Its standard input is to be the socket.
pub(super) fn command(program: &Path, arguments: &[String]) -> Command {
    // Not by its path: another build may be there by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg(MARK).arg(getpid().as_raw_nonzero().to_string()).arg(program).args(arguments);
    for name in OURS {
        command.env_remove(name);
    }
    command
}

/// Becomes a worker, if this process was started for that. Returns what to exit with where it could not.
pub(crate) fn become_worker(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse().ok());
    let program = arguments.next().unwrap_or_default();
    let cause = become_program(parent, &program, arguments);
    complain(&program, &cause);
    Some(ExitCode::from(127))
}

#[expect(clippy::print_stderr, reason = "the app prints it in the subscriber's name")]
fn complain(program: &OsString, cause: &std::io::Error) {
    eprintln!("can't start {}: {cause}", Path::new(program).display());
}

fn become_program(
    parent: Option<i32>,
    program: &OsString,
    arguments: impl Iterator<Item = OsString>,
) -> std::io::Error {
    let prepared = || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before it was watched.
        if getppid().map(|pid| pid.as_raw_nonzero().get()) != parent {
            return Err(std::io::Error::other("the app has ended"));
        }
        let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
        fcntl_setfd(&socket, FdFlags::empty())?;
        Ok(socket)
    };
    match prepared() {
        Ok(socket) => Command::new(program)
            .args(arguments)
            .env(SOCKET, socket.as_raw_fd().to_string())
            .stdin(Stdio::null())
            .exec(),
        Err(error) => error,
    }
}
