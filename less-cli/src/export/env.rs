//! The variables that a process of a stage needs, and what programs of other makes want to know about it.

use std::collections::BTreeMap;

use less_model::topology::Topology;
use less_runtime::transport::aws::{Site, partition};
use serde_json::json;

/// Names and values, in the order in which they are shown.
pub fn variables(topology: &Topology, site: &Site) -> Vec<(&'static str, String)> {
    let topics: BTreeMap<&str, String> =
        topology.topics.iter().map(|topic| (topic.name.as_str(), site.topic_arn(&topic.physical))).collect();
    let queues = topology.subscribers().map(|(address, _, subscriber)| {
        (format!("{address}/{}", subscriber.name), queue_url(site, &subscriber.queue))
    });
    let queues: BTreeMap<String, String> = queues.collect();
    vec![
        ("LESS_STAGE", topology.stage.to_string()),
        ("AWS_REGION", site.region.clone()),
        ("LESS_TOPIC_ARNS", json!(topics).to_string()),
        ("LESS_QUEUE_URLS", json!(queues).to_string()),
    ]
}

/// A queue's URL, in the form that SQS gives it.
pub fn queue_url(site: &Site, queue: &str) -> String {
    format!("https://sqs.{}.{}/{}/{queue}", site.region, dns_suffix(&site.region), site.account)
}

fn dns_suffix(region: &str) -> &'static str {
    match partition(region) {
        "aws-cn" => "amazonaws.com.cn",
        "aws-eusc" => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// A line that a POSIX shell reads.
pub fn shell_line(name: &str, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return format!("export {name}={value}");
    }
    format!("export {name}='{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_where_their_partition_has_them() {
        let url = |region: &str| {
            queue_url(&Site { region: region.to_owned(), account: "111122223333".to_owned() }, "q")
        };
        assert_eq!(url("eu-west-1"), "https://sqs.eu-west-1.amazonaws.com/111122223333/q");
        assert_eq!(url("cn-north-1"), "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q");
        assert_eq!(url("us-gov-west-1"), "https://sqs.us-gov-west-1.amazonaws.com/111122223333/q");
        assert_eq!(url("eusc-de-east-1"), "https://sqs.eusc-de-east-1.amazonaws.eu/111122223333/q");
    }

    #[test]
    fn a_shell_reads_what_was_meant() {
        for value in ["prod", "", "it's $HOME `x`", "{\"a\": \"b\\\\\"}", "a\nb"] {
            let script = format!("{}; printf %s \"$X\"", shell_line("X", value));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value, "{script}");
        }
    }
}
