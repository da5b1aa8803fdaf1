//! An app as its folder shows it: what scanning yields and rendering reads. All paths are relative to the app's folder, with `/`.

use crate::contract::Contract;
use crate::filter::Filter;
use crate::language::Language;
use crate::manifest::{Manifest, Policy, Settings};
use crate::name::{AppName, SubscriberName, TopicName};
use crate::quantity::{Size, Span};
use crate::shape::{Kind, Shape};

/// An app. Topics are sorted by name, and so are each topic's subscribers.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    /// Its name: `name` in `less.toml`, else the Cargo package's, else the folder's.
    pub name: AppName,
    /// What `less.toml` says.
    pub settings: Settings,
    /// The user's own Rust package, where the app's folder holds a `Cargo.toml`.
    pub package: Option<Package>,
    /// Every topic.
    pub topics: Vec<Topic>,
    /// Other apps whose topics it subscribes to, sorted by name.
    pub external: Vec<ExternalApp>,
}

/// Another app, as `less/external_topics/<app>` shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalApp {
    /// Its name.
    pub name: AppName,
    /// The folder.
    pub folder: String,
    /// What its `contract.json` says, where there is one.
    pub contract: Option<Contract>,
    /// The topics with subscribers of this app, sorted by name. A type comes from the contract; without that they carry any JSON.
    pub topics: Vec<Topic>,
}

/// The user's own Rust package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// Its name, `package.name`.
    pub name: String,
    /// The name by which Rust code calls its library, where it has one (`src/lib.rs` or `[lib]`).
    pub library: Option<String>,
    /// Whether the manifest has a `[workspace]` table whose members hold `.less/app`.
    pub workspace: Workspace,
    /// Its `[dependencies]`, except the one on the generated crate `less`.
    pub dependencies: toml::Table,
    /// `package.edition`, or 2024 where it says none or inherits it.
    pub edition: String,
}

/// How the user's manifest relates to the generated packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workspace {
    /// It is a workspace root, and `.less/app` is among its members.
    Member,
    /// It is no workspace root: the generated packages are a workspace of their own, with their own lock file.
    Separate,
}

/// A topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its id.
    pub name: TopicName,
    /// Its folder.
    pub folder: String,
    /// Its message type.
    pub message: MessageSource,
    /// How long messages are kept.
    pub retention: Span,
    /// Whether messages with the same key are handled in publish order on every transport.
    pub ordered: bool,
    /// Largest message with its attributes.
    pub max_message: Size,
    /// Its subscribers.
    pub subscribers: Vec<Subscriber>,
}

/// Where a topic's message type comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageSource {
    /// Any JSON.
    Any,
    /// A `message.rs`.
    Rust {
        /// The file.
        file: String,
        /// The type's name.
        type_name: String,
        /// First segments of the paths that the file uses, such as `chrono`: which dependencies the generated crate needs for it. Sorted.
        roots: Vec<String>,
        /// What its messages look like as JSON, as far as the file shows.
        shape: Shape,
    },
    /// A `message.schema.json`, or another app's contract.
    Schema {
        /// The file.
        file: String,
        /// The name that its type has in every language.
        type_name: String,
        /// What fits.
        shape: Shape,
    },
}

impl MessageSource {
    /// The type's name, where it has one.
    pub fn type_name(&self) -> Option<&str> {
        match self {
            Self::Any => None,
            Self::Rust { type_name, .. } | Self::Schema { type_name, .. } => Some(type_name),
        }
    }

    /// What messages look like, where that is known.
    pub fn shape(&self) -> Option<&Shape> {
        match self {
            Self::Any => None,
            Self::Rust { shape, .. } | Self::Schema { shape, .. } => Some(shape),
        }
    }
}

/// A subscriber.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// Its name.
    pub name: SubscriberName,
    /// Its folder.
    pub folder: String,
    /// Its handler's file.
    pub file: String,
    /// What it is written in.
    pub language: Language,
    /// Whether `process` takes a context as second argument.
    pub takes_context: bool,
    /// How its messages are handled.
    pub policy: Policy,
    /// Which of the topic's messages it gets.
    pub filter: Option<Filter>,
}

