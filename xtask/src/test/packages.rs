//! Servers as Debian packages.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Result, bail, ensure};

use stanchion_testing::servers::{Nats, Postgres};

use crate::shell;

/// Read by Debian's postgresql-common before it would make and start a cluster that nobody asked for.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.conf";

/// What the shop in services stands on, if it is missing: PostgreSQL, NATS, and the front before all of them.
pub(crate) fn for_services() -> Result<()> {
    if !Postgres::available() {
        install(&["postgresql"], "PostgreSQL")?;
    }
    if !Nats::available() {
        install(&["nats-server"], "NATS")?;
    }
    if !shop_cluster::has_front() {
        install(&["haproxy"], "HAProxy, the front of services,")?;
    }
    Ok(())
}

/// Installs these packages, or says how to.
pub(crate) fn install(packages: &[&str], server: &str) -> Result<()> {
    let names = packages.join(" ");
    let apt = Path::new("/usr/bin/apt-get");
    if !apt.exists() || !we_are_root()? {
        bail!("{server} is not installed: `apt-get install {names}` as root");
    }
    keep_from_starting()?;
    eprintln!("installing the Debian packages {names}");
    let install = ["install", "--yes", "--quiet", "--no-install-recommends"];
    for arguments in [vec!["update", "--quiet"], [&install[..], packages].concat()] {
        let mut command = Command::new(apt);
        command
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        ensure!(
            shell::aloud(&mut command)?,
            "apt-get {} failed",
            arguments.join(" ")
        );
    }
    Ok(())
}

fn we_are_root() -> Result<bool> {
    Ok(tempfile::tempfile()?.metadata()?.uid() == 0)
}

fn keep_from_starting() -> Result<()> {
    let settings = Path::new(CLUSTER_SETTINGS);
    if settings.exists() {
        return Ok(());
    }
    if let Some(folder) = settings.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(settings, "create_main_cluster = false\n")?)
}
