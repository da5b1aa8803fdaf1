//! What would be printed, while it is alive, by everything on this thread.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

/// A log in memory.
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<u8>>>,
    _until: DefaultGuard,
}

impl Log {
    /// Everything that any crate says.
    pub(crate) fn plain(level: LevelFilter) -> Self {
        Self::by(|lines| {
            let log =
                tracing_subscriber::fmt().with_max_level(level).with_writer(move || Lines(lines.clone()));
            tracing::subscriber::set_default(log.finish())
        })
    }

    /// What an app prints.
    pub(crate) fn of_an_app(level: LevelFilter) -> Self {
        Self::by(|lines| {
            let lines = move || Lines(lines.clone());
            tracing::subscriber::set_default(less_runtime::__private::log_into(level, lines))
        })
    }

    fn by(install: impl FnOnce(Arc<Mutex<Vec<u8>>>) -> DefaultGuard) -> Self {
        let lines = Arc::default();
        Self { _until: install(Arc::clone(&lines)), lines }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.lock().unwrap()).into_owned()
    }
}

struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