impl App {
    /// Every topic with subscribers of this app: its own ones, and other apps'.
    pub fn all_topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.iter().chain(self.external.iter().flat_map(|app| &app.topics))
    }

    /// Likewise, each with what it is called beside all others: `user_created`, and `shop:user_created` for that of `shop`.
    pub fn addressed(&self) -> impl Iterator<Item = (String, &Topic)> {
        let own = self.topics.iter().map(|topic| (topic.name.to_string(), topic));
        let external = self.external.iter().flat_map(|app| {
            app.topics.iter().map(move |topic| (format!("{}:{}", app.name, topic.name), topic))
        });
        own.chain(external)
    }

    /// The languages of its subscribers, each once.
    pub fn languages(&self) -> impl Iterator<Item = Language> {
        Language::ALL.into_iter().filter(|language| {
            self.all_topics().flat_map(|topic| &topic.subscribers).any(|found| found.language == *language)
        })
    }

    /// Whether there is anything to compile: a handler or a message type in Rust, or a package of the user's own.
    pub fn needs_rust(&self) -> bool {
        self.rust_files().next().is_some()
    }

    /// The files that ask for a compiler.
    pub fn rust_files(&self) -> impl Iterator<Item = &str> {
        let messages = self.topics.iter().filter_map(|topic| match &topic.message {
            MessageSource::Rust { file, .. } => Some(file.as_str()),
            MessageSource::Any | MessageSource::Schema { .. } => None,
        });
        let handlers = self.all_topics().flat_map(|topic| &topic.subscribers);
        let handlers = handlers.filter(|handler| handler.language == Language::Rust);
        let package = self.package.is_some().then_some("Cargo.toml");
        package.into_iter().chain(messages).chain(handlers.map(|handler| handler.file.as_str()))
    }

    /// What the built program carries with it.
    pub fn manifest(&self) -> Manifest {
        Manifest {
            version: crate::manifest::VERSION,
            app: self.name.clone(),
            settings: self.settings.clone(),
            workers: self.languages().filter_map(|language| Some((language, language.worker()?))).collect(),
            topics: self.topics.iter().map(Topic::manifest).collect(),
            contract: Some(self.contract()),
            external: self
                .publishers()
                .map(|app| crate::manifest::ExternalApp {
                    app: app.name.clone(),
                    topics: app.topics.iter().map(Topic::received).collect(),
                })
                .collect(),
        }
    }

    /// The other apps that it subscribes to a topic of.
    pub fn publishers(&self) -> impl Iterator<Item = &ExternalApp> {
        self.external.iter().filter(|app| !app.topics.is_empty())
    }

    /// What it promises to others about its topics.
    pub fn contract(&self) -> Contract {
        Contract {
            less_contract: crate::contract::VERSION,
            app: self.name.clone(),
            topics: self.topics.iter().map(Topic::promise).collect(),
        }
    }
}

impl Topic {
    /// What others may rely on.
    fn promise(&self) -> crate::contract::Topic {
        // Where a `message.rs` shows nothing, or what no schema says, nothing is promised.
        let known = self.message.shape().filter(|shape| shape.root().node.kind != Kind::Any);
        let schema = known.map(Shape::to_schema);
        let sound = |schema: &serde_json::Value| Shape::read_printed(schema, &self.name.type_name()).is_ok();
        crate::contract::Topic {
            name: self.name.clone(),
            docs: self.message.shape().and_then(|shape| shape.root().node.docs.clone()),
            ordered: self.ordered,
            max_message: self.max_message,
            message_type: self.message.type_name().map(str::to_owned),
            schema: schema.filter(sound),
        }
    }

    /// For a topic of another app: what it has accepted is asked no more than what types can't hold.
    fn received(&self) -> crate::manifest::Topic {
        let schema = self.message.shape().map(|shape| shape.clone().unbounded().to_schema());
        crate::manifest::Topic { schema, ..self.manifest() }
    }

    fn manifest(&self) -> crate::manifest::Topic {
        let subscribers = self.subscribers.iter().map(|subscriber| crate::manifest::Subscriber {
            name: subscriber.name.clone(),
            language: subscriber.language,
            file: subscriber.file.clone(),
            policy: subscriber.policy,
            filter: subscriber.filter.clone(),
        });
        crate::manifest::Topic {
            name: self.name.clone(),
            message_type: self.message.type_name().map(str::to_owned),
            schema: match &self.message {
                // The Rust type itself is the check.
                MessageSource::Any | MessageSource::Rust { .. } => None,
                MessageSource::Schema { shape, .. } => Some(shape.to_schema()),
            },
            retention: self.retention,
            ordered: self.ordered,
            max_message: self.max_message,
            subscribers: subscribers.collect(),
        }
    }
}
