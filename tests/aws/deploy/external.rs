//! Subscribing to another app's topics.

use std::process::Stdio;

use less_aws_proxy::{Fault, Proxy, Refusal, When};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::stage::{Ended, REGION, Stage, ended, settings};

const BOTH: [&str; 2] = ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"];
const QUEUE: &str = "friends-prod-users-created-suggest";
/// What SNS answers to whom it does not let.
const NOT_AUTHORIZED: Refusal = Refusal {
    status: 403,
    code: "AuthorizationError",
    message: "not authorized to perform this on resource",
    sender_fault: true,
};
const ONLY_USERS: [&str; 3] =
    ["users-prod-created", "users-prod-created-mail", "users-prod-created-mail-dlq"];

/// Apps `users`, which has a topic, and `friends`, which subscribes to it; neither is deployed.
fn apps(server: &str) -> (Stage, Stage) {
    let users = Stage::on(server, &[]).beside("users", &["created/mail"]);
    let friends = users.beside("friends", &[]);
    friends.add_external("users/created/suggest");
    (users, friends)
}

fn contract(stage: &Stage, ordered: bool) {
    let topic = json!({"name": "created", "ordered": ordered, "max_message": "256KiB"});
    let contract = json!({"less_contract": 1, "app": "users", "topics": [topic]});
    stage.write("less/external_topics/users/contract.json", &contract.to_string());
}

#[test]
fn another_app_s_topic_is_subscribed_to_once_it_is_there_and_never_made_or_deleted() {
    for server in BOTH {
        let (users, friends) = apps(server);
        let early = friends.less(&["deploy", "--stage", "prod", "--yes", "--no-build"]);
        assert_eq!(early.code, 1);
        let told = format!(
            "error[not-deployed]: topic `created` of app `users` is not deployed in stage `prod`: there is no SNS topic `users-prod-created` in account {}, eu-west-1\n  --> less/external_topics/users/created\nhint: deploy that app first, `less deploy --stage prod` in `users`, or wait",
            users.account
        );
        assert!(early.stderr.contains(&told), "{}", early.stderr);
        assert_eq!(friends.plan().1, 2);
        assert_eq!(users.names(), [""; 0], "nothing was made");

        users.deploy(&[]);
        friends.write(
            "less/external_topics/users/created/suggest/subscriber.toml",
            "[filter.body]\nkind = [\"a\"]\n",
        );
        friends.deploy(&[]);
        assert_eq!(users.subscribed("users-prod-created"), [QUEUE, "users-prod-created-mail"]);
        let (plan, code) = friends.plan();
        assert_eq!((&plan["create"], &plan["change"], code), (&json!([]), &json!([]), 0), "{plan}");
        assert_eq!(users.plan().1, 0, "what others subscribe is no change here");
        let tags = friends.connection.sqs.list_queue_tags().queue_url(friends.url(QUEUE));
        let tags = friends.wait(tags.send()).unwrap().tags.unwrap();
        assert_eq!((&*tags["less:external"], &*tags["less:topic"]), ("users", "created"));

        // A filter that changes is changed at the other app's topic.
        friends.write(
            "less/external_topics/users/created/suggest/subscriber.toml",
            "[filter.attributes]\nkind = [\"b\"]\n",
        );
        assert_eq!(friends.plan().1, 1);
        friends.deploy(&[]);
        assert_eq!(friends.plan().1, 0);

        let gone = friends.less(&["destroy", "--stage", "prod", "--yes"]);
        assert_eq!(gone.code, 0, "{}", gone.stderr);
        assert_eq!(users.names(), ONLY_USERS);
        assert_eq!(users.subscribed("users-prod-created"), ["users-prod-created-mail"]);
    }
}

