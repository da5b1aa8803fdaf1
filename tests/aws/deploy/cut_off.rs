//! What ends in the middle is completed by doing it again: killed at any call, refused, throttled, answers lost.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use less_aws_proxy::{ANY, Fault, Proxy, Refusal, When};
use tokio::runtime::Runtime;

use crate::stage::{Stage, ended, settings};

const SERVER: &str = "LESS_TEST_LOCALSTACK";
const DEPLOY: [&str; 5] = ["deploy", "--stage", "prod", "--yes", "--no-build"];
const DESTROY: [&str; 5] = ["destroy", "--stage", "prod", "--yes", "--drop-messages"];

/// A proxy before the server, that runs on threads of its own.
struct Between {
    proxy: Proxy,
    _runtime: Runtime,
}

impl Between {
    fn us_and(stage: &Stage) -> Self {
        let runtime = Runtime::new().expect("a runtime can be made");
        let proxy = runtime.block_on(Proxy::start(stage.server(), 7)).expect("it starts");
        Self { proxy, _runtime: runtime }
    }

    /// Starts `less`, and kills it when this call is made: before the server hears of it, or after it did the work. Returns whether that call was made.
    fn kill_at(&self, stage: &Stage, arguments: &[&str], operation: &str, call: u64, fault: &Fault) -> bool {
        let met = || self.proxy.injected().values().sum::<u64>();
        let before = met();
        self.proxy.calm();
        self.proxy.inject(operation, When::Nth(call), fault.clone());
        let mut command = stage.command_at(self.proxy.url(), arguments);
        let mut child = command.stderr(Stdio::null()).spawn().expect("it can be started");
        loop {
            if met() > before {
                child.kill().expect("it can be killed");
                child.wait().expect("its end can be waited for");
                return true;
            }
            if child.try_wait().expect("its state can be read").is_some() {
                return false;
            }
            sleep(Duration::from_millis(2));
        }
    }
}

/// Two topics, one of them FIFO, with a subscriber and an archive each.
fn stage() -> Stage {
    let stage = Stage::on(SERVER, &["order/mail", "paid/book"]);
    stage.write("less.toml", &(settings("shop", "prod") + "archive = true\n"));
    stage.write("less/topics/paid/topic.toml", "ordered = true\n");
    stage
}

/// Kills a command at each call of these operations, and expects it to be completed.
fn kill_everywhere(
    operations: &[&str],
    arguments: &[&str],
    prepare: impl Fn(&Stage),
    complete: impl Fn(&Stage),
) {
    for operation in operations {
        let mut killed = 0;
        for fault in [Fault::Hang, Fault::HangAfter] {
            for call in 1.. {
                let stage = stage();
                prepare(&stage);
                if !Between::us_and(&stage).kill_at(&stage, arguments, operation, call, &fault) {
                    break;
                }
                complete(&stage);
                killed += 1;
            }
        }
        anstream::eprintln!("killed at {killed} calls of {operation}");
        assert!(killed > 0, "{operation} is never called");
    }
}

fn complete(stage: &Stage) {
    stage.deploy(&[]);
    assert_eq!(stage.plan().1, 0);
}

#[test]
fn a_deployment_that_is_killed_at_any_call_is_completed_by_the_next() {
    kill_everywhere(&["CreateQueue", "CreateTopic", "Subscribe"], &DEPLOY, |_| {}, complete);
}

#[test]
fn a_change_that_is_killed_at_any_call_is_completed_by_the_next() {
    let change = |stage: &Stage| {
        stage.deploy(&[]);
        stage.write("less.toml", &(settings("shop", "prod") + "kms_key = \"alias/shop\"\n"));
        stage.write("less/topics/order/mail/index.js", "exports.process = async () => {};\n");
        stage.write("less/topics/order/mail/subscriber.toml", "[filter.body]\nkind = [\"a\"]\n");
        let untag = stage.connection.sns.untag_resource().tag_keys("less:topic");
        let untag = untag.resource_arn(stage.connection.site.topic_arn("shop-prod-order"));
        stage.wait(untag.send()).expect("a tag can be taken away");
    };
    let operations =
        ["SetQueueAttributes", "TagQueue", "SetTopicAttributes", "TagResource", "SetSubscriptionAttributes"];
    kill_everywhere(&operations, &DEPLOY, change, complete);
}

