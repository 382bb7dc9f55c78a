//! What has to be installed or built before a driver can run, all of it below `target/bench`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::go;
use crate::{shell, test::packages, workspace};

/// A group of drivers that come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kit {
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
    /// Ours and the bare servers in Rust, and the load that asks all servers, compiled for release.
    Servers,
    /// Servers in Go, compiled with the libraries that Debian has.
    GoServers,
    /// A server from the npm registry.
    Fastify,
    /// The whole way of a message and its bare stages, compiled for release.
    Messaging,
    /// faststream-outbox, in a virtual environment of its own.
    MessagingPython,
    /// pg-transactional-outbox, from the npm registry.
    MessagingNode,
    /// The example of the smallest service, compiled for release.
    Hello,
    /// Tokens in Go, compiled with the libraries that Debian has.
    AuthGo,
    /// Tokens on Fastify, from the npm registry.
    AuthNode,
    /// Tokens on FastAPI, in a virtual environment of its own.
    AuthPython,
}

/// The kits of this session: each is made once, and a failure is remembered.
#[derive(Default)]
pub(crate) struct Kits {
    made: BTreeMap<Kit, Result<(), String>>,
}

impl Kits {
    /// Makes the kit unless that was tried before.
    ///
    /// # Errors
    /// The reason why its drivers cannot run, the same at every call.
    pub(crate) fn ensure(&mut self, kit: Kit) -> Result<(), String> {
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

/// Where sources of the drivers of messages are.
pub(super) fn messaging(language: &str) -> PathBuf {
    workspace::root().join("benches/messaging").join(language)
}

/// Where the sources of a service are that is loaded beside ours.
pub(crate) fn peer(name: &str) -> PathBuf {
    workspace::root().join("benches/peers").join(name)
}

/// Where everything made for the bench is.
pub(crate) fn folder() -> PathBuf {
    workspace::target().join("bench")
}

/// The driver that cargo built from the package `package`.
pub(crate) fn built(package: &str, name: &str) -> PathBuf {
    folder().join(package).join("release").join(name)
}

fn make(kit: Kit) -> Result<()> {
    match kit {
        Kit::Ours => cargo("benches/log/ours", "ours"),
        Kit::Rust => cargo("benches/log/peers", "peers"),
        Kit::Python => python("python", &sources().join("python")),
        Kit::Node => node("node", &sources().join("node"), "driver.js"),
        Kit::MessageDb => make(Kit::Node).and_then(|()| make(Kit::Rust)),
        Kit::Database => Ok(()),
        Kit::Servers => cargo("benches/server/rust", "server"),
        Kit::GoServers => go::build(),
        Kit::Fastify => node("fastify", &go::sources().join("node"), "server.js"),
        Kit::Messaging => cargo("benches/messaging/rust", "messaging"),
        Kit::MessagingPython => python("messaging-python", &messaging("python")),
        Kit::MessagingNode => node("messaging-node", &messaging("node"), "driver.js"),
        Kit::Hello => cargo("examples/hello", "hello"),
        Kit::AuthGo => go::build_auth(&peer("auth-go")),
        Kit::AuthNode => node("auth-node", &peer("auth-node"), "server.js"),
        Kit::AuthPython => python("auth-python", &peer("auth-python")),
    }
}

/// Compiles a package with a manifest of its own; `name` is its folder below ours.
fn cargo(source: &str, name: &str) -> Result<()> {
    eprintln!("building {source} for release");
    let manifest = workspace::root().join(source).join("Cargo.toml");
    let mut build = workspace::cargo(&["build", "--quiet", "--locked", "--release"]);
    build.arg("--manifest-path").arg(manifest);
    build.arg("--target-dir").arg(folder().join(name));
    ensure!(shell::aloud(&mut build)?, "{source} does not compile");
    Ok(())
}

/// Installs what `requirements.txt` in `source` lists.
fn python(name: &str, source: &Path) -> Result<()> {
    let home = folder().join(name);
    let wanted = source.join("requirements.txt");
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

/// Installs what `package.json` in `source` lists, and puts the program beside it.
fn node(name: &str, source: &Path, program: &str) -> Result<()> {
    let home = folder().join(name);
    let wanted = source.join("package.json");
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
    fs::copy(source.join(program), home.join(program))?;
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
