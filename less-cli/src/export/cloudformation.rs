//! What a stage needs on AWS as a CloudFormation template, for teams that deploy through their own pipeline.
//!
//! It holds for any account and region: those are CloudFormation's to fill in.

use std::collections::HashMap;

use less_runtime::transport::aws::Site;
use less_runtime::transport::aws::provision::{
    Attributes, Desired, DesiredQueue, DesiredSubscriber, Source, Tags, Value as Attribute,
};
use serde_json::{Map, Value, json};

/// Most resources of a stack.
pub const MAX_RESOURCES: usize = 500;
/// Largest template that goes with the call itself, in bytes; a larger one goes by way of S3.
pub const MAX_INLINE: usize = 51_200;
/// Largest template, in bytes.
pub const MAX_TEMPLATE: usize = 1_000_000;

/// What stands for the partition in an ARN as it is computed here.
const PARTITION: &str = "arn:aws:";

/// Where a template's resources are: what CloudFormation fills in.
pub fn anywhere() -> Site {
    Site { region: "${AWS::Region}".to_owned(), account: "${AWS::AccountId}".to_owned() }
}

/// The template of what is needed [`anywhere`].
pub fn template(desired: &Desired) -> Value {
    let mut template = Template::default();
    for topic in &desired.topics {
        template.ids.insert(topic.arn.clone(), reference(&id(&[topic.topic.as_str(), "topic"])));
    }
    // Another app's topic is in no template of this one.
    for other in &desired.external {
        template.ids.insert(other.arn.clone(), substituted(&other.arn));
    }
    for (source, subscriber) in desired.subscribers() {
        let name = subscriber.subscriber.as_str();
        for (queue, kind) in [(&subscriber.queue, "queue"), (&subscriber.dead_letters, "dead_letters")] {
            let arn = json!({"Fn::GetAtt": [id(&[&source.address(), name, kind]), "Arn"]});
            template.ids.insert(queue.arn.clone(), arn);
        }
    }
    for (source, archive) in desired.archives() {
        let arn = json!({"Fn::GetAtt": [id(&[&source.address(), "archive"]), "Arn"]});
        template.ids.insert(archive.queue.arn.clone(), arn);
    }
    for topic in &desired.topics {
        let name = topic.topic.as_str();
        let topic_id = id(&[name, "topic"]);
        let mut properties = template.properties(&topic.attributes);
        properties.insert("TopicName".to_owned(), json!(topic.name));
        properties.insert("Tags".to_owned(), tags(&topic.tags));
        template.add(&topic_id, "AWS::SNS::Topic", properties, &[]);
        let document = template.document(&topic.attributes, "Policy");
        let policy = [("Topics", json!([reference(&topic_id)])), ("PolicyDocument", document)];
        template.add(&id(&[name, "topic_policy"]), "AWS::SNS::TopicPolicy", object(policy), &[]);
    }
    for (source, subscriber) in desired.subscribers() {
        template.subscriber(desired, source, subscriber);
    }
    for (source, archive) in desired.archives() {
        let address = source.address();
        let part = |kind| id(&[&address, kind]);
        template.queue(&part("archive"), &part("archive_policy"), &archive.queue);
        let properties = template.subscription(source, &archive.queue, &archive.subscription);
        let after = [part("archive_policy")];
        template.add(&part("archive_subscription"), "AWS::SNS::Subscription", properties, &after);
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("Topics and queues of the app {}, stage {}. Made by `less export cloudformation`.", desired.app, desired.stage),
        "Resources": template.resources,
    })
}

#[derive(Default)]
struct Template {
    /// What refers to a resource of this template, by its ARN.
    ids: HashMap<String, Value>,
    resources: Map<String, Value>,
}

impl Template {
    fn add(&mut self, id: &str, kind: &str, properties: Map<String, Value>, after: &[String]) {
        let mut resource = json!({"Type": kind, "Properties": Value::Object(properties)});
        if !after.is_empty() {
            resource["DependsOn"] = json!(after);
        }
        self.resources.insert(id.to_owned(), resource);
    }

    /// A subscriber's two queues and its subscription.
    fn subscriber(&mut self, desired: &Desired, source: Source<'_>, subscriber: &DesiredSubscriber) {
        let address = source.address();
        let part = |kind| id(&[&address, subscriber.subscriber.as_str(), kind]);
        self.queue(&part("dead_letters"), &part("dead_letters_policy"), &subscriber.dead_letters);
        self.queue(&part("queue"), &part("queue_policy"), &subscriber.queue);
        let mut properties = self.subscription(source, &subscriber.queue, &subscriber.subscription);
        match source {
            Source::External(other) if other.site.region != desired.site.region => {
                properties.insert("Region".to_owned(), json!(other.site.region));
            }
            Source::Own(_) | Source::External(_) => {}
        }
        // Before there are policies, SNS could put nothing into the queues.
        let after = [part("queue_policy"), part("dead_letters_policy")];
        self.add(&part("subscription"), "AWS::SNS::Subscription", properties, &after);
    }

