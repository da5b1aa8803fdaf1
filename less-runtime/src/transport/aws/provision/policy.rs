//! Who may do what to a queue and to a topic.
//!
//! No server that runs on a developer's machine enforces these, and on AWS a wrong one loses messages in silence: so they are evaluated in tests, and
//! read back after they were set.

use serde_json::{Value, json};

use crate::transport::aws::Site;
use crate::transport::aws::site::{partition, sns_principal};

const VERSION: &str = "2012-10-17";

/// The policy of a subscriber's queue and of its dead letters: SNS may send, for this topic alone, and nobody may do anything without TLS.
///
/// The account's own users and roles need no statement: their own policies allow what they may. The queue of dead letters needs the first
/// statement as well, as SNS itself puts there what it could not deliver to the queue.
pub fn queue_policy(queue_arn: &str, topic_arn: &str) -> Value {
    let region = |arn| Site::of_arn(arn).map(|site| site.region).unwrap_or_default();
    // Where SNS does not deliver at all, the plan refuses.
    let sns = sns_principal(&region(topic_arn), &region(queue_arn));
    let sns = sns.unwrap_or_else(|| "sns.amazonaws.com".to_owned());
    json!({
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "OnlyItsTopicSends",
                "Effect": "Allow",
                "Principal": {"Service": sns},
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

/// A queue's policy that lets these topics send as well.
pub(super) fn also_from(policy: &Value, queue_arn: &str, topics: &[&str]) -> Value {
    let mut policy = policy.clone();
    if let Some(statements) = policy["Statement"].as_array_mut() {
        for (number, topic) in topics.iter().enumerate() {
            let mut statement = queue_policy(queue_arn, topic)["Statement"][0].take();
            statement["Sid"] = json!(format!("TheOneBeforeSends{number}"));
            statements.push(statement);
        }
    }
    policy
}

/// Where the queue's policy says that its messages come from.
pub(super) fn sources(queue_policy: &str) -> Vec<String> {
    let policy: Value = serde_json::from_str(queue_policy).unwrap_or_default();
    let statements = policy["Statement"].as_array().into_iter().flatten();
    let arns = statements.map(|statement| &statement["Condition"]["ArnEquals"]["aws:SourceArn"]);
    arns.filter_map(|arn| Some(arn.as_str()?.to_owned())).collect()
}

/// The policy of a topic: publishing over TLS only, and subscribing for the account's own, and for these other accounts. It replaces the one that SNS
/// gives a topic, which lets everybody in the account publish and subscribe.
pub fn topic_policy(topic_arn: &str, subscriber_accounts: &[String]) -> Value {
    let mut statements = vec![json!({
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    })];
    statements.extend(subscriber_statements(topic_arn, subscriber_accounts));
    json!({"Version": VERSION, "Statement": statements})
}

/// What a topic's policy has to say for other accounts to subscribe queues of their own to it.
pub fn subscriber_statements(topic_arn: &str, accounts: &[String]) -> Vec<Value> {
    let partition = Site::of_arn(topic_arn).map_or("aws", |site| partition(&site.region));
    let root = |account: &String| format!("arn:{partition}:iam::{account}:root");
    let mut statements: Vec<Value> = accounts
        .iter()
        .map(|account| {
            json!({
                "Sid": format!("Account{account}Subscribes"),
                "Effect": "Allow",
                "Principal": {"AWS": root(account)},
                "Action": "sns:Subscribe",
                "Resource": topic_arn,
                "Condition": {
                    "StringEquals": {"sns:Protocol": "sqs"},
                    "StringLike": {"sns:Endpoint": format!("arn:{partition}:sqs:*:{account}:*")}
                }
            })
        })
        .collect();
    if !accounts.is_empty() {
        // By which a plan over there sees that the topic exists, and whether it is FIFO.
        statements.push(json!({
            "Sid": "TheyReadTheTopic",
            "Effect": "Allow",
            "Principal": {"AWS": accounts.iter().map(root).collect::<Vec<_>>()},
            "Action": "sns:GetTopicAttributes",
            "Resource": topic_arn
        }));
    }
    statements
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
        /// Of a subscription: protocol and endpoint.
        endpoint: Option<(&'static str, &'static str)>,
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
            endpoint: None,
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
        let listed = |listed: &Value| match (listed["AWS"].as_array(), &request.principal["AWS"]) {
            (Some(all), one) => all.contains(one),
            (None, _) => false,
        };
        let principal = &statement["Principal"];
        let principal = *principal == "*" || *principal == request.principal || listed(principal);
        let conditions = statement.get("Condition").and_then(Value::as_object).into_iter().flatten();
        let mut conditions = conditions.map(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, wanted)| match (operator.as_str(), key.as_str()) {
                ("ArnEquals", "aws:SourceArn") => request.source_arn.is_some_and(|arn| wanted == arn),
                ("Bool", "aws:SecureTransport") => wanted == &request.tls.to_string(),
                ("StringEquals", "sns:Protocol") => request.endpoint.is_some_and(|(is, _)| wanted == is),
                ("StringLike", "sns:Endpoint") => {
                    request.endpoint.is_some_and(|(_, is)| is_like(is, wanted.as_str().unwrap()))
                }
                other => panic!("{other:?}"),
            })
        });
        action && principal && statement["Resource"] == request.resource && conditions.all(|holds| holds)
    }

    /// Whether a text is like a pattern whose parts, between colons, are the same or `*`.
    fn is_like(text: &str, pattern: &str) -> bool {
        let (texts, patterns) = (text.split(':'), pattern.split(':'));
        texts.clone().count() == patterns.clone().count()
            && texts.zip(patterns).all(|(text, pattern)| pattern == "*" || pattern == text)
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
        let policy = topic_policy(TOPIC, &[]);
        for account in ["111122223333", "999999999999"] {
            let request = Request {
                principal: json!({"AWS": format!("arn:aws:iam::{account}:root")}),
                action: "sns:Publish",
                resource: TOPIC,
                source_arn: None,
                tls: true,
                endpoint: None,
            };
            assert_eq!(evaluate(&policy, &request), Verdict::Silent);
            assert_eq!(evaluate(&policy, &Request { tls: false, ..request }), Verdict::Denied);
        }
    }

    #[test]
    fn another_account_subscribes_its_own_queues_and_nothing_else() {
        let theirs = "444455556666".to_owned();
        let policy = topic_policy(TOPIC, std::slice::from_ref(&theirs));
        let subscribe = |account: &str, protocol, endpoint| Request {
            principal: json!({"AWS": format!("arn:aws:iam::{account}:root")}),
            action: "sns:Subscribe",
            resource: TOPIC,
            source_arn: None,
            tls: true,
            endpoint: Some((protocol, endpoint)),
        };
        let queue = "arn:aws:sqs:us-east-1:444455556666:friends-prod-shop-order-suggest";
        assert_eq!(evaluate(&policy, &subscribe(&theirs, "sqs", queue)), Verdict::Allowed);
        for (account, protocol, endpoint) in [
            ("999999999999", "sqs", "arn:aws:sqs:us-east-1:999999999999:q"),
            (&*theirs, "sqs", "arn:aws:sqs:us-east-1:999999999999:q"),
            (&*theirs, "https", "https://example.com/"),
            (&*theirs, "email", "a@example.com"),
        ] {
            let request = subscribe(account, protocol, endpoint);
            assert_eq!(evaluate(&policy, &request), Verdict::Silent, "{account} {protocol} {endpoint}");
        }
        for (action, verdict) in [
            ("sns:GetTopicAttributes", Verdict::Allowed),
            ("sns:Publish", Verdict::Silent),
            ("sns:SetTopicAttributes", Verdict::Silent),
            ("sns:ListSubscriptionsByTopic", Verdict::Silent),
        ] {
            let request = Request { action, endpoint: None, ..subscribe(&theirs, "sqs", queue) };
            assert_eq!(evaluate(&policy, &request), verdict, "{action}");
        }
        let plain = Request { action: "sns:Publish", tls: false, ..subscribe(&theirs, "sqs", queue) };
        assert_eq!(evaluate(&policy, &plain), Verdict::Denied);
    }

    #[test]
    fn a_queue_takes_messages_of_another_account_s_topic_in_another_region() {
        let theirs = "arn:aws:sns:ap-east-1:444455556666:users-prod-created";
        let policy = queue_policy(QUEUE, theirs);
        let sns = json!({"Service": "sns.ap-east-1.amazonaws.com"});
        let request = Request { principal: sns, source_arn: Some(theirs), ..delivery() };
        assert_eq!(evaluate(&policy, &request), Verdict::Allowed);
        assert_eq!(evaluate(&policy, &delivery()), Verdict::Silent);
        assert_eq!(sources(&policy.to_string()), [theirs]);
        // While it moves, from both.
        let both = also_from(&policy, QUEUE, &[TOPIC]);
        assert_eq!(evaluate(&both, &request), Verdict::Allowed);
        assert_eq!(evaluate(&both, &delivery()), Verdict::Allowed);
        assert_eq!(evaluate(&both, &Request { tls: false, ..delivery() }), Verdict::Denied);
        assert_eq!(sources(&both.to_string()), [theirs, TOPIC]);
        assert_eq!(sources("?"), [""; 0]);
    }
}
