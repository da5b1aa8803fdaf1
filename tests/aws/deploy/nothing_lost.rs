//! What has no folder any more stays until somebody says otherwise.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::stage::{Stage, settings};

const SERVER: &str = "LESS_TEST_LOCALSTACK";

#[test]
fn a_removed_subscriber_stays_with_its_messages_until_it_is_pruned_with_them() {
    let stage = Stage::on(SERVER, &["order/audit", "order/mail", "order/unused"]);
    stage.deploy(&[]);
    for _ in 0..3 {
        for queue in ["audit", "mail", "unused"] {
            stage.send(&format!("shop-prod-order-{queue}"));
        }
    }
    // One of them is being handled.
    let receive = stage.connection.sqs.receive_message().queue_url(stage.url("shop-prod-order-mail"));
    stage.wait(receive.max_number_of_messages(1).send()).unwrap();
    let purge = stage.connection.sqs.purge_queue().queue_url(stage.url("shop-prod-order-unused"));
    stage.wait(purge.send()).unwrap();
    let before = stage.names();
    stage.remove("order/mail");
    stage.remove("order/unused");

    let ended = stage.less(&["plan", "--stage", "prod"]);
    let shown = "  ? subscriber        order/mail                           3 messages wait (2 visible, 1 in flight, 0 delayed)\n  ? subscriber        order/unused                         nothing waits\n";
    assert!(ended.stdout.contains(shown), "{}", ended.stdout);
    assert_eq!(ended.code, 0);

    let said = stage.deploy(&[]);
    let left = "[less] 2 left of what has no folder any more: they hold 3 messages, and `less deploy --stage prod --prune --drop-messages` removes them with those\n";
    assert!(said.contains(left), "{said}");
    assert_eq!(stage.names(), before);

    let said = stage.deploy(&["--prune"]);
    assert!(said.contains("[less]   1/1 removed subscriber order/unused\n"), "{said}");
    assert!(!stage.names().contains(&"shop-prod-order-unused".to_owned()));
    assert!(stage.names().contains(&"shop-prod-order-mail".to_owned()));

    let said = stage.deploy(&["--prune", "--drop-messages"]);
    assert!(said.contains("[less]   1/1 removed subscriber order/mail\n"), "{said}");
    assert_eq!(stage.names(), ["shop-prod-order", "shop-prod-order-audit", "shop-prod-order-audit-dlq"]);
    assert_eq!(stage.plan().1, 0);
}

#[test]
fn dead_letters_keep_a_removed_subscriber_as_messages_do() {
    let stage = Stage::on(SERVER, &["order/audit", "order/mail"]);
    stage.deploy(&[]);
    let send = stage.connection.sqs.send_message().queue_url(stage.url("shop-prod-order-mail-dlq"));
    stage.wait(send.message_body("{}").send()).unwrap();
    stage.remove("order/mail");
    let said = stage.deploy(&["--prune"]);
    assert!(said.contains("order/mail                           nothing waits, 1 dead letter\n"), "{said}");
    assert!(stage.names().contains(&"shop-prod-order-mail-dlq".to_owned()));
}

#[test]
fn a_removed_topic_goes_after_its_subscribers() {
    let stage = Stage::on(SERVER, &["order/audit", "paid/book"]);
    stage.deploy(&[]);
    stage.send("shop-prod-paid-book");
    stage.remove("paid");
    stage.deploy(&["--prune"]);
    assert!(stage.names().contains(&"shop-prod-paid".to_owned()));
    let said = stage.deploy(&["--prune", "--drop-messages"]);
    let removed = "[less]   1/2 removed subscriber paid/book\n[less]   2/2 removed topic paid\n";
    assert!(said.contains(removed), "{said}");
    assert_eq!(stage.names(), ["shop-prod-order", "shop-prod-order-audit", "shop-prod-order-audit-dlq"]);
}

#[test]
fn a_renamed_folder_is_noticed() {
    let stage = Stage::on(SERVER, &["order/mail"]);
    stage.deploy(&[]);
    stage.send("shop-prod-order-mail");
    stage.rename("order/mail", "order/letter");
    let (plan, _) = stage.plan();
    assert_eq!(plan["renamed"], json!([{"from": "order/mail", "to": "order/letter", "waiting": 1}]));
    // Back again: what waited is there.
    stage.rename("order/letter", "order/mail");
    assert_eq!(stage.plan().1, 0);
}

