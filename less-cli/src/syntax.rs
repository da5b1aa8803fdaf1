//! Whether Node.js and Python can read the handlers that nobody compiles. Their own parsers are asked; nothing of the files is run.

use std::path::Path;
use std::process::{Command, Stdio};

use less_model::diagnostic::{Diagnostic, Place};
use less_model::language::Language;
use less_model::tree::App;
use less_runtime::hosting;
use serde::Deserialize;

const NODE: &str = include_str!("syntax/node.js");
const PYTHON: &str = include_str!("syntax/python.py");

/// A line of what the parsers' programs print.
#[derive(Deserialize)]
struct Unreadable {
    file: String,
    line: Option<u32>,
    message: String,
}

/// What can't be read, and why some were not looked at.
pub(crate) fn check(root: &Path, app: &App) -> (Vec<Diagnostic>, Vec<String>) {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for language in Language::ALL {
        let arguments: &[&str] = match language {
            // rustc reads it at every build.
            Language::Rust => continue,
            Language::Node => &["--no-warnings", "--experimental-vm-modules", "-e", NODE, "--"],
            Language::Python => &["-I", "-c", PYTHON],
        };
        let subscribers = app.all_topics().flat_map(|topic| &topic.subscribers);
        // What strips the types of TypeScript depends on the project.
        let files = subscribers.filter(|subscriber| subscriber.language == language);
        let files: Vec<&str> =
            files.map(|one| one.file.as_str()).filter(|file| !is_typescript(file)).collect();
        if files.is_empty() {
            continue;
        }
        match ask(root, language, arguments, &files) {
            Ok(unreadable) => found.extend(unreadable.into_iter().map(diagnostic)),
            Err(cause) => notes.push(format!("handlers in {} were not read: {cause}", language.label())),
        }
    }
    (found, notes)
}

fn is_typescript(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "ts")
}

fn ask(
    root: &Path,
    language: Language,
    arguments: &[&str],
    files: &[&str],
) -> Result<Vec<Unreadable>, String> {
    let description = language.worker().ok_or("it has no worker")?;
    let program = hosting::worker_program(description, root)?;
    let output = Command::new(&program)
        .args(arguments)
        .args(files)
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("can't start {}: {error}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        return Err(format!("{} ended with {}: {last}", program.display(), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
}

fn diagnostic(Unreadable { file, line, message }: Unreadable) -> Diagnostic {
    let at = line.map(|line| format!(" in line {line}")).unwrap_or_default();
    Diagnostic::error("unreadable-handler", format!("`{file}` can't be read{at}: {message}"))
        .at(Place::path(file))
        .hint("messages of this subscriber would wait until it can")
}
