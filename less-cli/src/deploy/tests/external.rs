//! Plans of apps that subscribe to other apps' topics.

use super::*;
use crate::deploy::wait;

const FRIENDS: &str = "
//- less/topics/suggested/tell/index.js
//- less/external_topics/users/created/suggest/index.js
//- less/external_topics/users/paid/book/index.js
";

const SUBSCRIBED: &str = "
//- less/topics/suggested/tell/index.js
//- less/external_topics/users/created/suggest/index.js
";

/// Where `users` has another account.
const ELSEWHERE: &str = "
//- less.toml
[stages.prod]
transport = \"aws\"
[stages.prod.external.users]
stage = \"live\"
account = \"444455556666\"
//- less/external_topics/users/created/suggest/index.js
";

/// What there is where `users` is deployed, and this app is not.
fn users(desired: &Desired, topic: OtherTopic) -> Observed {
    let seen = |arn: &String| (arn.clone(), ObservedExternal { topic, subscriptions: Vec::new() });
    let external = desired.external.iter().map(|other| seen(&other.arn)).collect();
    Observed { external, ..Observed::default() }
}

fn friends(sources: &str, topic: OtherTopic) -> Observed {
    users(&needs(&scan(sources).1), topic)
}

#[test]
fn a_subscriber_of_another_app_s_topic_has_a_queue_here_and_no_topic_is_made_for_it() {
    assert_eq!(
        text(SUBSCRIBED, &friends(SUBSCRIBED, OtherTopic::There)),
        "  + topic             suggested                            shop-prod-suggested
  + queue             suggested/tell                       shop-prod-suggested-tell with dead letters and subscription
  + queue             users:created/suggest                shop-prod-users-created-suggest with dead letters and subscription

7 to create, 0 to change, 0 to keep"
    );
    let all = deployed(&needs(&scan(SUBSCRIBED).1));
    assert_eq!(text(SUBSCRIBED, &all), "0 to create, 0 to change, 7 to keep");
}

#[test]
fn topics_that_are_not_there_are_told_at_once_with_who_deploys_them() {
    assert_eq!(
        text(FRIENDS, &friends(FRIENDS, OtherTopic::Missing)),
        "  + topic             suggested                            shop-prod-suggested
  + queue             suggested/tell                       shop-prod-suggested-tell with dead letters and subscription
  + queue             users:created/suggest                shop-prod-users-created-suggest with dead letters and subscription
  + queue             users:paid/book                      shop-prod-users-paid-book with dead letters and subscription

10 to create, 0 to change, 0 to keep, 2 refused

error[not-deployed]: topic `created` of app `users` is not deployed in stage `prod`: there is no SNS topic `users-prod-created` in account 111122223333, eu-west-1
  --> less/external_topics/users/created
hint: deploy that app first, `less deploy --stage prod` in `users`, or wait for it with `less deploy --stage prod --wait-for-external`
hint: if it is elsewhere: `stage`, `account` or `region` below `[stages.prod.external.users]` in less.toml, or USERS=STAGE in the environment

error[not-deployed]: topic `paid` of app `users` is not deployed in stage `prod`: there is no SNS topic `users-prod-paid` in account 111122223333, eu-west-1
  --> less/external_topics/users/paid
hint: deploy that app first, `less deploy --stage prod` in `users`, or wait for it with `less deploy --stage prod --wait-for-external`
hint: if it is elsewhere: `stage`, `account` or `region` below `[stages.prod.external.users]` in less.toml, or USERS=STAGE in the environment
"
    );
    let plan = of(FRIENDS, &friends(FRIENDS, OtherTopic::Missing));
    assert!(plan.only_awaits());
    let first = wait::without(&plan.of, &plan.awaited);
    assert_eq!((first.topics.len(), first.external.len()), (1, 0), "what others may wait for comes first");
}

#[test]
fn what_the_environment_says_comes_before_the_file_and_is_named() {
    let (tree, app) = scan(ELSEWHERE);
    let desired = needs_with(&app, |name| (name == "USERS").then(|| "staging".to_owned()));
    assert_eq!(desired.external[0].arn, "arn:aws:sns:eu-west-1:444455556666:users-staging-created");
    let refused = plan(&app, &desired, &users(&desired, OtherTopic::Missing)).refused;
    let told = plain(&refused, &tree);
    assert!(told.contains("\nnote: stage `staging` is what the environment variable USERS says\n"), "{told}");
}

#[test]
fn another_account_that_does_not_let_this_one_look_is_told_what_to_write() {
    assert_eq!(
        text(ELSEWHERE, &friends(ELSEWHERE, OtherTopic::Closed)),
        "  + queue             users:created/suggest                shop-prod-users-created-suggest with dead letters and subscription
  ! `users:created` is in another account, whose topic has to let account 111122223333 subscribe: `subscriber_accounts = [\"111122223333\"]` below `[stages.live]` in less.toml of `users`

3 to create, 0 to change, 0 to keep, 1 refused

error[not-allowed]: topic `created` of app `users` can't be looked at: account 444455556666 does not let account 111122223333 read SNS topic `users-live-created` in eu-west-1, or has none
  --> less/external_topics/users/created
hint: write `subscriber_accounts = [\"111122223333\"]` below `[stages.live]` in less.toml of `users`, and `less deploy --stage live` there
hint: `less iam --stage prod` prints what the topic's policy has to say (`external`), and what your own role has to (`deployer`)
"
    );
    // Once it is subscribed there is nothing to be told.
    let all = deployed(&needs(&scan(ELSEWHERE).1));
    assert_eq!(text(ELSEWHERE, &all), "0 to create, 0 to change, 3 to keep");
    let json = show::json(&of(ELSEWHERE, &friends(ELSEWHERE, OtherTopic::There)));
    assert_eq!(
        json["allow"],
        serde_json::json!([{
            "topic": "users:created",
            "arn": "arn:aws:sns:eu-west-1:444455556666:users-live-created",
            "account": "111122223333",
        }])
    );
}

