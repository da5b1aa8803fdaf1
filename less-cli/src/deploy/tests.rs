//! Plans, as data and as text.

mod archive;
mod external;

use less_model::diagnostic::plain;
use less_model::source::SourceTree;
use less_model::topology::Topology;
use less_model::tree::App;
use less_runtime::transport::aws::Site;
use less_runtime::transport::aws::provision::{
    Attributes, Desired, Observed, ObservedExternal, ObservedQueue, ObservedSubscription, ObservedTopic,
    OtherTopic,
};

use super::plan::{Plan, plan};
use super::{orphan, show};

const SHOP: &str = "
//- less/topics/order/audit/index.js
//- less/topics/order/mail/index.js
//- less/topics/paid/book/index.js
//- less/topics/paid/topic.toml
ordered = true
";

fn site() -> Site {
    Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() }
}

fn scan(sources: &str) -> (SourceTree, App) {
    let tree = SourceTree::fixture(sources);
    let (app, diagnostics) = less_model::scan::scan(&tree, "shop");
    assert_eq!(plain(&diagnostics, &tree), "");
    (tree, app)
}

/// What an app needs in stage `prod`. The code of a subscriber is its name up to the first digit.
fn needs(app: &App) -> Desired {
    needs_with(app, |_| None)
}

/// The same in this environment.
fn needs_with(app: &App, env: impl Fn(&str) -> Option<String>) -> Desired {
    let topology = Topology::resolve(&app.manifest(), &"prod".parse().unwrap(), env).unwrap();
    let mut desired = Desired::of(&topology, &site(), None);
    for subscriber in desired.subscribers_mut() {
        let code = subscriber.subscriber.as_str().trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        subscriber.set_code(&code);
    }
    desired
}

/// What there is once that was deployed.
fn deployed(desired: &Desired) -> Observed {
    let found = |attributes: &Attributes| {
        let set = attributes.iter().filter(|(_, value)| !value.is_unset());
        set.map(|(name, value)| ((*name).to_owned(), value.wire())).collect()
    };
    let mut observed = Observed::default();
    for topic in &desired.topics {
        let subscriptions = topic.subscribers.iter().map(|subscriber| ObservedSubscription {
            arn: format!("{}:1", topic.arn),
            endpoint: subscriber.queue.arn.clone(),
            attributes: found(&subscriber.subscription),
        });
        let kept = topic.archive.iter().map(|archive| ObservedSubscription {
            arn: format!("{}:2", topic.arn),
            endpoint: archive.queue.arn.clone(),
            attributes: found(&archive.subscription),
        });
        let subscriptions = subscriptions.chain(kept);
        let made = ObservedTopic {
            arn: topic.arn.clone(),
            attributes: found(&topic.attributes),
            tags: topic.tags.clone(),
            subscriptions: subscriptions.collect(),
        };
        observed.topics.insert(topic.name.clone(), made);
    }
    for other in &desired.external {
        let subscriptions = other.subscribers.iter().map(|subscriber| ObservedSubscription {
            arn: format!("{}:1", other.arn),
            endpoint: subscriber.queue.arn.clone(),
            attributes: found(&subscriber.subscription),
        });
        let found = ObservedExternal { topic: OtherTopic::There, subscriptions: subscriptions.collect() };
        observed.external.insert(other.arn.clone(), found);
    }
    let queues = desired.subscribers().flat_map(|(_, found)| [&found.queue, &found.dead_letters]);
    for queue in queues.chain(desired.archives().map(|(_, archive)| &archive.queue)) {
        let url = format!("https://sqs.eu-west-1.amazonaws.com/111122223333/{}", queue.name);
        let made = ObservedQueue { url, attributes: found(&queue.attributes), tags: queue.tags.clone() };
        observed.queues.insert(queue.name.clone(), made);
    }
    observed
}

fn of(sources: &str, observed: &Observed) -> Plan {
    let (_, app) = scan(sources);
    plan(&app, &needs(&app), observed)
}

/// The plan as a user reads it, with what is refused.
fn text(sources: &str, observed: &Observed) -> String {
    let (tree, app) = scan(sources);
    let plan = plan(&app, &needs(&app), observed);
    let text = show::text(&plan);
    let (_, text) = text.split_once("\n\n").unwrap();
    if plan.refused.is_empty() {
        text.to_owned()
    } else {
        format!("{text}\n\n{}", plain(&plan.refused, &tree))
    }
}

