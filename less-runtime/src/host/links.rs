//! Opens the links to other apps whose topics this app subscribes to.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use less_model::config::{Config, MIN_API_KEY, Secret};
use less_model::manifest::{ExternalLayer, Manifest};
use less_model::name::{AppName, StageName};

use super::HostError;
use crate::app::layout;
use crate::link::{Address, Find, Link, LinkOptions, Linked, Subscription, Timing};
use crate::registry;
use crate::shutdown::Shutdown;
use crate::tls::Trust;
use crate::transport::{Layout, TopicSpec, Transport};

/// The file in the data folder that holds the folder's own number.
const INSTANCE: &str = "instance";

/// The app's own transport with links beside it, or that transport itself where no other app's topic is subscribed to.
pub(super) fn open(
    config: &Config,
    manifest: &Manifest,
    own: Arc<dyn Transport>,
    shutdown: &Shutdown,
) -> Result<Arc<dyn Transport>, HostError> {
    if manifest.external.is_empty() {
        return Ok(own);
    }
    let stage = &config.stage.value;
    let mut finds = Vec::new();
    let mut problems = Vec::new();
    for external in &manifest.external {
        let at = config.external.get(&external.app).cloned().unwrap_or_default();
        match find(&external.app, stage, at) {
            Ok(find) => finds.push(find),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(HostError::External(problems));
    }
    let instance = instance(Path::new(&config.data.value))
        .map_err(|cause| HostError::System { action: "number the data folder", cause })?;
    let layout = layout(manifest);
    let (mut links, mut external) = (Vec::new(), Vec::new());
    for (link, (app, find)) in manifest.external.iter().zip(finds).enumerate() {
        let subscriptions = subscriptions(&layout, &app.app);
        external.extend((0..).take(subscriptions.len()).map(|place| (link, place)));
        links.push(Link::open(LinkOptions {
            publisher: app.app.clone(),
            app: manifest.app.clone(),
            instance: instance.clone(),
            subscriptions,
            find,
            shutdown: shutdown.clone(),
            timing: Timing::default(),
        }));
    }
    let count = u32::try_from(layout.own().subscriptions.len()).unwrap_or(u32::MAX);
    Ok(Arc::new(Linked::new(own, count, links, external)))
}

/// What this app subscribes to of another one, in the layout's order.
fn subscriptions(layout: &Layout, app: &AppName) -> Vec<Subscription> {
    let topic =
        |spec: &crate::transport::SubscriptionSpec| -> &TopicSpec { &layout.topics[spec.topic.0 as usize] };
    let theirs = layout.subscriptions.iter().filter(|spec| topic(spec).app.as_ref() == Some(app));
    theirs
        .map(|spec| Subscription {
            topic: topic(spec).name.clone(),
            subscriber: spec.subscriber.clone(),
            start: spec.policy.start,
            filter: spec.filter.clone(),
        })
        .collect()
}

/// How another app is found: at its URL, or among the apps that run on this machine.
fn find(app: &AppName, stage: &StageName, at: ExternalLayer) -> Result<Find, String> {
    let ExternalLayer { url, token_env, ca, .. } = at;
    let token = match &token_env {
        Some(name) => Some(token(app, name)?),
        None => None,
    };
    let Some(url) = url else {
        let (app, stage) = (app.clone(), stage.clone());
        return Ok(Box::new(move || registered(&app, &stage)));
    };
    let loopback = is_loopback(&url);
    if token.is_none() && !loopback {
        return Err(format!(
            "`[external.{app}]` in less.toml has a URL on another machine and no token\nhint: write `token_env = \"…\"`, the variable that holds the LESS_LINK_TOKEN of `{app}`"
        ));
    }
    if !loopback && url.starts_with("http://") {
        tracing::warn!(target: "less_runtime", "the link to app `{app}` at {url} is not encrypted: token and messages can be read on the way");
    }
    let path = url.parse::<http::Uri>().ok().map(|uri| uri.path().trim_end_matches('/').to_owned());
    if path.is_none_or(|path| !path.is_empty()) {
        return Err(format!(
            "`[external.{app}] url` in less.toml is `{url}`, and an app has no path\nhint: write scheme, host and port alone, such as `http://127.0.0.1:4100`"
        ));
    }
    let unknown = token.is_none();
    let address = Address { url, token, trust: ca.map_or(Trust::System, |ca| Trust::Authorities(ca.into())) };
    let app = app.clone();
    // Without a token it is one of those that run here, and which one.
    Ok(Box::new(move || if unknown { at_url(&app, &address) } else { Ok(address.clone()) }))
}

/// The running app of this name at this address of the machine.
fn at_url(app: &AppName, address: &Address) -> Result<Address, String> {
    let all = registry::find(app).map_err(|error| error.to_string())?;
    let place = |url: &str| url.parse::<http::Uri>().ok().and_then(|uri| uri.port_u16());
    let found = all.iter().find(|entry| entry.url == address.url || place(&entry.url) == place(&address.url));
    found.map(registered_at).ok_or_else(|| {
        format!("no app of yours called `{app}` runs at {} on this machine; an app of somebody else asks for a token, which `token_env` names", address.url)
    })
}

fn token(app: &AppName, name: &str) -> Result<Secret, String> {
    let value = std::env::var(name).unwrap_or_default();
    if value.is_empty() {
        return Err(format!(
            "`[external.{app}]` in less.toml takes its token from {name}, which is not set\nhint: it holds the LESS_LINK_TOKEN of `{app}`"
        ));
    }
    if value.len() < MIN_API_KEY {
        return Err(format!(
            "the token in {name} has fewer than {MIN_API_KEY} characters\nhint: it holds the LESS_LINK_TOKEN of `{app}`"
        ));
    }
    Ok(Secret::new(value))
}

fn is_loopback(url: &str) -> bool {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn registered(app: &AppName, stage: &StageName) -> Result<Address, String> {
    let all = registry::find(app).map_err(|error| error.to_string())?;
    let (here, elsewhere): (Vec<_>, Vec<_>) = all.into_iter().partition(|entry| entry.stage == *stage);
    match &here[..] {
        [entry] => Ok(registered_at(entry)),
        [] => Err(match elsewhere.first() {
            Some(other) => format!("it runs in stage `{}`, not in `{stage}`", other.stage),
            None => format!(
                "it is not among the apps that run on this machine ({}); one that is elsewhere has a `url` under `[external.{app}]` in less.toml",
                registry::folder().display()
            ),
        }),
        several => {
            let folders: Vec<String> =
                several.iter().map(|entry| entry.folder.display().to_string()).collect();
            Err(format!(
                "{} apps of this name run here ({}); `[external.{app}] url` in less.toml says which one is meant",
                several.len(),
                folders.join(", ")
            ))
        }
    }
}

fn registered_at(entry: &registry::Entry) -> Address {
    Address { url: entry.url.clone(), token: Some(entry.token.clone()), trust: Trust::of(entry) }
}

/// The data folder's own number, and where it is: a copy of the folder is another one.
fn instance(folder: &Path) -> std::io::Result<String> {
    let number = number(folder)?;
    let place = std::fs::metadata(folder)?;
    Ok(format!("{number}.{:x}.{:x}", place.dev(), place.ino()))
}

/// The number in the data folder, made where there is none.
fn number(folder: &Path) -> std::io::Result<String> {
    let file = folder.join(INSTANCE);
    match std::fs::read_to_string(&file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let number = format!("{:032x}", rand::random::<u128>());
    let new = folder.join("instance.new");
    std::fs::write(&new, format!("{number}\n"))?;
    std::fs::rename(&new, &file)?;
    Ok(number)
}
