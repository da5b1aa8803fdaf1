//! What the plan refuses about archives, and what they make of what it would refuse without them.

use less_model::diagnostic::{Diagnostic, Place};
use less_model::manifest::Start;
use less_model::name::StageName;
use less_model::quantity::Span;
use less_model::tree::{Subscriber, Topic};
use less_runtime::transport::aws::provision::Source;

use super::plan::Item;

/// The longest time that SQS keeps a message.
const LONGEST: Span = Span::from_secs(14 * 86_400);

/// What no archive can do for this topic.
pub fn limits(topic: &Topic, stage: &StageName) -> Option<Diagnostic> {
    (topic.retention > LONGEST).then(|| {
        let message = format!(
            "topic `{}` is to keep its messages for {}, and an archive on SQS keeps them for {LONGEST} at most",
            topic.name, topic.retention
        );
        Diagnostic::error("too-long", message)
            .at(Place::path(format!("{}/topic.toml", topic.folder)))
            .hint(format!("write `retention = \"{LONGEST}\"` or less"))
            .hint(format!("or take `archive = true` out of [stages.{stage}]"))
    })
}

/// A new subscriber that is to start in the past.
pub fn past(item: &Item, topic: Source<'_>, source: &Subscriber, stage: &StageName) -> Diagnostic {
    let (label, start) = (item.label(), source.policy.start);
    let message = format!(
        "`{label}` is to start with `{start}`, but SNS keeps no messages: a new subscriber gets what is published after it was made"
    );
    let diagnostic =
        Diagnostic::error("no-past", message).at(Place::path(format!("{}/subscriber.toml", source.folder)));
    let archived = match topic {
        Source::Own(topic) => topic.archive.is_some(),
        Source::External(_) => false,
    };
    if !archived {
        return diagnostic.hint("write `start = \"now\"`");
    }
    let since = match start {
        Start::Now | Start::Earliest => String::new(),
        Start::Ago(span) => format!(" --since {span}"),
    };
    diagnostic.hint(format!(
        "write `start = \"now\"`, deploy, and have what the archive keeps delivered to it: `less replay {label}{since} --stage {stage}`"
    ))
}
