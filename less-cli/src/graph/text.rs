//! As text: every app with what it subscribes to elsewhere, its topics, and who subscribes to them.

use super::Graph;

/// One line for each app, topic and arrow.
pub(crate) fn text(graph: &Graph) -> String {
    let (topics, subscribers) = graph.nodes();
    let mut lines = Vec::new();
    for (name, app) in &graph.apps {
        let note = if app.known { "" } else { "  (known from others alone)" };
        lines.push(format!("{name}{note}"));
        for subscriber in subscribers.iter().filter(|subscriber| subscriber.foreign && subscriber.app == name)
        {
            let topic = topics[subscriber.topic];
            let language = subscriber.language.map(|language| format!("  {}", language.label()));
            lines.push(format!(
                "  ← {}:{}  {}{}",
                topic.app,
                topic.name,
                subscriber.name,
                language.unwrap_or_default()
            ));
        }
        for (index, topic) in topics.iter().enumerate().filter(|(_, topic)| topic.app == name) {
            let message = topic.message.map(|message| format!("  {message}")).unwrap_or_default();
            lines.push(format!("  {}{message}", topic.name));
            for subscriber in subscribers.iter().filter(|subscriber| subscriber.topic == index) {
                let app = if subscriber.foreign { format!("{}:", subscriber.app) } else { String::new() };
                let language = subscriber.language.map(|language| format!("  {}", language.label()));
                lines.push(format!("    → {app}{}{}", subscriber.name, language.unwrap_or_default()));
            }
        }
    }
    lines.join("\n")
}
