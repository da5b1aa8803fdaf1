//! Deploying, and what it says.

use serde_json::{Value, json};

use crate::stage::{Stage, ended, settings};

fn on_both(test: impl Fn(Stage), subscribers: &[&str]) {
    for server in ["LESS_TEST_LOCALSTACK", "LESS_TEST_MINISTACK"] {
        test(Stage::on(server, subscribers));
    }
}

#[test]
fn a_second_deployment_changes_nothing() {
    let test = |stage: Stage| {
        stage.write("less/topics/paid/topic.toml", "ordered = true\n");
        stage.write("less/topics/order/topic.toml", "max_message = \"1MiB\"\n");
        assert_eq!(stage.plan().1, 1);
        let said = stage.deploy(&[]);
        assert!(said.contains("[less]   11/11 created subscription "), "{said}");
        assert!(
            said.ends_with(
                "[less] Deployment complete ✅\n[less] Resources\n[less]   - API URLs\n[less]     - Topics: http://127.0.0.1:4100 where `less start --stage prod` runs (`url` in `[stages.prod]` names the address that others use)\n[less] 🇨🇻\n"
            ),
            "{said}"
        );
        let (plan, code) = stage.plan();
        assert_eq!((&plan["create"], &plan["change"], code), (&json!([]), &json!([]), 0));
        assert_eq!(plan["keep"].as_array().map(Vec::len), Some(11));
        let said = stage.deploy(&[]);
        assert!(said.contains("[less] There is nothing to change\n"), "{said}");
    };
    on_both(test, &["order/audit", "order/mail", "paid/book"]);
}

#[test]
fn what_was_changed_by_hand_is_set_right_and_read_back() {
    let test = |stage: Stage| {
        stage.deploy(&[]);
        let url = stage.url("shop-prod-order-mail");
        let set = stage.connection.sqs.set_queue_attributes().queue_url(&url);
        let open = r#"{"Version":"2012-10-17","Statement":[]}"#;
        let set = set.attributes("Policy".into(), open).attributes("VisibilityTimeout".into(), "7");
        stage.wait(set.send()).unwrap();
        let untag = stage.connection.sns.untag_resource();
        let untag = untag.resource_arn(stage.connection.site.topic_arn("shop-prod-order"));
        stage.wait(untag.tag_keys("less:topic").send()).unwrap();
        let (plan, code) = stage.plan();
        let changed = |index: usize| -> Vec<&Value> {
            let attributes = plan["change"][index]["attributes"].as_array().unwrap();
            attributes.iter().map(|change| &change["attribute"]).collect()
        };
        assert_eq!(changed(0), ["tag less:topic"]);
        assert_eq!(changed(1), ["Policy", "VisibilityTimeout"]);
        assert_eq!(code, 1);
        stage.deploy(&[]);
        assert_eq!(stage.plan().1, 0);
    };
    on_both(test, &["order/mail"]);
}