#[test]
fn an_ordered_topic_is_subscribed_to_with_fifo_queues_as_its_contract_says() {
    for server in BOTH {
        let (users, friends) = apps(server);
        users.write("less/topics/created/topic.toml", "ordered = true\n");
        users.deploy(&[]);
        let told = friends.less(&["plan", "--stage", "prod"]);
        assert_eq!(told.code, 2);
        let wrong = format!(
            "error[fifo]: topic `created` of app `users` is ordered (FIFO) in account {}, {REGION}, and there is no contract here that says so\n",
            users.account
        );
        assert!(told.stderr.contains(&wrong), "{}", told.stderr);
        contract(&friends, true);
        friends.deploy(&[]);
        assert_eq!(friends.plan().1, 0);
        let queue = format!("{QUEUE}.fifo");
        assert_eq!(users.subscribed("users-prod-created.fifo"), [&*queue, "users-prod-created-mail.fifo"]);
        contract(&friends, false);
        let told = friends.less(&["plan", "--stage", "prod"]);
        assert!(told.stderr.contains("and the contract here says that it is not\n"), "{}", told.stderr);
    }
}

#[test]
fn a_subscriber_without_a_folder_stays_with_what_waits_for_it_until_it_is_pruned() {
    let (users, friends) = apps(BOTH[0]);
    users.deploy(&[]);
    friends.add("suggested/tell");
    friends.deploy(&[]);
    friends.send(QUEUE);
    std::fs::remove_dir_all(friends.folder.path().join("less/external_topics")).unwrap();
    let shown = friends.less(&["plan", "--stage", "prod"]).stdout;
    assert!(
        shown.contains(
            "  ? subscriber        users:created/suggest                1 message waits (1 visible"
        ),
        "{shown}"
    );
    let said = friends.deploy(&["--prune"]);
    assert!(said.contains("1 left of what has no folder any more: they hold 1 message"), "{said}");
    assert_eq!(users.subscribed("users-prod-created"), [QUEUE, "users-prod-created-mail"]);
    friends.deploy(&["--prune", "--drop-messages"]);
    assert_eq!(users.subscribed("users-prod-created"), ["users-prod-created-mail"]);
    assert!(!friends.names().iter().any(|name| name.starts_with(QUEUE)));
}

#[test]
fn destroying_works_where_the_other_app_is_gone() {
    for server in BOTH {
        let (users, friends) = apps(server);
        users.deploy(&[]);
        friends.deploy(&[]);
        let shown = users.less(&["destroy", "--stage", "prod", "--yes"]);
        assert_eq!(shown.code, 0, "{}", shown.stderr);
        let other = format!("with 1 subscription of others: {}", users.connection.site.queue_arn(QUEUE));
        assert!(shown.stderr.contains(&other), "{}", shown.stderr);
        let gone = friends.less(&["destroy", "--stage", "prod", "--yes"]);
        assert_eq!(gone.code, 0, "{}", gone.stderr);
        assert_eq!(friends.names(), [""; 0]);
    }
}

#[test]
fn two_apps_that_subscribe_to_each_other_are_deployed_side_by_side() {
    let (users, friends) = apps(BOTH[0]);
    friends.add("suggested/tell");
    users.add_external("friends/suggested/count");
    let wait = ["deploy", "--stage", "prod", "--yes", "--no-build", "--wait-for-external", "90s"];
    let start = |app: &Stage| {
        app.command(&wait).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started")
    };
    let both = [start(&users), start(&friends)];
    let ends = both.map(|child| ended(&child.wait_with_output().expect("it ends")));
    for end in &ends {
        assert_eq!(end.code, 0, "{ends:?}");
    }
    assert_eq!(users.subscribed("users-prod-created"), [QUEUE, "users-prod-created-mail"]);
    let counted = ["friends-prod-suggested-tell", "users-prod-friends-suggested-count"];
    assert_eq!(users.subscribed("friends-prod-suggested"), counted);
    assert_eq!((users.plan().1, friends.plan().1), (0, 0));
}

