//! A change that concerns worker processes alone: they are replaced, and the app goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::endpoint::Endpoint;
use less_model::language::Language;
use less_model::tree::{App, Subscriber};
use less_runtime::PublishError;

/// Modules that handlers of other languages share.
const SHARED: &str = "less/shared";

/// A topic's address and a subscriber's name.
type Names = (String, String);

/// The subscribers whose processes have to be replaced after these files have changed; `None` where that would not do.
pub(super) fn subscribers(app: &App, changed: &[PathBuf]) -> Option<BTreeSet<Names>> {
    let all = || {
        app.addressed().flat_map(|(address, topic)| {
            let subscribers = topic.subscribers.iter();
            subscribers
                .filter(|subscriber| subscriber.language != Language::Rust)
                .map(move |subscriber| (address.clone(), subscriber))
        })
    };
    let names = |(address, subscriber): (String, &Subscriber)| (address, subscriber.name.to_string());
    let mut out = BTreeSet::new();
    for path in changed {
        if path.starts_with(SHARED) {
            out.extend(all().map(names));
        } else {
            out.insert(names(all().find(|(_, subscriber)| path.starts_with(Path::new(&subscriber.folder)))?));
        }
    }
    Some(out)
}

/// Has the running app replace their processes.
pub(super) async fn replace(at: &Endpoint, subscribers: &BTreeSet<Names>) -> Result<(), PublishError> {
    let client = at.client()?;
    for (topic, subscriber) in subscribers {
        client.restart_workers(topic, subscriber).await?;
        super::say(&format!("reloading {topic}/{subscriber}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use less_model::scan::scan;
    use less_model::source::SourceTree;

    use super::*;

    fn concerned(changed: &[&str]) -> Option<Vec<String>> {
        let files = ["a/x/index.js", "a/y/__init__.py", "b/x/index.mjs", "b/z/mod.rs"];
        let own = files.map(|file| format!("//- less/topics/{file}\n")).concat();
        let text =
            own + "//- less/external_topics/shop/a/x/index.js\n//- less/external_topics/shop/a/z/mod.rs\n";
        let app = scan(&SourceTree::fixture(&text), "app").0;
        let changed: Vec<PathBuf> = changed.iter().map(PathBuf::from).collect();
        subscribers(&app, &changed)
            .map(|names| names.iter().map(|(topic, name)| format!("{topic}/{name}")).collect())
    }

    #[test]
    fn only_the_subscribers_whose_files_changed_are_concerned() {
        let names = |all: &[&str]| Some(all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(concerned(&["less/topics/a/x/index.js"]), names(&["a/x"]));
        assert_eq!(
            concerned(&["less/topics/a/x/deep/er.js", "less/topics/b/x/new.js"]),
            names(&["a/x", "b/x"])
        );
        assert_eq!(concerned(&["less/shared/db.py"]), names(&["a/x", "a/y", "b/x", "shop:a/x"]));
        assert_eq!(concerned(&["less/external_topics/shop/a/x/index.js"]), names(&["shop:a/x"]));
    }

    #[test]
    fn a_change_of_anything_else_concerns_the_app() {
        for path in [
            "less.toml",
            "less/topics/b/z/mod.rs",
            "less/topics/a/message.schema.json",
            "src/lib.rs",
            "less/topics/a/x2/a.js",
            "less/external_topics/shop/contract.json",
            "less/external_topics/shop/a/z/mod.rs",
        ] {
            assert_eq!(concerned(&["less/topics/a/x/index.js", path]), None, "{path}");
        }
    }
}
