//! What a plan says about other apps' topics: whether they are there, and what others have to do first.

use less_model::config::Source;
use less_model::diagnostic::{Diagnostic, Place};
use less_model::elsewhere::variable;
use less_model::tree::{ExternalApp, Topic};
use less_runtime::transport::aws::provision::{Desired, DesiredExternal, Observed, OtherTopic};
use less_runtime::transport::aws::sns_principal;
use serde::Serialize;

/// What another account has to allow, for as long as this app subscribes to a topic there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allowance {
    /// The topic, `app:topic`.
    pub topic: String,
    /// The SNS topic's ARN.
    pub arn: String,
    /// Whom its policy has to let subscribe: this app's account.
    pub account: String,
    /// The other app.
    #[serde(skip)]
    app: String,
    /// Its stage.
    #[serde(skip)]
    stage: String,
}

impl Allowance {
    /// As people read it.
    pub fn text(&self) -> String {
        let Self { topic, account, app, stage, .. } = self;
        format!(
            "`{topic}` is in another account, whose topic has to let account {account} subscribe: `subscriber_accounts = [\"{account}\"]` below `[stages.{stage}]` in less.toml of `{app}`"
        )
    }
}

/// What another account has to allow, where there is something new to allow.
pub fn allowance(desired: &Desired, other: &DesiredExternal, is_new: bool) -> Option<Allowance> {
    (is_new && other.site.account != desired.site.account).then(|| Allowance {
        topic: other.address(),
        arn: other.arn.clone(),
        account: desired.site.account.clone(),
        app: other.app.to_string(),
        stage: other.stage.value.to_string(),
    })
}

/// Refuses what can't be subscribed to. Returns whether waiting may help.
pub fn judge(
    desired: &Desired,
    other: &DesiredExternal,
    folder: &ExternalApp,
    source: &Topic,
    observed: &Observed,
    refused: &mut Vec<Diagnostic>,
) -> bool {
    let region = &desired.site.region;
    if sns_principal(&other.site.region, region).is_none() {
        let message = format!(
            "topic `{}` of app `{}` is in {}, and SNS delivers nothing from there to {region}",
            other.topic, other.app, other.site.region
        );
        let hint = "SNS delivers within a partition, and to or from an opt-in region only where the other one is none: deploy one of the two apps elsewhere";
        refused.push(Diagnostic::error("region", message).at(Place::path(&source.folder)).hint(hint));
        return false;
    }
    // Nothing was looked at: nothing is known to be wrong.
    let Some(found) = observed.external.get(&other.arn) else { return false };
    match found.topic {
        OtherTopic::There => false,
        OtherTopic::OtherOrder => {
            refused.push(other_order(other, folder, source));
            false
        }
        OtherTopic::Missing => {
            refused.push(missing(desired, other, source));
            true
        }
        OtherTopic::Closed => {
            refused.push(closed(desired, other, source));
            true
        }
    }
}

fn other_order(other: &DesiredExternal, folder: &ExternalApp, source: &Topic) -> Diagnostic {
    let DesiredExternal { app, topic, site, .. } = other;
    let known = match (&folder.contract, other.ordered) {
        (None, _) => "there is no contract here that says so",
        (Some(_), false) => "the contract here says that it is not",
        (Some(_), true) => "the contract here says that it is",
    };
    let is = if other.ordered { "is not ordered (FIFO)" } else { "is ordered (FIFO)" };
    let message = format!(
        "topic `{topic}` of app `{app}` {is} in account {}, {}, and {known}",
        site.account, site.region
    );
    Diagnostic::error("fifo", message).at(Place::path(&source.folder)).hint(format!(
        "bring the contract up to date: `less contract export` in app `{app}` writes it, `less contract add FILE` here takes it"
    ))
}

fn missing(desired: &Desired, other: &DesiredExternal, source: &Topic) -> Diagnostic {
    let DesiredExternal { app, topic, site, name, .. } = other;
    let stage = &other.stage.value;
    let message = format!(
        "topic `{topic}` of app `{app}` is not deployed in stage `{stage}`: there is no SNS topic `{name}` in account {}, {}",
        site.account, site.region
    );
    let diagnostic = Diagnostic::error("not-deployed", message).at(Place::path(&source.folder));
    let diagnostic = diagnostic.hint(format!(
        "deploy that app first, `less deploy --stage {stage}` in `{app}`, or wait for it with `less deploy --stage {} --wait-for-external`",
        desired.stage
    ));
    elsewhere(diagnostic, desired, other)
}

fn closed(desired: &Desired, other: &DesiredExternal, source: &Topic) -> Diagnostic {
    let DesiredExternal { app, topic, site, name, .. } = other;
    let (stage, account) = (&other.stage.value, &desired.site.account);
    let message = format!(
        "topic `{topic}` of app `{app}` can't be looked at: account {} does not let account {account} read SNS topic `{name}` in {}, or has none",
        site.account, site.region
    );
    let diagnostic = Diagnostic::error("not-allowed", message).at(Place::path(&source.folder));
    let diagnostic = diagnostic
        .hint(format!(
            "write `subscriber_accounts = [\"{account}\"]` below `[stages.{stage}]` in less.toml of `{app}`, and `less deploy --stage {stage}` there"
        ))
        .hint(format!(
            "`less iam --stage {}` prints what the topic's policy has to say (`external`), and what your own role has to (`deployer`)",
            desired.stage
        ));
    elsewhere(diagnostic, desired, other)
}

/// Says who says where the other app is, and how to say something else.
fn elsewhere(diagnostic: Diagnostic, desired: &Desired, other: &DesiredExternal) -> Diagnostic {
    let (app, stage) = (&other.app, &other.stage.value);
    match &other.stage.source {
        Source::AppEnv(variable) => {
            diagnostic.note(format!("stage `{stage}` is what the environment variable {variable} says"), None)
        }
        Source::Flag(_) | Source::Env(_) | Source::Stage(_) | Source::File => diagnostic,
        Source::Default => {
            let table = format!("[stages.{}.external.{app}]", desired.stage);
            let or = variable(app).map(|name| format!(", or {name}=STAGE in the environment"));
            diagnostic.hint(format!(
                "if it is elsewhere: `stage`, `account` or `region` below `{table}` in less.toml{}",
                or.unwrap_or_default()
            ))
        }
    }
}
