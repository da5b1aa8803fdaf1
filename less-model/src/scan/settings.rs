//! `less.toml`.

use toml::Spanned;

use super::other_app;
use super::table::{Doc, Table};
use crate::diagnostic::Diagnostic;
use crate::elsewhere::{is_account, is_region};
use crate::manifest::{AwsLayer, HttpLayer, Layer, Policy, Settings, TlsFiles, TransportKind};
use crate::name::{AppName, StageName, nearest};
use crate::quantity::Size;

/// What `less.toml` says.
#[derive(Default)]
pub(super) struct File {
    /// The app's name, where it is given; `Err` where that is none.
    pub(super) name: Option<Result<AppName, ()>>,
    pub(super) settings: Settings,
    /// What subscribers start from.
    pub(super) defaults: Policy,
}

const KEYS: [&str; 7] = ["name", "listen", "data", "http", "defaults", "stages", "external"];
const STAGE_KEYS: [&str; 11] = [
    "listen",
    "data",
    "http",
    "url",
    "transport",
    "region",
    "account",
    "kms_key",
    "subscriber_accounts",
    "archive",
    "external",
];
/// Those of them that only a stage on AWS has a use for.
const AWS_KEYS: [&str; 5] = ["region", "account", "kms_key", "subscriber_accounts", "archive"];
const HTTP_KEYS: [&str; 4] = ["hosts", "max_body", "max_connections", "tls"];
const TLS_KEYS: [&str; 2] = ["cert", "key"];

/// Reads the file's text.
pub(super) fn read(path: &str, text: &str) -> (File, Vec<Diagnostic>) {
    let mut doc = Doc::new(path);
    let Some(entries) = doc.parse(text) else { return (File::default(), doc.diagnostics) };
    let top = Table { title: "", entries: &entries };
    doc.known(top, &KEYS);
    let name = doc.text(top, "name").map(|name| app_name(&mut doc, &name));
    let mut base = layer(&mut doc, top, "[http]");
    base.external = other_app::read(&mut doc, top, "", TransportKind::Embedded);
    let defaults = match doc.table(top, "defaults", "[defaults]") {
        Some(table) => {
            doc.known(table, &super::policy::KEYS);
            super::policy::read(&mut doc, table, Policy::default())
        }
        None => Policy::default(),
    };
    let mut settings = Settings { base, ..Settings::default() };
    if let Some(stages) = doc.table(top, "stages", "[stages]") {
        for key in stages.entries.keys() {
            let name: &str = key.get_ref();
            let title = format!("[stages.{name}]");
            let http_title = format!("[stages.{name}.http]");
            let Some(table) = doc.table(stages, name, &title) else { continue };
            doc.known(table, &STAGE_KEYS);
            let mut layer = layer(&mut doc, table, &http_title);
            layer.url = url(&mut doc, table);
            layer.transport = transport(&mut doc, table);
            layer.aws = aws(&mut doc, table, layer.transport == Some(TransportKind::Aws));
            let parent = format!("stages.{name}");
            layer.external = other_app::read(&mut doc, table, &parent, layer.transport.unwrap_or_default());
            match name.parse::<StageName>() {
                Ok(name) => drop(settings.stages.insert(name, layer)),
                Err(error) => doc.error("bad-name", format!("stage `{name}`: {error}"), key.span()),
            }
        }
    }
    (File { name, settings, defaults }, doc.diagnostics)
}

fn app_name(doc: &mut Doc, name: &Spanned<&str>) -> Result<AppName, ()> {
    name.get_ref().parse().map_err(|error| {
        let message = format!("`{}` is no name for an app: {error}", name.get_ref());
        let hint = format!("write `name = \"{}\"`", super::app_name_from(name.get_ref()));
        doc.report(Diagnostic::error("bad-name", message).hint(hint), name.span());
    })
}

fn layer(doc: &mut Doc, table: Table, http_title: &str) -> Layer {
    let listen = doc.text(table, "listen").and_then(|listen| {
        if crate::config::address(listen.get_ref()).is_some() {
            return Some((*listen.get_ref()).to_owned());
        }
        let message = format!("`{}` is no address", listen.get_ref());
        let hint = "write an IP address or `localhost`, and a port, such as `127.0.0.1:4100`";
        doc.report(Diagnostic::error("bad-value", message).hint(hint), listen.span());
        None
    });
    let data = doc.text(table, "data").and_then(|data| {
        if data.get_ref().is_empty() {
            doc.error("bad-value", "`data` is the path of a folder, it can't be empty", data.span());
            return None;
        }
        Some((*data.get_ref()).to_owned())
    });
    let http = doc.table(table, "http", http_title).map(|http| http_layer(doc, http)).unwrap_or_default();
    Layer { listen, data, http, ..Layer::default() }
}