fn shop() -> Observed {
    deployed(&needs(&scan(SHOP).1))
}

#[test]
fn where_there_is_nothing_everything_is_made() {
    let plan = of(SHOP, &Observed::default());
    assert!(!plan.is_empty());
    assert_eq!(
        show::text(&plan),
        "app `shop`, stage `prod`: AWS account 111122223333, eu-west-1

  + topic             order                                shop-prod-order
  + queue             order/audit                          shop-prod-order-audit with dead letters and subscription
  + queue             order/mail                           shop-prod-order-mail with dead letters and subscription
  + topic             paid                                 shop-prod-paid.fifo
  + queue             paid/book                            shop-prod-paid-book.fifo with dead letters and subscription

11 to create, 0 to change, 0 to keep"
    );
}

#[test]
fn what_was_deployed_is_kept() {
    let plan = of(SHOP, &shop());
    assert!(plan.is_empty());
    assert_eq!(text(SHOP, &shop()), "0 to create, 0 to change, 11 to keep");
}

#[test]
fn a_deployment_that_was_cut_off_is_completed() {
    let mut observed = shop();
    observed.queues.remove("shop-prod-order-mail");
    observed.topics.get_mut("shop-prod-order").unwrap().subscriptions.clear();
    assert_eq!(
        text(SHOP, &observed),
        "  + subscription      order/audit                          shop-prod-order-audit
  + queue             order/mail                           shop-prod-order-mail
  + subscription      order/mail                           shop-prod-order-mail

3 to create, 0 to change, 8 to keep"
    );
}

#[test]
fn changes_are_shown_with_old_and_new() {
    let mut observed = shop();
    let queue = observed.queues.get_mut("shop-prod-order-mail").unwrap();
    queue.attributes.insert("VisibilityTimeout".to_owned(), "7".to_owned());
    let policy = queue.attributes["Policy"].replace("shop-prod-order\"", "shop-test-order\"");
    queue.attributes.insert("Policy".to_owned(), policy);
    queue.tags.insert("less:code".to_owned(), "before".to_owned());
    queue.tags.insert("team".to_owned(), "theirs".to_owned());
    observed.topics.get_mut("shop-prod-order").unwrap().subscriptions[0]
        .attributes
        .remove("RawMessageDelivery");
    assert_eq!(
        text(SHOP, &observed),
        "  ~ subscription      order/audit                          shop-prod-order-audit
        RawMessageDelivery: false → true
  ~ queue             order/mail                           shop-prod-order-mail
        Policy: …1:111122223333:shop-test-order\"}},\"Effect\":\"Allow\",\"Principa… → …1:111122223333:shop-prod-order\"}},\"Effect\":\"Allow\",\"Principa…
        VisibilityTimeout: 7 → 60
        tag less:code: before → mail

0 to create, 2 to change, 9 to keep"
    );
}

#[test]
fn what_has_no_folder_any_more_is_orphaned_with_its_backlog() {
    let mut observed = shop();
    let mut hold = |name: &str, attribute: &str, count: u32| {
        let queue = observed.queues.get_mut(name).unwrap();
        queue.attributes.insert(attribute.to_owned(), count.to_string());
    };
    hold("shop-prod-order-mail", "ApproximateNumberOfMessages", 9);
    hold("shop-prod-order-mail", "ApproximateNumberOfMessagesNotVisible", 2);
    hold("shop-prod-order-mail", "ApproximateNumberOfMessagesDelayed", 1);
    hold("shop-prod-order-mail-dlq", "ApproximateNumberOfMessages", 1);
    let paid = observed.topics.get_mut("shop-prod-paid.fifo").unwrap();
    let other = "arn:aws:sqs:eu-west-1:999999999999:theirs";
    paid.subscriptions.push(ObservedSubscription { endpoint: other.to_owned(), ..Default::default() });
    let left = "//- less/topics/order/audit/index.js\n";
    assert!(of(left, &observed).is_empty());
    assert_eq!(
        text(left, &observed),
        "  ? subscriber        order/mail                           12 messages wait (9 visible, 2 in flight, 1 delayed), 1 dead letter
  ? subscriber        paid/book                            nothing waits
  ? topic             paid                                 shop-prod-paid.fifo, with 1 subscription of others: arn:aws:sqs:eu-west-1:999999999999:theirs

0 to create, 0 to change, 4 to keep, 3 orphaned"
    );
}

