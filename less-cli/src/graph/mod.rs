//! Apps, their topics, and who subscribes to them: from folders and from what running apps say, to text and pictures. Pure.

mod dot;
mod mermaid;
mod svg;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use less_model::language::Language;
use less_model::name::{AppName, SubscriberName, TopicName};
use less_model::tree;
use less_runtime::client::Status;

pub(crate) use self::dot::dot;
pub(crate) use self::mermaid::mermaid;
pub(crate) use self::svg::svg;
pub(crate) use self::text::text;

/// Apps by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Graph {
    apps: BTreeMap<AppName, App>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct App {
    /// Whether its folder was read or it was asked itself; of any other app there is only what others say.
    known: bool,
    topics: BTreeMap<TopicName, Topic>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Topic {
    /// The name of its message type.
    message: Option<String>,
    /// Who subscribes, with the language where that is known.
    subscribers: BTreeMap<(AppName, SubscriberName), Option<Language>>,
}

/// A topic with its place in the order of the picture.
#[derive(Debug, Clone, Copy)]
struct TopicNode<'a> {
    app: &'a AppName,
    name: &'a TopicName,
    message: Option<&'a str>,
}

/// A subscriber, likewise.
#[derive(Debug, Clone, Copy)]
struct SubscriberNode<'a> {
    app: &'a AppName,
    name: &'a SubscriberName,
    language: Option<Language>,
    /// Its topic's place.
    topic: usize,
    /// Whether the topic is another app's.
    foreign: bool,
}

impl Graph {
    /// Adds what an app's folder shows.
    pub(crate) fn add_folder(&mut self, app: &tree::App) {
        self.app(&app.name).known = true;
        for topic in &app.topics {
            self.add_topic(&app.name, &app.name, topic);
        }
        for other in &app.external {
            self.app(&other.name);
            for topic in &other.topics {
                self.add_topic(&other.name, &app.name, topic);
            }
        }
    }

    fn add_topic(&mut self, owner: &AppName, subscriber: &AppName, topic: &tree::Topic) {
        let message = topic.message.type_name();
        let node = self.app(owner).topics.entry(topic.name.clone()).or_default();
        // Its own app knows best what its messages are.
        if node.message.is_none() || owner == subscriber {
            node.message = message.map(str::to_owned);
        }
        for found in &topic.subscribers {
            let who = (subscriber.clone(), found.name.clone());
            node.subscribers.insert(who, Some(found.language));
        }
    }

    /// Adds what a running app says. What is no name in it is passed over: it may be another version of Less.
    pub(crate) fn add_status(&mut self, status: &Status) {
        let Ok(app) = status.app.parse::<AppName>() else { return };
        self.app(&app).known = true;
        for row in &status.subscribers {
            let address = address(&row.topic, &app).zip(address(&row.subscriber, &app));
            let Some(((owner, topic), (subscriber, name))) = address else { continue };
            self.app(&subscriber);
            let node = self.app(&owner).topics.entry(topic).or_default();
            node.subscribers.entry((subscriber, name)).or_default();
        }
    }

    /// Which apps subscribe to this topic of `app` from elsewhere, with their subscribers.
    pub(crate) fn subscribed_by<'a>(
        &'a self,
        app: &'a AppName,
        topic: &TopicName,
    ) -> impl Iterator<Item = (&'a AppName, &'a SubscriberName)> {
        let topic = self.apps.get(app).and_then(|found| found.topics.get(topic));
        let all = topic.into_iter().flat_map(|topic| topic.subscribers.keys());
        all.filter(move |(other, _)| other != app).map(|(app, name)| (app, name))
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    fn app(&mut self, name: &AppName) -> &mut App {
        self.apps.entry(name.clone()).or_default()
    }

    /// Every topic, by app and name; and every subscriber, in the order of the topics, a topic's own app's first.
    fn nodes(&self) -> (Vec<TopicNode<'_>>, Vec<SubscriberNode<'_>>) {
        let (mut topics, mut subscribers) = (Vec::new(), Vec::new());
        for (owner, app) in &self.apps {
            for (name, topic) in &app.topics {
                let mut here: Vec<SubscriberNode> = topic
                    .subscribers
                    .iter()
                    .map(|((app, name), language)| SubscriberNode {
                        app,
                        name,
                        language: *language,
                        topic: topics.len(),
                        foreign: app != owner,
                    })
                    .collect();
                here.sort_by_key(|node| (node.foreign, node.app, node.name));
                subscribers.extend(here);
                topics.push(TopicNode { app: owner, name, message: topic.message.as_deref() });
            }
        }
        (topics, subscribers)
    }
}

/// `shop:user_created`, or `user_created` of the app itself.
fn address<T: std::str::FromStr>(text: &str, app: &AppName) -> Option<(AppName, T)> {
    let (app, name) = match text.split_once(':') {
        Some((other, name)) => (other.parse().ok()?, name),
        None => (app.clone(), text),
    };
    Some((app, name.parse().ok()?))
}