pub(super) fn url(doc: &mut Doc, table: Table) -> Option<String> {
    let text = doc.text(table, "url")?;
    let host = ["https://", "http://"].into_iter().find_map(|scheme| text.get_ref().strip_prefix(scheme));
    if host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace)) {
        return Some(text.get_ref().trim_end_matches('/').to_owned());
    }
    let message = format!("`{}` is no URL", text.get_ref());
    let hint = "write where the app is reached, such as `https://api.example.com`";
    doc.report(Diagnostic::error("bad-value", message).hint(hint), text.span());
    None
}

fn transport(doc: &mut Doc, table: Table) -> Option<TransportKind> {
    let text = doc.text(table, "transport")?;
    let found = TransportKind::ALL.into_iter().find(|kind| kind.name() == *text.get_ref());
    if found.is_none() {
        let names = TransportKind::ALL.map(TransportKind::name);
        let hint = match nearest(text.get_ref(), names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are `{}`", names.join("` and `")),
        };
        let message = format!("there is no transport `{}`", text.get_ref());
        doc.report(Diagnostic::error("bad-value", message).hint(hint), text.span());
    }
    found
}

fn aws(doc: &mut Doc, table: Table, is_aws: bool) -> AwsLayer {
    if !is_aws {
        for key in table.entries.keys().filter(|key| AWS_KEYS.contains(&key.get_ref().as_ref())) {
            let message = format!("`{}` says nothing without `transport = \"aws\"`", key.get_ref());
            let hint = "write `transport = \"aws\"` into this stage, or delete the line";
            doc.report(Diagnostic::error("bad-value", message).hint(hint), key.span());
        }
        return AwsLayer::default();
    }
    AwsLayer {
        region: region(doc, table),
        account: account(doc, table),
        kms_key: checked(doc, table, "kms_key", "the id, the ARN or the `alias/…` of a key", |text| {
            let sound = |c: char| c.is_ascii_alphanumeric() || "-_/:".contains(c);
            !text.is_empty() && text.len() <= 2048 && text.chars().all(sound)
        }),
        subscriber_accounts: accounts(doc, table, "subscriber_accounts"),
        archive: doc.truth(table, "archive").unwrap_or_default(),
    }
}

fn accounts(doc: &mut Doc, table: Table, key: &str) -> Vec<String> {
    let texts = doc.texts(table, key).unwrap_or_default();
    let span = table.entries.get(key).map(toml::Spanned::span).unwrap_or_default();
    let (mut sound, wrong): (Vec<String>, Vec<String>) = texts.into_iter().partition(|text| is_account(text));
    for text in wrong {
        let message = format!("`{key}` are accounts of 12 digits each, in quotes, not `{text}`");
        doc.error("bad-value", message, span.clone());
    }
    sound.sort();
    sound.dedup();
    sound
}

pub(super) fn region(doc: &mut Doc, table: Table) -> Option<String> {
    checked(doc, table, "region", "a region such as `eu-west-1`", is_region)
}

pub(super) fn account(doc: &mut Doc, table: Table) -> Option<String> {
    checked(doc, table, "account", "the 12 digits of an account, in quotes", is_account)
}

fn checked(doc: &mut Doc, table: Table, key: &str, expected: &str, fits: fn(&str) -> bool) -> Option<String> {
    let text = doc.text(table, key)?;
    if fits(text.get_ref()) {
        return Some((*text.get_ref()).to_owned());
    }
    doc.error("bad-value", format!("`{key}` is {expected}, not `{}`", text.get_ref()), text.span());
    None
}

fn http_layer(doc: &mut Doc, table: Table) -> HttpLayer {
    doc.known(table, &HTTP_KEYS);
    HttpLayer {
        hosts: doc.texts(table, "hosts"),
        max_body: doc.size(table, "max_body", Size::from_bytes(1)..=Size::from_bytes(1 << 30)),
        max_connections: doc.number(table, "max_connections", 1..=1_000_000),
        tls: tls(doc, table),
    }
}

fn tls(doc: &mut Doc, http: Table) -> Option<TlsFiles> {
    let title = format!("{}.tls]", http.title.trim_end_matches(']'));
    let table = doc.table(http, "tls", &title)?;
    doc.known(table, &TLS_KEYS);
    let file = |doc: &mut Doc, key: &str| {
        let text = doc.text(table, key)?;
        if text.get_ref().is_empty() {
            doc.error("bad-value", format!("`{key}` is the path of a file, it can't be empty"), text.span());
            return None;
        }
        Some((*text.get_ref()).to_owned())
    };
    let (cert, key) = (file(doc, "cert"), file(doc, "key"));
    let span = http.entries.get("tls").map_or(0..0, Spanned::span);
    for missing in TLS_KEYS.iter().filter(|key| !table.entries.contains_key(**key)) {
        let hint = "name both files: `cert = \"cert.pem\"` and `key = \"key.pem\"`";
        let diagnostic = Diagnostic::error("bad-value", format!("`{title}` has no `{missing}`"));
        doc.report(diagnostic.hint(hint), span.clone());
    }
    Some(TlsFiles { cert: cert?, key: key? })
}
