//! Scanning is total: whatever is in the folder, it yields an app and diagnostics whose places exist.
#![cfg(feature = "parse")]
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use less_model::diagnostic::{Diagnostic, plain};
use less_model::scan::scan;
use less_model::source::SourceTree;
use proptest::prelude::*;

/// Scans, checks what holds for every tree, and returns the diagnostics.
fn check(fixture: &str) -> Vec<Diagnostic> {
    let tree = SourceTree::fixture(fixture);
    let (app, diagnostics) = scan(&tree, "shop");
    assert_eq!(
        scan(&tree, "shop"),
        (app.clone(), diagnostics.clone()),
        "the same tree gives the same answer"
    );
    assert!(app.topics.is_sorted_by_key(|topic| topic.name.clone()));
    for place in diagnostics.iter().filter_map(|diagnostic| diagnostic.place.as_ref()) {
        if let Some(span) = &place.span {
            let text = tree.text(&place.path).unwrap();
            assert!(text.get(span.clone()).is_some(), "{place:?} is no part of {text:?}");
        }
    }
    let paths = diagnostics.iter().map(|diagnostic| diagnostic.place.as_ref().map(|place| &place.path));
    assert!(paths.is_sorted());
    assert_eq!(plain(&diagnostics, &tree).is_empty(), diagnostics.is_empty());
    diagnostics
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("less".to_owned()),
        Just("topics".to_owned()),
        Just("external_topics".to_owned()),
        Just("user_created".to_owned()),
        Just("_all".to_owned()),
        Just("mod.rs".to_owned()),
        Just("index.js".to_owned()),
        Just("message.rs".to_owned()),
        Just("message.schema.json".to_owned()),
        Just("topic.toml".to_owned()),
        Just("subscriber.toml".to_owned()),
        "[a-zA-Z_.~é-]{1,6}",
    ]
}

fn rust() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("pub".to_owned()),
        Just("async".to_owned()),
        Just("fn".to_owned()),
        Just("process".to_owned()),
        Just("message".to_owned()),
        Just("struct".to_owned()),
        Just("UserCreated".to_owned()),
        Just("use".to_owned()),
        Just("type".to_owned()),
        Just("less".to_owned()),
        Just("#[less::message]".to_owned()),
        Just("->".to_owned()),
        Just("()".to_owned()),
        Just("{}".to_owned()),
        Just("(message: UserCreated)".to_owned()),
        Just("Result<()>".to_owned()),
        Just("pub async fn process(m: less::Value) -> less::Result<()> {}".to_owned()),
        Just("#[less::message] pub struct UserCreated {}".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("#!/bin/sh\n".to_owned()),
        "[:;,=<>&!#'\"(){}\\[\\]/*\n]",
        "\\PC{0,4}",
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

fn toml() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("name"),
        Just("listen"),
        Just("data"),
        Just("http"),
        Just("defaults"),
        Just("stages"),
        Just("concurrency"),
        Just("timeout"),
        Just("min_backoff"),
        Just("max_backoff"),
        Just("start"),
        Just("retention"),
        Just("package"),
        Just("workspace"),
        Just("members"),
        Just("dependencies"),
        Just("lib"),
        Just("edition"),
        Just("dependencies.serde"),
        Just("package.name"),
        Just("workspace.dependencies"),
        Just("stages.prod.http"),
    ];
    let value = prop_oneof![
        Just("\"1s\"".to_owned()),
        Just("[\".less/*\", 3, \"**/**\"]".to_owned()),
        Just("{ workspace = true, features = [\"a\"] }".to_owned()),
        Just("-7".to_owned()),
        Just("0xff".to_owned()),
        Just("1e999".to_owned()),
        Just("[[[[".to_owned()),
        "\"\\PC{0,5}\"",
        "\\PC{0,6}",
    ];
    let line = (key, value, any::<bool>())
        .prop_map(|(key, value, table)| if table { format!("[{key}]") } else { format!("{key} = {value}") });
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

