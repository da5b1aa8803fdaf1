//! The command line's form.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use less_model::config::Flags;
use less_model::language::Language;

/// Pub/sub by folder: a folder per topic, a folder per subscriber, one function `process`.
#[derive(Debug, Parser)]
#[command(name = "less", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// The app's folder, or one below it [default: the working folder]
    #[arg(long, short = 'C', global = true, value_name = "FOLDER")]
    pub app: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new app, with a topic and two subscribers
    New(crate::command::new::Args),
    /// Add a topic or a subscriber
    Add(crate::command::add::Args),
    /// Show everything that is wrong with the app, at once
    Check(crate::command::check::Args),
    /// Print what other apps may rely on, or take another app's such contract
    Contract(crate::command::contract::Args),
    /// Generate `.less/`, compile the app, keep `less.lock`
    Build(crate::command::build::Args),
    /// Build, run, watch for changes
    Dev(RunArgs),
    /// Run the app without watching: a release build, where there is something to compile
    Start(RunArgs),
    /// Publish a message to the running app
    Publish(crate::command::publish::Args),
    /// List topics and subscribers
    List(JsonArg),
    /// Show apps, their topics, and who subscribes to them, as text or as a picture
    Graph(crate::command::graph::Args),
    /// Show every subscriber's messages by state; exits 1 while any is dead or a handler can't be loaded
    Status(crate::command::status::Args),
    /// Show messages of a topic as they are published
    Tail(crate::command::tail::Args),
    /// Look at dead letters, release or purge them
    Dlq(crate::command::dlq::Args),
    /// Delete a subscription that has no folder any more, or another app's, with what is in it
    Drop(crate::command::drop::Args),
    /// Deliver messages once more that subscribers have finished, purged dead letters among them, and the topic still retains
    Replay(crate::command::replay::Args),
    /// Look through the broker's folder, and say what is wrong; exits 2 if anything is
    Verify(crate::command::verify::Args),
    /// Write everything that the broker has stored to one file, while the app runs or not
    Backup(crate::command::backup::Args),
    /// Make the broker's folder from a backup
    Restore(crate::command::backup::RestoreArgs),
    /// Show what deploying would change; exits 0 if nothing, 1 if something, 2 if it can't
    Plan(crate::command::plan::Args),
    /// Make or change what a stage needs on AWS: a topic per topic, a queue per subscriber
    Deploy(crate::command::deploy::Args),
    /// Remove everything of the app in a stage from AWS
    Destroy(crate::command::destroy::Args),
    /// Print least-privilege policies for a stage on AWS, as JSON
    Iam(crate::command::iam::Args),
    /// Print the variables that a process of a stage on AWS needs
    Env(crate::command::env::Args),
    /// Print what other tools deploy the app with
    Export(crate::command::export::Args),
    /// Show the settings that the app runs with, and where each value came from
    Config(ConfigArgs),
}

/// What running takes.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Address to listen on [env: `LESS_LISTEN`] [default: 127.0.0.1:4100]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<String>,
    /// The broker's folder, relative to the app's [env: `LESS_DATA`] [default: .less/data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<String>,
    /// Which `[stages.…]` of less.toml applies [env: `LESS_STAGE`] [default: dev]
    #[arg(long)]
    pub stage: Option<String>,
}

/// What `config` takes.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    run: RunArgs,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// A language, as the command line has it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Lang {
    /// Rust
    Rust,
    /// Node.js
    Node,
    /// Python
    Python,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Rust => Self::Rust,
            Lang::Node => Self::Node,
            Lang::Python => Self::Python,
        }
    }
}

/// `--json` alone.
#[derive(Debug, Args)]
pub struct JsonArg {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// As the settings take them.
    pub fn flags(&self) -> Flags {
        Flags { listen: self.listen.clone(), data: self.data.clone(), stage: self.stage.clone() }
    }
}

impl ConfigArgs {
    /// As the settings take them.
    pub fn flags(&self) -> Flags {
        self.run.flags()
    }
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: all is well.
    Success,
    /// 1: the project or the command line is wrong.
    UserError,
    /// 2: Less or its surroundings failed.
    Failure,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Success => 0,
            ExitStatus::UserError => 1,
            ExitStatus::Failure => 2,
        })
    }
}
