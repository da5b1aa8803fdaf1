//! The tables of a run.

use std::path::Path;

use crate::cells::{Cell, Lengths, RATE, RATE_BYTES, RATE_SUBSCRIBERS, SIZES};
use crate::goals::goals;
use crate::machine;
use crate::record;
use crate::summary::{Results, Summary};
use crate::system::System;
use crate::table::{spread, table};

/// What there is to say about the results in a file.
pub(crate) fn report(file: &Path, file_system: &str, versions: &str) -> anyhow::Result<String> {
    let results = Results(record::read(file)?);
    let rounds = results.0.iter().map(|record| record.round).max().unwrap_or_default();
    let quick = results.0.iter().any(|record| record.quick);
    let lengths = Lengths::new(quick);
    let warning = if quick {
        "**A quick run: it shows that everything works; its figures mean little.**\n\n"
    } else {
        ""
    };
    Ok(format!(
        "{warning}Machine: {}, {file_system}. Versions: {versions}.\n\n\
         Medians of {rounds} alternating rounds (least–most); {} s of publishing each. One topic, S subscribers, each of which acknowledges. Published: \
         confirmed to the publisher. Delivered: acknowledged, over all subscribers, until the last.\n\n\
         ## Throughput, messages/s\n\n{}\n\
         ## Latency from publish to handler, {RATE} messages/s, S = {RATE_SUBSCRIBERS}, {RATE_BYTES} B, ms\n\n{}\n\
         ## Bare write + fdatasync, one at a time\n\n{}\n\
         ## Memory of the server's process, MiB\n\nLess is broker, publisher and handlers in one process.\n\n{}\n\
         ## Goals\n\nBold: not reached.\n\n{}",
        machine::describe(),
        lengths.throughput.as_secs_f64(),
        throughput(&results),
        latency(&results),
        bare(&results),
        memory(&results),
        goals(&results),
    ))
}

/// The measured systems that handle messages.
fn systems(results: &Results) -> impl Iterator<Item = System> {
    System::ALL.into_iter().filter(|system| *system != System::Bare && results.has(*system))
}

fn throughput(results: &Results) -> String {
    let mut rows = Vec::new();
    for system in systems(results) {
        for (_, subscribers) in load::FANOUTS {
            for bytes in SIZES {
                let [one, many] = [1, 256].map(|in_flight| Cell { subscribers, bytes, in_flight });
                rows.push([
                    system.title().to_owned(),
                    subscribers.to_string(),
                    bytes.to_string(),
                    spread(results.published(system, one)),
                    spread(results.delivered(system, one)),
                    spread(results.published(system, many)),
                    spread(results.delivered(system, many)),
                ]);
            }
        }
    }
    let head =
        ["", "S", "bytes", "1 in flight: published", "delivered", "256 in flight: published", "delivered"];
    table(head, &rows)
}

fn latency(results: &Results) -> String {
    let milliseconds = |summary: Summary| {
        let [median, least, most] = [summary.median, summary.least, summary.most].map(|us| us / 1000.0);
        spread(Some(Summary { median, least, most }))
    };
    let rows: Vec<_> = systems(results)
        .filter_map(|system| {
            let [rate, p50, p99, max] = results.latency(system)?;
            let [p50, p99, max] = [p50, p99, max].map(milliseconds);
            Some([system.title().to_owned(), p50, p99, max, spread(Some(rate))])
        })
        .collect();
    table(["", "p50", "p99", "max", "rate held"], &rows)
}

fn bare(results: &Results) -> String {
    let rows = SIZES.map(|bytes| {
        let summary = results.bare(bytes);
        let micros = summary.map_or_else(|| "–".to_owned(), |summary| format!("{:.0}", 1e6 / summary.median));
        [bytes.to_string(), spread(summary), micros]
    });
    table(["bytes (and 40 more)", "per second", "µs"], &rows)
}

fn memory(results: &Results) -> String {
    let mib = |summary: Summary| format!("{:.0}", summary.median / 1024.0);
    let rows: Vec<_> = systems(results)
        .filter_map(|system| {
            let [resident, peak] = results.memory(system)?.map(mib);
            Some([system.title().to_owned(), resident, peak])
        })
        .collect();
    table(["", "after the load", "at its most"], &rows)
}
