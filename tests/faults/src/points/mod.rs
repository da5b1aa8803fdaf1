//! Proof 3: at every system call by which the store changes its folder the process is killed, and the call fails, once each; with and without a power
//! cut after it nothing is missing, and after a failed sync nothing is acknowledged.

mod shot;
mod strace;

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use self::shot::{STAGES, Stage, Template, fire};
use self::strace::{Aim, CALLS, FAULTS, Fault};
use crate::check::Findings;
use crate::device::Device;
use crate::stop;

pub(crate) use self::strace::unavailable;

/// Shots at the same time.
const SHOOTERS: usize = 2;
/// Problems that are printed.
const SHOWN: usize = 40;
/// Fewest calls of an open store that mean anything.
const ENOUGH: u32 = 100;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// One call of this many.
    pub(crate) every: u32,
    pub(crate) segment_size: u64,
    pub(crate) rounds: u32,
}

/// The calls of one kind, each with one fault.
struct Series {
    stage: Stage,
    call: &'static str,
    fault: Fault,
    next: u32,
    /// The first call that was not made.
    end: Option<u32>,
    points: u32,
    failures: u32,
    problems: Vec<String>,
}

/// Runs the proof. Returns whether it came out as it should.
pub(crate) fn run(settings: Settings) -> Result<bool> {
    let began = Instant::now();
    let template = Template::new(settings.segment_size, settings.rounds)?;
    let mut all = Vec::new();
    // The longest first, so that no shooter is left alone with them.
    for (stage, _) in STAGES.into_iter().rev() {
        for call in CALLS {
            let series = |(n, (fault, _)): (u32, (Fault, &str))| Series {
                stage,
                call,
                fault,
                // Samples of different faults take different calls.
                next: 1 + n % settings.every,
                end: None,
                points: 0,
                failures: 0,
                problems: Vec::new(),
            };
            all.extend((0..).zip(FAULTS).map(series));
        }
    }
    let all = Mutex::new(all);
    let devices = (0..SHOOTERS).map(|_| Device::new(32)).collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        let shooters: Vec<_> = devices
            .into_iter()
            .map(|device| scope.spawn(|| shoot(device, &template, &all, settings)))
            .collect();
        shooters
            .into_iter()
            .try_for_each(|shooter| shooter.join().map_err(|_| anyhow::anyhow!("a shooter panicked"))?)
    })?;
    let all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    print(&all, settings, began);
    let calls: u32 = all
        .iter()
        .filter(|s| s.stage == Stage::Work && s.fault == Fault::Kill)
        .map(|s| s.points * settings.every)
        .sum();
    ensure!(calls >= ENOUGH, "the store made {calls} calls only: this proves nothing");
    Ok(all.iter().all(|series| series.failures == 0))
}

/// Takes the next shot that nobody has taken until none is left.
fn shoot(
    mut device: Device,
    template: &Template,
    all: &Mutex<Vec<Series>>,
    settings: Settings,
) -> Result<()> {
    loop {
        stop::check()?;
        let Some((index, stage, aim)) =
            next(&mut all.lock().unwrap_or_else(PoisonError::into_inner), settings)
        else {
            return Ok(());
        };
        let shot = fire(&mut device, template, stage, aim, settings.segment_size, settings.rounds)
            .with_context(|| format!("{stage:?}, {aim:?}"))?;
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let series = &mut all[index];
        let Some(Findings { problems, .. }) = shot else {
            series.end = Some(series.end.unwrap_or(aim.number).min(aim.number));
            continue;
        };
        series.points += 1;
        series.failures += u32::from(!problems.is_empty());
        series.problems.extend(problems.into_iter().map(|problem| format!("call {}: {problem}", aim.number)));
    }
}

fn next(all: &mut [Series], settings: Settings) -> Option<(usize, Stage, Aim)> {
    let (index, series) = all.iter_mut().enumerate().find(|(_, series)| series.end.is_none())?;
    let number = series.next;
    series.next += settings.every;
    Some((index, series.stage, Aim { call: series.call, fault: series.fault, number }))
}

fn print(all: &[Series], settings: Settings, began: Instant) {
    let faults = FAULTS.map(|(_, name)| format!("{name:>16}")).concat();
    for (stage, name) in STAGES {
        println!("{name:<24}{faults}");
        for call in CALLS {
            let cells = FAULTS.map(|(fault, _)| {
                let found = all.iter().find(|s| (s.stage, s.call, s.fault) == (stage, call, fault));
                let text = match found {
                    Some(series) if series.points > 0 => {
                        format!("{} ({} failed)", series.points, series.failures)
                    }
                    _ => "-".to_owned(),
                };
                format!("{text:>16}")
            });
            if cells.iter().any(|cell| cell.trim() != "-") {
                println!("  {call:<22}{}", cells.concat());
            }
        }
    }
    for series in all.iter().filter(|series| !series.problems.is_empty()) {
        let (fault, stage) = (FAULTS.iter().find(|(fault, _)| *fault == series.fault), series.stage);
        let stage = STAGES.iter().find(|(known, _)| *known == stage);
        let (fault, stage) = (fault.map_or("", |(_, name)| name), stage.map_or("", |(_, name)| name));
        for problem in series.problems.iter().take(SHOWN) {
            println!("{stage}, {} {fault}, {problem}", series.call);
        }
    }
    let (points, failures) = all.iter().fold((0, 0), |(p, f), s| (p + s.points, f + s.failures));
    println!(
        "points: {points} (one call of {}), each looked at as it was left and after a power cut, {failures} failed, {:.1} s",
        settings.every,
        began.elapsed().as_secs_f64()
    );
}
