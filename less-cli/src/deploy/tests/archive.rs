//! Archives in plans.

use less_model::diagnostic::plain;
use less_runtime::transport::aws::provision::Observed;
use serde_json::json;

use super::{deployed, needs, of, scan, site, text};
use crate::deploy::{orphan, show};

const KEPT: &str = "
//- less.toml
[stages.prod]
transport = \"aws\"
archive = true
//- less/topics/order/mail/index.js
//- less/topics/paid/book/index.js
//- less/topics/paid/topic.toml
ordered = true
retention = \"3d\"
";

/// The same without archives.
fn unkept() -> String {
    KEPT.replace("archive = true\n", "")
}

#[test]
fn every_topic_gets_an_archive_beside_its_subscribers() {
    assert_eq!(
        text(KEPT, &deployed(&needs(&scan(&unkept()).1))),
        "  + archive           order                                shop-prod-order-_archive with subscription
  + archive           paid                                 shop-prod-paid-_archive with subscription

4 to create, 0 to change, 8 to keep"
    );
    assert_eq!(text(KEPT, &deployed(&needs(&scan(KEPT).1))), "0 to create, 0 to change, 12 to keep");
}

#[test]
fn programs_read_of_an_archive_that_it_is_one() {
    let plan = show::json(&of(KEPT, &deployed(&needs(&scan(&unkept()).1))));
    assert_eq!(
        plan["create"],
        json!([
            {"kind": "archive", "name": "shop-prod-order-_archive", "topic": "order"},
            {"kind": "subscription", "name": "shop-prod-order-_archive", "topic": "order"},
            {"kind": "archive", "name": "shop-prod-paid-_archive", "topic": "paid"},
            {"kind": "subscription", "name": "shop-prod-paid-_archive", "topic": "paid"},
        ])
    );
}

