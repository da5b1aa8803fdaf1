//! `less add`.

mod external;

use std::path::Path;

use anyhow::Context as _;
use clap::Subcommand;
use less_model::language::Language;
use less_model::name::{SubscriberName, TopicName, nearest};
use less_model::tree::{App, Topic};

use crate::cli::{ExitStatus, Lang};
use crate::project::Project;
use crate::{templates, ui};

/// What `add` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a topic
    Topic {
        /// Its id, which becomes its folder's name
        name: String,
        /// What its message type is written in; a JSON Schema for any other than Rust [default: Rust where the app has some]
        #[arg(long)]
        lang: Option<Lang>,
    },
    /// Add a subscriber to a topic
    Subscriber {
        /// `TOPIC/NAME`, or `APP:TOPIC/NAME` for a topic of another app
        #[arg(value_name = "[APP:]TOPIC/NAME")]
        path: String,
        /// What to write it in [default: as all others of its topic are, else as all of the app, else Rust where the app has some]
        #[arg(long)]
        lang: Option<Lang>,
    },
}

pub(super) fn run(project: &Project, arguments: &Args) -> anyhow::Result<ExitStatus> {
    match &arguments.what {
        What::Topic { name, lang } => topic(project, name, lang.map(Into::into)),
        What::Subscriber { path, lang } => subscriber(project, path, lang.map(Into::into)),
    }
}

/// What a new subscriber is written in where that is not said: as all others of its topic are, else as all of the app, else Rust where it has some; and what to say
/// about it.
fn usual_handler(app: &App, topic: Option<&Topic>) -> (Language, String) {
    let one = |mut all: Vec<Language>| {
        all.dedup();
        if let [only] = all[..] { Some(only) } else { None }
    };
    let of = |topic: &Topic| topic.subscribers.iter().map(|subscriber| subscriber.language).collect();
    let (language, why) = if let (Some(language), Some(topic)) = (topic.map(of).and_then(one), topic) {
        (language, format!(", as the others of `{}` are", topic.name))
    } else if let Some(language) = one(app.languages().collect()) {
        (language, ", as the app's others are".to_owned())
    } else {
        let language = usual(app);
        let without = if language == Language::Rust { "" } else { ", as the app has no Rust" };
        (language, without.to_owned())
    };
    let others: Vec<&str> =
        Language::ALL.into_iter().filter(|other| *other != language).map(Language::id).collect();
    (
        language,
        format!("it is in {}{why}; `--lang {}` chooses another language", language.label(), others.join("|")),
    )
}

/// What an app is written in: Rust wherever there is some, as cargo is there then; else what comes first.
fn usual(app: &App) -> Language {
    if app.needs_rust() { Language::Rust } else { app.languages().next().unwrap_or(Language::Rust) }
}

fn topic(project: &Project, name: &str, language: Option<Language>) -> anyhow::Result<ExitStatus> {
    let name: TopicName = name.parse().map_err(|error| {
        let hint = instead("topic ", name);
        ui::user_error(format!("`{name}` can't be a topic's name: {error}\n{hint}"))
    })?;
    let app = project.read()?.app;
    if let Some(same) =
        app.topics.iter().find(|topic| topic.name.as_str().eq_ignore_ascii_case(name.as_str()))
    {
        return Err(ui::user_error(format!(
            "there is a topic `{}` already\n  --> {}\nhint: `less add subscriber {}/NAME` adds to it",
            same.name, same.folder, same.name
        )));
    }
    let folder = format!("less/topics/{name}");
    let type_name = name.type_name();
    let language = language.unwrap_or_else(|| usual(&app));
    let (file, template) = templates::message(language == Language::Rust);
    write(project, &format!("{folder}/{file}"), &template.replace("{{type}}", &type_name))?;
    ui::say(&format!("next: `less add subscriber {name}/NAME`"));
    how_to_publish(language, &name, Some(&type_name));
    Ok(ExitStatus::Success)
}

