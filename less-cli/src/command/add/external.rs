//! `less add subscriber APP:TOPIC/NAME`.

use less_model::contract::Contract;
use less_model::language::Language;
use less_model::name::{AppName, SubscriberName, TopicName, nearest};
use less_model::tree::App;

use super::{is_new, usual_handler, write};
use crate::cli::ExitStatus;
use crate::project::Project;
use crate::{templates, ui};

/// Makes a subscriber to a topic of another app.
pub(super) fn subscriber(
    project: &Project,
    app: &App,
    other: &str,
    topic: &str,
    name: &SubscriberName,
    language: Option<Language>,
) -> anyhow::Result<ExitStatus> {
    let other: AppName =
        other.parse().map_err(|error| ui::user_error(format!("`{other}` is no name for an app: {error}")))?;
    if other == app.name {
        return Err(ui::user_error(format!(
            "`{other}` is this app itself\nhint: less add subscriber {topic}/{name}"
        )));
    }
    let topic: TopicName = topic
        .parse()
        .map_err(|error| ui::user_error(format!("`{topic}` can't be a topic's name: {error}")))?;
    let known = app.external.iter().find(|external| external.name == other);
    if let Some(twin) =
        app.external.iter().find(|twin| twin.name != other && twin.name.identifier() == other.identifier())
    {
        return Err(ui::user_error(format!(
            "apps `{}` and `{other}` would be called the same in code\n  --> {}\nhint: one of them needs another name",
            twin.name, twin.folder
        )));
    }
    let same = known.and_then(|known| {
        known.topics.iter().find(|known| known.name.as_str().eq_ignore_ascii_case(topic.as_str()))
    });
    if let Some(same) = same {
        is_new(same, name)?;
    }
    let contract = known.and_then(|known| known.contract.as_ref());
    let type_name = match contract {
        Some(contract) => type_name(contract, &topic, name)?,
        None => None,
    };
    let usual = usual_handler(app, same);
    let chosen = language.unwrap_or(usual.0);
    let text = templates::handler(chosen, Some(&other), &topic, type_name.as_deref());
    let file = chosen.handler_files()[0];
    write(project, &format!("less/external_topics/{other}/{topic}/{name}/{file}"), &text)?;
    if language.is_none() {
        ui::say(&usual.1);
    }
    if contract.is_none() {
        ui::say(&format!(
            "without a contract of `{other}` its messages are any JSON: `less contract add {other}` while it runs here, or from a file or URL, gives them types"
        ));
    }
    Ok(ExitStatus::Success)
}

/// The name of the topic's type, where it has one.
fn type_name(
    contract: &Contract,
    topic: &TopicName,
    name: &SubscriberName,
) -> anyhow::Result<Option<String>> {
    let app = &contract.app;
    let Some(promised) = contract.topic(topic.as_str()) else {
        let near = nearest(topic.as_str(), contract.topics.iter().map(|topic| topic.name.as_str()));
        let near =
            near.map(|near| format!("\nhint: did you mean `{app}:{near}/{name}`?")).unwrap_or_default();
        return Err(ui::user_error(format!(
            "the contract of `{app}` here has no topic `{topic}`{near}\nhint: `less contract add {app} --topic {topic}` takes it, where `{app}` has it by now"
        )));
    };
    Ok(promised.shape().ok().flatten().map(|_| promised.name.type_name()))
}
