//! Who may do what to a queue and to a topic.
//!
//! No server that runs on a developer's machine enforces these, and on AWS a wrong one loses messages in silence: so they are evaluated in tests, and
//! read back after they were set.

use serde_json::{Value, json};

const VERSION: &str = "2012-10-17";

/// The policy of a subscriber's queue and of its dead letters: SNS may send, for this topic alone, and nobody may do anything without TLS.
///
/// The account's own users and roles need no statement: their own policies allow what they may. The queue of dead letters needs the first
/// statement as well, as SNS itself puts there what it could not deliver to the queue.
pub fn queue_policy(queue_arn: &str, topic_arn: &str) -> Value {
    json!({
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "OnlyItsTopicSends",
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}}
            },
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": queue_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}
            }
        ]
    })
}

/// The policy of a topic: publishing over TLS only. It replaces the one that SNS gives a topic, which lets everybody in the account publish and subscribe.
pub fn topic_policy(topic_arn: &str) -> Value {
    json!({
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}
            }
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a policy says about a request. Without a statement that fits, AWS refuses everybody but the account's own, whose policies then decide.
    #[derive(Debug, PartialEq, Eq)]
    enum Verdict {
        Allowed,
        Denied,
        Silent,
    }

    /// A request, as far as our policies look at it.
    #[derive(Clone)]
    struct Request {
        principal: Value,
        action: &'static str,
        resource: &'static str,
        source_arn: Option<&'static str>,
        tls: bool,
    }

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:shop-prod-order-mail";
    const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:shop-prod-order";

    /// What SNS sends when it delivers.
    fn delivery() -> Request {
        Request {
            principal: json!({"Service": "sns.amazonaws.com"}),
            action: "sqs:SendMessage",
            resource: QUEUE,
            source_arn: Some(TOPIC),
            tls: true,
        }
    }

    /// A small evaluator, after the rules of IAM: an explicit deny wins, then an allow. It fails on whatever it does not know.
    fn evaluate(policy: &Value, request: &Request) -> Verdict {
        assert_eq!(policy["Version"], VERSION);
        let mut verdict = Verdict::Silent;
        for statement in policy["Statement"].as_array().unwrap() {
            for key in statement.as_object().unwrap().keys() {
                assert!(["Sid", "Effect", "Principal", "Action", "Resource", "Condition"].contains(&&**key));
            }
            if !fits(statement, request) {
                continue;
            }
            match statement["Effect"].as_str().unwrap() {
                "Deny" => return Verdict::Denied,
                "Allow" => verdict = Verdict::Allowed,
                other => panic!("{other}"),
            }
        }
        verdict
    }

    fn fits(statement: &Value, request: &Request) -> bool {
        let action = statement["Action"].as_str().unwrap();
        let action = match action.strip_suffix('*') {
            Some(prefix) => request.action.starts_with(prefix),
            None => request.action == action,
        };
        let principal = statement["Principal"] == "*" || statement["Principal"] == request.principal;
        let conditions = statement["Condition"].as_object().unwrap().iter().all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, wanted)| match (operator.as_str(), key.as_str()) {
                ("ArnEquals", "aws:SourceArn") => request.source_arn.is_some_and(|arn| wanted == arn),
                ("Bool", "aws:SecureTransport") => wanted == &request.tls.to_string(),
                other => panic!("{other:?}"),
            })
        });
        action && principal && statement["Resource"] == request.resource && conditions
    }

    #[test]
    fn a_queue_takes_messages_from_its_own_topic_only() {
        let policy = queue_policy(QUEUE, TOPIC);
        assert_eq!(evaluate(&policy, &delivery()), Verdict::Allowed);
        for arn in [
            None,
            Some("arn:aws:sns:eu-west-1:111122223333:shop-prod-orders"),
            Some("arn:aws:sns:eu-west-1:999999999999:shop-prod-order"),
            Some("arn:aws:sns:us-east-1:111122223333:shop-prod-order"),
        ] {
            let request = Request { source_arn: arn, ..delivery() };
            assert_eq!(evaluate(&policy, &request), Verdict::Silent, "{arn:?}");
        }
    }

    #[test]
    fn nobody_else_is_let_in() {
        let policy = queue_policy(QUEUE, TOPIC);
        let account = json!({"AWS": "arn:aws:iam::999999999999:root"});
        for principal in [account, json!({"Service": "events.amazonaws.com"}), json!({"AWS": "*"})] {
            let request = Request { principal, ..delivery() };
            assert_eq!(evaluate(&policy, &request), Verdict::Silent);
        }
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:PurgeQueue", "sqs:SetQueueAttributes"]
        {
            assert_eq!(evaluate(&policy, &Request { action, ..delivery() }), Verdict::Silent, "{action}");
        }
        let other = Request { resource: "arn:aws:sqs:eu-west-1:111122223333:other", ..delivery() };
        assert_eq!(evaluate(&policy, &other), Verdict::Silent);
    }

    #[test]
    fn plain_http_is_refused_to_everybody() {
        let policy = queue_policy(QUEUE, TOPIC);
        let own = json!({"AWS": "arn:aws:iam::111122223333:role/worker"});
        for principal in [json!({"Service": "sns.amazonaws.com"}), own] {
            for action in ["sqs:SendMessage", "sqs:ReceiveMessage"] {
                let request = Request { principal: principal.clone(), action, tls: false, ..delivery() };
                assert_eq!(evaluate(&policy, &request), Verdict::Denied);
            }
        }
    }

    #[test]
    fn a_topic_is_published_to_over_tls_only_and_by_nobody_whose_own_policy_does_not_allow_it() {
        let policy = topic_policy(TOPIC);
        for account in ["111122223333", "999999999999"] {
            let request = Request {
                principal: json!({"AWS": format!("arn:aws:iam::{account}:root")}),
                action: "sns:Publish",
                resource: TOPIC,
                source_arn: None,
                tls: true,
            };
            assert_eq!(evaluate(&policy, &request), Verdict::Silent);
            assert_eq!(evaluate(&policy, &Request { tls: false, ..request }), Verdict::Denied);
        }
    }
}
