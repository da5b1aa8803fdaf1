//! Least-privilege policies: for who deploys, publishes, works, and looks after dead letters.

use std::collections::BTreeSet;
use std::fmt;

use less_model::topology::{PlacedSubscriber, Topology};
use less_runtime::transport::aws::provision::{Desired, Value as Attribute, subscriber_statements};
use less_runtime::transport::aws::{Site, partition};
use serde_json::{Map, Value, json};

/// Most characters of a managed policy, without spaces (IAM's limit).
pub const MAX_POLICY: usize = 6_144;

/// What a worker does with its queues, and with their dead letters, which it renews.
const ALL_OF_A_QUEUE: [&str; 6] = [
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
];

/// Whom a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// `less plan`, `less deploy`, `less destroy`
    Deployer,
    /// Programs that publish
    Publisher,
    /// The running app: its subscribers
    Worker,
    /// `less status`, `less dlq`, `less replay`, `less tail` with `--stage`
    Admin,
}

impl Role {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Deployer, Self::Publisher, Self::Worker, Self::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deployer => "deployer",
            Self::Publisher => "publisher",
            Self::Worker => "worker",
            Self::Admin => "admin",
        })
    }
}

/// A statement that allows something.
struct Statement {
    sid: &'static str,
    actions: Vec<&'static str>,
    resources: Vec<String>,
    condition: Option<Value>,
}

/// The policy of a role, cut into as many documents as IAM's limit asks for. All of them belong to the role.
pub fn policies(role: Role, topology: &Topology, site: &Site, kms_key: Option<&str>) -> Vec<Value> {
    let app = App { topology, site };
    let mut statements = match role {
        Role::Deployer => app.deployer(),
        Role::Publisher => vec![allow("Publish", &["sns:Publish"], app.topics())],
        Role::Worker => app.worker(),
        Role::Admin => app.admin(),
    };
    // SNS and SQS use the key for those who send and receive; who deploys looks into queues.
    if let Some(key) = kms_key {
        statements.push(app.kms(key));
    }
    statements.retain(|statement| !statement.resources.is_empty());
    documents(statements)
}

/// What lets other apps' topics send to this app's queues, by the topics' addresses: the queues' policies, which `less deploy` sets, and of a topic in
/// another account the statements that its policy needs.
pub fn external(desired: &Desired) -> Map<String, Value> {
    let topics = desired.external.iter().map(|other| {
        let queues = other.subscribers.iter().flat_map(|found| [&found.queue, &found.dead_letters]);
        let policies: Map<String, Value> = queues
            .filter_map(|queue| match queue.attributes.get("Policy")? {
                Attribute::Json(policy) => Some((queue.name.clone(), policy.clone())),
                Attribute::Text(_) => None,
            })
            .collect();
        let mut shown = json!({"topic": other.arn, "queue_policies": policies});
        let account = &desired.site.account;
        if other.site.account != *account {
            shown["topic_policy"] =
                document(&subscriber_statements(&other.arn, std::slice::from_ref(account)));
        }
        (other.address(), shown)
    });
    topics.collect()
}

fn allow(sid: &'static str, actions: &[&'static str], resources: Vec<String>) -> Statement {
    Statement { sid, actions: actions.to_vec(), resources, condition: None }
}

/// Topics and their subscriptions. The Service Authorization Reference knows no resource for what is done to a subscription; AWS's refusals name the topic's
/// ARN, and a subscription's own begins with it.
fn with_subscriptions(topics: Vec<String>) -> Vec<String> {
    topics.into_iter().flat_map(|topic| [format!("{topic}:*"), topic]).collect()
}

struct App<'a> {
    topology: &'a Topology,
    site: &'a Site,
}

