//! What is to be reached, and whether it is.

use crate::cells::{Cell, SIZES};
use crate::summary::{Results, Summary};
use crate::system::System;
use crate::table::{number, table};

/// Whether a figure is above or below its bound.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    Above(f64),
    AtMost(f64),
    Below(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::Above(bound) => value > bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::Above(bound) => format!("> {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::Below(bound) => format!("< {bound}"),
        }
    }
}

/// The tables of ratios to the peers.
pub(crate) fn goals(results: &Results) -> String {
    format!(
        "### 256 in flight: Less divided by the peer\n\n{}\n### 1 in flight\n\n{}\n### Latency\n\n{}",
        many(results),
        one(results),
        latency(results)
    )
}

/// Less, 256 in flight, beside peers: who, with how many subscribers, how many times as much.
fn many(results: &Results) -> String {
    use System::{JetStreamDefault, RabbitClassic, RabbitQuorum, RedisAlways, RedisEverysec};
    let goals: [(&str, &[System], usize, Bound); 11] = [
        ("Redis always", &[RedisAlways], 1, Bound::AtLeast(3.0)),
        ("Redis always", &[RedisAlways], 4, Bound::AtLeast(5.0)),
        ("Redis always", &[RedisAlways], 16, Bound::AtLeast(8.0)),
        ("RabbitMQ, the faster kind of queue", &[RabbitClassic, RabbitQuorum], 4, Bound::AtLeast(25.0)),
        ("RabbitMQ, the faster kind of queue", &[RabbitClassic, RabbitQuorum], 16, Bound::AtLeast(50.0)),
        ("JetStream default (unsynced)", &[JetStreamDefault], 1, Bound::Above(1.0)),
        ("JetStream default (unsynced)", &[JetStreamDefault], 4, Bound::Above(1.0)),
        ("JetStream default (unsynced)", &[JetStreamDefault], 16, Bound::Above(1.0)),
        ("Redis everysec (unsynced)", &[RedisEverysec], 1, Bound::Above(1.0)),
        ("Redis everysec (unsynced)", &[RedisEverysec], 4, Bound::Above(1.0)),
        ("Redis everysec (unsynced)", &[RedisEverysec], 16, Bound::Above(1.0)),
    ];
    let rows = goals.map(|(name, peers, subscribers, bound)| {
        let ratios: Vec<_> = SIZES
            .into_iter()
            .flat_map(|bytes| {
                let cell = Cell { subscribers, bytes, in_flight: 256 };
                [
                    beside(peers, |system| results.published(system, cell)),
                    beside(peers, |system| results.delivered(system, cell)),
                ]
            })
            .collect();
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| marked(bound, ratios[index]));
        [name.to_owned(), subscribers.to_string(), bound.text(), a, b, c, d, reached(bound, &ratios)]
    });
    let head = [
        "beside",
        "S",
        "goal",
        "256 B published",
        "256 B delivered",
        "1 KiB published",
        "1 KiB delivered",
        "reached",
    ];
    table(head, &rows)
}

/// Less, one publish at a time.
fn one(results: &Results) -> String {
    let syncing: Vec<_> = peers().filter(|system| system.syncs()).collect();
    let mut rows = Vec::new();
    for (_, subscribers) in load::FANOUTS {
        let cell = |bytes| Cell { subscribers, bytes, in_flight: 1 };
        let published = |bytes| results.published(System::Less, cell(bytes)).map(|summary| summary.median);
        let bare = SIZES.map(|bytes| Some(results.bare(bytes)?.median / published(bytes)?));
        let ahead = SIZES.map(|bytes| beside(&syncing, |system| results.published(system, cell(bytes))));
        for (what, bound, ratios) in [
            ("time of a publish, in bare writes + fdatasyncs", Bound::AtMost(1.3), bare),
            ("published, divided by the fastest syncing peer", Bound::Above(1.0), ahead),
        ] {
            let [a, b] = ratios.map(|ratio| marked(bound, ratio));
            rows.push([
                what.to_owned(),
                subscribers.to_string(),
                bound.text(),
                a,
                b,
                reached(bound, &ratios),
            ]);
        }
    }
    rows.sort_by(|a, b| b[0].cmp(&a[0]));
    table(["", "S", "goal", "256 B", "1 KiB", "reached"], &rows)
}

/// From publish to handler: the median below that of the fastest syncing peer, the 99th percentile below half of the lowest.
fn latency(results: &Results) -> String {
    let syncing: Vec<_> = peers().filter(|system| system.syncs()).collect();
    let rows = [("p50", 1, Bound::Below(1.0)), ("p99", 2, Bound::Below(0.5))].map(|(name, index, bound)| {
        let of = |system| results.latency(system).map(|all| all[index].median);
        let lowest = syncing.iter().map(|system| of(*system).map(|value| (value, *system)));
        let lowest = lowest
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)));
        let ratio = of(System::Less).zip(lowest).map(|(ours, (theirs, _))| ours / theirs);
        let shown = |value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{} ms", number(value / 1000.0)))
        };
        [
            name.to_owned(),
            shown(of(System::Less)),
            lowest.map_or_else(
                || "–".to_owned(),
                |(value, system)| format!("{} ({})", shown(Some(value)), system.title()),
            ),
            bound.text(),
            marked(bound, ratio),
            reached(bound, &[ratio]),
        ]
    });
    table(["", "Less", "best syncing peer", "goal", "ratio", "reached"], &rows)
}

/// The systems one would install instead.
fn peers() -> impl Iterator<Item = System> {
    System::ALL.into_iter().filter(|system| !matches!(system, System::Less | System::Bare))
}

/// Less divided by the best of some peers; `None` unless all of them were measured.
fn beside(peers: &[System], figure: impl Fn(System) -> Option<Summary>) -> Option<f64> {
    let theirs = peers.iter().map(|peer| Some(figure(*peer)?.median)).collect::<Option<Vec<_>>>()?;
    Some(figure(System::Less)?.median / theirs.into_iter().max_by(f64::total_cmp)?)
}

fn marked(bound: Bound, ratio: Option<f64>) -> String {
    match ratio {
        None => "–".to_owned(),
        Some(ratio) if bound.holds(ratio) => format!("{ratio:.2}"),
        Some(ratio) => format!("**{ratio:.2}**"),
    }
}

fn reached(bound: Bound, ratios: &[Option<f64>]) -> String {
    let Some(ratios) = ratios.iter().copied().collect::<Option<Vec<f64>>>() else {
        return "not measured".to_owned();
    };
    match ratios.iter().filter(|ratio| bound.holds(**ratio)).count() {
        all if all == ratios.len() => "yes".to_owned(),
        0 => "**no**".to_owned(),
        some => format!("**{some} of {}**", ratios.len()),
    }
}
