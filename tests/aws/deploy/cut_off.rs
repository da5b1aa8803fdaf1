//! A deployment that ends in the middle is completed by the next.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::stage::Stage;

/// 11 resources, of every kind.
fn stage() -> Stage {
    let stage = Stage::on("LESS_TEST_LOCALSTACK", &["order/audit", "order/mail", "paid/book"]);
    stage.write("less/topics/paid/topic.toml", "ordered = true\n");
    stage
}

#[test]
fn a_deployment_that_is_killed_anywhere_is_completed_by_the_next() {
    for killed_after in 1..=11 {
        let stage = stage();
        let mut deploy = stage.command(&["deploy", "--stage", "prod", "--yes", "--no-build"]);
        let mut child = deploy.stderr(Stdio::piped()).spawn().expect("it can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let mark = format!("[less]   {killed_after}/11 ");
        let mut line = String::new();
        while !line.starts_with(&mark) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("it says UTF-8"), 0, "it ended before {mark}");
        }
        // SIGKILL: whatever it was about to do is not done.
        child.kill().expect("it can be killed");
        child.wait().expect("its end can be waited for");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("it says UTF-8");
        let (plan, _) = stage.plan();
        let missing = plan["create"].as_array().map_or(0, Vec::len);
        assert!(missing <= 11 - killed_after, "{plan}");
        stage.deploy(&[]);
        assert_eq!(stage.plan().1, 0, "killed after {killed_after}");
    }
}

#[test]
fn a_destruction_that_is_killed_is_completed_by_the_next() {
    for killed_after in 1..=5 {
        let stage = stage();
        stage.deploy(&[]);
        let mut destroy = stage.command(&["destroy", "--stage", "prod", "--yes", "--drop-messages"]);
        let mut child = destroy.stderr(Stdio::piped()).spawn().expect("it can be started");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let mark = format!("[less]   {killed_after}/5 ");
        let mut line = String::new();
        while !line.starts_with(&mark) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).expect("it says UTF-8"), 0, "it ended before {mark}");
        }
        child.kill().expect("it can be killed");
        child.wait().expect("its end can be waited for");
        let ended = stage.less(&["destroy", "--stage", "prod", "--yes", "--drop-messages"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(stage.names(), [""; 0], "killed after {killed_after}");
    }
}
