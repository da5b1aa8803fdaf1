//! `subscriber.toml`, and `[defaults]` in `less.toml`: how a subscriber's messages are handled.

use toml::de::DeTable;

use super::table::{Doc, Table};
use crate::manifest::{Policy, Start};
use crate::name::nearest;
use crate::quantity::Span;

/// The keys of `[defaults]`.
pub(super) const KEYS: [&str; 7] =
    ["concurrency", "timeout", "max_attempts", "min_backoff", "max_backoff", "start", "processes"];
const SHORTEST: Span = Span::from_millis(1);
/// Longest time that SQS can hold a message back or hidden, so that a policy means the same on every transport.
const LONGEST: Span = Span::from_secs(12 * 3600);

/// What the table says, on top of `base`. Which other keys it may have is not looked at.
pub(super) fn read(doc: &mut Doc, table: Table, base: Policy) -> Policy {
    let policy = Policy {
        concurrency: doc.number(table, "concurrency", 1..=10_000).unwrap_or(base.concurrency),
        timeout: doc.duration(table, "timeout", SHORTEST..=LONGEST).unwrap_or(base.timeout),
        max_attempts: doc.number(table, "max_attempts", 1..=1_000).unwrap_or(base.max_attempts),
        min_backoff: doc.duration(table, "min_backoff", SHORTEST..=LONGEST).unwrap_or(base.min_backoff),
        max_backoff: doc.duration(table, "max_backoff", SHORTEST..=LONGEST).unwrap_or(base.max_backoff),
        start: start(doc, table).unwrap_or(base.start),
        processes: doc.number(table, "processes", 1..=64).unwrap_or(base.processes),
    };
    backoff(doc, table.entries, policy);
    policy
}

fn backoff(doc: &mut Doc, entries: &DeTable, policy: Policy) {
    let Policy { min_backoff, max_backoff, .. } = policy;
    if min_backoff <= max_backoff {
        return;
    }
    // Whichever this file sets is the one to change; where it sets neither, its base was told already.
    let (min, max) = (entries.get("min_backoff"), entries.get("max_backoff"));
    let origin = |set: bool| if set { "" } else { " (not set here)" };
    if let Some(value) = max.or(min) {
        let message = format!(
            "`max_backoff` is {max_backoff}{}, less than `min_backoff`, which is {min_backoff}{}",
            origin(max.is_some()),
            origin(min.is_some()),
        );
        doc.error("bad-value", message, value.span());
    }
}

fn start(doc: &mut Doc, table: Table) -> Option<Start> {
    let text = doc.text(table, "start")?;
    let start = text.get_ref().parse().ok();
    if start.is_none() {
        let other = text.get_ref();
        let message = match nearest(other, ["now", "earliest"]) {
            Some(near) => format!("`start` can't be `{other}`; did you mean `{near}`?"),
            None => format!("`start` is `now`, `earliest` or a time ago such as `-24h`, not `{other}`"),
        };
        doc.error("bad-value", message, text.span());
    }
    start
}
