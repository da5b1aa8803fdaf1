//! What `less dev` shows once the app is up.

use std::time::Duration;

use less_model::tree::{App, MessageSource, Topic};

/// Prints the app's topics and subscribers, its address, and a command to try.
pub(super) fn print(app: &App, url: &str, took: Duration) {
    anstream::eprint!("{}", text(app, url, took));
}

fn text(app: &App, url: &str, took: Duration) -> String {
    let mut lines = vec![
        String::new(),
        format!("  {} is live on {url} ({:.1} s)", app.name, took.as_secs_f64()),
        String::new(),
    ];
    for (address, topic) in app.addressed() {
        lines.push(format!("  {address}"));
        let subscribers = topic.subscribers.iter();
        lines.extend(
            subscribers.map(|subscriber| format!("    → {}  ({})", subscriber.name, subscriber.file)),
        );
        if topic.subscribers.is_empty() {
            lines.push("    (no subscriber yet; messages are kept)".to_owned());
        }
    }
    if let Some(topic) = super::example(app) {
        lines.extend([String::new(), "  Try it:".to_owned(), format!("    {}", curl(topic, url))]);
    }
    lines.extend([
        String::new(),
        "  Watching less/ and src/ for changes. Ctrl-C stops.".to_owned(),
        String::new(),
    ]);
    lines.join("\n") + "\n"
}

/// A `curl` that publishes to a topic, with a body that fits where that can be guessed.
pub(crate) fn curl(topic: &Topic, url: &str) -> String {
    let sample = match &topic.message {
        MessageSource::Any => Some(serde_json::json!({"hello": "world"})),
        MessageSource::Rust { shape, .. } => shape.known_sample(),
        MessageSource::Schema { shape, .. } => shape.sample(),
    };
    let body = sample.map_or_else(|| "{…}".to_owned(), |sample| sample.to_string());
    // As a shell wants it between single quotes.
    let body = body.replace('\'', "'\\''");
    format!("curl {url}/topics/{} -H 'content-type: application/json' -d '{body}'", topic.name)
}
