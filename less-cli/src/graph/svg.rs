//! As a picture: topics on the left, subscribers on the right, a box around what belongs to an app.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use less_model::name::AppName;

use super::{Graph, SubscriberNode};

// Pixels.
const MARGIN: usize = 16;
const PADDING: usize = 12;
const HEADER: usize = 28;
const NODE: usize = 28;
const GAP: usize = 8;
const BETWEEN: usize = 16;
const ARROWS: usize = 150;
/// Tenths of a pixel for each character of a node's 13 px: the widest usual fixed fonts have 0.61 em.
const CHARACTER: usize = 80;
const LEAST_WIDTH: usize = 120;

// One picture for light and dark pages. Without variables, which not everything that draws knows; and below a class, as a page may hold it.
const STYLE: &str = "    .less-graph { color: #1f2328; font: 13px ui-monospace, Menlo, Consolas, monospace }
    .less-graph text { fill: currentColor }
    .less-graph .name { font-weight: bold }
    .less-graph .dim { fill-opacity: .6 }
    .less-graph .app { fill: currentColor; fill-opacity: .05; stroke: currentColor; stroke-opacity: .35 }
    .less-graph .unknown { stroke-dasharray: 4 4 }
    .less-graph .node { fill: #ffffff; stroke: currentColor; stroke-opacity: .7 }
    .less-graph .arrow { fill: none; stroke: currentColor; stroke-opacity: .6 }
    .less-graph .head { fill: currentColor; fill-opacity: .6 }
    .less-graph .far { stroke: #0969da; stroke-opacity: 1; stroke-width: 1.5 }
    .less-graph .far-head { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      .less-graph { color: #e6edf3 }
      .less-graph .node { fill: #0d1117 }
      .less-graph .far { stroke: #58a6ff }
      .less-graph .far-head { fill: #58a6ff }
    }";

/// A column's boxes: each app's nodes, in their order.
type Column<'a> = Vec<(&'a AppName, Vec<usize>)>;

/// Where a column's boxes and nodes are.
struct Placed<'a> {
    width: usize,
    height: usize,
    /// Top and height of each app's box.
    boxes: Vec<(&'a AppName, usize, usize)>,
    /// The top of each node.
    tops: BTreeMap<usize, usize>,
}

/// An SVG document, readable on light and on dark pages.
pub(crate) fn svg(graph: &Graph) -> String {
    let (topics, subscribers) = graph.nodes();
    let topic_labels: Vec<_> =
        topics.iter().map(|topic| (topic.name.as_str(), topic.message.unwrap_or_default())).collect();
    let subscriber_labels: Vec<_> = subscribers
        .iter()
        .map(|node| (node.name.as_str(), node.language.map_or("", less_model::language::Language::label)))
        .collect();
    let of = |app: &AppName| (0..topics.len()).filter(|topic| topics[*topic].app == app).collect::<Vec<_>>();
    let mut left: Column = graph.apps.keys().map(|app| (app, of(app))).collect();
    // An app with neither is still there.
    left.retain(|(app, nodes)| !nodes.is_empty() || !subscribers.iter().any(|node| node.app == *app));
    let right = right(graph, &subscribers);
    let mut left = place(&left, &topic_labels);
    let mut right = place(&right, &subscriber_labels);
    let inner = left.height.max(right.height);
    left.centre(inner);
    right.centre(inner);

    let right_x = MARGIN + left.width + ARROWS;
    let (width, height) = (right_x + right.width + MARGIN, inner + 2 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" class=\"less-graph\" role=\"img\">\n  <title>{}</title>\n  <style>\n{STYLE}\n  </style>\n  <defs>\n",
        escaped(&title(graph))
    );
    for (id, class) in [("less-near", "head"), ("less-far", "far-head")] {
        let _ = writeln!(
            out,
            "    <marker id=\"{id}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"{class}\" d=\"M0 0L8 4L0 8z\"/></marker>"
        );
    }
    out.push_str("  </defs>\n");
    for (column, x) in [(&left, MARGIN), (&right, right_x)] {
        for (app, top, height) in &column.boxes {
            let class = if graph.apps[*app].known { "app" } else { "app unknown" };
            let width = column.width;
            let _ = writeln!(
                out,
                "  <rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n  <text x=\"{}\" y=\"{}\" class=\"name\">{}</text>",
                x + PADDING,
                top + 19,
                escaped(app.as_str())
            );
        }
    }
    for (number, node) in subscribers.iter().enumerate() {
        let (x1, y1) = (MARGIN + left.width - PADDING, left.tops[&node.topic] + NODE / 2);
        let (x2, y2) = (right_x + PADDING, right.tops[&number] + NODE / 2);
        let middle = usize::midpoint(x1, x2);
        let (class, marker) = if node.foreign { ("arrow far", "less-far") } else { ("arrow", "less-near") };
        let _ = writeln!(
            out,
            "  <path class=\"{class}\" marker-end=\"url(#{marker})\" d=\"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}\"/>"
        );
    }
    nodes(&mut out, &left, MARGIN, &topic_labels, NODE / 2);
    nodes(&mut out, &right, right_x, &subscriber_labels, 5);
    out.push_str("</svg>");
    out
}

/// The apps of the right column, each beside what it subscribes to, as far as that goes.
fn right<'a>(graph: &'a Graph, subscribers: &[SubscriberNode]) -> Column<'a> {
    let of = |app: &AppName| {
        (0..subscribers.len()).filter(|number| subscribers[*number].app == app).collect::<Vec<_>>()
    };
    let mut column: Column = graph.apps.keys().map(|app| (app, of(app))).collect();
    column.retain(|(_, nodes)| !nodes.is_empty());
    // The mean place of their topics, in thousandths; the sort is stable, so that the names decide between equals.
    column.sort_by_key(|(_, nodes)| {
        nodes.iter().map(|number| 1000 * subscribers[*number].topic).sum::<usize>() / nodes.len()
    });
    column
}

fn place<'a>(column: &Column<'a>, labels: &[(&str, &str)]) -> Placed<'a> {
    let node = column.iter().flat_map(|(_, nodes)| nodes).map(|number| {
        let (name, second) = labels[*number];
        text_width(name) + if second.is_empty() { 0 } else { text_width(second) + CHARACTER / 10 }
    });
    let header = column.iter().map(|(app, _)| text_width(app.as_str()));
    let widest = node.chain(header).max().unwrap_or(0).max(LEAST_WIDTH);
    let mut placed =
        Placed { width: widest + 4 * PADDING, height: 0, boxes: Vec::new(), tops: BTreeMap::new() };
    for (app, nodes) in column {
        if placed.height > 0 {
            placed.height += BETWEEN;
        }
        let top = placed.height;
        let mut y = top + HEADER;
        for number in nodes {
            placed.tops.insert(*number, y);
            y += NODE + GAP;
        }
        y += PADDING - if nodes.is_empty() { PADDING } else { GAP };
        placed.boxes.push((app, top, y - top));
        placed.height = y;
    }
    placed
}

impl Placed<'_> {
    /// Moves it to the middle of a picture whose inside is this high.
    fn centre(&mut self, inner: usize) {
        let down = MARGIN + (inner - self.height) / 2;
        for (_, top, _) in &mut self.boxes {
            *top += down;
        }
        for top in self.tops.values_mut() {
            *top += down;
        }
    }
}

fn nodes(out: &mut String, column: &Placed, x: usize, labels: &[(&str, &str)], radius: usize) {
    let (x, width) = (x + PADDING, column.width - 2 * PADDING);
    for (number, top) in &column.tops {
        let (name, second) = labels[*number];
        let second = if second.is_empty() {
            String::new()
        } else {
            format!(" <tspan class=\"dim\">{}</tspan>", escaped(second))
        };
        let _ = writeln!(
            out,
            "  <rect class=\"node\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{NODE}\" rx=\"{radius}\"/>\n  <text x=\"{}\" y=\"{}\">{}{second}</text>",
            x + PADDING,
            top + 18,
            escaped(name)
        );
    }
}

fn text_width(text: &str) -> usize {
    (text.chars().count() * CHARACTER).div_ceil(10)
}

fn title(graph: &Graph) -> String {
    let names: Vec<&str> = graph.apps.keys().map(AppName::as_str).collect();
    format!("Topics and subscribers of {}", names.join(", "))
}

/// Text as XML has it; control characters, which it can't have, are left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}
