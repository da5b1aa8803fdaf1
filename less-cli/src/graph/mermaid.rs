//! As a Mermaid flowchart, which GitHub and others draw where they find it in a text.

use std::fmt::Write as _;

use super::Graph;

/// `flowchart LR`, with a box for each app. Nodes are called by numbers: `end` and other names would be words of Mermaid's.
pub(crate) fn mermaid(graph: &Graph) -> String {
    let (topics, subscribers) = graph.nodes();
    let mut lines = vec!["flowchart LR".to_owned()];
    for (number, name) in graph.apps.keys().enumerate() {
        lines.push(format!("  subgraph a{number}[{}]", quoted(&[name.as_str()])));
        for (number, topic) in topics.iter().enumerate().filter(|(_, topic)| topic.app == name) {
            let label: Vec<&str> = [topic.name.as_str()].into_iter().chain(topic.message).collect();
            lines.push(format!("    t{number}([{}])", quoted(&label)));
        }
        for (number, node) in subscribers.iter().enumerate().filter(|(_, node)| node.app == name) {
            let language = node.language.map(less_model::language::Language::label);
            let label: Vec<&str> = [node.name.as_str()].into_iter().chain(language).collect();
            lines.push(format!("    s{number}[{}]", quoted(&label)));
        }
        lines.push("  end".to_owned());
    }
    for (number, node) in subscribers.iter().enumerate() {
        let arrow = if node.foreign { "==>" } else { "-->" };
        lines.push(format!("  t{} {arrow} s{number}", node.topic));
    }
    lines.join("\n")
}

/// A label of several lines. Characters that mean something are written as Mermaid has it, `#34;`, and a number sign is one of them.
pub(super) fn quoted(lines: &[&str]) -> String {
    let mut out = String::from("\"");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push_str("<br/>");
        }
        for c in line.chars() {
            if c.is_alphanumeric() || " _-:.".contains(c) {
                out.push(c);
            } else {
                // Writing to a string does not fail.
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
