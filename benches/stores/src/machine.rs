//! What the machine is, and what a process takes of it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// One line about the machine. Fails on a file system in memory, where a sync costs nothing.
pub(crate) fn facts(folder: &Path) -> Result<String> {
    let output = Command::new("df").arg("--output=fstype").arg(folder).output()?;
    ensure!(output.status.success(), "can't tell the file system of {}", folder.display());
    let text = String::from_utf8(output.stdout)?;
    let file_system = text.lines().nth(1).context("`df` said nothing")?.trim();
    ensure!(file_system != "tmpfs", "{} is in memory, where a sync costs nothing", folder.display());
    let cpus = std::thread::available_parallelism()?;
    let memory = field("/proc/meminfo", "MemTotal:")? / f64::from(1 << 20);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!("{cpus} CPUs, {memory:.0} GiB, {file_system}, Linux {}. {}", kernel.trim(), load()?))
}

/// How busy the machine is with everything.
pub(crate) fn load() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let averages: Vec<&str> = load.split_whitespace().take(2).collect();
    Ok(format!("Load average over 1 and 5 minutes: {}.", averages.join(", ")))
}

/// This process's resident memory, in MiB.
pub(crate) fn resident() -> Result<f64> {
    Ok(field("/proc/self/status", "VmRSS:")? / 1024.0)
}

/// A field in KiB.
fn field(file: &str, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.with_context(|| format!("{file} has no `{name}`"))?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

/// What a folder takes on the disk, in MiB.
pub(crate) fn disk_use(folder: &Path) -> Result<f64> {
    let output = Command::new("du").arg("-sk").arg(folder).output()?;
    ensure!(output.status.success(), "can't tell the size of {}", folder.display());
    let text = String::from_utf8(output.stdout)?;
    let size = text.split_whitespace().next().context("`du` said nothing")?;
    Ok(size.parse::<f64>()? / 1024.0)
}