impl App<'_> {
    fn topics(&self) -> Vec<String> {
        self.topology.topics.iter().map(|topic| self.site.topic_arn(&topic.physical)).collect()
    }

    fn queues(&self, name: fn(&PlacedSubscriber) -> &str) -> Vec<String> {
        self.topology.subscribers().map(|(_, _, subscriber)| self.site.queue_arn(name(subscriber))).collect()
    }

    fn archives(&self) -> Vec<String> {
        let archives = self.topology.topics.iter().filter_map(|topic| topic.archive.as_ref());
        archives.map(|archive| self.site.queue_arn(&archive.queue)).collect()
    }

    /// By the stage's prefix: who deploys makes what is not there yet, and removes what left the tree.
    fn deployer(&self) -> Vec<Statement> {
        let mut all = format!("{}-{}-", self.topology.app, self.topology.stage);
        // A long name keeps its first 54 characters.
        all.truncate(54);
        all.push('*');
        // What begins like a topic's ARN is also the topic's subscriptions.
        let (topics, queues) = (self.site.topic_arn(&all), self.site.queue_arn(&all));
        let mut statements = self.subscribe();
        statements.extend([
            allow(
                "MakeTopics",
                &[
                    "sns:CreateTopic",
                    "sns:DeleteTopic",
                    "sns:GetSubscriptionAttributes",
                    "sns:GetTopicAttributes",
                    "sns:ListSubscriptionsByTopic",
                    "sns:ListTagsForResource",
                    "sns:SetSubscriptionAttributes",
                    "sns:SetTopicAttributes",
                    "sns:Subscribe",
                    "sns:TagResource",
                    "sns:Unsubscribe",
                ],
                vec![topics],
            ),
            allow(
                "MakeQueues",
                &[
                    "sqs:CreateQueue",
                    "sqs:DeleteQueue",
                    "sqs:GetQueueAttributes",
                    "sqs:GetQueueUrl",
                    "sqs:ListQueueTags",
                    // Before a queue is deleted, it is looked into.
                    "sqs:ReceiveMessage",
                    "sqs:SetQueueAttributes",
                    "sqs:TagQueue",
                ],
                vec![queues],
            ),
            // An account in a region is the narrowest that a list takes.
            allow("FindTopicsThatLeft", &["sns:ListTopics"], vec![self.site.topic_arn("*")]),
            allow("FindQueuesThatLeft", &["sqs:ListQueues"], vec![self.site.queue_arn("*")]),
        ]);
        statements
    }

    /// What who deploys does with other apps' topics.
    fn subscribe(&self) -> Vec<Statement> {
        let sites = self.topology.external.iter().map(|other| Site {
            region: other.at.region.clone().unwrap_or_else(|| self.site.region.clone()),
            account: other.at.account.clone().unwrap_or_else(|| self.site.account.clone()),
        });
        let sites: Vec<Site> = sites.collect();
        let topics = self.topology.external.iter().map(|other| &other.topic.physical);
        let arns: Vec<String> =
            sites.iter().zip(topics).map(|(site, physical)| site.topic_arn(physical)).collect();
        // Whether a topic is FIFO is part of its name: where the one is missing, the other is looked for.
        let other_order =
            |arn: &String| arn.strip_suffix(".fifo").map_or_else(|| format!("{arn}.fifo"), str::to_owned);
        let both = arns.iter().flat_map(|arn| [arn.clone(), other_order(arn)]).collect();
        // Whoever may not list a topic's subscriptions looks for them among his own, in the topic's region.
        let regions: BTreeSet<String> = sites.into_iter().map(|site| site.region).collect();
        let account = &self.site.account;
        let own = |region| Site { region, account: account.clone() }.topic_arn("*");
        vec![
            allow("LookAtOtherApps", &["sns:GetTopicAttributes"], both),
            allow(
                "SubscribeToOtherApps",
                &[
                    "sns:GetSubscriptionAttributes",
                    "sns:ListSubscriptionsByTopic",
                    "sns:SetSubscriptionAttributes",
                    "sns:Subscribe",
                    "sns:Unsubscribe",
                ],
                with_subscriptions(arns),
            ),
            allow("FindOwnSubscriptions", &["sns:ListSubscriptions"], regions.into_iter().map(own).collect()),
        ]
    }

    fn worker(&self) -> Vec<Statement> {
        vec![
            // What is delayed, and what is handed back later than SQS can, is sent again.
            allow("Work", &ALL_OF_A_QUEUE, self.queues(|subscriber| &subscriber.queue)),
            allow("KeepDeadLetters", &ALL_OF_A_QUEUE, self.queues(|subscriber| &subscriber.dead_letters)),
        ]
    }

    fn admin(&self) -> Vec<Statement> {
        let tails = self.topology.topics.iter().map(|topic| {
            let base = topic.physical.trim_end_matches(".fifo");
            self.site.queue_arn(&format!("{base}-tail-*"))
        });
        vec![
            allow(
                "CountAndRelease",
                &["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SendMessage"],
                self.queues(|subscriber| &subscriber.queue),
            ),
            allow(
                "LookAtDeadLetters",
                &[
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:GetQueueUrl",
                    "sqs:ReceiveMessage",
                ],
                self.queues(|subscriber| &subscriber.dead_letters),
            ),
            // And shown again: nobody deletes from them.
            allow(
                "ReadArchives",
                &[
                    "sqs:ChangeMessageVisibility",
                    "sqs:GetQueueAttributes",
                    "sqs:GetQueueUrl",
                    "sqs:ReceiveMessage",
                ],
                self.archives(),
            ),
            allow(
                "TailTopics",
                &["sns:ListSubscriptionsByTopic", "sns:Subscribe", "sns:Unsubscribe"],
                with_subscriptions(self.topics()),
            ),
            allow(
                "TailQueues",
                &[
                    "sqs:CreateQueue",
                    "sqs:DeleteMessage",
                    "sqs:DeleteQueue",
                    "sqs:GetQueueAttributes",
                    "sqs:ListQueueTags",
                    "sqs:ReceiveMessage",
                    "sqs:SetQueueAttributes",
                    "sqs:TagQueue",
                ],
                tails.collect(),
            ),
            allow("FindTails", &["sqs:ListQueues"], vec![self.site.queue_arn("*")]),
        ]
    }

    /// An alias is no resource of a policy: the key behind it is meant by a condition.
    fn kms(&self, key: &str) -> Statement {
        let Site { region, account } = self.site;
        let arn = |key: &str| format!("arn:{}:kms:{region}:{account}:key/{key}", partition(region));
        let alias = key.strip_prefix("alias/").or_else(|| key.split_once(":alias/").map(|(_, alias)| alias));
        let (resource, condition) = match alias {
            Some(alias) => {
                let name = format!("alias/{alias}");
                (arn("*"), Some(json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}})))
            }
            None if key.starts_with("arn:") => (key.to_owned(), None),
            None => (arn(key), None),
        };
        let actions = vec!["kms:Decrypt", "kms:GenerateDataKey"];
        Statement { sid: "UseTheKey", actions, resources: vec![resource], condition }
    }
}

