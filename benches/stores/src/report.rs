//! The tables.

use std::fmt::Write;

use crate::child::{Opened, Sample};
use crate::target::Kind;
use crate::{BODIES, PUBLISHERS};

/// A store that was filled and opened again.
pub(crate) struct Reopened {
    pub(crate) kind: Kind,
    /// Resident memory after filling it, in MiB.
    pub(crate) filled: f64,
    /// What it takes on the disk then, in MiB.
    pub(crate) disk: f64,
    /// Opened as a kill left it.
    pub(crate) killed: Opened,
    /// Opened after it was closed.
    pub(crate) closed: Opened,
}

/// Publishes per second and p99, a table for each size.
pub(crate) fn rates(samples: &[(Kind, usize, usize, Sample)], millis: u64, rounds: usize) -> String {
    let mut out = String::new();
    for body in BODIES {
        let heads: Vec<String> = PUBLISHERS.iter().map(|count| format!("{count}/s | p99 ms")).collect();
        line(
            &mut out,
            &format!("{body} B, by concurrent publishers; {millis} ms each, medians of {rounds}:\n"),
        );
        line(&mut out, &format!("| store | {} |", heads.join(" | ")));
        line(&mut out, &format!("|---|{}", "---:|---:|".repeat(PUBLISHERS.len())));
        for kind in Kind::ALL {
            let cells = PUBLISHERS.map(|publishers| {
                let these = || samples.iter().filter(|(k, b, p, _)| (*k, *b, *p) == (kind, body, publishers));
                let rate = median(these().map(|(_, _, _, sample)| sample.rate).collect());
                let p99 = median(these().map(|(_, _, _, sample)| sample.p99).collect());
                format!("{} | {p99:.2}", thousands(rate))
            });
            line(&mut out, &format!("| {kind} | {} |", cells.join(" | ")));
        }
        line(&mut out, "");
    }
    out
}

/// Opening again, memory and disk.
pub(crate) fn reopened(stores: &[Reopened], count: u64) -> String {
    let mut out = String::new();
    line(&mut out, &format!("With {count} messages of 256 B:\n"));
    line(
        &mut out,
        "| store | reopen after a kill, ms | after a close, ms | RSS when filled, MiB | RSS when reopened (kill), MiB | disk, MiB |",
    );
    line(&mut out, "|---|---:|---:|---:|---:|---:|");
    for store in stores {
        let Reopened { kind, filled, disk, killed, closed } = store;
        line(
            &mut out,
            &format!(
                "| {kind} | {:.0} | {:.0} | {filled:.0} | {:.0} | {disk:.0} |",
                killed.millis, closed.millis, killed.resident
            ),
        );
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "{text}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn thousands(rate: f64) -> String {
    if rate < 10_000.0 { format!("{:.1}k", rate / 1e3) } else { format!("{:.0}k", rate / 1e3) }
}
