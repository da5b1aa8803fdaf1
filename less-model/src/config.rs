//! A running app's settings: flag, then environment, then the stage's table in `less.toml`, then `less.toml`, then the default.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use crate::manifest::{AwsLayer, ExternalLayer, HttpLayer, Layer, Settings, TlsFiles, TransportKind};
use crate::name::{AppName, NameError, StageName, nearest};
use crate::quantity::Span;

/// Default address.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:4100";
/// Default data folder, relative to the app's folder.
pub const DEFAULT_DATA: &str = ".less/data";
/// Default stage.
pub const DEFAULT_STAGE: &str = "dev";
/// Default largest body of a request: 1 MiB, the most that a topic's `max_message` can be.
pub const DEFAULT_MAX_BODY: u64 = 1024 * 1024;
/// Default number of connections at the same time.
pub const DEFAULT_MAX_CONNECTIONS: u32 = 4096;
/// How long handlers may go on after SIGTERM: under the 30 s after which systemd's and Kubernetes' usual settings kill.
pub const DEFAULT_DRAIN: Span = Span::from_secs(25);
/// Shortest API key, in bytes.
pub const MIN_API_KEY: usize = 16;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line, such as `--listen`.
    Flag(&'static str),
    /// An environment variable.
    Env(&'static str),
    /// The environment variable that is named after another app.
    AppEnv(String),
    /// The stage's table in `less.toml`.
    Stage(StageName),
    /// The top level of `less.toml`.
    File,
    /// The default.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Env(name) => f.write_str(name),
            Self::AppEnv(name) => f.write_str(name),
            Self::Stage(stage) => write!(f, "less.toml [stages.{stage}]"),
            Self::File => f.write_str("less.toml"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Its source.
    pub source: Source,
}

/// An API key or another secret. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// This text, which is not to be shown.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The key itself: for comparing and for sending, never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What the command line's flags say.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--listen`
    pub listen: Option<String>,
    /// `--data`
    pub data: Option<String>,
    /// `--stage`
    pub stage: Option<String>,
}

/// Every setting of a running app, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The stage.
    pub stage: Sourced<StageName>,
    /// Address to listen on. Port 0 means any free one.
    pub listen: Sourced<SocketAddr>,
    /// What stores and delivers messages.
    pub transport: Sourced<TransportKind>,
    /// Where on AWS, for a stage that runs there.
    pub aws: AwsLayer,
    /// Where other apps are, as far as that is said; see [`Settings::external`].
    pub external: BTreeMap<AppName, ExternalLayer>,
    /// The data folder, relative to the app's folder unless it is absolute.
    pub data: Sourced<String>,
    /// Where a running app is to be found, for clients.
    pub url: Option<Sourced<String>>,
    /// What other apps that subscribe to this one's topics show, beside what those on this machine find by themselves.
    pub link_token: Option<Sourced<Secret>>,
    /// The API key. Without one the app listens on loopback addresses only.
    pub api_key: Option<Sourced<Secret>>,
    /// Host names, beside `localhost` and IP addresses, that requests may be addressed to.
    pub hosts: Sourced<Vec<String>>,
    /// Largest body of a request, in bytes.
    pub max_body: Sourced<u64>,
    /// Most connections at the same time.
    pub max_connections: Sourced<u32>,
    /// What makes the endpoint HTTPS.
    pub tls: Option<Sourced<TlsFiles>>,
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The stage's name is none.
    #[error("stage `{value}` from {from}: {error}")]
    Stage {
        /// What was given.
        value: String,
        /// By whom.
        from: Source,
        /// What is wrong with it.
        error: NameError,
    },
    /// The app has stages, and none of this name: a misspelt one would run on the embedded broker instead of where its own table says.
    #[error(
        "there is no stage `{stage}` in less.toml, which {from} says{}\nhint: write `[stages.{stage}]` there, if only the line, or one of its stages: {}",
        nearest(stage.as_str(), known.iter().map(StageName::as_str)).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default(),
        known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    )]
    UnknownStage {
        /// What was given.
        stage: StageName,
        /// By whom.
        from: Source,
        /// Those that there are.
        known: Vec<StageName>,
    },
    /// Not an address.
    #[error(
        "`{value}` from {from} is no address\nhint: write an IP address or `localhost`, and a port, such as `127.0.0.1:4100`"
    )]
    Listen {
        /// What was given.
        value: String,
        /// By whom.
        from: Source,
    },
    /// An address that other machines can reach, and no API key.
    #[error(
        "listening on {listen} (from {from}) would let other machines publish without a key\nhint: set LESS_API_KEY to a secret of at least {MIN_API_KEY} characters, or listen on 127.0.0.1"
    )]
    OpenWithoutKey {
        /// The address.
        listen: SocketAddr,
        /// By whom.
        from: Source,
    },
    /// The API key is too short to be one.
    #[error(
        "LESS_API_KEY has fewer than {MIN_API_KEY} characters\nhint: make one with `openssl rand -hex 32`"
    )]
    ShortKey,
    /// The link's token is too short to be one.
    #[error(
        "LESS_LINK_TOKEN has fewer than {MIN_API_KEY} characters\nhint: make one with `openssl rand -hex 32`"
    )]
    ShortToken,
}