    /// The properties of what leads from a topic to a queue.
    fn subscription(
        &self,
        source: Source<'_>,
        queue: &DesiredQueue,
        attributes: &Attributes,
    ) -> Map<String, Value> {
        let mut properties = self.properties(attributes);
        if !properties.contains_key("FilterPolicy") {
            properties.remove("FilterPolicyScope");
        }
        properties.extend(object([
            ("TopicArn", self.ids[source.arn()].clone()),
            ("Protocol", json!("sqs")),
            ("Endpoint", self.ids[&queue.arn].clone()),
        ]));
        properties
    }

    /// A queue and its policy. A queue outlives the stack: there may be messages in it.
    fn queue(&mut self, id: &str, policy_id: &str, queue: &DesiredQueue) {
        let mut properties = self.properties(&queue.attributes);
        // A queue and its dead letters name each other; one of the two does so without a reference, or neither could be made first.
        if let Some(Attribute::Json(allow)) = queue.attributes.get("RedriveAllowPolicy") {
            properties.insert("RedriveAllowPolicy".to_owned(), filled(allow, &|arn| Some(substituted(arn))));
        }
        properties.insert("QueueName".to_owned(), json!(queue.name));
        properties.insert("Tags".to_owned(), tags(&queue.tags));
        self.add(id, "AWS::SQS::Queue", properties, &[]);
        self.resources[id]["DeletionPolicy"] = json!("Retain");
        self.resources[id]["UpdateReplacePolicy"] = json!("Retain");
        let document = self.document(&queue.attributes, "Policy");
        let policy = [("Queues", json!([reference(id)])), ("PolicyDocument", document)];
        self.add(policy_id, "AWS::SQS::QueuePolicy", object(policy), &[]);
    }

    /// Attributes as properties: CloudFormation calls them the same, but has numbers and truth values, and policies are resources of their own.
    fn properties(&self, attributes: &Attributes) -> Map<String, Value> {
        let set = attributes.iter().filter(|(name, value)| **name != "Policy" && !value.is_unset());
        let shown = set.map(|(name, value)| {
            let value = match value {
                Attribute::Text(text) => typed(text),
                Attribute::Json(json) => self.referring(json),
            };
            ((*name).to_owned(), value)
        });
        shown.collect()
    }

    fn document(&self, attributes: &Attributes, name: &str) -> Value {
        match attributes.get(name) {
            Some(Attribute::Json(json)) => filled(json, &|text| {
                // What is named beside this template's own resources, such as accounts, is in its partition.
                let named = || text.strip_prefix(PARTITION).map(in_partition);
                self.ids.get(text).cloned().or_else(named)
            }),
            Some(Attribute::Text(_)) | None => Value::Null,
        }
    }

    /// A document with references instead of ARNs.
    fn referring(&self, document: &Value) -> Value {
        filled(document, &|text| self.ids.get(text).cloned())
    }
}

/// A document whose texts are replaced where there is something to replace them by.
fn filled(document: &Value, replace: &dyn Fn(&str) -> Option<Value>) -> Value {
    match document {
        Value::String(text) => replace(text).unwrap_or_else(|| document.clone()),
        Value::Array(items) => items.iter().map(|item| filled(item, replace)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), filled(value, replace))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => document.clone(),
    }
}

/// An ARN that CloudFormation completes; any other text as it is.
fn substituted(text: &str) -> Value {
    match text.strip_prefix(PARTITION) {
        // Where all of it is known already, there is nothing to fill in.
        _ if !text.contains("${") => json!(text),
        Some(rest) => in_partition(rest),
        None => json!({"Fn::Sub": text}),
    }
}

fn in_partition(rest: &str) -> Value {
    json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:{rest}")})
}

fn typed(text: &str) -> Value {
    match (text, text.parse::<u64>()) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Ok(number)) => json!(number),
        (_, Err(_)) => json!(text),
    }
}

fn tags(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn reference(id: &str) -> Value {
    json!({"Ref": id})
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A resource's id in the template, of the names that it stands for: letters and digits alone, which many names share, and so a hash of them. It
/// must stay the same for ever: CloudFormation takes another id for another resource.
fn id(parts: &[&str]) -> String {
    let words = parts.iter().flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric()));
    let camel = words.map(|word| {
        let mut letters = word.chars();
        letters
            .next()
            .map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
    });
    let hash = parts
        .join("/")
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // Ids have at most 255 characters; names have 63.
    format!("{}{hash:08X}", camel.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_letters_and_digits_and_stay_apart() {
        assert_eq!(id(&["user_created", "send_email", "queue"]), "UserCreatedSendEmailQueue32381C07");
        let names: [&[&str]; 5] = [&["a_b", "c"], &["a", "b_c"], &["aB", "c"], &["a__b", "c"], &["a_b_c"]];
        let ids: HashSet<String> = names.iter().map(|parts| id(parts)).collect();
        assert_eq!(ids.len(), names.len(), "{ids:?}");
        assert!(ids.iter().all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }

    #[test]
    fn attributes_have_the_types_of_properties() {
        assert_eq!(typed("60"), json!(60));
        assert_eq!(typed("false"), json!(false));
        assert_eq!(typed("perMessageGroupId"), json!("perMessageGroupId"));
        assert_eq!(typed("alias/shop"), json!("alias/shop"));
    }
}
