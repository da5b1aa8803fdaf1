//! Proof 2: the power is cut at random moments under load, and nothing that was acknowledged is lost; where nothing is synced, it is.

use std::io::Seek as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::check::{Book, Findings};
use crate::device::Device;
use crate::event::{What, now};
use crate::process::{End, Process, this};
use crate::stop;

/// A new store is begun after this many cuts.
const CUTS_PER_STORE: u32 = 10;
/// Problems that are printed.
const SHOWN: usize = 20;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) cuts: u32,
    /// Cuts of each control.
    pub(crate) control_cuts: u32,
    pub(crate) segment_size: u64,
}

/// What writes to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// The store.
    Sound,
    /// The store, by a process that says that publishes were acknowledged before they are.
    Liar,
    /// The store with its deliberate bug `no_sync`.
    Unsynced,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    cuts: u32,
    bad_cuts: u32,
    findings: Findings,
    seconds: f64,
}

/// Runs the proof and its controls. Returns whether both came out as they should.
pub(crate) fn run(settings: Settings) -> Result<bool> {
    let mut device = Device::new(192)?;
    let sound = cut_often(&mut device, Subject::Sound, settings.cuts, settings)?;
    print(Subject::Sound, &sound);
    let problems = &sound.findings.problems;
    problems
        .iter()
        .take(SHOWN)
        .chain(problems.iter().skip(SHOWN).last())
        .for_each(|problem| println!("  {problem}"));
    let Findings { syncs, .. } = sound.findings;
    ensure!(
        syncs >= u64::from(settings.cuts),
        "the store told of {syncs} syncs only: this proves nothing of acks"
    );
    let mut well = sound.findings.problems.is_empty();
    let controls: &[Subject] =
        if cfg!(feature = "mutants") { &[Subject::Liar, Subject::Unsynced] } else { &[Subject::Liar] };
    for control in controls {
        let outcome = cut_often(&mut device, *control, settings.control_cuts, settings)?;
        print(*control, &outcome);
        if outcome.bad_cuts * 2 <= outcome.cuts {
            well = false;
            println!(
                "  losses were seen in {} of {} cuts only: this proof proves nothing",
                outcome.bad_cuts, outcome.cuts
            );
        }
    }
    Ok(well)
}

fn print(subject: Subject, outcome: &Outcome) {
    let Outcome { cuts, bad_cuts, findings, seconds } = outcome;
    let millis = |micros| Duration::from_micros(micros).as_secs_f64() * 1000.0;
    let name = match subject {
        Subject::Sound => "power",
        Subject::Liar => "power, control: told before synced",
        Subject::Unsynced => "power, control: nothing synced",
    };
    println!(
        "{name}: {cuts} cuts, {} acknowledged, {} delivered, {} lost, {} duplicates (oldest ack taken back {:.1} ms, \
         {:.1} ms but for the disk), \
         {bad_cuts} cuts with problems, {seconds:.1} s",
        findings.acknowledged,
        findings.started,
        findings.lost,
        findings.duplicates,
        millis(findings.oldest_duplicate),
        millis(findings.oldest_beside_disk),
    );
}

fn cut_often(device: &mut Device, subject: Subject, cuts: u32, settings: Settings) -> Result<Outcome> {
    let began = Instant::now();
    let mut outcome = Outcome::default();
    let mut book = Book::default();
    let mut fresh = 0;
    for _ in 0..cuts {
        stop::check()?;
        let folder = device.path("data");
        if fresh == 0 {
            outcome.findings.add(std::mem::take(&mut book).findings);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            // Or a cut would bring it back.
            device.sync()?;
            fresh = CUTS_PER_STORE;
        }
        fresh -= 1;
        let problems = book.findings.problems.len();
        cut_once(device, subject, &mut book, settings.segment_size).context("a cut")?;
        outcome.cuts += 1;
        if book.findings.problems.len() > problems {
            outcome.bad_cuts += 1;
            // What is lost would be missed again.
            fresh = 0;
        }
    }
    outcome.findings.add(book.findings);
    outcome.seconds = began.elapsed().as_secs_f64();
    Ok(outcome)
}

fn cut_once(device: &mut Device, subject: Subject, book: &mut Book, segment_size: u64) -> Result<()> {
    let folder = device.path("data");
    let mut command = this(&["workload", "--load", "--segment-size", &segment_size.to_string()], &folder)?;
    match subject {
        Subject::Sound => {}
        Subject::Liar => drop(command.arg("--lie")),
        Subject::Unsynced => drop(command.env("LESS_MUTANT", "no_sync")),
    }
    // What it logs is seen by running it by hand.
    command.stderr(std::process::Stdio::null());
    let process = Process::start(command)?;
    ensure!(process.wait_for(What::Published)?, "the workload ended before its first publish");
    // The moment is to be random: this waits for nothing.
    let (pause, began) = (Duration::from_micros(rand::random_range(20_000..150_000)), Instant::now());
    std::thread::sleep(pause);
    // Where this process comes late too, the machine had no time for either.
    let late = began.elapsed().saturating_sub(pause);
    // From here on it does nothing more but what the disk has yet to end.
    let at = now();
    process.stop()?;
    device.cut()?;
    process.kill()?;
    let lines = process.end()?.lines;
    book.take(&lines);
    book.crash(at);
    device.restart()?;
    // Every other time the store is left as by a kill, so that the next cut finds a log without a checkpoint at its end.
    let problems = book.findings.problems.len();
    look(book, &folder, segment_size, rand::random())?;
    if book.findings.problems.len() > problems {
        book.findings
            .problems
            .push(format!("this cut came {} ms later than it was meant to", late.as_millis()));
    }
    Ok(())
}

/// Opens the store, and holds it against the book.
pub(crate) fn look(book: &mut Book, folder: &Path, segment_size: u64, close: bool) -> Result<()> {
    let size = segment_size.to_string();
    let mut arguments = vec!["observe", "--segment-size", &size];
    arguments.extend(close.then_some("--close"));
    let mut command = this(&arguments, folder)?;
    // A file takes whatever the store has to complain about.
    let mut stderr = tempfile::tempfile()?;
    command.stderr(stderr.try_clone()?);
    let End { lines, status, hung, .. } = Process::start(command)?.end()?;
    let well = status.success() && !hung;
    book.look();
    book.take(&lines);
    if well {
        book.looked();
    } else {
        stderr.rewind()?;
        let said = std::io::read_to_string(stderr)?;
        book.refused(match said.lines().last() {
            Some(last) if !hung => last,
            Some(_) | None => "looking at the store takes for ever",
        });
    }
    if !well || !close {
        book.crash(now());
    }
    Ok(())
}
