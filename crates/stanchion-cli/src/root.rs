//! The folder a command works in, and nothing outside of it: not by `..`, not by a link, not by an absolute path.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, bail, ensure};

/// The largest file that is read as text: 4 MiB. What is larger was not written by hand.
pub(crate) const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// An opened folder.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    folder: PathBuf,
}

impl Root {
    /// Opens an existing folder; links in its own path are followed, once, here.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let opened = folder
            .canonicalize()
            .with_context(|| folder.display().to_string())?;
        ensure!(opened.is_dir(), "{} is no folder", folder.display());
        Ok(Self { folder: opened })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where that path is, in this folder; whether there is anything or not.
    ///
    /// # Errors
    /// It is outside, by its words or by a link on its way.
    pub(crate) fn resolve(&self, path: &Path) -> anyhow::Result<PathBuf> {
        let outside = || format!("{} is outside of {}", path.display(), self.folder.display());
        ensure!(
            !path.components().any(|part| part == Component::ParentDir),
            outside()
        );
        let full = self.folder.join(path);
        ensure!(full.starts_with(&self.folder), outside());
        // What exists of the way decides, links included; what does not exist yet cannot lead anywhere.
        let mut there = full.as_path();
        let real = loop {
            match there.canonicalize() {
                Ok(real) => break real,
                // A link to nothing is there all the same, and writing would follow it.
                Err(_) if there.symlink_metadata().is_ok() => bail!(outside()),
                Err(_) => there = there.parent().with_context(outside)?,
            }
        };
        ensure!(real.starts_with(&self.folder), outside());
        Ok(full)
    }

    pub(crate) fn read(&self, path: &Path) -> anyhow::Result<String> {
        let full = self.resolve(path)?;
        let shown = || path.display().to_string();
        let size = fs::metadata(&full).with_context(shown)?;
        ensure!(size.is_file(), "{} is no file", path.display());
        ensure!(
            size.len() <= TEXT_BYTES_MAX,
            "{} is larger than {TEXT_BYTES_MAX} bytes",
            path.display()
        );
        fs::read_to_string(&full).with_context(shown)
    }

    /// Makes a new file and the folders above it; never overwrites one.
    pub(crate) fn create(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let full = self.resolve(path)?;
        let shown = || path.display().to_string();
        fs::create_dir_all(full.parent().unwrap_or(&self.folder)).with_context(shown)?;
        let mut file = match fs::File::create_new(&full) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{} is there already", path.display())
            }
            Err(error) => return Err(error).with_context(shown),
        };
        io::Write::write_all(&mut file, text.as_bytes()).with_context(shown)
    }

    /// Replaces the text of an existing file.
    pub(crate) fn replace(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let full = self.resolve(path)?;
        ensure!(full.is_file(), "{} is no file", path.display());
        fs::write(&full, text).with_context(|| path.display().to_string())
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.resolve(path).is_ok_and(|full| full.exists())
    }

    /// The names of what is directly in a folder, in order; none if there is no such folder.
    pub(crate) fn names(&self, folder: &Path) -> anyhow::Result<Vec<String>> {
        let full = self.resolve(folder)?;
        let entries = match fs::read_dir(full) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| folder.display().to_string()),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_reached_by_dots_by_links_or_by_absolute_paths() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(place.path().join("secret"), "s").unwrap();
        std::os::unix::fs::symlink(place.path(), inside.join("up")).unwrap();
        std::os::unix::fs::symlink(place.path().join("nothing"), inside.join("dangling")).unwrap();
        let root = Root::open(&inside).unwrap();
        for path in [
            "../secret",
            "up/secret",
            "/etc/passwd",
            "a/../../secret",
            "dangling",
        ] {
            assert!(root.read(Path::new(path)).is_err(), "{path}");
            assert!(root.create(Path::new(path), "x").is_err(), "{path}");
        }
        assert!(root.create(Path::new("up/new"), "x").is_err());
        assert!(!place.path().join("new").exists() && !place.path().join("nothing").exists());
    }

    #[test]
    fn what_is_there_is_never_overwritten_by_creating() {
        let place = tempfile::tempdir().unwrap();
        let root = Root::open(place.path()).unwrap();
        root.create(Path::new("a/b.txt"), "one").unwrap();
        let again = root.create(Path::new("a/b.txt"), "two").unwrap_err();
        assert_eq!(again.to_string(), "a/b.txt is there already");
        assert_eq!(root.read(Path::new("a/b.txt")).unwrap(), "one");
    }
}
