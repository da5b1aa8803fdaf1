//! Subscriptions that an app stores and that its folder does not have.

use less_model::filter::Filter;
use less_model::manifest::Start;
use less_model::name::{AppName, SubscriberName, TopicName};

use super::SubscriptionIndex;

/// A subscription that is stored and that the layout does not have: another app's, or one whose folder is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its number in this process, [`SubscriptionIndex::GUESTS`] or more; for everything that takes one.
    pub index: SubscriptionIndex,
    /// Its topic.
    pub topic: TopicName,
    /// The app that subscribes; `None` for this app itself, whose subscriber has no folder any more.
    pub app: Option<AppName>,
    /// The subscriber.
    pub subscriber: SubscriberName,
    /// Which of the topic's messages it gets.
    pub filter: Option<Filter>,
}

impl Guest {
    /// What the subscriber is called beside the app's own ones: `shop:send_mail` for that of `shop`.
    pub fn address(&self) -> String {
        match &self.app {
            Some(app) => format!("{app}:{}", self.subscriber),
            None => self.subscriber.to_string(),
        }
    }
}

impl SubscriptionIndex {
    /// The first number of a subscription that the layout does not have.
    pub const GUESTS: u32 = 1 << 31;
}

/// What another app asks for.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// The app that subscribes.
    pub app: AppName,
    /// Its subscriber.
    pub subscriber: SubscriberName,
    /// Where it begins if it is new.
    pub start: Start,
    /// Which of the topic's messages it gets from now on.
    pub filter: Option<Filter>,
}
