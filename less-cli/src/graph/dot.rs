//! As Graphviz reads it.

use super::Graph;

/// A `digraph` with a cluster for each app. Nodes are called by numbers, so that names are only ever labels.
pub(crate) fn dot(graph: &Graph) -> String {
    let (topics, subscribers) = graph.nodes();
    let mut lines = vec![
        "digraph less {".to_owned(),
        "  rankdir=LR;".to_owned(),
        "  node [fontname=\"sans-serif\", shape=box];".to_owned(),
        "  graph [fontname=\"sans-serif\"];".to_owned(),
    ];
    for (number, name) in graph.apps.keys().enumerate() {
        lines.push(format!("  subgraph cluster_a{number} {{"));
        lines.push(format!("    label={};", quoted(&[name.as_str()])));
        for (number, topic) in topics.iter().enumerate().filter(|(_, topic)| topic.app == name) {
            let label: Vec<&str> = [topic.name.as_str()].into_iter().chain(topic.message).collect();
            lines.push(format!("    t{number} [label={}, shape=ellipse];", quoted(&label)));
        }
        for (number, node) in subscribers.iter().enumerate().filter(|(_, node)| node.app == name) {
            let language = node.language.map(less_model::language::Language::label);
            let label: Vec<&str> = [node.name.as_str()].into_iter().chain(language).collect();
            lines.push(format!("    s{number} [label={}];", quoted(&label)));
        }
        lines.push("  }".to_owned());
    }
    for (number, node) in subscribers.iter().enumerate() {
        let style = if node.foreign { " [style=bold]" } else { "" };
        lines.push(format!("  t{} -> s{number}{style};", node.topic));
    }
    lines.push("}".to_owned());
    lines.join("\n")
}

/// A quoted string with several lines. In one, `\"` is a quote; a backslash begins an escape of labels, such as `\N`, the node's name, and `\\` is one.
pub(super) fn quoted(lines: &[&str]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| {
            let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
            plain.collect::<String>().replace('\\', "\\\\").replace('"', "\\\"")
        })
        .collect();
    format!("\"{}\"", lines.join("\\n"))
}