/// Texts that are JSON Schemas, nearly.
fn schema() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("{\"type\": \"object\", \"properties\": {"),
        Just("\"a\": {\"type\": \"string\", \"minLength\": 1}"),
        Just("\"é\": {\"$ref\": \"#/$defs/A\"}"),
        Just("\"b\": {\"oneOf\": [{\"type\": \"null\"}, {\"const\": \"x\"}]}"),
        Just("\"c\": {\"allOf\": []}"),
        Just("}"),
        Just("}, \"$defs\": {\"A\": true}}"),
        Just(","),
        Just("\n"),
        Just("["),
        Just("\\u00"),
        Just("\u{feff}"),
    ];
    prop::collection::vec(word, 0..9).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_scanned(paths in prop::collection::vec(prop::collection::vec(name(), 0..5), 0..12)) {
        let lines: Vec<String> = paths.iter().map(|path| format!("//- less/topics/{}\n", path.join("/"))).collect();
        let fixture = lines.concat();
        check(&fixture);
        check(&fixture.replace("less/topics/", ""));
    }

    #[test]
    fn any_rust_is_scanned(message in rust(), handler in rust()) {
        check(&format!(
            "//- less/topics/user_created/message.rs\n{message}\n//- less/topics/user_created/audit/mod.rs\n{handler}\n"
        ));
    }

    #[test]
    fn any_schema_is_scanned(schema in schema(), other in "\\PC{0,20}") {
        for text in [schema, other] {
            check(&format!("//- less/topics/user_created/message.schema.json\n{text}\n"));
        }
    }

    #[test]
    fn any_toml_is_scanned(less in toml(), cargo in toml(), topic in toml(), subscriber in toml()) {
        check(&format!(
            "//- less.toml\n{less}\n//- Cargo.toml\n{cargo}\n//- less/topics/t/topic.toml\n{topic}\n\
             //- less/topics/t/s/mod.rs\n//- less/topics/t/s/subscriber.toml\n{subscriber}\n"
        ));
    }
}

/// Code that a parser which recurses could die of, which nobody catches.
#[test]
fn code_that_nests_without_end_is_told() {
    let many = 200_000;
    let cases = [
        "(".repeat(many),
        format!("{}{}", "(".repeat(many), ")".repeat(many)),
        format!("{}1", "!".repeat(many)),
        format!("1{}", " + 1".repeat(many)),
        format!("1{}", "?".repeat(many)),
        format!("if a {{}} {}", "else if a {} ".repeat(many / 4)),
        format!("let x: {}u8", "&".repeat(many)),
        format!("a {}", "= a ".repeat(many)),
        format!("x {}", ".y()".repeat(many)),
        format!("return !({}1)", "!".repeat(many)),
        "(&&&&&&&& ".repeat(many / 10),
        format!("m!({}{})", "(".repeat(many), ")".repeat(many)),
    ];
    for code in cases {
        let file = format!("pub async fn process(m: less::Value) -> less::Result<()> {{ {code}; }}\n");
        let diagnostics = check(&format!("//- less/topics/t/s/mod.rs\n{file}"));
        assert_eq!(diagnostics.len(), 1, "{}", &code[..20]);
        assert_eq!(diagnostics[0].code, "rust-syntax");
    }
}

/// Code as deep as it may be is parsed on the stack that there is.
#[test]
fn code_that_is_nested_as_deeply_as_allowed_is_parsed() {
    let cases = [
        format!("{}{}", "(".repeat(250), ")".repeat(250)),
        format!("{}{}", "{".repeat(250), "}".repeat(250)),
        format!("let x: {}u8{}", "[".repeat(250), "]".repeat(250)),
        format!("{}1", "!".repeat(2_400)),
        format!("1{}", " + 1".repeat(1_200)),
        format!("a {}", "= a ".repeat(1_200)),
        format!("let x: {}u8", "&".repeat(2_400)),
        format!("if a {{}} {}", "else if a {} ".repeat(600)),
        format!("html! {{ {} }}", "<b> some text </b> ".repeat(2_000)),
        "a(); ".repeat(40_000),
    ];
    for code in cases {
        let file = format!("pub async fn process(m: less::Value) -> less::Result<()> {{ {code}; }}\n");
        assert_eq!(check(&format!("//- less/topics/t/s/mod.rs\n{file}")), [], "{}", &code[..20]);
    }
}

#[test]
fn a_long_file_of_ordinary_items_is_no_deep_one() {
    let mut file = "fn helper() -> u64 { if true { 1 } else { 2 } }\n".repeat(5_000);
    file += "pub async fn process(m: less::Value) -> less::Result<()> { Ok(()) }\n";
    assert_eq!(check(&format!("//- less/topics/t/s/mod.rs\n{file}")), []);
}