#[test]
fn a_renamed_subscriber_is_noticed_by_its_code() {
    let mut observed = shop();
    let queue = observed.queues.get_mut("shop-prod-order-mail").unwrap();
    queue.attributes.insert("ApproximateNumberOfMessages".to_owned(), "12".to_owned());
    let renamed = SHOP.replace("order/mail", "order/mail2");
    assert_eq!(
        text(&renamed, &observed),
        "  + queue             order/mail2                          shop-prod-order-mail2 with dead letters and subscription
  ? subscriber        order/mail                           12 messages wait (12 visible, 0 in flight, 0 delayed)
  ! `order/mail2` looks like `order/mail` renamed (same code): 12 messages wait under the old name, and only a folder of that name gets them

3 to create, 0 to change, 8 to keep, 1 orphaned"
    );
}

#[test]
fn a_renamed_topic_is_noticed_by_its_subscribers() {
    let renamed = SHOP.replace("topics/order/", "topics/orders/");
    assert_eq!(
        text(&renamed, &shop()),
        "  + topic             orders                               shop-prod-orders
  + queue             orders/audit                         shop-prod-orders-audit with dead letters and subscription
  + queue             orders/mail                          shop-prod-orders-mail with dead letters and subscription
  ? subscriber        order/audit                          nothing waits
  ? subscriber        order/mail                           nothing waits
  ? topic             order                                shop-prod-order
  ! `orders` looks like `order` renamed (same code): nothing waits under the old name

7 to create, 0 to change, 4 to keep, 3 orphaned"
    );
}

#[test]
fn everything_that_aws_cannot_do_is_said_at_once() {
    let mut observed = shop();
    let taken = observed.queues.get_mut("shop-prod-order-audit").unwrap();
    taken.tags.insert("less:stage".to_owned(), "test".to_owned());
    observed.queues.get_mut("shop-prod-order-audit-dlq").unwrap().tags.clear();
    let sources = SHOP.replace("ordered = true", "ordered = false")
        + "//- less/topics/order/late/index.js\n//- less/topics/order/late/subscriber.toml\nstart = \"earliest\"\n";
    assert_eq!(
        text(&sources, &observed),
        "  + queue             order/late                           shop-prod-order-late with dead letters and subscription

3 to create, 0 to change, 5 to keep, 4 refused

error[taken]: dead-letter queue `shop-prod-order-audit-dlq` exists already, and is not of app `shop` in stage `prod`: it has no tags
hint: rename the app, the stage or the folder, or delete what is there

error[taken]: queue `shop-prod-order-audit` exists already, and is not of app `shop` in stage `prod`: its tags are `less:app=shop`, `less:code=audit`, `less:stage=test`, `less:subscriber=audit`, `less:topic=order`
hint: rename the app, the stage or the folder, or delete what is there

error[no-past]: `order/late` is to start with `earliest`, but SNS keeps no messages: a new subscriber gets what is published after it was made
  --> less/topics/order/late/subscriber.toml
hint: write `start = \"now\"`

error[fifo]: topic `paid` was `ordered` when it was deployed, and is not now: AWS can't change that in place
  --> less/topics/paid
hint: give the folder a new name, such as `paid_2`, and publish to that; once nothing waits for `paid`, `less deploy --stage prod --prune` removes it
hint: or set `ordered = true` in less/topics/paid/topic.toml again
"
    );
}

#[test]
fn a_subscriber_that_exists_may_have_been_told_to_start_in_the_past() {
    let sources =
        "//- less/topics/order/late/index.js\n//- less/topics/order/late/subscriber.toml\nstart = \"-24h\"\n";
    assert_eq!(of(sources, &Observed::default()).refused.len(), 1);
    assert_eq!(text(sources, &deployed(&needs(&scan(sources).1))), "0 to create, 0 to change, 4 to keep");
}