#[test]
fn a_destruction_that_is_killed_at_any_call_is_completed_by_the_next() {
    let complete = |stage: &Stage| {
        let ended = stage.less(&DESTROY);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(stage.names(), [""; 0]);
    };
    kill_everywhere(
        &["Unsubscribe", "DeleteQueue", "DeleteTopic"],
        &DESTROY,
        |stage| drop(stage.deploy(&[])),
        complete,
    );
}

#[test]
fn throttling_failures_and_lost_answers_do_not_end_a_deployment() {
    for fault in [Fault::Refuse(Refusal::THROTTLED), Fault::Refuse(Refusal::INTERNAL), Fault::Cut] {
        let stage = stage();
        let between = Between::us_and(&stage);
        between.proxy.inject(ANY, When::Chance(0.1), fault.clone());
        let output = stage.command_at(between.proxy.url(), &DEPLOY).output().expect("it can be started");
        let ended = ended(&output);
        assert_eq!(ended.code, 0, "{fault:?}: {}", ended.stderr);
        assert!(!between.proxy.injected().is_empty());
        assert_eq!(stage.plan().1, 0, "{fault:?}");
    }
}

#[test]
fn a_permission_that_is_missing_is_said_once_and_the_rest_is_done() {
    let stage = stage();
    let between = Between::us_and(&stage);
    between.proxy.inject("CreateTopic", When::Always, Fault::Refuse(Refusal::DENIED));
    let output = stage.command_at(between.proxy.url(), &DEPLOY).output().expect("it can be started");
    let denied = ended(&output);
    assert_eq!(denied.code, 2);
    let (_, said) = denied.stderr.split_once("error: ").expect("it failed");
    assert_eq!(
        said,
        "can't create topic `shop-prod-order` (and 1 more like this): AccessDenied: User is not authorized to perform this action\nhint: `less iam --stage prod` prints the policy that deploying needs\nerror: the deployment is not complete\nhint: `less deploy --stage prod` goes on from here\n"
    );
    // Queues depend on no topic.
    assert_eq!(stage.names().len(), 6);
    complete(&stage);
}

#[test]
fn where_it_cannot_be_read_what_there_is_nothing_is_changed() {
    let stage = stage();
    let between = Between::us_and(&stage);
    between.proxy.inject("ListQueues", When::Always, Fault::Refuse(Refusal::DENIED));
    let output = stage.command_at(between.proxy.url(), &DEPLOY).output().expect("it can be started");
    let denied = ended(&output);
    assert_eq!(denied.code, 2);
    assert!(
        denied.stderr.starts_with("error: can't list queues `shop-prod-`: AccessDenied"),
        "{}",
        denied.stderr
    );
    assert_eq!(stage.names(), [""; 0]);
}

#[test]
fn the_name_of_a_queue_that_was_just_deleted_is_waited_for() {
    let deleted = Refusal {
        status: 400,
        code: "AWS.SimpleQueueService.QueueDeletedRecently",
        message: "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
        sender_fault: true,
    };
    let stage = stage();
    let between = Between::us_and(&stage);
    between.proxy.inject("CreateQueue", When::First(1), Fault::Refuse(deleted));
    let output = stage.command_at(between.proxy.url(), &DEPLOY).output().expect("it can be started");
    let ended = ended(&output);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let waiting = "-dlq was deleted less than a minute ago; AWS makes it again after that, waiting\n";
    let said = ended.stderr.replace("-dlq.fifo was", "-dlq was");
    assert_eq!(said.matches(waiting).count(), 1, "{said}");
    assert_eq!(stage.plan().1, 0);
}
