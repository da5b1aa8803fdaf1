//! The running app: its topics, its transport, and the one way in for messages.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use less_model::manifest::{Manifest, TransportKind};
use less_model::name::{SubscriberName, TopicName};
use less_model::shape::{Misfit, Problem, Refusal, Shape};

use crate::clock::{Clock, millis};
use crate::limits::{Limits, Order};
use crate::message::{MessageId, StoredMessage};
use crate::publish::{Publish, PublishError, Receipt};
use crate::tail::Tails;
use crate::transport::{
    Few, Layout, NewMessage, SubscriptionIndex, SubscriptionSpec, TopicIndex, TopicSpec, Transport,
};

/// Longest ordering key and idempotency key, in bytes.
pub const MAX_KEY: usize = 128;
/// Most attributes of a message; SQS takes no more.
pub const MAX_ATTRIBUTES: usize = 10;
/// Longest delay.
pub const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Says whether a body fits a topic's message type.
pub type Check = fn(&[u8]) -> Result<(), PublishError>;

/// Says what is wrong with a stored body, where its topic's type has changed since.
pub(crate) type Fits = Arc<dyn Fn(&[u8]) -> Result<(), String> + Send + Sync>;

/// A topic, and what its messages have to fit.
struct Carried {
    index: TopicIndex,
    check: Check,
    limits: Limits,
    /// What the manifest says beyond the Rust type, with the type's name.
    shape: Option<Named>,
}

/// What a schema in the manifest means, or why it can't be read, with the type's name.
type Named = (String, Result<Shape, String>);

/// A running app.
pub struct App {
    manifest: Manifest,
    layout: Layout,
    topics: HashMap<String, Carried>,
    transport: Arc<dyn Transport>,
    clock: Clock,
    max_body: usize,
    tails: Tails,
}

impl App {
    /// An app on a transport. `checks` says for each topic of the manifest whether a body fits; a schema in the manifest takes its place.
    pub fn new(
        manifest: Manifest,
        checks: &HashMap<String, Check>,
        transport: Arc<dyn Transport>,
        clock: Clock,
        max_body: usize,
    ) -> Self {
        let layout = layout(&manifest);
        let on_aws = manifest.settings.transports().contains(&TransportKind::Aws);
        let topics = (0..)
            .zip(&manifest.topics)
            .map(|(index, topic)| {
                let name = topic.name.as_str();
                let check = checks.get(name).copied().unwrap_or(check::<crate::Value>);
                let limits = limits(topic, on_aws, max_body);
                (name.to_owned(), Carried { index: TopicIndex(index), check, limits, shape: shape(topic) })
            })
            .collect();
        Self { manifest, layout, topics, transport, clock, max_body, tails: Tails::default() }
    }