/// Which stage is meant: the flag's, else the environment's, else `dev`.
pub fn stage(
    flag: Option<&str>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Sourced<StageName>, ConfigError> {
    let from_env = || env("LESS_STAGE").filter(|value| !value.is_empty());
    let (text, source) = match flag {
        Some(stage) => (stage.to_owned(), Source::Flag("--stage")),
        None => from_env().map_or_else(
            || (DEFAULT_STAGE.to_owned(), Source::Default),
            |stage| (stage, Source::Env("LESS_STAGE")),
        ),
    };
    match text.parse() {
        Ok(value) => Ok(Sourced { value, source }),
        Err(error) => Err(ConfigError::Stage { value: text, from: source, error }),
    }
}

/// Where to listen: an IP address and a port, or `localhost` and a port, which is 127.0.0.1.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let local = || Some(SocketAddr::from(([127, 0, 0, 1], text.strip_prefix("localhost:")?.parse().ok()?)));
    text.parse().ok().or_else(local)
}

/// Resolves every setting; `env` looks up an environment variable. All problems are returned at once.
pub fn resolve(
    settings: &Settings,
    flags: &Flags,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Config, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let set = |name: &'static str| {
        env(name).filter(|value| !value.is_empty()).map(|value| (value, Source::Env(name)))
    };

    let stage = stage(flags.stage.as_deref(), &env).map_err(|error| errors.push(error)).ok();
    let mut layers = Vec::new();
    let mut transport = Sourced { value: TransportKind::default(), source: Source::Default };
    let mut aws = AwsLayer::default();
    if let Some(stage) = &stage
        && let Some(layer) = settings.stages.get(&stage.value)
    {
        let source = Source::Stage(stage.value.clone());
        if let Some(value) = layer.transport {
            transport = Sourced { value, source: source.clone() };
        }
        aws = layer.aws.clone();
        layers.push((layer, source));
    } else if let Some(Sourced { value: stage, source: from }) = &stage
        && stage.as_str() != DEFAULT_STAGE
        && !settings.stages.is_empty()
    {
        let (stage, from, known) = (stage.clone(), from.clone(), settings.stages.keys().cloned().collect());
        errors.push(ConfigError::UnknownStage { stage, from, known });
    }
    layers.push((&settings.base, Source::File));

    let (listen, from) = flags
        .listen
        .clone()
        .map(|value| (value, Source::Flag("--listen")))
        .or_else(|| set("LESS_LISTEN"))
        .or_else(|| pick(&layers, |layer| layer.listen.clone()))
        .unwrap_or_else(|| (DEFAULT_LISTEN.to_owned(), Source::Default));
    let listen = if let Some(value) = address(&listen) {
        Some(Sourced { value, source: from })
    } else {
        errors.push(ConfigError::Listen { value: listen, from });
        None
    };
    let (data, source) = flags
        .data
        .clone()
        .map(|value| (value, Source::Flag("--data")))
        .or_else(|| set("LESS_DATA"))
        .or_else(|| pick(&layers, |layer| layer.data.clone()))
        .unwrap_or_else(|| (DEFAULT_DATA.to_owned(), Source::Default));
    let data = Sourced { value: data, source };
    let url = set("LESS_URL")
        .or_else(|| pick(&layers, |layer| layer.url.clone()))
        .map(|(value, source)| Sourced { value, source });
    let api_key = set("LESS_API_KEY").map(|(value, source)| Sourced { value: Secret(value), source });
    if api_key.as_ref().is_some_and(|key| key.value.expose().len() < MIN_API_KEY) {
        errors.push(ConfigError::ShortKey);
    }
    let link_token = set("LESS_LINK_TOKEN").map(|(value, source)| Sourced { value: Secret(value), source });
    if link_token.as_ref().is_some_and(|token| token.value.expose().len() < MIN_API_KEY) {
        errors.push(ConfigError::ShortToken);
    }
    if let (Some(listen), None) = (&listen, &api_key)
        && !listen.value.ip().is_loopback()
    {
        errors.push(ConfigError::OpenWithoutKey { listen: listen.value, from: listen.source.clone() });
    }
    match (stage, listen) {
        (Some(stage), Some(listen)) if errors.is_empty() => Ok(Config {
            external: layers
                .iter()
                .flat_map(|(layer, _)| layer.external.keys())
                .map(|app| (app.clone(), settings.external(&stage.value, app)))
                .collect(),
            stage,
            listen,
            transport,
            aws,
            data,
            url,
            link_token,
            api_key,
            hosts: http(&layers, |http| http.hosts.clone(), Vec::new()),
            max_body: http(&layers, |http| http.max_body.map(crate::quantity::Size::bytes), DEFAULT_MAX_BODY),
            max_connections: http(&layers, |http| http.max_connections, DEFAULT_MAX_CONNECTIONS),
            tls: pick(&layers, |layer| layer.http.tls.clone())
                .map(|(value, source)| Sourced { value, source }),
        }),
        _ => Err(errors),
    }
}

