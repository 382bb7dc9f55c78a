//! The programs: the shop, its customers, clients at a steady rate, and the judge.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use stanchion_testing::process::{Launch, free_port};

use crate::{shell, workspace};

const NAMES: [&str; 4] = ["shop", "shop-load", "shop-auditor", "shop-rolling"];

const ADMIN_PASSWORD: &str = "killed and started again";

/// Their binaries.
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds them.
    pub(super) fn build(release: bool) -> Result<Self> {
        let folder = workspace::programs(&NAMES, release)?;
        Ok(Self { folder })
    }

    /// As they are, from a build before.
    pub(super) fn built() -> Result<Self> {
        let folder = workspace::metadata()?.target_directory.join("debug");
        let folder = folder.into();
        Ok(Self { folder })
    }

    /// The shop on `folder`, with its URL.
    pub(super) fn shop(&self, folder: &Path) -> Result<(Launch, String)> {
        let (public, admin) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{public}");
        let launch = Launch::new(self.folder.join("shop"))
            .folder(folder)
            .env("SHOP__SERVER__LISTEN", format!("127.0.0.1:{public}"))
            .env("SHOP__ADMIN__LISTEN", format!("127.0.0.1:{admin}"))
            .env("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD)
            .env("SHOP__TELEMETRY__FORMAT", "json")
            .ready_when(format!("{url}/ready"));
        Ok((launch, url))
    }

    /// A command of the shop's binary, in `folder`.
    pub(super) fn command(&self, folder: &Path, arguments: &[&str]) -> Launch {
        let launch = Launch::new(self.folder.join("shop")).folder(folder);
        arguments
            .iter()
            .fold(launch, |launch, word| launch.arg(*word))
    }

    /// Clients at a steady rate, at addresses for HTTP/1.1 and for HTTP/2, until they are told to leave.
    pub(super) fn rolling(&self, http1: &str, http2: &str, rate: f64, seed: u64) -> Launch {
        Launch::new(self.folder.join("shop-rolling"))
            .arg(format!("--http1={http1}"))
            .arg(format!("--http2={http2}"))
            .arg(format!("--rate={rate}"))
            .arg(format!("--seed={seed}"))
    }

    /// Customers who order at `url` until they are told to leave.
    pub(super) fn load(&self, url: &str, ledger: &Path, customers: u32, seed: u64) -> Launch {
        Launch::new(self.folder.join("shop-load"))
            .env("SHOP__IDENTITY__ADMIN_PASSWORD", ADMIN_PASSWORD)
            .arg(format!("--url={url}"))
            .arg(format!("--ledger={}", ledger.display()))
            .arg(format!("--customers={customers}"))
            .arg(format!("--seed={seed}"))
    }

    /// One of the binaries.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Prints the balance sheet; false if something does not add up.
    pub(super) fn audit(&self, data: &Path, ledger: &Path) -> Result<bool> {
        let stores = format!("sqlite://{}", data.display());
        self.audit_at(&stores, data, ledger)
    }

    /// The same of stores elsewhere than the gateway's books.
    pub(super) fn audit_at(&self, stores: &str, books: &Path, ledger: &Path) -> Result<bool> {
        let mut auditor = Command::new(self.folder.join("shop-auditor"));
        auditor
            .arg(stores)
            .arg(format!("--gateway=sqlite://{}", books.display()))
            .arg("--ledger")
            .arg(ledger);
        shell::aloud(&mut auditor)
    }
}
