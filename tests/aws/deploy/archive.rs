//! Archives: made, kept, and removed as whatever holds messages.

use serde_json::json;

use crate::stage::{Stage, settings};

const SERVERS: [&str; 2] = ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"];

/// App `shop` with a topic, an ordered one, and archives.
fn kept(server: &str) -> Stage {
    let stage = Stage::on(server, &["order/mail", "paid/book"]);
    stage.write("less/topics/paid/topic.toml", "ordered = true\nretention = \"1d\"\n");
    stage.write("less.toml", &(settings("shop", "prod") + "archive = true\n"));
    stage
}

#[test]
fn a_stage_gets_archives_once_and_each_is_subscribed_to_its_topic() {
    for server in SERVERS {
        let stage = kept(server);
        let said = stage.deploy(&[]);
        let shown = "  + archive           order                                shop-prod-order-_archive with subscription\n";
        assert!(said.contains(shown), "{said}");
        assert!(said.contains(" created archive shop-prod-paid-_archive\n"), "{said}");
        assert_eq!(stage.subscribed("shop-prod-order"), ["shop-prod-order-_archive", "shop-prod-order-mail"]);
        assert_eq!(
            stage.subscribed("shop-prod-paid.fifo"),
            ["shop-prod-paid-_archive", "shop-prod-paid-book.fifo"]
        );
        let (plan, code) = stage.plan();
        assert_eq!((code, &plan["change"], &plan["create"]), (0, &json!([]), &json!([])), "{server}: {plan}");
        assert!(stage.deploy(&[]).contains("[less] There is nothing to change\n"));
        // A retention that changes is a change of the archive alone.
        stage.write("less/topics/paid/topic.toml", "ordered = true\nretention = \"2d\"\n");
        let (plan, _) = stage.plan();
        let change = json!({"attribute": "MessageRetentionPeriod", "old": "86400", "new": "172800"});
        let changed = json!([{
            "kind": "archive", "name": "shop-prod-paid-_archive", "topic": "paid", "attributes": [change]
        }]);
        assert_eq!(plan["change"], changed, "{server}");
        stage.deploy(&[]);
        assert_eq!(stage.plan().1, 0);
    }
}

#[test]
fn an_archive_without_its_setting_stays_with_its_messages_until_it_is_pruned_with_them() {
    for server in SERVERS {
        let stage = kept(server);
        stage.deploy(&[]);
        stage.send("shop-prod-order-_archive");
        stage.write("less.toml", &settings("shop", "prod"));
        let ended = stage.less(&["plan", "--stage", "prod"]);
        let shown = "  ? archive           order                                shop-prod-order-_archive, keeps 1 message\n  ? archive           paid                                 shop-prod-paid-_archive, keeps nothing\n";
        assert!(ended.stdout.contains(shown), "{}", ended.stdout);
        assert_eq!(ended.code, 0);
        let said = stage.deploy(&["--prune"]);
        assert!(said.contains("[less]   1/1 removed archive of paid\n"), "{said}");
        let left = "[less] 1 left of archives that nothing asks for: they hold 1 message, and `less deploy --stage prod --prune --drop-messages` removes them with those\n";
        assert!(said.contains(left), "{said}");
        assert_eq!(stage.subscribed("shop-prod-paid.fifo"), ["shop-prod-paid-book.fifo"]);
        assert!(stage.names().contains(&"shop-prod-order-_archive".to_owned()));
        stage.deploy(&["--prune", "--drop-messages"]);
        assert_eq!(stage.subscribed("shop-prod-order"), ["shop-prod-order-mail"]);
        assert!(!stage.names().iter().any(|name| name.ends_with("_archive")), "{:?}", stage.names());
    }
}

#[test]
fn a_topic_that_left_stays_as_long_as_its_archive_keeps_something() {
    let stage = kept("LESS_TEST_LOCALSTACK");
    stage.deploy(&[]);
    stage.send("shop-prod-paid-_archive");
    stage.remove("paid");
    let said = stage.deploy(&["--prune"]);
    assert!(said.contains("[less]   1/1 removed subscriber paid/book\n"), "{said}");
    assert!(stage.names().contains(&"shop-prod-paid.fifo".to_owned()));
    stage.deploy(&["--prune", "--drop-messages"]);
    assert!(!stage.names().iter().any(|name| name.contains("paid")), "{:?}", stage.names());
}

#[test]
fn copies_in_archives_hold_up_no_destroy_and_are_shown() {
    for server in SERVERS {
        let stage = kept(server);
        stage.deploy(&[]);
        stage.send("shop-prod-order-_archive");
        let ended = stage.less(&["destroy", "--stage", "prod", "--yes"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let shown = "  - archive           order                                shop-prod-order-_archive, keeps 1 message\n";
        assert!(ended.stderr.contains(shown), "{}", ended.stderr);
        assert_eq!(stage.names(), [""; 0], "{server}");
    }
}
