//! A small disk that can be filled, or made to fail.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::chaos::power::{Disk, command as run};

/// Room for a store and its write-ahead log.
const SIZE: &str = "size=192m,mode=755";

/// Mounted until dropped.
pub(super) struct Place {
    /// On the tmpfs; unmounted first.
    disk: Option<Disk>,
    memory: PathBuf,
    store: PathBuf,
}

impl Place {
    pub(super) fn fresh(folder: &Path, failing: bool) -> Result<Self> {
        let memory = folder.join("memory");
        if folder.exists() {
            // Of a run that was killed.
            let _ended = (
                run("umount", &[], &[&memory.join("ext4/disk")]),
                run("umount", &[], &[&memory]),
            );
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(&memory)?;
        run("mount", &["-t", "tmpfs", "-o", SIZE, "none"], &[&memory])?;
        let disk = failing
            .then(|| Disk::fresh(&memory.join("ext4")))
            .transpose()?;
        let store = disk.as_ref().map_or(&*memory, Disk::place).to_owned();
        Ok(Self {
            disk,
            memory,
            store,
        })
    }

    pub(super) fn store(&self) -> &Path {
        &self.store
    }

    pub(super) fn fails(&self) -> bool {
        self.disk.is_some()
    }

    /// To the last byte.
    pub(super) fn fill(&self) -> Result<()> {
        let mut filler = File::create(self.filler())?;
        for chunk in [1 << 20, 1 << 12, 1] {
            let chunk = vec![b'x'; chunk];
            while filler.write_all(&chunk).is_ok() {}
        }
        Ok(())
    }

    pub(super) fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    /// As a person does with a file system that gave up: unmount, repair, mount.
    pub(super) fn mount_again(&self) -> Result<()> {
        match &self.disk {
            Some(disk) => disk.mount_again(),
            None => Ok(()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.memory.join("filler")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.disk.take());
        if let Err(error) = run("umount", &[], &[&self.memory]) {
            eprintln!("{} stays mounted: {error:#}", self.memory.display());
        }
    }
}
