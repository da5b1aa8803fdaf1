//! Subscriptions whose folder is gone: whoever renames one would otherwise wonder where its messages are.

use std::collections::BTreeSet;

use less_runtime::client::SubscriberStatus;

use crate::ui;

/// A line for each that was not told before; what has its folder again may be told anew.
pub(super) fn news(rows: &[SubscriberStatus], told: &mut BTreeSet<String>) -> Vec<String> {
    let orphans = rows.iter().filter(|row| row.orphaned);
    let orphans: Vec<(String, u64)> =
        orphans.map(|row| (format!("{}/{}", row.topic, row.subscriber), row.held())).collect();
    let lines = orphans.iter().filter(|(name, _)| !told.contains(name)).map(|(name, held)| line(name, *held));
    let lines = lines.collect();
    *told = orphans.into_iter().map(|(name, _)| name).collect();
    lines
}

fn line(name: &str, held: u64) -> String {
    let (what, flag) = match held {
        0 => ("gets messages all the same".to_owned(), ""),
        1 => ("1 message waits in its queue".to_owned(), " --drop-messages"),
        held => (format!("{} wait in its queue", ui::count_u64(held, "message")), " --drop-messages"),
    };
    format!(
        "`{name}` has no folder any more, and {what} (`less status`): bring less/topics/{name} back, where it was renamed under that name, or `less drop {name}{flag}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(subscriber: &str, orphaned: bool, pending: u64) -> SubscriberStatus {
        let json = serde_json::json!({
            "topic": "order", "subscriber": subscriber, "orphaned": orphaned, "published": 9, "pending": pending,
            "scheduled": 0, "in_flight": 0, "done": 9, "dead": 0, "discarded": {}, "oldest_pending_s": null,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_subscriber_without_a_folder_is_told_once_with_how_many_wait() {
        let mut told = BTreeSet::new();
        let rows = [row("mail", false, 2), row("old", true, 3), row("older", true, 0)];
        assert_eq!(
            news(&rows, &mut told),
            [
                "`order/old` has no folder any more, and 3 messages wait in its queue (`less status`): bring less/topics/order/old back, where it was renamed under that name, or `less drop order/old --drop-messages`",
                "`order/older` has no folder any more, and gets messages all the same (`less status`): bring less/topics/order/older back, where it was renamed under that name, or `less drop order/older`",
            ]
        );
        assert!(news(&rows, &mut told).is_empty());
        assert!(news(&rows[..1], &mut told).is_empty());
        assert_eq!(news(&rows, &mut told).len(), 2);
    }
}
