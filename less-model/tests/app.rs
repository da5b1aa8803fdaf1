//! The app that scanning yields.
#![cfg(feature = "parse")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use less_model::language::Language;
use less_model::manifest::{DEFAULT_MAX_MESSAGE, DEFAULT_RETENTION, Policy, Start};
use less_model::quantity::Span;
use less_model::scan::scan;
use less_model::shape::Shape;
use less_model::source::SourceTree;
use less_model::tree::{App, MessageSource, Package, Subscriber, Topic, Workspace};

/// The app, of which nothing is wrong.
fn app(fixture: &str) -> App {
    let (app, diagnostics) = scan(&SourceTree::fixture(fixture), "The Shop 2");
    assert_eq!(diagnostics, []);
    app
}

fn package(cargo_toml: &str) -> Package {
    let fixture = format!(
        "//- src/lib.rs\n//- less/topics/t/s/mod.rs\n\
         pub async fn process(m: less::Value) -> less::Result<()> {{ Ok(()) }}\n//- Cargo.toml\n{cargo_toml}"
    );
    app(&fixture).package.unwrap()
}

#[test]
fn a_whole_app_comes_out_sorted_and_complete() {
    let app = app(r#"
//- less.toml
listen = "0.0.0.0:80"
[defaults]
concurrency = 3
[stages.production]
data = "/var/lib/shop"
[stages.production.http]
hosts = ["shop.example"]
//- less/topics/user_created/message.rs
use chrono::{DateTime, Utc};

#[less::message]
#[derive(Debug, schemars::JsonSchema)]
pub struct UserCreated {
    #[serde(with = "time::serde::rfc3339")]
    pub at: DateTime<Utc>,
}
//- less/topics/user_created/topic.toml
retention = "1h"
//- less/topics/user_created/welcome/mod.rs
use less::topics::user_created::UserCreated;

pub async fn process(message: UserCreated, context: less::Context) -> less::Result<()> {
    Ok(())
}
//- less/topics/user_created/audit/mod.rs
pub async fn process(_: UserCreated) -> less::Result<()> {
    Ok(())
}
//- less/topics/user_created/audit/subscriber.toml
timeout = "5m"
max_attempts = 3
min_backoff = "500ms"
max_backoff = "500ms"
start = "earliest"
//- less/topics/Anything/log/mod.rs
pub async fn process(message: less::Value) -> less::Result<()> {
    Ok(())
}
"#);
    let defaults = Policy { concurrency: 3, ..Policy::default() };
    let subscriber = |topic: &str, name: &str, takes_context, policy| Subscriber {
        name: name.parse().unwrap(),
        folder: format!("less/topics/{topic}/{name}"),
        file: format!("less/topics/{topic}/{name}/mod.rs"),
        language: Language::Rust,
        takes_context,
        policy,
        filter: None,
    };
    let audit = Policy {
        concurrency: 3,
        timeout: Span::from_secs(300),
        max_attempts: 3,
        min_backoff: Span::from_millis(500),
        max_backoff: Span::from_millis(500),
        start: Start::Earliest,
        processes: 1,
    };
    let settings = serde_json::json!({
        "listen": "0.0.0.0:80",
        "http": {},
        "stages": { "production": { "data": "/var/lib/shop", "http": { "hosts": ["shop.example"] } } },
    });
    let json_schema = serde_json::json!({
        "type": "object",
        "required": ["at"],
        "properties": { "at": { "type": "string", "format": "date-time" } },
    });
    let expected = App {
        external: Vec::new(),
        name: "the_shop_2".parse().unwrap(),
        settings: serde_json::from_value(settings).unwrap(),
        package: None,
        topics: vec![
            Topic {
                name: "Anything".parse().unwrap(),
                folder: "less/topics/Anything".to_owned(),
                message: MessageSource::Any,
                retention: DEFAULT_RETENTION,
                ordered: false,
                max_message: DEFAULT_MAX_MESSAGE,
                subscribers: vec![subscriber("Anything", "log", false, defaults)],
            },
            Topic {
                name: "user_created".parse().unwrap(),
                folder: "less/topics/user_created".to_owned(),
                message: MessageSource::Rust {
                    file: "less/topics/user_created/message.rs".to_owned(),
                    type_name: "UserCreated".to_owned(),
                    roots: ["chrono", "less", "schemars", "time"].map(str::to_owned).to_vec(),
                    shape: Shape::read(&json_schema, "UserCreated").unwrap(),
                },
                retention: Span::from_secs(3600),
                ordered: false,
                max_message: DEFAULT_MAX_MESSAGE,
                subscribers: vec![
                    subscriber("user_created", "audit", false, audit),
                    subscriber("user_created", "welcome", true, defaults),
                ],
            },
        ],
    };
    assert_eq!(app, expected);
}

#[test]
fn the_app_is_named_by_less_toml_then_the_package_then_the_folder() {
    let handler = "//- less/topics/t/s/mod.rs\npub async fn process(m: less::Value) -> less::Result<()> {}\n";
    let cargo = "//- Cargo.toml\n[package]\nname = \"from-cargo\"\n";
    let less = "//- less.toml\nname = \"from_less\"\n";
    let name = |parts: &[&str]| app(&parts.concat()).name.to_string();
    assert_eq!(name(&[handler, cargo, less]), "from_less");
    assert_eq!(name(&[handler, cargo]), "from-cargo");
    assert_eq!(name(&[handler]), "the_shop_2");
    for (folder, expected) in [("2nd shop", "app_2nd_shop"), ("", "app_"), ("ÄÖ", "app___"), ("a-b", "a-b")]
    {
        assert_eq!(scan(&SourceTree::fixture(handler), folder).0.name.as_str(), expected);
    }
    assert_eq!(scan(&SourceTree::fixture(handler), &"x".repeat(99)).0.name.as_str().len(), 63);
}

#[test]
fn a_package_of_its_own_is_separate_and_its_dependencies_come_out_as_they_are() {
    let found = package(
        r#"
        [package]
        name = "my-shop"
        edition = "2021"

        [dependencies]
        less = { path = ".less/less" }
        serde = "1"
        helpers = { path = "../helpers", features = ["a"] }
        "#,
    );
    let dependencies = "serde = \"1\"\nhelpers = { path = \"../helpers\", features = [\"a\"] }";
    let expected = Package {
        name: "my-shop".to_owned(),
        library: Some("my_shop".to_owned()),
        workspace: Workspace::Separate,
        dependencies: dependencies.parse().unwrap(),
        edition: "2021".to_owned(),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_workspace_gives_its_members_their_dependencies_and_edition() {
    let found = package(
        r#"
        [package]
        name = "shop"
        edition.workspace = true

        [lib]
        name = "shop_core"

        [workspace]
        members = ["crates/*", ".less/*"]

        [workspace.package]
        edition = "2018"

        [workspace.dependencies]
        serde = { version = "1", features = ["derive"] }
        uuid = "1"

        [dependencies]
        less.workspace = true
        serde = { workspace = true, features = ["derive", "rc"], optional = true }
        uuid.workspace = true
        "#,
    );
    let dependencies = "serde = { version = \"1\", features = [\"derive\", \"rc\"], optional = true }\nuuid = { version = \"1\" }";
    let expected = Package {
        name: "shop".to_owned(),
        library: Some("shop_core".to_owned()),
        workspace: Workspace::Member,
        dependencies: dependencies.parse().unwrap(),
        edition: "2018".to_owned(),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_workspace_that_excludes_what_is_generated_leaves_it_separate() {
    let found = package("[package]\nname = \"shop\"\n[workspace]\nexclude = [\"./.less/\"]\n");
    assert_eq!(found.workspace, Workspace::Separate);
    assert_eq!(found.edition, "2024");
}

#[test]
fn without_a_library_there_is_none_and_a_virtual_workspace_is_no_package() {
    let handler = "//- less/topics/t/s/mod.rs\npub async fn process(m: less::Value) -> less::Result<()> {}\n";
    let of = |cargo: &str| app(&format!("{handler}//- Cargo.toml\n{cargo}")).package;
    assert_eq!(of("[package]\nname = \"shop\"\n").unwrap().library, None);
    assert_eq!(of("[package]\nname = \"shop\"\n[lib]\npath = \"a.rs\"\n").unwrap().library.unwrap(), "shop");
    assert_eq!(of("[workspace]\nmembers = [\"a\"]\n"), None);
}

#[test]
fn a_schema_is_the_topics_type_and_goes_into_the_manifest() {
    let schema = r#"{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}"#;
    let app = app(&format!(
        "//- less/topics/a/s/index.js\n//- less/topics/b/message.schema.json\n{schema}\n//- less/topics/b/s/__init__.py\n"
    ));
    assert!(!app.needs_rust());
    let topic = &app.topics[1];
    assert_eq!(topic.message.type_name(), Some("B"));
    let shape = topic.message.shape().unwrap();
    let manifest = app.manifest();
    let found: Vec<_> = manifest.topics.iter().map(|topic| (&topic.message_type, &topic.schema)).collect();
    assert_eq!(found, [(&None, &None), (&Some("B".to_owned()), &Some(shape.to_schema()))]);
    assert_eq!(&Shape::read(found[1].1.as_ref().unwrap(), "B").unwrap(), shape);
}

#[test]
fn an_app_needs_rust_for_a_handler_a_message_type_or_a_package_in_rust() {
    let node = "//- less/topics/t/s/index.js\n";
    assert!(!app(node).needs_rust());
    for more in [
        "//- less/topics/t/r/mod.rs\npub async fn process(m: less::Value) -> less::Result<()> {}\n",
        "//- less/topics/t/message.rs\n#[less::message] pub struct T {}\n",
        "//- Cargo.toml\n[package]\nname = \"shop\"\n",
    ] {
        assert!(app(&format!("{node}{more}")).needs_rust(), "{more}");
    }
}