    /// What the app consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its topics and subscriptions, as its transport numbers them.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What stores and delivers its messages.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// Where it takes the time from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Largest message, in bytes.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Who watches its messages as they are accepted.
    pub(crate) fn tails(&self) -> &Tails {
        &self.tails
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Result<TopicIndex, PublishError> {
        self.find(name).map(|carried| carried.index)
    }

    /// What the manifest says of a topic, this app's own or another's.
    pub(crate) fn described(&self, topic: TopicIndex) -> Option<&less_model::manifest::Topic> {
        let external = self.manifest.external.iter().flat_map(|app| &app.topics);
        self.manifest.topics.iter().chain(external).nth(topic.0 as usize)
    }

    /// The topic that is called so ([`TopicSpec::address`]), this app's own or another's.
    fn addressed(&self, address: &str) -> Option<TopicIndex> {
        let found = self.layout.topics.iter().position(|topic| match address.split_once(':') {
            Some((app, name)) => {
                topic.name.as_str() == name && topic.app.as_ref().is_some_and(|found| found.as_str() == app)
            }
            None => topic.app.is_none() && topic.name.as_str() == address,
        })?;
        u32::try_from(found).ok().map(TopicIndex)
    }

    /// The subscription of this topic, by its address, and subscriber.
    pub fn subscription(&self, topic: &str, subscriber: &str) -> Option<SubscriptionIndex> {
        let topic = self.addressed(topic)?;
        (0..)
            .zip(&self.layout.subscriptions)
            .find(|(_, spec)| spec.topic == topic && spec.subscriber.as_str() == subscriber)
            .map(|(index, _)| SubscriptionIndex(index))
    }

    /// What says whether a stored body still fits a topic's type, where another program than that type's reads it; `None` where any JSON does.
    pub(crate) fn fits(&self, topic: &str) -> Option<Fits> {
        let found = self.described(self.addressed(topic)?)?;
        let fits =
            |check: Check| -> Fits { Arc::new(move |body| check(body).map_err(|error| problem(&error))) };
        let (shape, check) = match self.topics.get(topic) {
            Some(carried) => (carried.shape.clone(), carried.check),
            // Another app's topic accepts nothing here, and is only read; its type may be one that no schema of this app's could have.
            None => (read_shape(found, Shape::read_printed), check::<crate::Value> as Check),
        };
        match shape {
            Some((type_name, Ok(shape))) => Some(Arc::new(move |body| {
                check_shape(&shape, &type_name, body).map_err(|error| problem(&error))
            })),
            // Nothing is accepted there; what is stored is not judged.
            Some((_, Err(_))) => None,
            None => found.message_type.is_some().then(|| fits(check)),
        }
    }

    /// Publishes bodies that come from outside: each is checked against the topic's type first.
    pub async fn publish_checked(
        &self,
        topic: &str,
        messages: Few<(Bytes, Publish)>,
    ) -> Few<Result<Receipt, PublishError>> {
        self.accept(topic, messages, true).await
    }

    /// Publishes bodies that were made from the topic's own Rust type, which can't hold all that a schema says.
    pub(crate) async fn publish_typed(
        &self,
        topic: &str,
        messages: Few<(Bytes, Publish)>,
    ) -> Few<Result<Receipt, PublishError>> {
        self.accept(topic, messages, false).await
    }

    async fn accept(
        &self,
        topic: &str,
        messages: Few<(Bytes, Publish)>,
        check_body: bool,
    ) -> Few<Result<Receipt, PublishError>> {
        let carried = match self.find(topic) {
            Ok(found) => found,
            Err(error) => return messages.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut accepted = Few::with_capacity(messages.len());
        let mut refused = Vec::new();
        for (position, (body, options)) in messages.into_iter().enumerate() {
            let fits = carried.check(&body, check_body);
            match fits.and_then(|()| self.new_message(&carried.limits, body, options)) {
                Ok(message) => accepted.push(message),
                Err(error) => refused.push((position, error)),
            }
        }
        let mut results = if accepted.is_empty() {
            Few::new()
        } else {
            let watched = self.tails.watch(carried.index, &accepted);
            let results = self.transport.publish(carried.index, accepted).await;
            if let Some(watched) = watched {
                watched.show(&results);
            }
            results
        };
        for (position, error) in refused {
            results.insert(position.min(results.len()), Err(error));
        }
        results
    }

    fn find(&self, topic: &str) -> Result<&Carried, PublishError> {
        self.topics.get(topic).ok_or_else(|| PublishError::UnknownTopic {
            topic: topic.to_owned(),
            // Another app's topic is not near to one of this app's that is called alike.
            nearest: less_model::name::nearest(topic, self.topics.keys().map(String::as_str))
                .filter(|_| !topic.contains(':'))
                .map(str::to_owned),
        })
    }

    fn new_message(
        &self,
        limits: &Limits,
        body: Bytes,
        options: Publish,
    ) -> Result<NewMessage, PublishError> {
        limits.check(&body, &options)?;
        let now = self.clock.now();
        Ok(NewMessage {
            message: Arc::new(StoredMessage {
                id: MessageId::generate(),
                published_at: now,
                key: options.key,
                attributes: options.attributes,
                traceparent: options.traceparent,
                body,
            }),
            due: options.delay.filter(|delay| !delay.is_zero()).map(|delay| now + millis(delay)),
            idempotency_key: options.idempotency_key,
        })
    }
}

impl Carried {
    /// Whether a body fits; one that comes from the topic's Rust type is asked no more than that type can't promise.
    fn check(&self, body: &[u8], from_outside: bool) -> Result<(), PublishError> {
        match &self.shape {
            // What fits the schema fits the type that was made from it: the body is parsed once.
            Some((type_name, Ok(shape))) => check_shape(shape, type_name, body),
            Some((type_name, Err(problem))) => Err(PublishError::DoesNotFit {
                type_name: type_name.clone(),
                pointer: String::new(),
                message: format!("its schema can't be read: {problem}; build the app anew"),
            }),
            None if from_outside => (self.check)(body),
            None => Ok(()),
        }
    }
}

/// What is wrong, and where, without what the reason for a dead letter says already.
fn problem(error: &PublishError) -> String {
    match error {
        PublishError::DoesNotFit { pointer, message, .. } if pointer.is_empty() => message.clone(),
        PublishError::DoesNotFit { pointer, message, .. } => format!("`{pointer}`: {message}"),
        other => other.to_string(),
    }
}

fn check_shape(shape: &Shape, type_name: &str, body: &[u8]) -> Result<(), PublishError> {
    shape.check_text(body).map_err(|refusal| match refusal {
        Refusal::NotJson(error) => not_json(&error),
        Refusal::Misfit(Misfit { pointer, message }) => {
            PublishError::DoesNotFit { type_name: type_name.to_owned(), pointer, message }
        }
    })
}

fn shape(topic: &less_model::manifest::Topic) -> Option<Named> {
    read_shape(topic, Shape::read)
}

fn read_shape(
    topic: &less_model::manifest::Topic,
    read: fn(&serde_json::Value, &str) -> Result<Shape, Vec<Problem>>,
) -> Option<Named> {
    let type_name = topic.message_type.clone().unwrap_or_else(|| topic.name.type_name());
    let shape = read(topic.schema.as_ref()?, &type_name)
        .map_err(|problems| problems.first().map_or_else(String::new, |problem| problem.message.clone()));
    Some((type_name, shape))
}

fn limits(topic: &less_model::manifest::Topic, on_aws: bool, max_body: usize) -> Limits {
    let message = usize::try_from(topic.max_message.bytes()).unwrap_or(usize::MAX);
    let (size, setting) = if message <= max_body { (message, "max_message") } else { (max_body, "max_body") };
    let order = match (on_aws, topic.ordered) {
        (false, _) => Order::Free,
        (true, false) => Order::Undeclared,
        (true, true) => Order::Fifo,
    };
    Limits { topic: topic.name.to_string(), size, setting, order }
}

/// An app's topics and subscriptions, as transports number them.
pub fn layout(manifest: &Manifest) -> Layout {
    let mut layout = Layout::default();
    let own = manifest.topics.iter().map(|topic| (None, topic));
    let external = manifest.external.iter();
    let external = external.flat_map(|app| app.topics.iter().map(|topic| (Some(&app.app), topic)));
    for (index, (app, topic)) in (0..).zip(own.chain(external)) {
        layout.topics.push(TopicSpec {
            app: app.cloned(),
            name: TopicName::clone(&topic.name),
            retention: topic.retention,
            ordered: topic.ordered,
        });
        layout.subscriptions.extend(topic.subscribers.iter().map(|subscriber| SubscriptionSpec {
            topic: TopicIndex(index),
            subscriber: SubscriberName::clone(&subscriber.name),
            policy: subscriber.policy,
            filter: subscriber.filter.clone(),
        }));
    }
    layout
}

/// The [`Check`] of a message type.
pub(crate) fn check<M: crate::Message>(body: &[u8]) -> Result<(), PublishError> {
    // Asked here: what a type skips over is not looked at that closely.
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(&body[..error.valid_up_to()]))?;
    // Where something is wrong is looked for only if something is: to keep the path at hand costs a good deal.
    if serde_json::from_str::<M>(text).is_ok() {
        return Ok(());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, M>(&mut reader) {
        Ok(_) => reader.end().map_err(|error| not_json(&error)),
        Err(error) => Err(refusal(&error, body, M::NAME)),
    }
}

fn refusal(
    error: &serde_path_to_error::Error<serde_json::Error>,
    body: &[u8],
    type_name: Option<&'static str>,
) -> PublishError {
    // A type may stop reading before the text goes wrong: whether it is JSON at all is asked first.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        return not_json(&error);
    }
    // Any JSON fits there: a number beyond all bounds, or half of a surrogate pair, is none that anybody could read.
    let Some(type_name) = type_name else { return not_json(error.inner()) };
    PublishError::DoesNotFit {
        type_name: type_name.to_owned(),
        pointer: pointer(error.path()),
        message: without_place(error.inner()),
    }
}

fn not_json(error: &serde_json::Error) -> PublishError {
    let message = match without_place(error) {
        deep if deep.starts_with("recursion limit") => "it is nested deeper than 127 levels".to_owned(),
        message => message,
    };
    PublishError::NotJson { message, line: error.line(), column: error.column() }
}

/// A body that is UTF-8 no further than this.
fn not_utf8(sound: &[u8]) -> PublishError {
    let lines = sound.split(|byte| *byte == b'\n');
    let column = lines.clone().next_back().map_or(1, |line| line.len() + 1);
    PublishError::NotJson { message: "invalid UTF-8".to_owned(), line: lines.count(), column }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => out.extend(["/", &index.to_string()]),
            Segment::Map { key } => {
                out.push('/');
                out.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    out
}

static APP: OnceLock<Arc<App>> = OnceLock::new();

/// Makes this the process's app. The first one stays.
pub(crate) fn install(app: Arc<App>) {
    // A second app in one process happens in tests only, and those pass their app by hand.
    let _ = APP.set(app);
}

/// Publishes through a test's recorder, else the process's own app, else the running app of another process.
pub(crate) async fn publish_raw(
    app: &str,
    topic: &str,
    messages: Few<(Bytes, Publish)>,
) -> Few<Result<Receipt, PublishError>> {
    if let Some(results) = crate::testing::record(topic, &messages) {
        return results;
    }
    match APP.get() {
        Some(own) => own.publish_typed(topic, messages).await,
        None => crate::client::publish(app, topic, messages.into_vec()).await.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn carried(schema: &serde_json::Value) -> Carried {
        let shape = Shape::read(schema, "Order").map_err(|problems| problems[0].message.clone());
        Carried {
            index: TopicIndex(0),
            check: check::<crate::Value>,
            limits: Limits {
                topic: "orders".to_owned(),
                size: 1024,
                setting: "max_message",
                order: Order::Free,
            },
            shape: Some(("Order".to_owned(), shape)),
        }
    }

    #[test]
    fn a_schema_is_asked_wherever_a_message_comes_from() {
        let topic = carried(&json!({
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 2}},
            "additionalProperties": false,
        }));
        let misfit = |pointer: &str, message: &str| {
            Err(PublishError::DoesNotFit {
                type_name: "Order".to_owned(),
                pointer: pointer.to_owned(),
                message: message.to_owned(),
            })
        };
        for from_outside in [true, false] {
            let check = |body: &str| topic.check(body.as_bytes(), from_outside);
            assert_eq!(check(r#"{"name": "Ada"}"#), Ok(()));
            assert_eq!(check(r#"{"name": "A"}"#), misfit("/name", "expected at least 2 characters, found 1"));
            assert_eq!(
                check(r#"{"nmae": 1}"#),
                misfit("/nmae", "unknown field `nmae`, did you mean `name`?")
            );
            assert_eq!(
                check("{\n \"name\": }"),
                Err(PublishError::NotJson { message: "expected value".to_owned(), line: 2, column: 10 })
            );
        }
    }

    #[test]
    fn a_schema_that_nobody_can_read_lets_nothing_pass() {
        let topic = carried(&json!({"type": "strng"}));
        let error = topic.check(b"{}", true).unwrap_err().to_string();
        let expected = "the message does not fit `Order`: its schema can't be read: there is no type `strng`; build the app anew";
        assert_eq!(error, expected);
    }
}
