//! What the environment says was deployed, as `less env` prints it: then neither the account nor a queue has to be asked for.

use std::collections::BTreeMap;

use less_model::elsewhere::{is_account, is_region};

use super::Site;

/// Topics' ARNs, and queues' URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    topics: BTreeMap<String, String>,
    queues: BTreeMap<String, String>,
}

impl Known {
    /// Reads `LESS_TOPIC_ARNS` (`{"<topic>": "<arn>"}`) and `LESS_QUEUE_URLS` (`{"<topic>/<subscriber>": "<url>"}`, of another app's topic
    /// `"<app>:<topic>/<subscriber>"`); `None` where neither is set.
    pub fn from_env(env: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let read = |name: &str| match env(name).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                serde_json::from_str::<BTreeMap<String, String>>(&text).map(Some).map_err(|error| {
                    format!("{name} is no JSON object of texts: {error}\nhint: `less env` prints it")
                })
            }
        };
        let (topics, queues) = (read("LESS_TOPIC_ARNS")?, read("LESS_QUEUE_URLS")?);
        if topics.is_none() && queues.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { topics: topics.unwrap_or_default(), queues: queues.unwrap_or_default() }))
    }

    /// Region and account, which every ARN names, and the URLs that SQS gives.
    pub(super) fn site(&self) -> Option<Site> {
        match self.topics.values().next() {
            Some(arn) => Site::of_arn(arn),
            None => self.queues.values().next().and_then(|url| site_of_url(url)),
        }
    }

    /// A topic's ARN.
    pub(super) fn topic(&self, topic: &str) -> Option<&str> {
        self.topics.get(topic).map(String::as_str)
    }

    /// The URL of a subscriber's queue.
    pub(super) fn queue(&self, topic: &str, subscriber: &str) -> Option<&str> {
        self.queues.get(&format!("{topic}/{subscriber}")).map(String::as_str)
    }
}

/// `https://sqs.<region>.<suffix>/<account>/<name>`.
fn site_of_url(url: &str) -> Option<Site> {
    let (host, path) = url.strip_prefix("https://sqs.")?.split_once('/')?;
    let (region, account) = (host.split('.').next()?, path.split('/').next()?);
    let sound = is_region(region) && is_account(account);
    sound.then(|| Site { region: region.to_owned(), account: account.to_owned() })
}

/// The URL of another queue of the same account and region.
pub(super) fn beside(url: &str, name: &str) -> String {
    url.rsplit_once('/').map_or_else(|| name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_what_was_deployed() {
        let env = |name: &str| match name {
            "LESS_TOPIC_ARNS" => {
                Some(r#"{"a": "arn:aws:sns:eu-west-1:123456789012:shop-prod-a"}"#.to_owned())
            }
            "LESS_QUEUE_URLS" => {
                Some(r#"{"a/b": "https://sqs.eu-west-1.amazonaws.com/123456789012/q"}"#.to_owned())
            }
            _ => None,
        };
        let known = Known::from_env(env).unwrap().unwrap();
        let site = Site { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
        assert_eq!(known.site().as_ref(), Some(&site));
        // An app that only subscribes to others' topics has none of its own.
        let queues = Known { topics: BTreeMap::new(), ..known.clone() };
        assert_eq!(queues.site(), Some(site));
        let here = [("a/b".to_owned(), "http://127.0.0.1:4566/123456789012/q".to_owned())].into();
        assert_eq!(Known { topics: BTreeMap::new(), queues: here }.site(), None);
        assert_eq!(known.topic("a"), Some("arn:aws:sns:eu-west-1:123456789012:shop-prod-a"));
        let url = known.queue("a", "b").unwrap();
        assert_eq!(beside(url, "q-dlq"), "https://sqs.eu-west-1.amazonaws.com/123456789012/q-dlq");
        assert_eq!(Known::from_env(|_| None), Ok(None));
        let error = Known::from_env(|_| Some("[]".to_owned())).unwrap_err();
        assert!(error.starts_with("LESS_TOPIC_ARNS is no JSON object of texts"), "{error}");
    }
}
