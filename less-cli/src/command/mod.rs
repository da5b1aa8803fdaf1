//! The sub-commands, one file each.

pub mod add;
pub mod backup;
pub mod build;
pub mod check;
mod config;
pub mod contract;
pub mod deploy;
pub mod destroy;
mod dev;
pub mod dlq;
pub mod drop;
pub mod env;
pub mod export;
pub mod graph;
pub mod iam;
mod list;
pub mod new;
pub mod plan;
pub mod publish;
pub mod replay;
mod start;
pub mod status;
pub mod tail;
pub mod verify;

use crate::cli::{Cli, Command, ExitStatus};
use crate::project::Project;

/// Runs the command line's sub-command.
pub fn run(cli: Cli) -> anyhow::Result<ExitStatus> {
    let folder = cli.app.as_deref();
    match cli.command {
        Command::New(arguments) => new::run(folder, &arguments),
        Command::Add(arguments) => add::run(&Project::find(folder)?, &arguments),
        Command::Check(arguments) => block_on(check::run(&Project::find(folder)?, &arguments)),
        Command::Contract(arguments) => block_on(contract::run(&Project::find(folder)?, &arguments)),
        Command::Build(arguments) => block_on(build::run(&Project::find(folder)?, &arguments)),
        Command::Dev(arguments) => block_on(dev::run(&Project::find(folder)?, &arguments)),
        Command::Start(arguments) => block_on(start::run(&Project::find(folder)?, &arguments)),
        Command::Publish(arguments) => block_on(publish::run(folder, &arguments)),
        Command::List(arguments) => block_on(list::run(&Project::find(folder)?, arguments.json)),
        Command::Graph(arguments) => block_on(graph::run(folder, &arguments)),
        Command::Status(arguments) => block_on(status::run(folder, &arguments)),
        Command::Tail(arguments) => block_on(tail::run(folder, &arguments)),
        Command::Dlq(arguments) => block_on(dlq::run(folder, &arguments)),
        Command::Drop(arguments) => block_on(drop::run(folder, &arguments)),
        Command::Replay(arguments) => block_on(replay::run(folder, &arguments)),
        Command::Verify(arguments) => verify::run(folder, &arguments),
        Command::Backup(arguments) => block_on(backup::run(folder, &arguments)),
        Command::Restore(arguments) => backup::restore(folder, &arguments),
        Command::Plan(arguments) => block_on(plan::run(folder, &arguments)),
        Command::Deploy(arguments) => block_on(deploy::run(&Project::find(folder)?, &arguments)),
        Command::Destroy(arguments) => block_on(destroy::run(&Project::find(folder)?, &arguments)),
        Command::Iam(arguments) => block_on(iam::run(folder, &arguments)),
        Command::Env(arguments) => block_on(env::run(folder, &arguments)),
        Command::Export(arguments) => export::run(folder, &arguments),
        Command::Config(arguments) => config::run(&Project::find(folder)?, &arguments),
    }
}

/// Runs on this thread alone: the system ends a child with the thread that started it, where the child asks for that.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
