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
