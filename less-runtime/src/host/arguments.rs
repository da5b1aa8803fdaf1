//! The built program's own arguments: the few that a service manager or a container needs.

use std::ffi::OsString;

use less_model::config::Flags;
use less_model::manifest::Manifest;

/// The flags; `None` when help or the version was asked for and given.
#[expect(clippy::print_stdout, reason = "help and version are this program's data")]
pub(super) fn read(
    manifest: &Manifest,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Option<Flags>, String> {
    let mut flags = Flags::default();
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let slot = match name.as_str() {
            "--listen" => &mut flags.listen,
            "--data" => &mut flags.data,
            "--stage" => &mut flags.stage,
            "--help" | "-h" => {
                println!("{}", help(manifest));
                return Ok(None);
            }
            "--version" | "-V" => {
                println!("{} (less {})", manifest.app, env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            _ => return Err(format!("unknown argument `{name}`\nhint: `--help` shows what there is")),
        };
        *slot = Some(inline.or_else(|| arguments.next()).ok_or_else(|| format!("`{name}` needs a value"))?);
    }
    Ok(Some(flags))
}

fn help(manifest: &Manifest) -> String {
    format!(
        "Runs the Less app `{}`: its topics over HTTP, its subscribers, its broker.\n\n\
         Options:\n  \
         --listen IP:PORT   address to listen on (LESS_LISTEN)\n  \
         --data FOLDER      the broker's folder (LESS_DATA)\n  \
         --stage STAGE      which [stages.…] of less.toml applies (LESS_STAGE)\n\n\
         Environment: LESS_API_KEY, LESS_LOG (error|warn|info|debug|trace), LESS_DRAIN (such as `25s`).",
        manifest.app
    )
}