#[test]
fn waiting_ends_when_the_time_is_up_and_what_needs_no_other_app_is_there() {
    let (_users, friends) = apps(BOTH[0]);
    friends.add("suggested/tell");
    let wait = ["deploy", "--stage", "prod", "--yes", "--no-build", "--wait-for-external", "1s"];
    let end = friends.less(&wait);
    assert_eq!(end.code, 1, "{}", end.stderr);
    let said = "[less] Waiting up to 1s for users:created (users-prod-created, eu-west-1)\n[less]   not there after 1s\n";
    assert!(end.stderr.contains(said), "{}", end.stderr);
    assert!(end.stderr.contains("error[not-deployed]: topic `created` of app `users`"), "{}", end.stderr);
    let made = ["friends-prod-suggested", "friends-prod-suggested-tell", "friends-prod-suggested-tell-dlq"];
    assert_eq!(friends.names(), made);
    let plan = friends.less(&["plan", "--stage", "prod", "--wait-for-external", "1s"]);
    assert_eq!(plan.code, 2);
    assert!(plan.stderr.contains("[less]   not there after 1s\n"), "{}", plan.stderr);
}

#[test]
fn where_the_environment_says_that_the_other_app_is_elsewhere_the_old_subscription_ends() {
    for server in BOTH {
        let (users, friends) = apps(server);
        users.deploy(&[]);
        friends.deploy(&[]);
        users.write("less.toml", &settings("users", "live"));
        assert_eq!(users.less(&["deploy", "--stage", "live", "--yes", "--no-build"]).code, 0);
        let deploy = ["deploy", "--stage", "prod", "--yes", "--no-build"];
        // What is cut off in the middle is not forgotten.
        let cut = refused_in(&friends, &["Unsubscribe"], &deploy, &[("USERS", "live")]);
        assert_eq!(cut.code, 2, "{}", cut.stderr);
        assert_eq!(users.subscribed("users-prod-created"), [QUEUE, "users-prod-created-mail"]);
        assert_eq!(users.subscribed("users-live-created"), [QUEUE, "users-live-created-mail"]);
        let moved = ended(&friends.command(&deploy).env("USERS", "live").output().unwrap());
        assert_eq!(moved.code, 0, "{}", moved.stderr);
        let ended_one = format!("ended the old subscription {QUEUE}\n");
        assert!(moved.stderr.contains(&ended_one), "{}", moved.stderr);
        assert_eq!(users.subscribed("users-prod-created"), ["users-prod-created-mail"]);
        assert_eq!(users.subscribed("users-live-created"), [QUEUE, "users-live-created-mail"]);
        let plan = ["plan", "--stage", "prod"];
        let plan = ended(&friends.command(&plan).env("USERS", "live").output().unwrap());
        assert_eq!(plan.code, 0, "{plan:?}");
    }
}

#[test]
fn a_topic_in_another_region_is_subscribed_to_there() {
    for server in BOTH {
        let (users, friends) = apps(server);
        users.write("less.toml", &settings("users", "prod").replace(REGION, "us-east-1"));
        users.deploy(&[]);
        let table = "\n[stages.prod.external.users]\nregion = \"us-east-1\"\n";
        friends.write("less.toml", &(settings("friends", "prod") + table));
        friends.deploy(&[]);
        assert_eq!(friends.plan().1, 0);
        let gone = friends.less(&["destroy", "--stage", "prod", "--yes"]);
        assert_eq!(gone.code, 0, "{}", gone.stderr);
        let shown = users.less(&["destroy", "--stage", "prod", "--yes"]);
        assert!(!shown.stderr.contains("of others"), "the subscription is gone: {}", shown.stderr);
    }
}

#[test]
fn another_account_s_topic_is_subscribed_to_and_its_app_keeps_it_open() {
    // LocalStack shows nobody another account's subscription, not even the one whose it is.
    let (users, _) = apps(BOTH[1]);
    let friends = users.far_from("friends", &[]);
    friends.add_external("users/created/suggest");
    let open = format!("subscriber_accounts = [\"{}\"]\n", friends.account);
    users.write("less.toml", &(settings("users", "prod") + &open));
    users.deploy(&[]);
    assert_eq!(users.plan().1, 0);
    let policy = users.connection.sns.get_topic_attributes();
    let policy = policy.topic_arn(users.connection.site.topic_arn("users-prod-created"));
    let policy = users.wait(policy.send()).unwrap().attributes.unwrap().remove("Policy").unwrap();
    assert!(policy.contains(&format!("arn:aws:iam::{}:root", friends.account)), "{policy}");

    let table = format!("\n[stages.prod.external.users]\naccount = \"{}\"\n", users.account);
    friends.write("less.toml", &(settings("friends", "prod") + &table));
    let said = friends.deploy(&[]);
    let allow = format!(
        "  ! `users:created` is in another account, whose topic has to let account {0} subscribe: `subscriber_accounts = [\"{0}\"]` below `[stages.prod]` in less.toml of `users`\n",
        friends.account
    );
    assert!(said.contains(&allow), "{said}");
    assert_eq!(users.subscribed("users-prod-created"), [QUEUE, "users-prod-created-mail"]);
    assert_eq!(friends.plan().1, 0);
    assert_eq!(friends.names(), [QUEUE.to_owned(), format!("{QUEUE}-dlq")]);
    let gone = friends.less(&["destroy", "--stage", "prod", "--yes"]);
    assert_eq!(gone.code, 0, "{}", gone.stderr);
    assert_eq!(users.subscribed("users-prod-created"), ["users-prod-created-mail"]);
}

