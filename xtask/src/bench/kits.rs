//! What has to be installed or built before a driver can run, all of it below `target/bench`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{shell, test::packages, workspace};

/// A group of drivers that come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kit {
    /// Our own driver, compiled for release.
    Ours,
    /// Peers from the Rust registry, compiled for release, in a workspace of their own.
    Rust,
    /// Peers from the Python package index, in a virtual environment.
    Python,
    /// Peers from the npm registry.
    Node,
    /// message-db's SQL comes from npm, its driver is in Rust.
    MessageDb,
    /// Comes with the database.
    Database,
}

/// The kits of this session: each is made once, and a failure is remembered.
#[derive(Default)]
pub(super) struct Kits {
    made: BTreeMap<Kit, Result<(), String>>,
}

impl Kits {
    /// Makes the kit unless that was tried before.
    ///
    /// # Errors
    /// The reason why its drivers cannot run, the same at every call.
    pub(super) fn ensure(&mut self, kit: Kit) -> Result<(), String> {
        if let Some(made) = self.made.get(&kit) {
            return made.clone();
        }
        let made = make(kit).map_err(|error| format!("{error:#}"));
        if let Err(reason) = &made {
            eprintln!("{kit:?} cannot be had: {reason}");
        }
        self.made.insert(kit, made.clone());
        made
    }
}

/// Where sources of the drivers are.
pub(super) fn sources() -> PathBuf {
    workspace::root().join("benches/log")
}

/// Where everything made for the bench is.
pub(super) fn folder() -> PathBuf {
    workspace::target().join("bench")
}

/// The driver that cargo built from the package `package`.
pub(super) fn built(package: &str, name: &str) -> PathBuf {
    folder().join(package).join("release").join(name)
}

fn make(kit: Kit) -> Result<()> {
    match kit {
        Kit::Ours => cargo("ours"),
        Kit::Rust => cargo("peers"),
        Kit::Python => python(),
        Kit::Node => node(),
        Kit::MessageDb => node().and_then(|()| cargo("peers")),
        Kit::Database => Ok(()),
    }
}

fn cargo(package: &str) -> Result<()> {
    eprintln!("building benches/log/{package} for release");
    let manifest = sources().join(package).join("Cargo.toml");
    let mut build = workspace::cargo(&["build", "--quiet", "--locked", "--release"]);
    build.arg("--manifest-path").arg(manifest);
    build.arg("--target-dir").arg(folder().join(package));
    ensure!(
        shell::aloud(&mut build)?,
        "benches/log/{package} does not compile"
    );
    Ok(())
}

fn python() -> Result<()> {
    let home = folder().join("python");
    let wanted = sources().join("python/requirements.txt");
    once(&home, &wanted, || {
        eprintln!("installing the Python peers");
        let debian = ["python3-venv", "python3-dev", "libpq-dev", "gcc"];
        let mut make = Command::new("python3");
        if shell::quiet(make.args(["-m", "venv"]).arg(&home)).is_err() {
            packages::install(&debian, "Python")?;
            shell::quiet(&mut make)?;
        }
        let install = || {
            let mut pip = Command::new(home.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
            shell::quiet(pip.arg(&wanted))
        };
        if install().is_err() {
            // Its fast driver is compiled here.
            packages::install(&debian, "what psycopg is compiled with")?;
            install()?;
        }
        Ok(())
    })
}

fn node() -> Result<()> {
    let home = folder().join("node");
    let wanted = sources().join("node/package.json");
    once(&home, &wanted, || {
        eprintln!("installing the npm peers");
        fs::copy(&wanted, home.join("package.json"))?;
        let install = || {
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--omit=dev"]);
            shell::quiet(npm.current_dir(&home))
        };
        if install().is_err() {
            packages::install(&["nodejs", "npm"], "Node")?;
            install()?;
        }
        Ok(())
    })?;
    // Modules are looked for beside the file that imports them.
    fs::copy(sources().join("node/driver.js"), home.join("driver.js"))?;
    Ok(())
}

/// Installs unless what is there was installed from the same list.
fn once(home: &Path, wanted: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = home.join("installed");
    let list = fs::read_to_string(wanted).with_context(|| wanted.display().to_string())?;
    if fs::read_to_string(&mark).is_ok_and(|there| there == list) {
        return Ok(());
    }
    if home.exists() {
        fs::remove_dir_all(home)?;
    }
    fs::create_dir_all(home)?;
    install()?;
    Ok(fs::write(mark, list)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_is_repeated_only_when_its_list_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (home, list) = (folder.path().join("home"), folder.path().join("list"));
        let mut installed = 0;
        for text in ["one", "one", "two"] {
            fs::write(&list, text).unwrap();
            once(&home, &list, || {
                installed += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(installed, 2);
    }

    #[test]
    fn a_failed_installation_is_tried_again_in_the_next_session() {
        let folder = tempfile::tempdir().unwrap();
        let (home, list) = (folder.path().join("home"), folder.path().join("list"));
        fs::write(&list, "one").unwrap();
        assert!(once(&home, &list, || anyhow::bail!("no network")).is_err());
        assert!(once(&home, &list, || Ok(())).is_ok());
    }
}
