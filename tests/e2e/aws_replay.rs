//! Replays of a stage on AWS, from the command line and through the running app: both servers that stand in for SNS and SQS.

use serde_json::json;

use crate::aws_admin::Stage;
use crate::support::{Connection, Process, until};

fn replayed(variable: &str) {
    let stage = Stage::on(variable);
    stage.set("archive = true\n");
    stage.handler("ping/pong", "console.log('pong', JSON.stringify(message), context.attempt)");
    stage.handler("ping/note", "console.log('note', JSON.stringify(message))");
    stage.end(0, &["deploy", "--stage", "prod", "--yes"]);
    let (server, address) = stage.start();
    let mut connection = Connection::open(address).expect("the app answers");
    for body in ["{\"n\":1}", "{\"n\":2}"] {
        assert_eq!(connection.post("/topics/ping", body).expect("an answer").status, 202);
    }
    let handled = |[pongs, notes]: [usize; 2]| {
        until(&format!("{pongs} pongs and {notes} notes"), || {
            let printed = server.printed();
            // Attempts are counted anew each time.
            let found = ["1", "2"].map(|n| {
                let count = |text: String| printed.matches(&text).count();
                [count(format!("pong {{\"n\":{n}}} 1\n")), count(format!("note {{\"n\":{n}}}\n"))]
            });
            if found == [[pongs, notes]; 2] { Ok(()) } else { Err(printed) }
        });
    };
    handled([1, 1]);
    let archive = stage.sqs("GetQueueUrl", &json!({"QueueName": "shop-prod-ping-_archive"}));
    let kept = || {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let asked = json!({"QueueUrl": archive["QueueUrl"], "AttributeNames": names});
        let found = stage.sqs("GetQueueAttributes", &asked)["Attributes"].clone();
        names.map(|name| found[name].as_str().unwrap_or_default().to_owned())
    };
    until("both to be kept", || if kept() == ["2", "0"] { Ok(()) } else { Err(kept().join(", ")) });

    let (_, said) = stage.end(0, &["replay", "ping/pong", "--stage", "prod"]);
    assert_eq!(
        said,
        "[less] reading the archive of `ping`\n[less] 2 of `ping` are delivered once more to `pong`\n"
    );
    handled([2, 1]);
    // To all of them, with one reading.
    let (_, said) = stage.end(0, &["replay", "ping", "--since", "1h", "--stage", "prod"]);
    assert_eq!(
        said,
        "[less] reading the archive of `ping`\n[less] 2 of `ping` are delivered once more to `note`\n[less] 2 of `ping` are delivered once more to `pong`\n"
    );
    handled([3, 2]);
    // By way of the app that runs.
    let url = format!("http://{address}");
    let (_, said) = stage.end(0, &["replay", "ping/note", "--url", &url]);
    assert_eq!(said, "[less] 2 of `ping` are delivered once more to `note`\n");
    handled([3, 3]);
    assert_eq!(kept(), ["2", "0"]);

    // Whoever stops it leaves nothing hidden.
    until("a replay to be stopped in the middle", || {
        let mut stopped = Process::start(&mut stage.less(&["replay", "ping", "--stage", "prod"]));
        stopped.wait_for("reading the archive", 0);
        let hidden = until("messages to be hidden", || {
            let ended = stopped.child.try_wait().expect("its state can be read").is_some();
            if ended || kept()[1] != "0" { Ok(!ended) } else { Err(kept().join(", ")) }
        });
        if hidden {
            stopped.signal("INT");
        }
        let code = stopped.child.wait().expect("its end").code();
        assert_eq!(kept(), ["2", "0"], "{}", stopped.printed());
        if code == Some(2) { Ok(()) } else { Err(stopped.printed()) }
    });
    server.terminate();
    stage.end(0, &["destroy", "--stage", "prod", "--yes"]);
}

#[test]
fn a_stage_s_messages_on_localstack_are_delivered_once_more() {
    replayed("LESS_TEST_LOCALSTACK");
}

#[test]
fn a_stage_s_messages_on_ministack_are_delivered_once_more() {
    replayed("LESS_TEST_MINISTACK");
}
