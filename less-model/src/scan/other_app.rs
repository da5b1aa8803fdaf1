//! `[external.<app>]` in `less.toml`: where another app is.

use std::collections::BTreeMap;

use super::settings::{account, region, url};
use super::table::{Doc, Table};
use crate::diagnostic::Diagnostic;
use crate::manifest::{ExternalLayer, TransportKind};
use crate::name::{AppName, StageName};

const LINK_KEYS: [&str; 3] = ["url", "token_env", "ca"];
const AWS_KEYS: [&str; 3] = ["stage", "account", "region"];

/// The tables below `external` in `table`, whose own title is `parent` (`[stages.production]`, or nothing). `transport` is that of the stage;
/// the file's own top level is for every stage without SNS and SQS.
pub(super) fn read(
    doc: &mut Doc,
    table: Table,
    parent: &str,
    transport: TransportKind,
) -> BTreeMap<AppName, ExternalLayer> {
    let mut out = BTreeMap::new();
    let title = if parent.is_empty() { "external".to_owned() } else { format!("{parent}.external") };
    let bracketed = format!("[{title}]");
    let Some(apps) = doc.table(table, "external", &bracketed) else { return out };
    let (keys, others) = match transport {
        TransportKind::Embedded => (LINK_KEYS, AWS_KEYS),
        TransportKind::Aws => (AWS_KEYS, LINK_KEYS),
    };
    for key in apps.entries.keys() {
        let name: &str = key.get_ref();
        let title = format!("[{title}.{name}]");
        let Some(entry) = doc.table(apps, name, &title) else { continue };
        doc.known(entry, &[keys, others].concat());
        for stray in entry.entries.keys().filter(|key| others.contains(&key.get_ref().as_ref())) {
            let message = format!("`{}` says nothing with the transport `{transport}`", stray.get_ref());
            let hint = format!("here are {}", keys.map(|key| format!("`{key}`")).join(", "));
            doc.report(Diagnostic::error("bad-value", message).hint(hint), stray.span());
        }
        let layer = layer(doc, entry);
        match name.parse::<AppName>() {
            Ok(name) => drop(out.insert(name, layer)),
            Err(error) => doc.error("bad-name", format!("app `{name}`: {error}"), key.span()),
        }
    }
    out
}

fn layer(doc: &mut Doc, table: Table) -> ExternalLayer {
    let token_env = doc.text(table, "token_env").and_then(|text| {
        let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !text.get_ref().is_empty() && text.get_ref().chars().all(sound) {
            return Some((*text.get_ref()).to_owned());
        }
        let message = format!("`{}` is no name of an environment variable", text.get_ref());
        let hint = "the token itself does not belong here: name the variable that holds it";
        doc.report(Diagnostic::error("bad-value", message).hint(hint), text.span());
        None
    });
    let stage = doc.text(table, "stage").and_then(|text| match text.get_ref().parse::<StageName>() {
        Ok(stage) => Some(stage),
        Err(error) => {
            doc.error("bad-name", format!("stage `{}`: {error}", text.get_ref()), text.span());
            None
        }
    });
    let ca = doc.text(table, "ca").map(|text| (*text.get_ref()).to_owned());
    ExternalLayer {
        url: url(doc, table),
        token_env,
        ca,
        stage,
        account: account(doc, table),
        region: region(doc, table),
    }
}