#[test]
fn destroying_shows_everything_and_refuses_while_messages_wait() {
    let stage = Stage::on(SERVER, &["order/mail", "paid/book"]);
    stage.write("less/topics/paid/topic.toml", "ordered = true\n");
    stage.deploy(&[]);
    stage.send("shop-prod-order-mail");
    stage.remove("order");
    let before = stage.names();
    let ended = stage.less(&["destroy", "--stage", "prod", "--yes"]);
    assert_eq!(ended.code, 1);
    let said = format!(
        "app `shop`, stage `prod`: AWS account {}, eu-west-1

  - subscriber        order/mail                           1 message waits (1 visible, 0 in flight, 0 delayed)
  - subscriber        paid/book                            nothing waits
  - topic             order                                shop-prod-order
  - topic             paid                                 shop-prod-paid.fifo

error: 1 message would be lost; nothing was removed
hint: `less destroy --stage prod --drop-messages` removes it as well
",
        stage.account
    );
    assert_eq!(ended.stderr, said);
    assert_eq!(stage.names(), before);
    let ended = stage.less(&["destroy", "--stage", "prod", "--yes", "--drop-messages"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(stage.names(), [""; 0]);
    let ended = stage.less(&["destroy", "--stage", "prod", "--yes"]);
    let said = format!(
        "[less] There is nothing of app `shop` in stage `prod`: AWS account {}, eu-west-1\n",
        stage.account
    );
    assert_eq!((ended.code, ended.stderr), (0, said));
}

#[test]
fn what_a_killed_tail_left_is_destroyed_whatever_it_holds() {
    let stage = Stage::on(SERVER, &["order/mail"]);
    stage.deploy(&[]);
    let deployed = stage.names();
    let mut tail = stage.command(&["tail", "order", "--stage", "prod"]);
    let mut tail = tail.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It says that it watches once its queue is subscribed.
    let said = BufReader::new(tail.stderr.take().unwrap());
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("watching `order`")));
    tail.kill().unwrap();
    tail.wait().unwrap();
    let names = stage.names();
    let left: Vec<&String> = names.iter().filter(|name| !deployed.contains(name)).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    stage.send(left[0]);
    let ended = stage.less(&["destroy", "--stage", "prod", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("removed tail of order\n"), "{}", ended.stderr);
    assert_eq!(stage.names(), [""; 0]);
}

#[test]
fn other_apps_stages_and_queues_of_the_same_prefix_are_left_alone() {
    let stage = Stage::on(SERVER, &["order/mail"]);
    // App `shop-prod` in stage `eu` has names that begin as those of app `shop` in a stage `prod-eu` do.
    stage.write("less.toml", &settings("shop-prod", "eu"));
    let ended = stage.less(&["deploy", "--stage", "eu", "--yes", "--no-build"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    stage.write("less.toml", &settings("shop", "prod-eu"));
    let taken = stage.less(&["deploy", "--stage", "prod-eu", "--yes", "--no-build"]);
    assert_eq!(taken.code, 1);
    let queue = "error[taken]: queue `shop-prod-eu-order-mail` exists already, and is not of app `shop` in stage `prod-eu`: its tags are `less:app=shop-prod`,";
    assert!(taken.stderr.contains(queue), "{}", taken.stderr);
    assert!(taken.stderr.ends_with("\n3 errors\n"), "{}", taken.stderr);
    stage.write("less.toml", &settings("shop", "prod"));
    stage.deploy(&[]);
    let by_hand = stage.connection.sqs.create_queue().queue_name("shop-prod-order-by-hand");
    stage.wait(by_hand.send()).unwrap();
    stage.remove("order");
    stage.add("paid/book");
    stage.deploy(&["--prune", "--drop-messages"]);
    let ended = stage.less(&["destroy", "--stage", "prod", "--yes"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(
        stage.names(),
        [
            "shop-prod-eu-order",
            "shop-prod-eu-order-mail",
            "shop-prod-eu-order-mail-dlq",
            "shop-prod-order-by-hand"
        ]
    );
}
