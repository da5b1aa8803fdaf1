//! One fault at one call, and what is left then: as it is, and with a power cut after it.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};

use super::strace::{self, Aim, Fault};
use crate::check::{Book, Findings};
use crate::device::Device;
use crate::event::{Event, Line, What, now};
use crate::power::look;
use crate::process::{End, Process, this};

/// Whose calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Opening a folder that is not there.
    Create,
    /// Opening a folder that a process left in the middle of a write.
    Recover,
    /// Everything that an open store does, to its close.
    Work,
}

/// Every stage, with its name in the table.
pub(crate) const STAGES: [(Stage, &str); 3] = [
    (Stage::Create, "opening a new folder"),
    (Stage::Recover, "opening after a crash"),
    (Stage::Work, "working, and closing"),
];

/// A folder to begin with, and its books.
pub(crate) struct Template {
    folder: tempfile::TempDir,
    book: Book,
}

impl Template {
    /// A store that was left open, with the beginning of one more write.
    pub(crate) fn new(segment_size: u64, rounds: u32) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("less-faults-").tempdir()?;
        let data = folder.path().join("data");
        let mut command = workload(&data, segment_size, rounds)?;
        command.arg("--abandon");
        let lines = Process::start(command)?.end()?.lines;
        let mut book = Book::default();
        book.take(&lines);
        book.crash(now());
        let logs = std::fs::read_dir(&data)?.collect::<std::io::Result<Vec<_>>>()?;
        let logs = logs.iter().map(std::fs::DirEntry::path);
        let last = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max();
        let last = last.context("there is no log")?;
        std::fs::OpenOptions::new().append(true).open(last)?.write_all(&[0x55; 37])?;
        Ok(Self { folder, book })
    }
}

/// Fires. `None` when the process did not make that call.
pub(crate) fn fire(
    device: &mut Device,
    template: &Template,
    stage: Stage,
    aim: Aim,
    segment_size: u64,
    rounds: u32,
) -> Result<Option<Findings>> {
    let (folder, copy, trace) = (device.path("data"), device.beside("copy"), device.beside("trace"));
    for old in [&folder, &copy] {
        if old.exists() {
            std::fs::remove_dir_all(old)?;
        }
    }
    let mut book = Book::default();
    if stage == Stage::Recover {
        copy_folder(&template.folder.path().join("data"), &folder)?;
        book = template.book.clone();
    }
    // What was done so far was done long ago: the cut must not take it back.
    device.sync()?;
    let End { lines, status, hung, at } = match stage {
        Stage::Create | Stage::Recover => {
            let command = workload(&folder, segment_size, 1)?;
            let mut strace = aim.around(&trace, &folder, &command);
            strace.stderr(Stdio::null());
            Process::start(strace)?.end()?
        }
        Stage::Work => {
            let mut command = workload(&folder, segment_size, rounds)?;
            command.arg("--wait").stdin(Stdio::piped()).stderr(Stdio::null());
            let mut process = Process::start(command)?;
            anyhow::ensure!(process.wait_for(What::Opened)?, "the workload did not open the store");
            let mut strace = aim.attach(&trace, &folder, process.id())?;
            process.child().stdin.take().context("it has a stdin")?.write_all(b"\n")?;
            let ended = process.end()?;
            // It ends with the thread that it traces.
            strace.wait()?;
            ended
        }
    };
    let failed_at = strace::injected(&trace)?;
    let hit = match aim.fault {
        Fault::Kill => status.signal() == Some(9),
        Fault::Io | Fault::Full => failed_at.is_some(),
    };
    let end = match status.code() {
        _ if hung => Some("the workload hung".to_owned()),
        Some(1..) => Some(format!("the workload ended with {status}")),
        Some(_) | None => None,
    };
    if !hit && end.is_none() {
        return Ok(None);
    }
    book.take(&lines);
    // A store that has failed writes nothing more; what its process does until it ends is nothing of the store's.
    let failed = lines.iter().find(|line| matches!(line, Line::Event(Event { what: What::Failed, .. })));
    book.crash(failed.map_or(at, Line::at));
    if folder.exists() {
        // Elsewhere: looking at it must not sync this file system.
        copy_folder(&folder, &copy)?;
    }
    device.cut()?;
    device.restart()?;
    let mut as_it_is = book.clone();
    look(&mut as_it_is, &copy, segment_size, true)?;
    look(&mut book, &folder, segment_size, true)?;
    let mut findings = book.findings;
    findings.problems.iter_mut().for_each(|problem| problem.insert_str(0, "after a power cut: "));
    findings.lost += as_it_is.findings.lost;
    findings.problems.extend(as_it_is.findings.problems);
    findings.problems.extend(end);
    if let (Some(at), "fdatasync" | "fsync") = (failed_at, aim.call) {
        findings.problems.extend(answered_after(&lines, at));
    }
    Ok(Some(findings))
}

fn workload(folder: &Path, segment_size: u64, rounds: u32) -> Result<std::process::Command> {
    let (size, rounds) = (segment_size.to_string(), rounds.to_string());
    this(&["workload", "--scripted", "--segment-size", &size, "--rounds", &rounds], folder)
}

/// What the store said yes to although it was asked only after a sync had failed.
fn answered_after(lines: &[Line], failed_at: u64) -> Vec<String> {
    let mut asked: Vec<&Event> = Vec::new();
    let mut out = Vec::new();
    for line in lines {
        let Line::Event(event) = line else { continue };
        let Some(question) = event.what.asked() else {
            asked.push(event);
            continue;
        };
        let same = |asked: &&&Event| {
            asked.what == question
                && asked.place == event.place
                && (asked.id.is_none() || asked.id == event.id)
        };
        if asked.iter().rev().find(same).is_some_and(|asked| asked.at > failed_at) {
            out.push(format!("after a failed sync: {:?} {} {:?}", event.what, event.place, event.id));
        }
    }
    out
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use less_runtime::message::MessageId;

    use super::answered_after;
    use crate::event::{Event, Line, What};

    #[test]
    fn what_was_asked_for_after_a_failed_sync_and_granted_is_told() {
        let (early, late) = (MessageId::generate(), MessageId::generate());
        let event = |what, id, at| Line::Event(Event { what, place: 0, id, number: 0, at });
        let lines = [
            event(What::Publishing, Some(early), 10),
            // Asked for before the failure, which came between the answer and this.
            event(What::Published, Some(early), 30),
            event(What::Publishing, Some(late), 40),
            event(What::Published, Some(late), 50),
            event(What::Leasing, None, 60),
            event(What::Started, Some(early), 70),
        ];
        let told = answered_after(&lines, 20);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains(&late.to_string()) && told[1].contains("Started"), "{told:?}");
        assert!(answered_after(&lines, 65).is_empty());
    }
}
