//! Storage engines below one group-committing writer, beside the store that Less has: `cargo run --release [-- --quick]`.
//!
//! Every measurement runs in a process of its own, so that memory and threads of one don't weigh on another.

mod child;
mod engine;
mod less;
mod machine;
mod report;
mod target;
mod writer;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::child::Task;
use crate::report::Reopened;
use crate::target::Kind;

/// How much is measured.
struct Plan {
    rounds: usize,
    millis: u64,
    /// Messages that are there when a store is opened again.
    stored: u64,
}

const WHOLE: Plan = Plan { rounds: 3, millis: 2_000, stored: 1_000_000 };
const QUICK: Plan = Plan { rounds: 1, millis: 300, stored: 50_000 };

const PUBLISHERS: [usize; 3] = [1, 16, 256];
const BODIES: [usize; 2] = [256, 1024];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => measure(&WHOLE),
        ["--quick"] => measure(&QUICK),
        ["--child", rest @ ..] => child::run(rest),
        _ => bail!("unknown arguments\nhint: `cargo run --release` or `cargo run --release -- --quick`"),
    }
}

fn measure(plan: &Plan) -> Result<()> {
    // On the file system of the repository: one in memory would flatter.
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let place = tempfile::Builder::new().prefix("stores").tempdir_in(place).context("can't make a folder")?;
    println!("{}", machine::facts(place.path())?);
    let mut rates = Vec::new();
    for round in 0..plan.rounds {
        for kind in Kind::ALL {
            for body in BODIES {
                for publishers in PUBLISHERS {
                    let folder = tempfile::tempdir_in(place.path())?;
                    let task = Task::Publish { kind, body, publishers, millis: plan.millis };
                    let sample = child::publish(&task, folder.path())?;
                    eprintln!(
                        "round {round}: {kind} {body} B, {publishers} publishers: {:.0}/s",
                        sample.rate
                    );
                    rates.push((kind, body, publishers, sample));
                }
            }
        }
    }
    println!("{}", report::rates(&rates, plan.millis, plan.rounds));
    let mut reopened = Vec::new();
    for kind in Kind::ALL {
        let folder = tempfile::tempdir_in(place.path())?;
        let filled = child::fill(&Task::Fill { kind, count: plan.stored }, folder.path())?;
        let disk = machine::disk_use(folder.path())?;
        let again = Task::Reopen { kind, count: plan.stored };
        let (killed, closed) = (child::reopen(&again, folder.path())?, child::reopen(&again, folder.path())?);
        eprintln!("{kind}: reopened in {:.0} and {:.0} ms", killed.millis, closed.millis);
        reopened.push(Reopened { kind, filled, disk, killed, closed });
    }
    println!("{}", report::reopened(&reopened, plan.stored));
    println!("{}", machine::load()?);
    Ok(())
}
