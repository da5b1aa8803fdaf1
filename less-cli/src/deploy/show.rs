//! A plan as people read it, and as programs do.

use std::collections::{BTreeMap, BTreeSet};

use less_model::diagnostic::Diagnostic;
use less_runtime::transport::aws::provision::{Backlog, Kind};
use serde_json::{Value, json};

use super::orphan::Orphans;
use super::plan::{Item, Plan};
use crate::ui::count;

/// Longest value of an attribute that is shown whole, in characters.
const WIDTH: usize = 60;

/// The plan as text, without what is refused.
pub fn text(plan: &Plan) -> String {
    let of = &plan.of;
    let mut lines = vec![
        format!(
            "app `{}`, stage `{}`: AWS account {}, {}",
            of.app, of.stage, of.site.account, of.site.region
        ),
        String::new(),
    ];
    lines.extend(created(&plan.create));
    for changed in &plan.change {
        lines.push(row('~', &changed.item.kind.to_string(), &changed.item.label(), &changed.item.name));
        for change in &changed.attributes {
            let (old, new) = short(&change.old, &change.new);
            lines.push(format!("        {}: {old} → {new}", change.attribute));
        }
    }
    for item in &plan.end {
        let says = format!("{}, from where the topic was before", item.name);
        lines.push(row('-', "subscription", &item.label(), &says));
    }
    lines.extend(orphans(&plan.orphaned, '?'));
    lines.extend(plan.allow.iter().map(|allow| format!("  ! {}", allow.text())));
    for renamed in &plan.renamed {
        let waiting = match renamed.waiting {
            0 => "nothing waits under the old name".to_owned(),
            many => format!("{} under the old name, and only a folder of that name gets them", wait(many)),
        };
        lines.push(format!(
            "  ! `{}` looks like `{}` renamed (same code): {waiting}",
            renamed.to, renamed.from
        ));
    }
    if lines.len() > 2 {
        lines.push(String::new());
    }
    let orphaned = plan.orphaned.len();
    let mut counts = vec![
        format!("{} to create", plan.create.len()),
        format!("{} to change", plan.change.len()),
        format!("{} to keep", plan.keep.len()),
    ];
    if !plan.end.is_empty() {
        counts.push(format!("{} to end", plan.end.len()));
    }
    if orphaned > 0 {
        counts.push(format!("{orphaned} orphaned"));
    }
    if !plan.refused.is_empty() {
        counts.push(format!("{} refused", plan.refused.len()));
    }
    lines.push(counts.join(", "));
    lines.join("\n")
}

/// What is to be made; a subscriber of which nothing exists is one line.
fn created(items: &[Item]) -> Vec<String> {
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    for item in items.iter().filter(|item| item.subscriber.is_some()) {
        *parts.entry(item.label()).or_default() += 1;
    }
    let archives = items.iter().filter(|item| item.kind == Kind::Archive);
    let archives: BTreeSet<&str> = archives.map(|item| &*item.name).collect();
    let mut lines = Vec::new();
    for item in items {
        let whole = match item.subscriber {
            Some(_) => parts.get(&item.label()) == Some(&3),
            // What is not there has no subscription.
            None => archives.contains(&*item.name),
        };
        match (whole, item.kind) {
            (true, Kind::Queue) => {
                let what = format!("{} with dead letters and subscription", item.name);
                lines.push(row('+', "queue", &item.label(), &what));
            }
            (true, Kind::Archive) => {
                let what = format!("{} with subscription", item.name);
                lines.push(row('+', "archive", &item.label(), &what));
            }
            (true, Kind::DeadLetters | Kind::Subscription) => {}
            (_, Kind::DeadLetters | Kind::Queue | Kind::Archive | Kind::Topic | Kind::Subscription) => {
                lines.push(row('+', &item.kind.to_string(), &item.label(), &item.name));
            }
        }
    }
    lines
}

/// What is orphaned, each line after `mark`.
pub fn orphans(orphans: &Orphans, mark: char) -> Vec<String> {
    let subscribers = orphans.subscribers.iter().map(|orphan| {
        if orphan.tail {
            return row(mark, "tail", &orphan.topic, "the queue of a `less tail` that runs or was killed");
        }
        let mut says = Vec::new();
        if let Some(queue) = &orphan.queue {
            says.push(match queue.backlog.total() {
                0 => "nothing waits".to_owned(),
                many => format!("{} ({})", wait(many), split(queue.backlog)),
            });
        }
        if orphan.dead() > 0 {
            says.push(count_of(orphan.dead(), "dead letter"));
        }
        if orphan.queue.is_none() {
            says.push("its queue is gone".to_owned());
        }
        row(mark, "subscriber", &orphan.label(), &says.join(", "))
    });
    let topics = orphans.topics.iter().map(|orphan| {
        let others = match orphan.others.len() {
            0 => String::new(),
            many => format!(", with {} of others: {}", count(many, "subscription"), orphan.others.join(", ")),
        };
        row(mark, "topic", &orphan.topic, &format!("{}{others}", orphan.name))
    });
    let archives = orphans.archives.iter().map(|orphan| {
        let says = match orphan.queue.backlog.total() {
            0 => "keeps nothing".to_owned(),
            1 => "keeps 1 message".to_owned(),
            many => format!("keeps {many} messages"),
        };
        row(mark, "archive", &orphan.topic, &format!("{}, {says}", orphan.queue.name))
    });
    subscribers.chain(archives).chain(topics).collect()
}

fn row(mark: char, kind: &str, label: &str, says: &str) -> String {
    format!("  {mark} {kind:<17} {label:<36} {says}").trim_end().to_owned()
}

fn split(backlog: Backlog) -> String {
    let Backlog { visible, in_flight, delayed } = backlog;
    format!("{visible} visible, {in_flight} in flight, {delayed} delayed")
}

fn wait(many: u64) -> String {
    if many == 1 { "1 message waits".to_owned() } else { format!("{many} messages wait") }
}

/// `1 dead letter`, `2 dead letters`.
pub fn count_of(many: u64, word: &str) -> String {
    count(usize::try_from(many).unwrap_or(usize::MAX), word)
}

/// Two values of an attribute; of long ones what is around the first difference.
fn short(old: &str, new: &str) -> (String, String) {
    let same = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let cut = |value: &str| {
        let length = value.chars().count();
        if value.is_empty() {
            return "(none)".to_owned();
        }
        if length <= WIDTH {
            return value.to_owned();
        }
        let from = same.saturating_sub(WIDTH / 3);
        let shown: String = value.chars().skip(from).take(WIDTH).collect();
        let (before, after) = (if from > 0 { "…" } else { "" }, if from + WIDTH < length { "…" } else { "" });
        format!("{before}{shown}{after}")
    };
    (cut(old), cut(new))
}

/// The plan as JSON.
pub fn json(plan: &Plan) -> Value {
    let refused = |diagnostic: &Diagnostic| {
        json!({
            "code": diagnostic.code,
            "message": diagnostic.message,
            "place": diagnostic.place.as_ref().map(|place| &place.path),
            "hints": diagnostic.hints,
        })
    };
    json!({
        "app": plan.of.app,
        "stage": plan.of.stage,
        "transport": "aws",
        "region": plan.of.site.region,
        "account": plan.of.site.account,
        "create": plan.create,
        "change": plan.change,
        "keep": plan.keep,
        "end": plan.end,
        "allow": plan.allow,
        "orphaned": plan.orphaned,
        "renamed": plan.renamed,
        "refused": plan.refused.iter().map(refused).collect::<Vec<_>>(),
    })
}