#[test]
fn more_subscribers_than_sns_allows_are_refused() {
    let many: Vec<String> =
        (0..101).map(|number| format!("//- less/topics/order/s{number}/index.js\n")).collect();
    let sources = format!("{}//- less/topics/order/topic.toml\nordered = true\n", many.concat());
    let refused = of(&sources, &Observed::default()).refused;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].message, "ordered topic `order` has 101 subscribers, and SNS allows 100");
}

#[test]
fn destroying_takes_everything_of_the_app_and_the_stage_and_nothing_else() {
    let desired = needs(&scan("//- less/topics/order/audit/index.js\n").1);
    let mut observed = shop();
    // Of app `shop-prod` in a stage `order`, for example: the same names.
    for name in ["shop-prod-order-audit", "shop-prod-order-audit-dlq"] {
        let tags = &mut observed.queues.get_mut(name).unwrap().tags;
        tags.insert("less:app".to_owned(), "shop-prod".to_owned());
    }
    assert_eq!(
        show::orphans(&orphan::everything(&desired, &observed), '-').join("\n"),
        "  - subscriber        order/mail                           nothing waits
  - subscriber        paid/book                            nothing waits
  - topic             order                                shop-prod-order, with 1 subscription of others: arn:aws:sqs:eu-west-1:111122223333:shop-prod-order-audit
  - topic             paid                                 shop-prod-paid.fifo"
    );
}

#[test]
fn what_a_tail_left_is_destroyed_and_nothing_waits_in_it() {
    let mut observed = shop();
    let name = "shop-prod-order-tail-0123456789ab";
    let left = ObservedQueue {
        url: format!("https://sqs.eu-west-1.amazonaws.com/111122223333/{name}"),
        attributes: [("ApproximateNumberOfMessages".to_owned(), "7".to_owned())].into(),
        tags: [("app", "shop"), ("stage", "prod"), ("topic", "order"), ("tail", "1800000000")]
            .map(|(key, value)| (format!("less:{key}"), value.to_owned()))
            .into(),
    };
    observed.queues.insert(name.to_owned(), left);
    let all = orphan::everything(&needs(&scan(SHOP).1), &observed);
    assert_eq!(all.messages(), 0);
    assert_eq!(
        show::orphans(&all, '-').join("\n"),
        "  - subscriber        order/audit                          nothing waits
  - subscriber        order/mail                           nothing waits
  - tail              order                                the queue of a `less tail` that runs or was killed
  - subscriber        paid/book                            nothing waits
  - topic             order                                shop-prod-order
  - topic             paid                                 shop-prod-paid.fifo"
    );
}

#[test]
fn programs_read_the_plan_as_json() {
    let sources = "//- less/topics/order/mail2/index.js\n";
    let before = needs(&scan("//- less/topics/order/mail/index.js\n").1);
    let plan = show::json(&of(sources, &deployed(&before)));
    let item = |kind: &str, end: &str| serde_json::json!({"kind": kind, "name": format!("shop-prod-order-mail2{end}"), "topic": "order", "subscriber": "mail2"});
    let queue = |end: &str| {
        serde_json::json!({
            "name": format!("shop-prod-order-mail{end}"),
            "url": format!("https://sqs.eu-west-1.amazonaws.com/111122223333/shop-prod-order-mail{end}"),
            "backlog": {"visible": 0, "in_flight": 0, "delayed": 0},
        })
    };
    assert_eq!(
        plan,
        serde_json::json!({
            "app": "shop",
            "stage": "prod",
            "transport": "aws",
            "region": "eu-west-1",
            "account": "111122223333",
            "create": [item("dead_letters", "-dlq"), item("queue", ""), item("subscription", "")],
            "change": [],
            "keep": [{"kind": "topic", "name": "shop-prod-order", "topic": "order"}],
            "end": [],
            "allow": [],
            "orphaned": {
                "subscribers": [{
                    "topic": "order",
                    "subscriber": "mail",
                    "subscriptions": ["arn:aws:sns:eu-west-1:111122223333:shop-prod-order:1"],
                    "queue": queue(""),
                    "dead_letters": queue("-dlq"),
                }],
                "archives": [],
                "topics": [],
            },
            "renamed": [{"from": "order/mail", "to": "order/mail2", "waiting": 0}],
            "refused": [],
        })
    );
}
