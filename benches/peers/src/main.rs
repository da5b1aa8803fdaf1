//! Measures Less beside the brokers one would install instead. `run.sh` starts the servers and calls this for each of them in turn.
//!
//!     peers measure SYSTEM --round N --out FILE [--address IP:PORT] [--pid PID] [--scratch FOLDER] [--quick]
//!     peers report FILE FILE_SYSTEM VERSIONS
//!     peers free-ports N

#![expect(clippy::print_stdout, reason = "its data is what it prints")]

mod bare;
mod cells;
mod goals;
mod http;
mod jetstream;
mod less;
mod machine;
mod measure;
mod peer;
mod rabbitmq;
mod record;
mod redis;
mod report;
mod summary;
mod system;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::system::System;

/// What `measure` is to do.
struct Options {
    system: System,
    round: u32,
    out: PathBuf,
    address: String,
    pid: Option<u32>,
    scratch: PathBuf,
    quick: bool,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    match command.as_str() {
        "measure" => {
            let options = options(arguments)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let result = runtime.block_on(measure::run(&options));
            // A consumer that still waits for its server must not keep the process.
            runtime.shutdown_background();
            result.with_context(|| format!("measuring `{}`", options.system.id()))
        }
        "report" => {
            let mut next = || arguments.next().context("`report` needs a file, a file system and versions");
            let (file, file_system, versions) = (next()?, next()?, next()?);
            print!("{}", report::report(Path::new(&file), &file_system, &versions)?);
            Ok(())
        }
        "free-ports" => free_ports(arguments.next().context("how many ports?")?.parse()?),
        other => bail!("unknown command `{other}`\nhint: start `benches/peers/run.sh`, which calls this"),
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let system = arguments.next().context("`measure` needs a system")?;
    let mut options = Options {
        system: System::parse(&system)?,
        round: 1,
        out: PathBuf::from("peers.jsonl"),
        address: String::new(),
        pid: None,
        scratch: PathBuf::from("."),
        quick: false,
    };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("`{name}` needs a value"));
        match name.as_str() {
            "--round" => options.round = value()?.parse()?,
            "--out" => options.out = value()?.into(),
            "--address" => options.address = value()?,
            "--pid" => options.pid = Some(value()?.parse()?),
            "--scratch" => options.scratch = value()?.into(),
            "--quick" => options.quick = true,
            other => bail!("unknown argument `{other}`"),
        }
    }
    Ok(options)
}

/// Prints ports of the loopback interface that nobody listens on.
fn free_ports(count: usize) -> anyhow::Result<()> {
    // All at the same time, so that they differ.
    let listeners: Vec<_> =
        (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    for listener in &listeners {
        println!("{}", listener.local_addr()?.port());
    }
    Ok(())
}