fn subscriber(project: &Project, path: &str, language: Option<Language>) -> anyhow::Result<ExitStatus> {
    let app = project.read()?.app;
    let Some((topic, name)) = path.split_once('/') else {
        if app.addressed().any(|(address, _)| address == path) {
            return Err(ui::user_error(format!(
                "`{path}` is a topic, and its subscriber needs a name\nhint: `less add subscriber {path}/NAME`"
            )));
        }
        return Err(ui::user_error(format!(
            "`{path}` names no topic\nhint: write `less add subscriber TOPIC/{path}`"
        )));
    };
    let name: SubscriberName = name.parse().map_err(|error| {
        let hint = instead(&format!("subscriber {topic}/"), name);
        ui::user_error(format!("`{name}` can't be a subscriber's name: {error}\n{hint}"))
    })?;
    if let Some((other, topic)) = topic.split_once(':') {
        return external::subscriber(project, &app, other, topic, &name, language);
    }
    let found: Option<&Topic> = app.topics.iter().find(|candidate| candidate.name.as_str() == topic);
    let Some(topic) = found else {
        let hint = match nearest(topic, app.topics.iter().map(|topic| topic.name.as_str())) {
            Some(near) => format!("hint: did you mean `{near}/{name}`?"),
            None => format!("hint: `less add topic {topic}` makes it"),
        };
        return Err(ui::user_error(format!("there is no topic `{topic}`\n{hint}")));
    };
    is_new(topic, &name)?;
    let usual = usual_handler(&app, Some(topic));
    let chosen = language.unwrap_or(usual.0);
    let type_name = topic.message.type_name();
    let text = templates::handler(chosen, None, &topic.name, type_name);
    write(project, &format!("{}/{name}/{}", topic.folder, chosen.handler_files()[0]), &text)?;
    if language.is_none() {
        ui::say(&usual.1);
    }
    let language = chosen;
    how_to_publish(language, &topic.name, type_name);
    Ok(ExitStatus::Success)
}

fn is_new(topic: &Topic, name: &SubscriberName) -> anyhow::Result<()> {
    match topic.subscribers.iter().find(|s| s.name.as_str().eq_ignore_ascii_case(name.as_str())) {
        Some(same) => Err(ui::user_error(format!(
            "`{}` has a subscriber `{}` already\n  --> {}\nhint: change that file, or choose another name",
            topic.name, same.name, same.file
        ))),
        None => Ok(()),
    }
}

/// What to write instead of a bad name.
fn instead(before: &str, name: &str) -> String {
    let mut tame: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    tame = tame.trim_matches('_').to_owned();
    if tame == name {
        // Its letters are fine, so it is a word with another use.
        tame.push('_');
    }
    if tame.parse::<TopicName>().is_ok() {
        format!("hint: less add {before}{tame}")
    } else {
        "hint: begin with a letter, and go on with letters, digits and `_`".to_owned()
    }
}

fn how_to_publish(language: Language, topic: &TopicName, type_name: Option<&str>) {
    let call = templates::publish(language, topic.as_str(), type_name);
    ui::say(&format!("publish from {}:  {call}", language.label()));
    ui::say(&format!("publish from here:  less publish {topic} '{{…}}'"));
}

/// Writes a new file, and prints its path. An existing one is never touched.
fn write(project: &Project, path: &str, text: &str) -> anyhow::Result<()> {
    let full = project.root.join(path);
    if let Some(folder) = full.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let new = std::fs::File::create_new(&full);
    let mut file = match new {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(ui::user_error(format!("`{path}` exists already, and is left as it is")));
        }
        Err(error) => return Err(error).with_context(|| format!("can't write {path}")),
    };
    std::io::Write::write_all(&mut file, text.as_bytes()).with_context(|| format!("can't write {path}"))?;
    ui::data(&Path::new(path).display().to_string());
    Ok(())
}
