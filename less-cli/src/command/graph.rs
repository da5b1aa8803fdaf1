//! `less graph`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use less_model::diagnostic::Diagnostic;
use less_model::source::find_root;

use crate::cli::ExitStatus;
use crate::graph::{Graph, dot, mermaid, svg, text};
use crate::project::Project;
use crate::{running, ui};

/// What `graph` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Further apps' folders
    #[arg(value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// With every app that runs on this machine
    #[arg(long)]
    running: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Lines of text
    Text,
    /// A picture for light and dark pages
    Svg,
    /// A flowchart as Mermaid reads it
    Mermaid,
    /// A graph as Graphviz reads it
    Dot,
}

pub(super) async fn run(folder: Option<&Path>, arguments: &Args) -> anyhow::Result<ExitStatus> {
    let mut graph = Graph::default();
    let mut failed = false;
    // Other folders or running apps may be all that is wanted.
    match Project::find(folder) {
        Ok(project) => {
            failed |= add(&mut graph, &project)?;
            // Who subscribes to it is known where it runs.
            if let Some(status) = running::of_project(&project).await {
                graph.add_status(&status);
            }
        }
        Err(error) if folder.is_some() || (arguments.folders.is_empty() && !arguments.running) => {
            return Err(error);
        }
        Err(_) => {}
    }
    for folder in &arguments.folders {
        failed |= add(&mut graph, &Project::find(Some(folder))?)?;
    }
    if arguments.running {
        for (entry, answer) in running::all().await? {
            // Its folder says more than it does itself, but need not be there.
            if find_root(&entry.folder).as_deref() == Some(entry.folder.as_path()) {
                failed |= add(&mut graph, &Project { root: entry.folder.clone() })?;
            }
            match answer {
                Ok(status) => graph.add_status(&status),
                Err(cause) => {
                    let cause = ui::harmless(&cause);
                    ui::note(&format!("`{}` was not asked who subscribes to it: {cause}", entry.app));
                }
            }
        }
    }
    if graph.is_empty() {
        return Err(ui::user_error(
            "no app runs on this machine\nhint: `less dev` in an app's folder runs it",
        ));
    }
    ui::data(&match arguments.format {
        Format::Text => text(&graph),
        Format::Svg => svg(&graph),
        Format::Mermaid => mermaid(&graph),
        Format::Dot => dot(&graph),
    });
    Ok(if failed { ExitStatus::UserError } else { ExitStatus::Success })
}

/// Adds an app's folder, and says what is wrong with it. Returns whether anything is.
fn add(graph: &mut Graph, project: &Project) -> anyhow::Result<bool> {
    let read = project.read()?;
    let errors: Vec<Diagnostic> = read.diagnostics.into_iter().filter(Diagnostic::is_error).collect();
    ui::diagnostics(&errors, &read.tree);
    graph.add_folder(&read.app);
    Ok(!errors.is_empty())
}
