//! Where another app's topics are on AWS: an environment variable, then the stage's table in `less.toml`, then where this app's own are.

use std::fmt;

use crate::config::{Source, Sourced};
use crate::manifest::{ExternalLayer, Settings};
use crate::name::{AppName, StageName};

/// Variables that shells, systems and Less itself set: an app of such a name is described in `less.toml` alone. Sorted.
const NOT_FOR_APPS: [&str; 25] = [
    "BROWSER", "CI", "DISPLAY", "EDITOR", "HOME", "HOST", "HOSTNAME", "LANG", "LANGUAGE", "LESS", "LOGNAME",
    "MAIL", "OLDPWD", "PAGER", "PATH", "PORT", "PWD", "SHELL", "SHLVL", "TERM", "TMPDIR", "TZ", "USER",
    "USERNAME", "VISUAL",
];
/// What other variables of that kind begin with.
const PREFIXES: [&str; 4] = ["AWS_", "LC_", "LESS_", "XDG_"];

/// Where another app's topics are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The other app's stage.
    pub stage: Sourced<StageName>,
    /// Its account; the same as this app's without it.
    pub account: Option<String>,
    /// Its region; the same as this app's without it.
    pub region: Option<String>,
}

impl fmt::Display for Elsewhere {
    /// As the environment variable has it: `STAGE`, with `@ACCOUNT`, with `/REGION`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stage.value)?;
        if let Some(account) = &self.account {
            write!(f, "@{account}")?;
        }
        if let Some(region) = &self.region {
            write!(f, "/{region}")?;
        }
        Ok(())
    }
}

/// A variable that names no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElsewhereError {
    /// The variable.
    pub variable: String,
    /// What it holds.
    pub value: String,
    /// The app that it is named after.
    pub app: AppName,
    /// What is wrong with it.
    pub problem: String,
}

impl std::error::Error for ElsewhereError {}

impl fmt::Display for ElsewhereError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, app, problem } = self;
        write!(
            f,
            "`{value}` from {variable} does not say where app `{app}` is: {problem}\nhint: write its stage, such as `{variable}=production`, and where it is in another account or region `production@123456789012/eu-west-1`"
        )
    }
}

/// The environment variable that says where an app is: its name in upper case, with `_` for `-`. `None` where that variable means something else.
pub fn variable(app: &AppName) -> Option<String> {
    let name = app.as_str().replace('-', "_").to_ascii_uppercase();
    let other = NOT_FOR_APPS.binary_search(&name.as_str()).is_ok()
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    (!other).then_some(name)
}

impl Elsewhere {
    /// Where `less.toml` says that an app is, seen from a stage.
    pub fn of(settings: &Settings, stage: &StageName, app: &AppName) -> Self {
        let ExternalLayer { stage: other, account, region, .. } = settings.external(stage, app);
        let stage = match other {
            Some(value) => Sourced { value, source: Source::Stage(stage.clone()) },
            None => Sourced { value: stage.clone(), source: Source::Default },
        };
        Self { stage, account, region }
    }

    /// The same with what the environment says before it: `STAGE`, with `@ACCOUNT`, with `/REGION`.
    pub fn resolve(
        settings: &Settings,
        stage: &StageName,
        app: &AppName,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ElsewhereError> {
        let file = Self::of(settings, stage, app);
        let Some(variable) = variable(app) else { return Ok(file) };
        let Some(value) = env(&variable).filter(|value| !value.is_empty()) else { return Ok(file) };
        match place(&value) {
            Ok((stage, account, region)) => Ok(Self {
                stage: Sourced { value: stage, source: Source::AppEnv(variable) },
                account: account.or(file.account),
                region: region.or(file.region),
            }),
            Err(problem) => Err(ElsewhereError { variable, value, app: app.clone(), problem }),
        }
    }
}

/// Reads `STAGE[@ACCOUNT][/REGION]`.
fn place(text: &str) -> Result<(StageName, Option<String>, Option<String>), String> {
    let (rest, region) = match text.split_once('/') {
        Some((rest, region)) if is_region(region) => (rest, Some(region.to_owned())),
        Some((_, region)) => return Err(format!("`{region}` is no region")),
        None => (text, None),
    };
    let (stage, account) = match rest.split_once('@') {
        Some((stage, account)) if is_account(account) => (stage, Some(account.to_owned())),
        Some((_, account)) => return Err(format!("`{account}` is no account, which has 12 digits")),
        None => (rest, None),
    };
    match stage.parse() {
        Ok(stage) => Ok((stage, account, region)),
        Err(error) => Err(format!("`{stage}` is no stage, as {error}")),
    }
}

/// Whether this could be an AWS account.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this could be an AWS region.
pub fn is_region(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (5..=32).contains(&text.len()) && text.contains('-') && text.chars().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        serde_json::from_value(serde_json::json!({
            "stages": { "production": { "external": { "user-service": {
                "stage": "live", "account": "111122223333"
            } } } }
        }))
        .unwrap()
    }

    fn seen(app: &str, value: Option<&str>) -> Result<String, String> {
        let env = |name: &str| value.filter(|_| name == "USER_SERVICE").map(str::to_owned);
        let stage = "production".parse().unwrap();
        Elsewhere::resolve(&settings(), &stage, &app.parse().unwrap(), env)
            .map(|found| format!("{found} ({})", found.stage.source))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_comes_before_the_file_and_that_before_the_same_stage() {
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(seen("billing", None), ok("production (default)"));
        let file = "live@111122223333 (less.toml [stages.production])";
        assert_eq!(seen("user-service", None), ok(file));
        assert_eq!(seen("user-service", Some("")), ok(file));
        for (value, found) in [
            ("staging", "staging@111122223333 (USER_SERVICE)"),
            ("staging@999988887777/us-east-1", "staging@999988887777/us-east-1 (USER_SERVICE)"),
            ("staging/us-east-1", "staging@111122223333/us-east-1 (USER_SERVICE)"),
        ] {
            assert_eq!(seen("user-service", Some(value)), ok(found));
        }
    }

    #[test]
    fn what_names_no_place_is_told_with_what_would() {
        assert_eq!(
            seen("user-service", Some("Staging")).unwrap_err(),
            "`Staging` from USER_SERVICE does not say where app `user-service` is: `Staging` is no stage, as the name begins with a lower-case letter, not with `S`\nhint: write its stage, such as `USER_SERVICE=production`, and where it is in another account or region `production@123456789012/eu-west-1`"
        );
        for (value, problem) in [
            ("a@12", "`12` is no account, which has 12 digits"),
            ("a/here", "`here` is no region"),
            ("@111122223333", "`` is no stage"),
        ] {
            let told = seen("user-service", Some(value)).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
    }

    #[test]
    fn variables_that_mean_something_else_are_not_asked() {
        let named = |app: &str| variable(&app.parse().unwrap());
        for app in ["user", "mail", "less", "path", "less-stage", "aws_region", "home"] {
            assert_eq!(named(app), None, "{app}");
        }
        assert_eq!(named("user-management_service").as_deref(), Some("USER_MANAGEMENT_SERVICE"));
        assert!(NOT_FOR_APPS.is_sorted());
    }
}