fn pick<T>(layers: &[(&Layer, Source)], get: impl Fn(&Layer) -> Option<T>) -> Option<(T, Source)> {
    layers.iter().find_map(|(layer, source)| get(layer).map(|value| (value, source.clone())))
}

fn http<T>(layers: &[(&Layer, Source)], get: impl Fn(&HttpLayer) -> Option<T>, default: T) -> Sourced<T> {
    let (value, source) = pick(layers, |layer| get(&layer.http)).unwrap_or((default, Source::Default));
    Sourced { value, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        serde_json::from_value(serde_json::json!({
            "listen": "127.0.0.1:1", "data": "file", "http": { "max_body": "1KiB" },
            "stages": { "production": { "listen": "127.0.0.1:2", "http": { "hosts": ["a.example"] } } }
        }))
        .unwrap()
    }

    #[test]
    fn where_an_app_is_reached_is_said_by_the_environment_or_by_the_stage() {
        let settings: Settings = serde_json::from_value(serde_json::json!({
            "stages": { "production": { "url": "https://a.example" } }
        }))
        .unwrap();
        let flags = Flags { stage: Some("production".to_owned()), ..Flags::default() };
        let url = |env: Option<&str>| {
            let env = |name: &str| env.filter(|_| name == "LESS_URL").map(str::to_owned);
            resolve(&settings, &flags, env).unwrap().url.unwrap()
        };
        let said = |url: Sourced<String>| (url.value, url.source.to_string());
        let stage = ("https://a.example".to_owned(), "less.toml [stages.production]".to_owned());
        assert_eq!(said(url(None)), stage);
        assert_eq!(said(url(Some("http://b"))), ("http://b".to_owned(), "LESS_URL".to_owned()));
    }

    #[test]
    fn a_stage_that_is_not_there_is_an_error_where_there_are_others() {
        let with = |settings: &Settings, stage: Option<&str>| {
            let env = |name: &str| stage.filter(|_| name == "LESS_STAGE").map(str::to_owned);
            resolve(settings, &Flags::default(), env).map(|config| config.stage.value.to_string())
        };
        let errors = with(&settings(), Some("prodution")).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "there is no stage `prodution` in less.toml, which LESS_STAGE says; did you mean `production`?\nhint: write `[stages.prodution]` there, if only the line, or one of its stages: `production`"
            ]
        );
        assert_eq!(with(&settings(), Some("production")), Ok("production".to_owned()));
        // The default needs no table, nor does any where there is none.
        assert_eq!(with(&settings(), None), Ok("dev".to_owned()));
        assert_eq!(with(&settings(), Some("dev")), Ok("dev".to_owned()));
        assert_eq!(with(&Settings::default(), Some("live")), Ok("live".to_owned()));
    }

    #[test]
    fn the_order_is_flag_environment_stage_file_default() {
        let flags = Flags { stage: Some("production".to_owned()), ..Flags::default() };
        let config = resolve(&settings(), &flags, |_| None).unwrap();
        assert_eq!(config.listen.source, Source::Stage("production".parse().unwrap()));
        assert_eq!(config.listen.value.port(), 2);
        assert_eq!((config.data.value.as_str(), &config.data.source), ("file", &Source::File));
        assert_eq!((config.max_body.value, &config.max_body.source), (1024, &Source::File));
        assert_eq!(config.max_connections.source, Source::Default);

        let env = |name: &str| (name == "LESS_LISTEN").then(|| "127.0.0.1:3".to_owned());
        assert_eq!(resolve(&settings(), &flags, env).unwrap().listen.value.port(), 3);
        let flags = Flags { listen: Some("127.0.0.1:4".to_owned()), ..flags };
        assert_eq!(resolve(&settings(), &flags, env).unwrap().listen.value.port(), 4);
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let flags = Flags { stage: Some("Prod".to_owned()), listen: Some("here".to_owned()), data: None };
        let env = |name: &str| (name == "LESS_API_KEY").then(|| "short".to_owned());
        assert_eq!(resolve(&Settings::default(), &flags, env).unwrap_err().len(), 3);
    }

    #[test]
    fn an_address_that_others_can_reach_needs_a_key() {
        let flags = Flags { listen: Some("0.0.0.0:80".to_owned()), ..Flags::default() };
        let errors = resolve(&Settings::default(), &flags, |_| None).unwrap_err();
        assert!(matches!(errors[..], [ConfigError::OpenWithoutKey { .. }]));
        let env = |name: &str| (name == "LESS_API_KEY").then(|| "0123456789abcdef".to_owned());
        let config = resolve(&Settings::default(), &flags, env).unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
