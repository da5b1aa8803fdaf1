//! What is known of the machine and of processes.

use anyhow::Context as _;

/// Resident memory of a process now and at its most, in KiB.
pub(crate) fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    let value = |name: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().with_context(|| format!("{name} is no number"))
    };
    Ok((value("VmRSS:")?, value("VmHWM:")?))
}

/// Cores, memory, processor and kernel, as one line.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let field = |path: &str, name: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let gib = memory.trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / f64::from(1 << 20);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = field("/proc/cpuinfo", "model name");
    format!("{cores} cores ({processor}), {gib:.0} GiB, Linux {}", kernel.trim())
}