#[test]
fn an_archive_without_its_subscription_or_with_another_retention_is_put_right() {
    let mut observed = deployed(&needs(&scan(KEPT).1));
    let is_archive = |endpoint: &str| endpoint.ends_with("-_archive");
    let order = observed.topics.get_mut("shop-prod-order").unwrap();
    order.subscriptions.retain(|found| !is_archive(&found.endpoint));
    let queue = observed.queues.get_mut("shop-prod-paid-_archive").unwrap();
    queue.attributes.insert("MessageRetentionPeriod".to_owned(), "604800".to_owned());
    let paid = observed.topics.get_mut("shop-prod-paid.fifo").unwrap();
    let found = paid.subscriptions.iter_mut().find(|found| is_archive(&found.endpoint)).unwrap();
    found.attributes.insert("FilterPolicy".to_owned(), r#"{"a":["b"]}"#.to_owned());
    assert_eq!(
        text(KEPT, &observed),
        "  + subscription      order                                shop-prod-order-_archive
  ~ archive           paid                                 shop-prod-paid-_archive
        MessageRetentionPeriod: 604800 → 259200
  ~ subscription      paid                                 shop-prod-paid-_archive
        FilterPolicy: {\"a\":[\"b\"]} → (none)

1 to create, 2 to change, 9 to keep"
    );
}

#[test]
fn an_archive_that_nothing_asks_for_is_an_orphan_and_no_subscriber() {
    let mut observed = deployed(&needs(&scan(KEPT).1));
    let queue = observed.queues.get_mut("shop-prod-order-_archive").unwrap();
    queue.attributes.insert("ApproximateNumberOfMessages".to_owned(), "7".to_owned());
    let off = unkept();
    assert_eq!(
        text(&off, &observed),
        "  ? archive           order                                shop-prod-order-_archive, keeps 7 messages
  ? archive           paid                                 shop-prod-paid-_archive, keeps nothing

0 to create, 0 to change, 8 to keep, 2 orphaned"
    );
    let plan = of(&off, &observed);
    assert_eq!((plan.orphaned.messages(), plan.orphaned.archived()), (0, 7));
    let shown = show::json(&plan)["orphaned"].clone();
    assert_eq!(shown["subscribers"], json!([]));
    assert_eq!(
        shown["archives"][0],
        json!({
            "topic": "order",
            "subscriptions": ["arn:aws:sns:eu-west-1:111122223333:shop-prod-order:2"],
            "queue": {
                "name": "shop-prod-order-_archive",
                "url": "https://sqs.eu-west-1.amazonaws.com/111122223333/shop-prod-order-_archive",
                "backlog": {"visible": 7, "in_flight": 0, "delayed": 0},
            },
        })
    );
    // Somebody took its tag away.
    observed.queues.get_mut("shop-prod-order-_archive").unwrap().tags.remove("less:archive");
    assert_eq!(of(&off, &observed).orphaned.archives.len(), 2);
}

#[test]
fn the_archive_of_a_topic_that_left_goes_with_it() {
    let observed = deployed(&needs(&scan(KEPT).1));
    let left = KEPT.replace("//- less/topics/order/mail/index.js\n", "");
    assert_eq!(
        text(&left, &observed),
        "  ? subscriber        order/mail                           nothing waits
  ? archive           order                                shop-prod-order-_archive, keeps nothing
  ? topic             order                                shop-prod-order

0 to create, 0 to change, 6 to keep, 3 orphaned"
    );
}

#[test]
fn destroying_shows_archives_and_nothing_waits_in_them() {
    let desired = needs(&scan(KEPT).1);
    let mut observed = deployed(&desired);
    let queue = observed.queues.get_mut("shop-prod-order-_archive").unwrap();
    queue.attributes.insert("ApproximateNumberOfMessages".to_owned(), "1".to_owned());
    let all = orphan::everything(&desired, &observed);
    assert_eq!(all.messages(), 0);
    assert_eq!(
        show::orphans(&all, '-').join("\n"),
        "  - subscriber        order/mail                           nothing waits
  - subscriber        paid/book                            nothing waits
  - archive           order                                shop-prod-order-_archive, keeps 1 message
  - archive           paid                                 shop-prod-paid-_archive, keeps nothing
  - topic             order                                shop-prod-order
  - topic             paid                                 shop-prod-paid.fifo"
    );
}

#[test]
fn what_an_archive_cannot_do_is_refused_with_the_way_to_do_it() {
    let sources = KEPT.replace("3d", "30d")
        + "//- less/topics/order/late/index.js\n//- less/topics/order/late/subscriber.toml\nstart = \"-24h\"\n\
           //- less/topics/order/later/index.js\n//- less/topics/order/later/subscriber.toml\nstart = \"earliest\"\n";
    let (tree, _) = scan(&sources);
    let refused = of(&sources, &deployed(&needs(&scan(KEPT).1))).refused;
    assert_eq!(
        plain(&refused, &tree),
        "error[no-past]: `order/late` is to start with `-1d`, but SNS keeps no messages: a new subscriber gets what is published after it was made
  --> less/topics/order/late/subscriber.toml
hint: write `start = \"now\"`, deploy, and have what the archive keeps delivered to it: `less replay order/late --since 1d --stage prod`

error[no-past]: `order/later` is to start with `earliest`, but SNS keeps no messages: a new subscriber gets what is published after it was made
  --> less/topics/order/later/subscriber.toml
hint: write `start = \"now\"`, deploy, and have what the archive keeps delivered to it: `less replay order/later --stage prod`

error[too-long]: topic `paid` is to keep its messages for 30d, and an archive on SQS keeps them for 14d at most
  --> less/topics/paid/topic.toml
hint: write `retention = \"14d\"` or less
hint: or take `archive = true` out of [stages.prod]
"
    );
}

#[test]
fn a_topic_that_became_ordered_says_so_and_leaves_its_archive_alone() {
    let observed = deployed(&needs(&scan(KEPT).1));
    let plan = of(&KEPT.replace("ordered = true\n", ""), &observed);
    assert_eq!(plan.refused.len(), 1);
    assert!(plan.change.is_empty() && plan.create.is_empty() && plan.orphaned.is_empty(), "{plan:#?}");
}

#[test]
fn an_archive_is_one_of_the_subscriptions_that_sns_counts() {
    let many: Vec<String> =
        (0..100).map(|number| format!("//- less/topics/paid/s{number}/index.js\n")).collect();
    let sources = KEPT.replace("//- less/topics/paid/book/index.js\n", &many.concat());
    let refused = of(&sources, &Observed::default()).refused;
    assert_eq!(refused.len(), 1);
    assert_eq!(
        refused[0].message,
        "ordered topic `paid` has 100 subscribers and an archive, and SNS allows 100"
    );
    assert!(of(&sources.replace("archive = true\n", ""), &Observed::default()).refused.is_empty());
}

#[test]
fn another_app_s_topic_has_no_archive_here() {
    let sources = format!("{KEPT}//- less/external_topics/users/created/greet/index.js\n");
    let desired = needs(&scan(&sources).1);
    assert_eq!(desired.site, site());
    let names: Vec<&str> = desired.archives().map(|(_, archive)| &*archive.queue.name).collect();
    assert_eq!(names, ["shop-prod-order-_archive", "shop-prod-paid-_archive"]);
}