#[test]
fn a_filter_comes_goes_and_changes_its_scope() {
    let test = |stage: Stage| {
        stage.deploy(&[]);
        let settings = "less/topics/order/mail/subscriber.toml";
        for filter in [
            "[filter.attributes]
kind = [\"a\"]
",
            "[filter.body]
kind = { of = [\"a\"] }
",
            "[filter.body]
kind = { of = [\"a\", 1.5] }
",
            "[filter.attributes]
kind = [\"b\"]
",
            "",
        ] {
            stage.write(settings, filter);
            let checked = stage.less(&["check"]);
            assert_eq!(checked.code, 0, "{}", checked.stderr);
            assert_eq!(stage.plan().1, 1, "{filter}");
            stage.deploy(&[]);
            assert_eq!(stage.plan().1, 0, "{filter}");
        }
    };
    on_both(test, &["order/mail"]);
}

#[test]
fn a_key_of_kms_comes_and_goes() {
    let test = |stage: Stage| {
        stage.deploy(&[]);
        stage.write("less.toml", &(settings("shop", "prod") + "kms_key = \"alias/shop\"\n"));
        assert_eq!(stage.plan().1, 1);
        stage.deploy(&[]);
        assert_eq!(stage.plan().1, 0);
        stage.write("less.toml", &settings("shop", "prod"));
        assert_eq!(stage.plan().1, 1);
        stage.deploy(&[]);
        assert_eq!(stage.plan().1, 0);
    };
    on_both(test, &["order/mail"]);
}

#[test]
fn the_url_of_the_stage_is_what_is_shown() {
    let stage = Stage::on("LESS_TEST_LOCALSTACK", &["order/mail"]);
    stage.write("less.toml", &(settings("shop", "prod") + "url = \"https://api.example.com/\"\n"));
    let said = stage.deploy(&[]);
    assert!(said.contains("[less]     - Topics: https://api.example.com\n"), "{said}");
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_done() {
    let stage = Stage::on("LESS_TEST_LOCALSTACK", &["order/mail"]);
    let ended = stage.less(&["deploy", "--stage", "prod", "--no-build"]);
    assert_eq!(ended.code, 1);
    let said = format!(
        "error: can't ask whether to make 4 in account {}, eu-west-1: this is no terminal\nhint: `--yes` answers beforehand\n",
        stage.account
    );
    assert!(ended.stderr.ends_with(&said), "{}", ended.stderr);
    assert_eq!(stage.names(), [""; 0]);
}

#[test]
fn another_account_than_the_stage_s_is_left_alone() {
    let stage = Stage::on("LESS_TEST_LOCALSTACK", &["order/mail"]);
    stage.write("less.toml", &(settings("shop", "prod") + "account = \"111111111111\"\n"));
    let ended = stage.less(&["deploy", "--stage", "prod", "--yes", "--no-build"]);
    assert_eq!(ended.code, 1);
    let said = format!(
        "error: these credentials are of the AWS account {}, but less.toml says 111111111111 for this stage\nhint: choose other credentials, with AWS_PROFILE for example\n",
        stage.account
    );
    assert_eq!(ended.stderr, said);
    assert_eq!(stage.names(), [""; 0]);
}

#[test]
fn a_stage_that_does_not_run_on_aws_says_what_to_write() {
    let stage = Stage::on("LESS_TEST_LOCALSTACK", &["order/mail"]);
    let said = "error: stage `dev` does not run on AWS, so that there is nothing to deploy\nhint: name one that does, `--stage prod`, or write this into less.toml:\n\n[stages.dev]\ntransport = \"aws\"\nregion = \"eu-west-1\"\n\n";
    for (command, code) in [("plan", 2), ("deploy", 1), ("destroy", 1)] {
        let more: &[&str] = if command == "deploy" { &["--no-build"] } else { &[] };
        let ended = stage.less(&[&[command], more].concat());
        assert_eq!((ended.code, &*ended.stderr), (code, said));
    }
    // Nothing is compiled for it either.
    stage.write(
        "less/topics/order/audit/mod.rs",
        "pub async fn process(_: less::Value) -> less::Result<()> {\n    Ok(())\n}\n",
    );
    let deploy = stage.command(&["deploy"]).env("CARGO", "/nowhere/cargo").output().unwrap();
    assert_eq!(ended(&deploy).stderr, format!("[less] Building... ⚙️\n{said}"));
}

#[test]
fn what_aws_cannot_do_is_refused_and_nothing_is_made() {
    let stage = Stage::on("LESS_TEST_LOCALSTACK", &["order/mail", "paid/book"]);
    stage.deploy(&[]);
    let before = stage.names();
    stage.write("less/topics/paid/topic.toml", "ordered = true\n");
    stage.add("order/late");
    stage.write("less/topics/order/late/subscriber.toml", "start = \"earliest\"\n");
    assert_eq!(stage.less(&["plan", "--stage", "prod"]).code, 2);
    let ended = stage.less(&["deploy", "--stage", "prod", "--yes", "--no-build"]);
    assert_eq!(ended.code, 1);
    let fifo = "error[fifo]: topic `paid` is `ordered` now, and was not when it was deployed: AWS can't change that in place\n";
    assert!(ended.stderr.contains(fifo), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("error[no-past]: `order/late` is to start with `earliest`"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.ends_with("\n2 errors\n"), "{}", ended.stderr);
    assert_eq!(stage.names(), before);
}
