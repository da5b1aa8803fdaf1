//! Faults injected into the embedded broker from outside: each proof does its worst to a process and holds what is left against what was told.
//!
//! Exit: 0 what is promised held, 1 it did not (or a control found nothing), 2 a proof could not be run to its end, 3 it can't be run on this machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "telling is what these programs are for")]

mod app;
mod check;
mod device;
mod event;
mod http;
mod kill;
mod links;
mod observe;
mod points;
mod poison;
mod power;
mod process;
mod stop;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

/// Segments so small that a load goes through many.
const LOAD_SEGMENT: u64 = 256 << 10;
/// Segments so small that a few messages go through several.
const SCRIPT_SEGMENT: u64 = 2 << 10;

#[derive(Parser)]
#[command(about = "Injects faults into the embedded broker, and accounts for every message")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The process under test: uses a store, and tells on stdout what it does
    Workload {
        /// The data folder
        #[arg(long)]
        folder: PathBuf,
        /// Publishers and subscribers at the same time, until the process is ended
        #[arg(long, conflicts_with = "scripted")]
        load: bool,
        /// A fixed sequence
        #[arg(long, required_unless_present = "load")]
        scripted: bool,
        /// Size at which the store begins a new file, in bytes
        #[arg(long)]
        segment_size: Option<u64>,
        /// With --load: tells publishes as acknowledged before they are
        #[arg(long, requires = "load")]
        lie: bool,
        /// With --scripted: how many rounds
        #[arg(long, default_value_t = 10)]
        rounds: u32,
        /// With --scripted: waits for a line on stdin once the store is open
        #[arg(long, requires = "scripted")]
        wait: bool,
        /// With --scripted: ends without closing the store
        #[arg(long, requires = "scripted")]
        abandon: bool,
    },
    /// Opens a store, tells what it has, and acks all of it
    Observe {
        /// The data folder
        #[arg(long)]
        folder: PathBuf,
        /// Size at which the store begins a new file, in bytes
        #[arg(long)]
        segment_size: Option<u64>,
        /// Closes the store
        #[arg(long)]
        close: bool,
    },
    /// Holds a store against what workloads told (their stdouts, one after the other)
    Account {
        /// The data folder
        #[arg(long)]
        folder: PathBuf,
        /// What the workloads told
        #[arg(long)]
        events: PathBuf,
        /// Size at which the store begins a new file, in bytes
        #[arg(long)]
        segment_size: Option<u64>,
    },
    /// Proof: the power is cut at random moments under load
    Power {
        /// How often
        #[arg(long, default_value_t = 200)]
        cuts: u32,
        /// How often in each control, whose losses must be seen
        #[arg(long, default_value_t = 12)]
        control_cuts: u32,
    },
    /// Proof: the shipped program is killed at random moments under load over HTTP
    Kill {
        /// The `less` command
        #[arg(long)]
        less: PathBuf,
        /// How often
        #[arg(long, default_value_t = 300)]
        kills: u32,
    },
    /// Proof: two apps that are linked are killed at random moments, either or both
    Links {
        /// The `less` command
        #[arg(long)]
        less: PathBuf,
        /// How often
        #[arg(long, default_value_t = 200)]
        kills: u64,
        /// How many messages are published meanwhile
        #[arg(long, default_value_t = 100_000)]
        messages: u64,
    },
    /// Proof: one message that ends its process, among good ones
    Poison {
        /// The `less` command
        #[arg(long)]
        less: PathBuf,
        /// How many good ones
        #[arg(long, default_value_t = 10_000)]
        good: u64,
    },
    /// Proof: every system call of the store is killed at, and fails, once
    Points {
        /// Every call
        #[arg(long, conflicts_with = "sample")]
        all: bool,
        /// One call of this many
        #[arg(long, default_value_t = 1)]
        sample: u32,
        /// Rounds of the sequence whose calls are counted
        #[arg(long, default_value_t = 10)]
        rounds: u32,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let code = |well: bool| ExitCode::from(u8::from(!well));
    match command {
        Command::Workload { folder, load, scripted: _, segment_size, lie, rounds, wait, abandon } => {
            let (kind, size) = if load {
                (workload::Kind::Load { lie }, LOAD_SEGMENT)
            } else {
                (workload::Kind::Script { rounds, wait, abandon }, SCRIPT_SEGMENT)
            };
            workload::run(&folder, segment_size.unwrap_or(size), kind)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Observe { folder, segment_size, close } => {
            observe::run(&folder, segment_size.unwrap_or(LOAD_SEGMENT), close)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Account { folder, events, segment_size } => {
            let text = std::fs::read_to_string(&events)
                .with_context(|| format!("can't read {}", events.display()))?;
            let lines = text.lines().map(str::parse).collect::<Result<Vec<_>>>()?;
            let mut book = check::Book::default();
            // Every process begins by telling that it opened the store.
            let opened = |line: &event::Line| matches!(line, event::Line::Event(event) if event.what == event::What::Opened);
            for (n, lines) in lines.chunk_by(|_, next| !opened(next)).enumerate() {
                if n > 0 {
                    book.crash(lines[0].at());
                }
                book.take(lines);
            }
            book.crash(event::now());
            power::look(&mut book, &folder, segment_size.unwrap_or(LOAD_SEGMENT), true)?;
            book.findings.problems.iter().for_each(|problem| println!("{problem}"));
            println!("{} acknowledged, {} lost", book.findings.acknowledged, book.findings.lost);
            Ok(code(book.findings.problems.is_empty()))
        }
        Command::Power { cuts, control_cuts } => {
            if let Some(why) = device::unavailable() {
                return Ok(skipped("power", &why));
            }
            stop::listen()?;
            Ok(code(power::run(power::Settings { cuts, control_cuts, segment_size: LOAD_SEGMENT })?))
        }
        Command::Kill { less, kills } => Ok(code(kill::run(&less.canonicalize()?, kills)?)),
        Command::Links { less, kills, messages } => {
            Ok(code(links::run(&less.canonicalize()?, kills, messages)?))
        }
        Command::Poison { less, good } => Ok(code(poison::run(&less.canonicalize()?, good)?)),
        Command::Points { all, sample, rounds } => {
            if let Some(why) = device::unavailable().or_else(points::unavailable) {
                return Ok(skipped("points", &why));
            }
            stop::listen()?;
            let every = if all { 1 } else { sample.max(1) };
            Ok(code(points::run(points::Settings { every, segment_size: SCRIPT_SEGMENT, rounds })?))
        }
    }
}

/// Says that a proof was not run: it is not claimed.
fn skipped(proof: &str, why: &str) -> ExitCode {
    eprintln!("skipped: {proof}: {why}");
    ExitCode::from(3)
}
