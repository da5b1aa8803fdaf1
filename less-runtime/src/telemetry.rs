//! What an app prints: one line per event, each beginning with the subscriber that it comes from.
//!
//! Events (`tracing`, `log`) go to stderr; what handlers print goes where they print it. `LESS_LOG` sets the lowest level (`error`, `warn`,
//! `info`, `debug`, `trace`; default `info`).

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::message::MessageId;
use crate::output::{Log, Stream};
use crate::transport::AttemptError;

tokio::task_local! {
    static LABEL: Arc<str>;
}

/// Calls a function whose events and lines belong to this subscriber.
pub(crate) fn in_scope<T>(label: &Arc<str>, call: impl FnOnce() -> T) -> T {
    LABEL.sync_scope(Arc::clone(label), call)
}

/// Runs a future whose lines begin with this label.
pub(crate) fn labelled<F: Future>(label: Arc<str>, future: F) -> impl Future<Output = F::Output> {
    LABEL.scope(label, future)
}

/// Tells of a failed attempt, in the subscriber's name.
pub(crate) fn failed(label: &Arc<str>, id: MessageId, attempt: u32, error: &AttemptError, next: &str) {
    LABEL.sync_scope(Arc::clone(label), || {
        let what = match error.kind {
            crate::transport::AttemptErrorKind::Panic => "panicked: ",
            _ => "",
        };
        let (first, rest) = split(&error.message, label);
        tracing::warn!(target: "handler", "attempt {attempt} of {id}: {what}{first}; {next}{rest}");
    });
}

/// A text's first line, and the others as lines of this subscriber.
pub(crate) fn split<'a>(text: &'a str, label: &str) -> (&'a str, String) {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    (first, lines.flat_map(|line| ["\n[", label, "]   ", line]).collect())
}

fn label(target: &str) -> Arc<str> {
    LABEL
        .try_with(Arc::clone)
        .unwrap_or_else(|_| if target.starts_with("less_runtime") { "less".into() } else { "app".into() })
}

/// Installs the log's subscriber and the panic hook; does nothing where the program has its own already. An error is a `LESS_LOG` that is no level.
pub(crate) fn install(timestamps: bool) -> Result<(), String> {
    let level = match std::env::var("LESS_LOG").ok().filter(|level| !level.is_empty()) {
        Some(level) => level.parse::<LevelFilter>().map_err(|_| level)?,
        None => LevelFilter::INFO,
    };
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // An error means that the program has installed a subscriber of its own, which is its right.
    let _ = subscriber(level, || Log, colour, timestamps).try_init();
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map(|place| format!(" at {}", tidy(&place.to_string()))).unwrap_or_default();
        tracing::error!(target: "panic", "panicked{place}");
    }));
    Ok(())
}

/// The log: what goes to `writer`, and how it looks.
pub(crate) fn subscriber<W>(
    level: LevelFilter,
    writer: W,
    colour: bool,
    timestamps: bool,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .with_ansi(colour)
        // Where nothing can be written, that can't either.
        .log_internal_errors(false)
        .event_format(Line { timestamps })
        .finish()
        .with(filter_fn(|metadata| is_told(metadata.target(), *metadata.level())))
}

/// Whether events of the target belong into the log. Below `info` the AWS SDK prints whole requests and answers, with payloads and credentials, which no
/// log may hold; and the store's steps are so many that nobody would find anything else.
fn is_told(target: &str, level: Level) -> bool {
    #[cfg(feature = "embedded")]
    if target == crate::transport::embedded::STEPS {
        return false;
    }
    level <= Level::INFO || !target.starts_with("aws_")
}

/// `.less/app/src/../../../less/topics/…` → `less/topics/…`: rustc names files as the generated `#[path]` does.
fn tidy(place: &str) -> &str {
    place.rfind("/../").map_or(place, |end| &place[end + 4..])
}

struct Line {
    timestamps: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        use tracing_subscriber::fmt::time::FormatTime;
        if self.timestamps {
            tracing_subscriber::fmt::time::SystemTime.format_time(&mut out)?;
            out.write_char(' ')?;
        }
        let level = *event.metadata().level();
        let colour = match level {
            Level::ERROR => Some("31"),
            Level::WARN => Some("33"),
            _ => None,
        }
        .filter(|_| out.has_ansi_escapes());
        write!(out, "[{}] ", label(event.metadata().target()))?;
        if let Some(colour) = colour {
            write!(out, "\x1b[{colour}m")?;
        }
        if level != Level::INFO {
            write!(out, "{}: ", level.as_str().to_lowercase())?;
        }
        context.format_fields(out.by_ref(), event)?;
        if colour.is_some() {
            out.write_str("\x1b[0m")?;
        }
        writeln!(out)
    }
}

/// Lines that a handler has begun with `print!` and not ended, by stream and label.
static BEGUN: Mutex<BTreeMap<(bool, Arc<str>), String>> = Mutex::new(BTreeMap::new());

/// What `println!` and its like do in a handler's file: whole lines, each beginning with the subscriber's name.
#[doc(hidden)]
pub fn print(to_stderr: bool, newline: bool, text: fmt::Arguments<'_>) {
    let label = label("app");
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let buffer = begun.entry((to_stderr, Arc::clone(&label))).or_default();
    // Writing to a String fails only where a `Display` of the user's does; std's macros panic then, this prints what there is.
    let _ = fmt::write(buffer, text);
    if newline {
        buffer.push('\n');
    }
    let Some(end) = buffer.rfind('\n') else { return };
    let rest = buffer.split_off(end + 1);
    let lines = std::mem::replace(buffer, rest);
    let text: String = lines.lines().flat_map(|line| ["[", &*label, "] ", line, "\n"]).collect();
    let stream = if to_stderr { Stream::Err } else { Stream::Out };
    stream.print(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::is_told;

    #[test]
    fn the_log_holds_no_payloads_of_the_sdk_and_no_steps_of_the_store() {
        assert!(is_told("aws_smithy_runtime", Level::WARN));
        assert!(!is_told("aws_smithy_runtime::client", Level::DEBUG));
        assert!(is_told("less_runtime::transport", Level::TRACE));
        #[cfg(feature = "embedded")]
        assert!(!is_told(crate::transport::embedded::STEPS, Level::TRACE));
    }
}
