//! What `less dev` shows once the app is up.

use std::io::Write as _;
use std::time::Duration;

use less_model::tree::{App, MessageSource, Topic};

use super::endpoint::Endpoint;

/// Prints the app's topics and subscribers, its address, and a command to try.
pub(super) fn print(app: &App, at: &Endpoint, took: Duration) {
    let keyed = std::env::var("LESS_API_KEY").is_ok_and(|key| !key.is_empty());
    // Where nobody reads it, the app runs all the same.
    let _ = write!(anstream::stderr(), "{}", text(app, at, keyed, took));
}

fn text(app: &App, at: &Endpoint, keyed: bool, took: Duration) -> String {
    let url = at.url();
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
        lines.extend([String::new(), "  Try it:".to_owned(), format!("    {}", curl(topic, at, keyed))]);
    }
    lines.extend([
        String::new(),
        "  Watching less/ and src/ for changes. Ctrl-C stops.".to_owned(),
        String::new(),
    ]);
    lines.join("\n") + "\n"
}

/// A `curl` that publishes to a topic, with a body that fits where that can be guessed. The key itself is not for the screen.
fn curl(topic: &Topic, at: &Endpoint, keyed: bool) -> String {
    let url = at.reached();
    let sample = match &topic.message {
        MessageSource::Any => Some(serde_json::json!({"hello": "world"})),
        MessageSource::Rust { shape, .. } => shape.known_sample(),
        MessageSource::Schema { shape, .. } => shape.sample(),
    };
    let body = sample.map_or_else(|| "{…}".to_owned(), |sample| sample.to_string());
    let mut parts = vec![format!("curl {url}/topics/{}", topic.name)];
    if let Some(certificate) = &at.certificate {
        parts.push(format!("--cacert {}", word(&certificate.display().to_string())));
    }
    if keyed {
        parts.push("-H \"Authorization: Bearer $LESS_API_KEY\"".to_owned());
    }
    parts.extend(["-H 'content-type: application/json'".to_owned(), format!("-d {}", quoted(&body))]);
    parts.join(" ")
}

/// A text as a shell takes it for one word.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use less_model::scan::scan;
    use less_model::source::SourceTree;

    use super::*;

    #[test]
    fn the_command_to_try_reaches_the_app_and_shows_no_key() {
        let source = "#[less::message]\npub struct Order {\n    pub id: u128,\n}\n";
        let tree = SourceTree::fixture(&format!("//- less/topics/order/message.rs\n{source}"));
        let app = scan(&tree, "app").0;
        let tried = |address: &str, certificate: Option<&str>, keyed| {
            let at = Endpoint { address: address.parse().unwrap(), certificate: certificate.map(Into::into) };
            curl(&app.topics[0], &at, keyed)
        };
        let rest = "-H 'content-type: application/json' -d '{\"id\":1}'";
        let plain = format!("curl http://127.0.0.1:4100/topics/order {rest}");
        assert_eq!(tried("127.0.0.1:4100", None, false), plain);
        assert_eq!(tried("0.0.0.0:4100", None, false), plain);
        assert_eq!(
            tried("[::]:4100", Some("/srv/a b/cert.pem"), true),
            format!(
                "curl https://[::1]:4100/topics/order --cacert '/srv/a b/cert.pem' -H \"Authorization: Bearer $LESS_API_KEY\" {rest}"
            )
        );
    }
}
