//! Files that become the user's: those of a new app, and those that are added to one.

use less_model::language::Language;
use less_model::name::{AppName, TopicName};

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../templates/", $path))
    };
}

/// Where a file goes, and its template.
pub(crate) type Template = (&'static str, &'static str);

const ALWAYS: [Template; 1] = [("less.toml", template!("new/less.toml"))];
const SCHEMA: Template = ("less/topics/user_created/message.schema.json", template!("new/schema.json"));

/// A template's manifest has another name: cargo leaves folders with a manifest out of packages.
const RUST: &[Template] = &[
    ("Cargo.toml", template!("new/rust/Cargo.toml.tmpl")),
    (".gitignore", template!("new/rust/gitignore")),
    ("README.md", template!("new/rust/README.md")),
    ("src/lib.rs", template!("new/rust/lib.rs")),
    ("less/topics/user_created/message.rs", template!("new/rust/message.rs")),
    ("less/topics/user_created/send_welcome_email/mod.rs", template!("new/rust/send_welcome_email.rs")),
    ("less/topics/user_created/send_to_analytics/mod.rs", template!("new/rust/send_to_analytics.rs")),
];

const NODE: &[Template] = &[
    ("package.json", template!("new/node/package.json")),
    (".gitignore", template!("new/node/gitignore")),
    ("README.md", template!("new/node/README.md")),
    ("less/shared/greeting.js", template!("new/node/greeting.js")),
    SCHEMA,
    ("less/topics/user_created/send_welcome_email/index.js", template!("new/node/send_welcome_email.js")),
    ("less/topics/user_created/send_to_analytics/index.js", template!("new/node/send_to_analytics.js")),
];

const PYTHON: &[Template] = &[
    (".gitignore", template!("new/python/gitignore")),
    ("README.md", template!("new/python/README.md")),
    ("less/shared/greeting.py", template!("new/python/greeting.py")),
    SCHEMA,
    (
        "less/topics/user_created/send_welcome_email/__init__.py",
        template!("new/python/send_welcome_email.py"),
    ),
    ("less/topics/user_created/send_to_analytics/__init__.py", template!("new/python/send_to_analytics.py")),
];

/// Every file of a new app in this language.
pub(crate) fn new_app(language: Language) -> impl Iterator<Item = Template> {
    let own = match language {
        Language::Rust => RUST,
        Language::Node => NODE,
        Language::Python => PYTHON,
    };
    ALWAYS.iter().chain(own).copied()
}

/// The file of a message type, and its template.
pub(crate) fn message(rust: bool) -> Template {
    if rust {
        ("message.rs", template!("add/rust/message.rs"))
    } else {
        ("message.schema.json", template!("add/schema.json"))
    }
}

/// A handler of a topic, which is another app's where one is named; `type_name` is its message type.
pub(crate) fn handler(
    language: Language,
    app: Option<&AppName>,
    topic: &TopicName,
    type_name: Option<&str>,
) -> String {
    handler_file(language, type_name.is_some())
        .replace("{{module}}", &module(language, app, topic))
        .replace("{{type}}", type_name.unwrap_or_default())
}

/// Where a topic's types are; in JavaScript, what stands before their names.
fn module(language: Language, app: Option<&AppName>, topic: &TopicName) -> String {
    let app = app.map(AppName::identifier);
    match (language, app) {
        (Language::Rust, None) => format!("less::topics::{topic}"),
        (Language::Rust, Some(app)) => format!("less::external_topics::{app}::{topic}"),
        (Language::Node, None) => String::new(),
        (Language::Node, Some(app)) => format!("external_topics.{app}."),
        (Language::Python, None) => "less".to_owned(),
        (Language::Python, Some(app)) => format!("less.external_topics.{app}"),
    }
}

fn handler_file(language: Language, typed: bool) -> &'static str {
    match (language, typed) {
        (Language::Rust, true) => template!("add/rust/typed.rs"),
        (Language::Rust, false) => template!("add/rust/untyped.rs"),
        (Language::Node, true) => template!("add/node/typed.js"),
        (Language::Node, false) => template!("add/node/untyped.js"),
        (Language::Python, true) => template!("add/python/typed.py"),
        (Language::Python, false) => template!("add/python/untyped.py"),
    }
}

/// How code in this language publishes to a topic with this message type.
pub(crate) fn publish(language: Language, topic: &str, type_name: Option<&str>) -> String {
    match (language, type_name) {
        (Language::Rust, Some(type_name)) => {
            format!("topics::{topic}.publish(&topics::{topic}::{type_name} {{ … }}).await?")
        }
        (Language::Rust, None) => format!("topics::{topic}.publish(&less::Value::Null).await?"),
        (Language::Node, _) => format!("await topics.{topic}.publish({{ … }})"),
        (Language::Python, _) => format!("topics.{topic}.publish({{…}})"),
    }
}