/// Documents that each keep to IAM's limit. A statement that does not fit goes on in the next one.
fn documents(statements: Vec<Statement>) -> Vec<Value> {
    let mut documents: Vec<Vec<Value>> = vec![Vec::new()];
    for Statement { sid, actions, resources, condition } in statements {
        let written = |resources: &[String]| {
            let mut fields = Map::from_iter([
                ("Sid".to_owned(), json!(sid)),
                ("Effect".to_owned(), json!("Allow")),
                ("Action".to_owned(), json!(actions)),
                ("Resource".to_owned(), json!(resources)),
            ]);
            fields.extend(condition.clone().map(|condition| ("Condition".to_owned(), condition)));
            Value::Object(fields)
        };
        let mut rest = resources.as_slice();
        while !rest.is_empty() {
            let used: usize = documents.last().map_or(0, |statements| size(&document(statements)));
            let frame = size(&written(&[])) + 1;
            let mut room = MAX_POLICY.saturating_sub(used + frame);
            let fits = rest.iter().take_while(|arn| {
                let takes = arn.len() + 3;
                let fits = takes <= room;
                room = room.saturating_sub(takes);
                fits
            });
            match fits.count() {
                0 => documents.push(Vec::new()),
                count => {
                    let (these, others) = rest.split_at(count);
                    if let Some(statements) = documents.last_mut() {
                        statements.push(written(these));
                    }
                    rest = others;
                }
            }
        }
    }
    documents.iter().filter(|statements| !statements.is_empty()).map(|all| document(all)).collect()
}

fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use less_model::config::{Source, Sourced};
    use less_model::elsewhere::Elsewhere;
    use less_model::manifest::DEFAULT_MAX_MESSAGE;
    use less_model::topology::{PlacedExternal, PlacedTopic};

    use super::*;

    fn topology(topics: usize, subscribers: usize) -> Topology {
        let subscriber = |topic: usize, n: usize| PlacedSubscriber {
            name: format!("s{n}").parse().unwrap(),
            queue: format!("shop-prod-topic{topic}-s{n}"),
            dead_letters: format!("shop-prod-topic{topic}-s{n}-dlq"),
            max_receives: 130,
            filter: None,
        };
        let topic = |n: usize| PlacedTopic {
            name: format!("topic{n}").parse().unwrap(),
            physical: format!("shop-prod-topic{n}"),
            ordered: false,
            max_message: DEFAULT_MAX_MESSAGE,
            archive: None,
            subscribers: (0..subscribers).map(|s| subscriber(n, s)).collect(),
        };
        let topics = (0..topics).map(topic).collect();
        Topology {
            app: "shop".parse().unwrap(),
            stage: "prod".parse().unwrap(),
            topics,
            external: Vec::new(),
        }
    }

    fn site() -> Site {
        Site { region: "eu-west-1".to_owned(), account: "111122223333".to_owned() }
    }

    fn resources(document: &Value) -> Vec<&str> {
        let statements = document["Statement"].as_array().unwrap().iter();
        statements.flat_map(|s| s["Resource"].as_array().unwrap()).map(|arn| arn.as_str().unwrap()).collect()
    }

    #[test]
    fn no_resource_is_everything_and_only_lists_are_of_all_names() {
        for role in Role::ALL {
            for document in policies(role, &topology(2, 2), &site(), Some("alias/shop")) {
                for statement in document["Statement"].as_array().unwrap() {
                    let lists = statement["Action"].as_array().unwrap().iter().all(|action| {
                        ["sns:ListTopics", "sqs:ListQueues"].contains(&action.as_str().unwrap())
                    });
                    for arn in statement["Resource"].as_array().unwrap() {
                        let arn: Vec<&str> = arn.as_str().unwrap().splitn(6, ':').collect();
                        assert_eq!(arn[3..5], ["eu-west-1", "111122223333"], "{role}: {arn:?}");
                        let of_the_app = arn[5].starts_with("shop-prod-") || arn[2] == "kms";
                        assert!(of_the_app || lists && arn[5] == "*", "{role}: {statement}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_runs_names_each_of_its_own() {
        for role in [Role::Publisher, Role::Worker] {
            let all = policies(role, &topology(2, 2), &site(), None);
            assert!(!all[0].to_string().contains('*'), "{role}");
        }
    }

    #[test]
    fn other_apps_topics_are_looked_at_and_subscribed_to_by_name() {
        let mut topology = topology(0, 0);
        let mut topic = self::topology(1, 1).topics.remove(0);
        topic.physical = "users-live-created".to_owned();
        let stage = Sourced { value: "live".parse().unwrap(), source: Source::File };
        let at = Elsewhere {
            stage,
            account: Some("444455556666".to_owned()),
            region: Some("us-east-1".to_owned()),
        };
        topology.external = vec![PlacedExternal { app: "users".parse().unwrap(), at, topic }];
        let all = policies(Role::Deployer, &topology, &site(), None);
        let theirs = "arn:aws:sns:us-east-1:444455556666:users-live-created";
        let of = |sid: &str| -> Vec<Value> {
            let mut statements = all.iter().flat_map(|all| all["Statement"].as_array().unwrap());
            let found = statements.find(|statement| statement["Sid"] == sid).unwrap();
            found["Resource"].as_array().unwrap().clone()
        };
        assert_eq!(of("LookAtOtherApps"), [theirs.to_owned(), format!("{theirs}.fifo")]);
        assert_eq!(of("SubscribeToOtherApps"), [format!("{theirs}:*"), theirs.to_owned()]);
        // Where the topic's account does not show them.
        assert_eq!(of("FindOwnSubscriptions"), ["arn:aws:sns:us-east-1:111122223333:*"]);
        // Its queues are this app's, and nobody here publishes to the topic.
        let worker = policies(Role::Worker, &topology, &site(), None);
        let queue = "arn:aws:sqs:eu-west-1:111122223333:shop-prod-topic0-s0";
        assert_eq!(resources(&worker[0]), [queue.to_owned(), format!("{queue}-dlq")]);
        assert!(policies(Role::Publisher, &topology, &site(), None).is_empty());

        let printed = external(&Desired::of(&topology, &site(), None));
        let printed = &printed["users:topic0"];
        let statement = &printed["topic_policy"]["Statement"][0];
        assert_eq!(statement["Principal"], json!({"AWS": "arn:aws:iam::111122223333:root"}));
        assert_eq!((&statement["Action"], &statement["Resource"]), (&json!("sns:Subscribe"), &json!(theirs)));
        let policy = &printed["queue_policies"]["shop-prod-topic0-s0"]["Statement"][0];
        assert_eq!(policy["Condition"]["ArnEquals"]["aws:SourceArn"], theirs);
    }

    #[test]
    fn a_policy_over_the_limit_becomes_several_that_allow_the_same() {
        let topology = topology(100, 3);
        let all = policies(Role::Worker, &topology, &site(), Some("1234"));
        assert!(all.len() > 1);
        assert!(all.iter().all(|document| size(document) <= MAX_POLICY));
        let mut found: Vec<&str> = all.iter().flat_map(resources).collect();
        found.sort_unstable();
        let app = App { topology: &topology, site: &site() };
        let mut wanted = [app.queues(|s| &s.queue), app.queues(|s| &s.dead_letters)].concat();
        wanted.push("arn:aws:kms:eu-west-1:111122223333:key/1234".to_owned());
        wanted.sort_unstable();
        assert_eq!(found, wanted);
    }

    #[test]
    fn nothing_is_allowed_where_there_is_nothing() {
        assert!(policies(Role::Worker, &topology(1, 0), &site(), None).is_empty());
        assert!(policies(Role::Publisher, &topology(0, 0), &site(), None).is_empty());
    }

    #[test]
    fn a_key_is_named_by_its_arn_and_an_alias_by_a_condition() {
        let statement = |key: &str| {
            let all = policies(Role::Publisher, &topology(1, 0), &site(), Some(key));
            all[0]["Statement"][1].clone()
        };
        let id = statement("1234");
        assert_eq!(id["Resource"], json!(["arn:aws:kms:eu-west-1:111122223333:key/1234"]));
        assert_eq!(id["Condition"], Value::Null);
        let arn = "arn:aws:kms:eu-west-1:999999999999:key/1234";
        assert_eq!(statement(arn)["Resource"], json!([arn]));
        for alias in ["alias/shop", "arn:aws:kms:eu-west-1:111122223333:alias/shop"] {
            let alias = statement(alias);
            assert_eq!(alias["Resource"], json!(["arn:aws:kms:eu-west-1:111122223333:key/*"]));
            let wanted = json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/shop"}});
            assert_eq!(alias["Condition"], wanted);
        }
    }
}
