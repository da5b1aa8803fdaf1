//! What is wrong in a user's project: place, cause, next step. All of a phase's diagnostics are shown at once.

use std::ops::Range;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is built.
    Error,
    /// Worth a look; the build goes on.
    Warning,
}

/// A place in the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file or folder, relative to the app's folder, with `/`.
    pub path: String,
    /// Which bytes of the file, where that is known.
    pub span: Option<Range<usize>>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for this kind of problem, such as `duplicate-handler`.
    pub code: &'static str,
    /// One line: lower case, names in backticks, no final period.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What else matters, each with its place where it has one.
    pub notes: Vec<(String, Option<Place>)>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Place {
    /// A whole file or folder.
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: path.into(), span: None }
    }

    /// Some bytes of a file.
    pub fn span(path: impl Into<String>, span: Range<usize>) -> Self {
        Self { path: path.into(), span: Some(span) }
    }
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place: None,
            notes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>, place: Option<Place>) -> Self {
        self.notes.push((text.into(), place));
        self
    }

    /// Adds a next step.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hints.push(text.into());
        self
    }

    /// Whether the build can't go on.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The diagnostics as plain text, each with the line and column of its place, a blank line between two.
#[cfg(feature = "parse")]
pub fn plain(diagnostics: &[Diagnostic], tree: &crate::source::SourceTree) -> String {
    let all: Vec<String> = diagnostics.iter().map(|diagnostic| one(diagnostic, tree)).collect();
    all.join("\n")
}

#[cfg(feature = "parse")]
fn one(diagnostic: &Diagnostic, tree: &crate::source::SourceTree) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut lines = vec![format!("{severity}[{}]: {}", diagnostic.code, printable(&diagnostic.message))];
    let arrow = |place: &Place| format!("  --> {}", position(place, tree));
    lines.extend(diagnostic.place.as_ref().map(arrow));
    for (text, place) in &diagnostic.notes {
        lines.push(format!("note: {}", printable(text)));
        lines.extend(place.as_ref().map(arrow));
    }
    lines.extend(diagnostic.hints.iter().map(|hint| format!("hint: {}", printable(hint))));
    lines.push(String::new());
    lines.join("\n")
}

/// `path`, or `path:line:column` where the bytes are known; columns count characters.
#[cfg(feature = "parse")]
fn position(place: &Place, tree: &crate::source::SourceTree) -> String {
    let path = printable(&place.path);
    let (Some(span), Some(text)) = (&place.span, tree.text(&place.path)) else { return path };
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{path}:{line}:{column}")
}

/// The text on one line: a file's name can hold anything.
#[cfg(feature = "parse")]
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