#[test]
fn a_topic_of_the_other_order_needs_a_new_contract() {
    assert_eq!(
        text(SUBSCRIBED, &friends(SUBSCRIBED, OtherTopic::OtherOrder)).split_once("refused\n\n").unwrap().1,
        "error[fifo]: topic `created` of app `users` is ordered (FIFO) in account 111122223333, eu-west-1, and there is no contract here that says so
  --> less/external_topics/users/created
hint: bring the contract up to date: `less contract export` in app `users` writes it, `less contract add FILE` here takes it
"
    );
    assert!(!of(SUBSCRIBED, &friends(SUBSCRIBED, OtherTopic::OtherOrder)).only_awaits());
}

#[test]
fn regions_between_which_sns_does_not_deliver_are_refused() {
    let sources = ELSEWHERE.replace("account = \"444455556666\"", "region = \"us-gov-west-1\"");
    let refused = of(&sources, &friends(&sources, OtherTopic::Missing)).refused;
    let told: Vec<&str> = refused.iter().map(|refused| &*refused.message).collect();
    assert_eq!(
        told,
        [
            "topic `created` of app `users` is in us-gov-west-1, and SNS delivers nothing from there to eu-west-1"
        ]
    );
}

#[test]
fn where_the_other_app_moved_the_old_subscription_ends() {
    let before = needs(&scan(SUBSCRIBED).1);
    let mut observed = deployed(&before);
    let (_, app) = scan(SUBSCRIBED);
    let after = needs_with(&app, |name| (name == "USERS").then(|| "live".to_owned()));
    observed.external.extend(users(&after, OtherTopic::There).external);
    let plan = plan(&app, &after, &observed);
    assert_eq!(
        show::text(&plan).split_once("\n\n").unwrap().1,
        "  + subscription      users:created/suggest                shop-prod-users-created-suggest
  ~ dead-letter queue users:created/suggest                shop-prod-users-created-suggest-dlq
        Policy: …:111122223333:users-prod-created\"}},\"Effect\":\"Allow\",\"Princi… → …:111122223333:users-live-created\"}},\"Effect\":\"Allow\",\"Princi…
  ~ queue             users:created/suggest                shop-prod-users-created-suggest
        Policy: …:111122223333:users-prod-created\"}},\"Effect\":\"Allow\",\"Princi… → …:111122223333:users-live-created\"}},\"Effect\":\"Allow\",\"Princi…
  - subscription      users:created/suggest                shop-prod-users-created-suggest, from where the topic was before

1 to create, 2 to change, 4 to keep, 1 to end"
    );
}

#[test]
fn a_subscriber_without_a_folder_is_orphaned_with_its_backlog_and_its_subscription() {
    let mut observed = deployed(&needs(&scan(SUBSCRIBED).1));
    let queue = observed.queues.get_mut("shop-prod-users-created-suggest").unwrap();
    queue.attributes.insert("ApproximateNumberOfMessages".to_owned(), "12".to_owned());
    let left = "//- less/topics/suggested/tell/index.js\n";
    assert_eq!(
        text(left, &observed),
        "  ? subscriber        users:created/suggest                12 messages wait (12 visible, 0 in flight, 0 delayed)

0 to create, 0 to change, 4 to keep, 1 orphaned"
    );
    let orphans = of(left, &observed).orphaned;
    let arn = "arn:aws:sns:eu-west-1:111122223333:users-prod-created:1";
    assert_eq!(orphans.subscribers[0].subscriptions, [arn]);
    let renamed = SUBSCRIBED.replace("created/suggest", "created/suggest2");
    let told = text(&renamed, &observed);
    assert!(told.contains("  ! `users:created/suggest2` looks like `users:created/suggest` renamed (same code): 12 messages wait under the old name"), "{told}");
}

#[test]
fn destroying_takes_the_queue_and_the_subscription_and_leaves_the_other_app_s_topic() {
    let desired = needs(&scan(SUBSCRIBED).1);
    let all = orphan::everything(&desired, &deployed(&desired));
    assert_eq!(
        show::orphans(&all, '-').join("\n"),
        "  - subscriber        suggested/tell                       nothing waits
  - subscriber        users:created/suggest                nothing waits
  - topic             suggested                            shop-prod-suggested"
    );
    assert_eq!(all.subscribers[1].subscriptions.len(), 1);
}

#[test]
fn queues_that_would_be_called_the_same_are_refused() {
    let sources = "
//- less/topics/users/created/index.js
//- less/external_topics/users/created/dlq/index.js
";
    let refused = of(sources, &friends(sources, OtherTopic::There)).refused;
    let told: Vec<&str> = refused.iter().map(|refused| &*refused.message).collect();
    assert_eq!(
        told,
        [
            "the dead letters of `users/created` and `users:created/dlq` would have the same queue, `shop-prod-users-created-dlq`"
        ]
    );
}

#[test]
fn a_new_subscriber_cannot_begin_in_another_app_s_past() {
    let sources = format!(
        "{SUBSCRIBED}//- less/external_topics/users/created/suggest/subscriber.toml\nstart = \"earliest\"\n"
    );
    let refused = of(&sources, &friends(&sources, OtherTopic::There)).refused;
    assert_eq!(refused.len(), 1);
    assert!(refused[0].message.starts_with("`users:created/suggest` is to start with `earliest`"));
}
