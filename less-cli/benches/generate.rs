//! Reading, checking and rendering 1,000 topics with 3 subscribers each: `cargo bench -p less-cli --bench generate`.

#![expect(clippy::print_stdout, reason = "its data is what it prints")]

use std::path::Path;
use std::time::{Duration, Instant};

use less_cli::project::Project;
use less_cli::render::{RuntimeSource, render};

const TOPICS: usize = 1_000;
const SUBSCRIBERS: usize = 3;
const ROUNDS: usize = 5;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    make(folder.path())?;
    let project = Project { root: folder.path().to_owned() };
    let (mut reads, mut renders) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let read = project.read()?;
        reads.push(began.elapsed());
        anyhow::ensure!(read.diagnostics.is_empty(), "the app is wrong: {:?}", read.diagnostics);
        let began = Instant::now();
        let files = render(&read.app, RuntimeSource::find)?;
        renders.push(began.elapsed());
        anyhow::ensure!(files.len() > 2 * TOPICS, "too few files");
    }
    let (read, render) = (median(reads), median(renders));
    println!("{TOPICS} topics x {SUBSCRIBERS} subscribers, medians of {ROUNDS}");
    println!("read, scan, check  {read:>10.1?}");
    println!("render             {render:>10.1?}");
    println!("together           {:>10.1?}  (goal: under 300 ms)", read + render);
    println!("no-change build    {:>10.1?}  (`less build`, a small app)", no_change_build()?);
    Ok(())
}

/// `less build` as a whole process, where nothing changed.
fn no_change_build() -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("e2e");
    let less = |folder: &Path, arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_less"));
        let output = command.current_dir(folder).args(arguments).env("CARGO_TARGET_DIR", &target).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        anyhow::Ok(())
    };
    less(folder.path(), &["new", "no_change_app"])?;
    let app = folder.path().join("no_change_app");
    less(&app, &["build"])?;
    let mut builds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        less(&app, &["build"])?;
        builds.push(began.elapsed());
    }
    Ok(median(builds))
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

fn make(root: &Path) -> anyhow::Result<()> {
    for topic in 0..TOPICS {
        let folder = root.join(format!("less/topics/topic_{topic}"));
        for subscriber in 0..SUBSCRIBERS {
            let folder = folder.join(format!("subscriber_{subscriber}"));
            std::fs::create_dir_all(&folder)?;
            let handler = format!(
                "use less::topics::topic_{topic}::Topic{topic};\n\npub async fn process(message: Topic{topic}) -> less::Result<()> {{\n    println!(\"{{}}\", message.id);\n    Ok(())\n}}\n"
            );
            std::fs::write(folder.join("mod.rs"), handler)?;
        }
        let message = format!(
            "#[less::message]\npub struct Topic{topic} {{\n    pub id: u64,\n    pub email: String,\n}}\n"
        );
        std::fs::write(folder.join("message.rs"), message)?;
    }
    Ok(())
}
