//! A small ext4 file system of its own, whose power can be cut.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// Shuts file systems down without flushing their journals, one for every line on its stdin. `unsafe` is needed for an ioctl, which this crate does
/// not have. `0x8004587d` is `EXT4_IOC_SHUTDOWN`, 2 is `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const SWITCH: &str = "
import fcntl, os, struct, sys
for line in sys.stdin:
    folder = os.open(line[:-1], os.O_RDONLY)
    fcntl.ioctl(folder, 0x8004587d, struct.pack('I', 2))
    os.close(folder)
    print('off', flush=True)
";

/// An image in a temporary folder, mounted over a loop device. Dropping it takes all of that away.
pub(crate) struct Device {
    folder: TempDir,
    mounted: bool,
    switch: Child,
    switch_in: ChildStdin,
    switch_out: BufReader<ChildStdout>,
}

impl Device {
    /// Makes one of this size, and mounts it.
    pub(crate) fn new(megabytes: u64) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("less-faults-").tempdir()?;
        let image = folder.path().join("image");
        File::create(&image)?.set_len(megabytes << 20)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        std::fs::create_dir(folder.path().join("mount"))?;
        let mut switch = Command::new("python3");
        let mut switch = switch
            .args(["-c", SWITCH])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start `python3`, which cuts the power")?;
        let switch_in = switch.stdin.take().context("it has a stdin")?;
        let switch_out = BufReader::new(switch.stdout.take().context("it has a stdout")?);
        let mut device = Self { folder, mounted: false, switch, switch_in, switch_out };
        device.mount()?;
        Ok(device)
    }

    /// A path in the file system.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("mount").join(name)
    }

    /// A path beside it, on the machine's own disk.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes everything last that was done so far.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(rustix::fs::syncfs(File::open(self.path(""))?)?)
    }

    /// Cuts the power: what was not synced is gone. What runs on it gets errors from here on.
    pub(crate) fn cut(&mut self) -> Result<()> {
        writeln!(self.switch_in, "{}", self.path("").display())?;
        let mut answer = String::new();
        self.switch_out.read_line(&mut answer)?;
        ensure!(answer == "off\n", "the power can't be cut");
        Ok(())
    }

    /// Turns it on again. Nothing may have a file of it open.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&mut self) -> Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(self.beside("image")).arg(self.path("")))?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        run(Command::new("umount").arg(self.path("")))?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Tried even where mounting was told to have failed: that may have been the telling.
        if self.unmount().is_err() && self.mounted {
            // Something may still be on its way out of it.
            let _ = run(Command::new("umount").arg("--lazy").arg(self.path("")));
        }
        // It ends with its stdin too; this is sooner.
        let _ = self.switch.kill();
        let _ = self.switch.wait();
    }
}

/// Runs a command to its end, and says what it said if that was bad.
fn run(command: &mut Command) -> Result<()> {
    // A group of its own: a signal from the terminal is not for it.
    let output = command.process_group(0).output().with_context(|| format!("can't start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Why there can be no such device here, if there can't.
pub(crate) fn unavailable() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can mount a file system".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Some("there are no loop devices (/dev/loop-control)".to_owned());
    }
    // The rest shows by trying.
    Device::new(8).and_then(|mut device| device.cut()).err().map(|error| format!("{error:#}"))
}