/// Runs `less` behind a proxy that refuses these calls.
fn refused(stage: &Stage, operations: &[&str], arguments: &[&str]) -> Ended {
    refused_in(stage, operations, arguments, &[])
}

fn refused_in(stage: &Stage, operations: &[&str], arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let runtime = Runtime::new().expect("a runtime can be made");
    let proxy = runtime.block_on(Proxy::start(stage.server(), 7)).expect("it starts");
    for operation in operations {
        proxy.inject(operation, When::Always, Fault::Refuse(NOT_AUTHORIZED));
    }
    let mut command = stage.command_at(proxy.url(), arguments);
    command.envs(variables.iter().copied());
    let end = ended(&command.output().expect("it can be started"));
    assert!(!proxy.injected().is_empty(), "{operations:?} were never called: {end:?}");
    end
}

#[test]
fn what_another_account_does_not_allow_is_told_with_what_to_write_there() {
    let (users, _) = apps(BOTH[1]);
    let friends = users.far_from("friends", &[]);
    friends.add_external("users/created/suggest");
    let table = format!("\n[stages.prod.external.users]\naccount = \"{}\"\n", users.account);
    friends.write("less.toml", &(settings("friends", "prod") + &table));
    users.deploy(&[]);
    let plan = refused(&friends, &["GetTopicAttributes"], &["plan", "--stage", "prod"]);
    assert_eq!(plan.code, 2);
    let told = format!(
        "error[not-allowed]: topic `created` of app `users` can't be looked at: account {} does not let account {1} read SNS topic `users-prod-created` in eu-west-1, or has none\n  --> less/external_topics/users/created\nhint: write `subscriber_accounts = [\"{1}\"]` below `[stages.prod]` in less.toml of `users`, and `less deploy --stage prod` there\n",
        users.account, friends.account
    );
    assert!(plan.stderr.contains(&told), "{}", plan.stderr);
    let deploy = ["deploy", "--stage", "prod", "--yes", "--no-build"];
    let subscribe = refused(&friends, &["Subscribe"], &deploy);
    assert_eq!(subscribe.code, 2);
    let told = "\nhint: the topic's account has to allow it: `less iam external --stage prod` prints what its topic's policy needs\n";
    assert!(subscribe.stderr.contains(told), "{}", subscribe.stderr);
    // Nothing that was made is lost, and the next one completes it.
    friends.deploy(&[]);
    assert_eq!(friends.plan().1, 0);
}

#[test]
fn where_a_topic_s_subscriptions_are_not_shown_this_account_s_own_ones_are_found() {
    let (users, friends) = apps(BOTH[0]);
    users.deploy(&[]);
    friends.deploy(&[]);
    // `friends` has no topics of its own: what is listed is the other app's.
    let plan = refused(&friends, &["ListSubscriptionsByTopic"], &["plan", "--stage", "prod"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let destroy = ["destroy", "--stage", "prod", "--yes"];
    assert_eq!(refused(&friends, &["ListSubscriptionsByTopic"], &destroy).code, 0);
    assert_eq!(users.names(), ONLY_USERS);
    assert_eq!(users.subscribed("users-prod-created"), ["users-prod-created-mail"]);
}
