//! `less dev`.

use crate::cli::{ExitStatus, RunArgs};
use crate::dev;
use crate::project::Project;

pub(super) async fn run(project: &Project, arguments: &RunArgs) -> anyhow::Result<ExitStatus> {
    dev::run(project, &arguments.flags()).await
}
