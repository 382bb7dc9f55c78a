//! An ext4 in a file, mounted through a loop device.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::shell;

const SIZE: &str = "600M";

/// The most that one request to the device may carry: a page. A loop device over a file without room takes a request
/// whose first pages can still be written and says that all of it was: such a disk lies, and no store survives it.
const REQUEST_KB_MAX: &str = "4";

/// A process that was killed holds its files for a moment.
const UNMOUNT_ATTEMPTS: u32 = 100;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(50);

/// Mounted until dropped.
pub(in crate::chaos) struct Disk {
    image: PathBuf,
    place: PathBuf,
}

/// Whether this machine lets us mount files.
pub(in crate::chaos) fn possible() -> Result<bool> {
    let root = tempfile::tempfile()?.metadata()?.uid() == 0;
    let loops = Path::new("/dev/loop-control").exists();
    let mkfs = Command::new("mkfs.ext4").arg("-V").output().is_ok();
    Ok(root && loops && mkfs)
}

impl Disk {
    /// An empty one in `folder`, which is emptied first.
    pub(in crate::chaos) fn fresh(folder: &Path) -> Result<Self> {
        let disk = Self {
            image: folder.join("image"),
            place: folder.join("disk"),
        };
        if folder.exists() {
            // Of a run that was killed.
            let _unmounted = Command::new("umount").arg(&disk.place).output();
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(&disk.place)?;
        run("truncate", &["-s", SIZE], &[&disk.image])?;
        run("mkfs.ext4", &["-q", "-F"], &[&disk.image])?;
        disk.mount()?;
        Ok(disk)
    }

    pub(in crate::chaos) fn place(&self) -> &Path {
        &self.place
    }

    /// Copies what has reached the device by now, and nothing else.
    pub(in crate::chaos) fn copy(&self) -> Result<()> {
        run("cp", &["--sparse=always"], &[&self.image, &self.cut()])
    }

    /// The copy takes the original's place.
    pub(in crate::chaos) fn go_on_with_the_copy(&self) -> Result<()> {
        self.unmount()?;
        fs::rename(self.cut(), &self.image)?;
        self.mount()
    }

    /// As a person does with a file system that gave up.
    pub(in crate::chaos) fn mount_again(&self) -> Result<()> {
        self.unmount()?;
        // 1 says that something was repaired.
        let _repaired = run("fsck.ext4", &["-p"], &[&self.image]);
        self.mount()
    }

    fn cut(&self) -> PathBuf {
        self.image.with_extension("cut")
    }

    fn mount(&self) -> Result<()> {
        run("mount", &["-o", "loop"], &[&self.image, &self.place])?;
        let mut ask = Command::new("findmnt");
        ask.args(["--noheadings", "--output", "SOURCE"]);
        let device = shell::quiet(ask.arg(&self.place))?;
        let device = device.trim().trim_start_matches("/dev/");
        let limit = format!("/sys/block/{device}/queue/max_sectors_kb");
        fs::write(&limit, REQUEST_KB_MAX).context(limit)
    }

    fn unmount(&self) -> Result<()> {
        for _ in 0..UNMOUNT_ATTEMPTS {
            if run("umount", &[], &[&self.place]).is_ok() {
                return Ok(());
            }
            thread::sleep(UNMOUNT_PAUSE);
        }
        run("umount", &[], &[&self.place])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("{} stays mounted: {error:#}", self.place.display());
        }
    }
}

/// Runs it to its end; what it said is shown when it fails.
pub(in crate::chaos) fn run(program: &str, options: &[&str], paths: &[&Path]) -> Result<()> {
    let mut command = Command::new(program);
    shell::quiet(command.args(options).args(paths)).map(drop)
}
