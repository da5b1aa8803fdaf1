use std::path::Path;

use less_model::source::SourceTree;

use super::*;

const USERS: &str = r#"
//- less.toml
name = "user-management"
//- less/topics/user_created/message.schema.json
{"type": "object", "properties": {"id": {"type": "integer"}}}
//- less/topics/user_created/send_welcome_email/index.js
exports.process = () => {};
//- less/topics/user_created/audit/__init__.py
def process(message): pass
//- less/topics/user_deleted/audit/index.js
exports.process = () => {};
//- less/topics/quiet/topic.toml
"#;

const FRIENDS: &str = r#"
//- less.toml
name = "friends"
//- less/topics/end/subgraph/index.js
exports.process = () => {};
//- less/external_topics/user-management/user_created/create_friend_suggestions/index.js
exports.process = () => {};
//- less/external_topics/user-management/user_deleted/forget/__init__.py
def process(message): pass
//- less/external_topics/billing/paid/thank/index.js
exports.process = () => {};
"#;

fn folder(files: &str) -> tree::App {
    less_model::scan::scan(&SourceTree::fixture(files.trim_start()), "app").0
}

fn status(app: &str, rows: &[(&str, &str)]) -> Status {
    let rows: Vec<_> = rows
        .iter()
        .map(|(topic, subscriber)| {
            serde_json::json!({
                "topic": topic, "subscriber": subscriber, "published": 0, "pending": 0, "scheduled": 0,
                "in_flight": 0, "done": 0, "dead": 0, "discarded": {}, "oldest_pending_s": null,
            })
        })
        .collect();
    let status = serde_json::json!({"app": app, "stage": "dev", "transport": "t", "subscribers": rows});
    serde_json::from_value(status).unwrap()
}

/// Two folders, and a third app that runs somewhere.
fn graph() -> Graph {
    let mut graph = Graph::default();
    graph.add_folder(&folder(FRIENDS));
    graph.add_folder(&folder(USERS));
    graph.add_status(&status(
        "user-management",
        &[("user_created", "audit"), ("user_created", "shop:count"), ("user_created", "friends:recount")],
    ));
    graph
        .add_status(&status("statistics", &[("user-management:user_created", "tally"), ("tallied", "show")]));
    graph
}

/// Compares with `tests/graph/<file>`.
fn expect(file: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/graph").join(file);
    let found = format!("{found}\n");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "hint: UPDATE_GOLDENS=1 cargo test -p less-cli --lib graph");
}

#[test]
fn apps_and_arrows_are_shown_in_every_form() {
    let graph = graph();
    expect("apps.txt", &text(&graph));
    expect("apps.svg", &svg(&graph));
    expect("apps.mmd", &mermaid(&graph));
    expect("apps.dot", &dot(&graph));
}

#[test]
fn the_order_in_which_apps_are_found_changes_nothing() {
    let mut other = Graph::default();
    other
        .add_status(&status("statistics", &[("tallied", "show"), ("user-management:user_created", "tally")]));
    other.add_status(&status(
        "user-management",
        &[("user_created", "friends:recount"), ("user_created", "shop:count"), ("user_created", "audit")],
    ));
    other.add_folder(&folder(USERS));
    other.add_folder(&folder(FRIENDS));
    assert_eq!(other, graph());
}

#[test]
fn a_picture_is_sound_xml_whose_nodes_are_within_it_and_apart_from_each_other() {
    let picture = svg(&graph());
    let document = roxmltree::Document::parse(&picture).unwrap();
    let root = document.root_element();
    let number = |node: roxmltree::Node, name: &str| node.attribute(name).unwrap().parse::<i64>().unwrap();
    let (width, height) = (number(root, "width"), number(root, "height"));
    let rects = |class: &str| {
        let all =
            root.children().filter(|node| node.has_tag_name((root.tag_name().namespace().unwrap(), "rect")));
        let of = all.filter(|node| node.attribute("class").unwrap().split(' ').any(|found| found == class));
        of.map(|node| ["x", "y", "width", "height"].map(|name| number(node, name))).collect::<Vec<_>>()
    };
    // Six topics of four apps, and eleven subscribers of four apps.
    let (nodes, boxes) = (rects("node"), rects("app"));
    let texts: Vec<&str> = root.children().filter_map(|node| node.text()).collect();
    assert_eq!((nodes.len(), boxes.len()), (17, 8), "{texts:?}");
    let inside = |a: &[i64; 4], b: &[i64; 4]| {
        a[0] >= b[0] && a[1] >= b[1] && a[0] + a[2] <= b[0] + b[2] && a[1] + a[3] <= b[1] + b[3]
    };
    let apart = |a: &[i64; 4], b: &[i64; 4]| {
        a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1]
    };
    for rects in [&nodes, &boxes] {
        for (index, rect) in rects.iter().enumerate() {
            assert!(inside(rect, &[0, 0, width, height]), "{rect:?}");
            assert!(rects[..index].iter().all(|other| apart(rect, other)), "{rect:?}");
        }
    }
    for node in &nodes {
        assert_eq!(boxes.iter().filter(|app| inside(node, app)).count(), 1, "{node:?}");
    }
}

#[test]
fn an_app_without_topics_and_subscribers_is_drawn_as_well() {
    let mut graph = Graph::default();
    graph.add_folder(&folder("//- less.toml\nname = \"empty\"\n"));
    assert_eq!(text(&graph), "empty");
    let picture = svg(&graph);
    let document = roxmltree::Document::parse(&picture).unwrap();
    assert!(document.descendants().any(|node| node.text() == Some("empty")));
    assert!(document.descendants().any(|node| node.attribute("class") == Some("app")));
    assert!(mermaid(&graph).contains("subgraph a0[\"empty\"]"));
}

#[test]
fn what_is_no_name_in_a_running_app_s_answer_is_passed_over() {
    let mut graph = Graph::default();
    graph.add_status(&status("<script>", &[("a", "b")]));
    assert!(graph.is_empty());
    graph.add_status(&status(
        "shop",
        &[("a:b:c", "d"), ("é", "d"), ("t", "x y"), ("t", "Bad:s"), ("ok", "s")],
    ));
    assert_eq!(text(&graph), "shop\n  ok\n    → s");
}

#[test]
fn labels_are_quoted_as_each_form_has_it() {
    let wild = "a \"b\" <c> & 'd' \\N #e; ]\n\u{1b}";
    assert_eq!(
        mermaid::quoted(&[wild, "x"]),
        "\"a #34;b#34; #60;c#62; #38; #39;d#39; #92;N #35;e#59; #93;#10;#27;<br/>x\""
    );
    assert_eq!(dot::quoted(&[wild, "x"]), r#""a \"b\" <c> & 'd' \\N #e; ]  \nx""#);
    let escaped = svg::escaped(wild);
    assert_eq!(escaped, "a &quot;b&quot; &lt;c&gt; &amp; &apos;d&apos; \\N #e; ]");
    let document = format!("<a b=\"{escaped}\">{escaped}</a>");
    let document = roxmltree::Document::parse(&document).unwrap();
    let plain = wild.trim_end();
    let plain = plain.trim_end_matches('\u{1b}').trim_end();
    assert_eq!(document.root_element().text(), Some(plain));
    assert_eq!(document.root_element().attribute("b"), Some(plain));
}
