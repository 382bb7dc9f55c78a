//! Who is loaded: how it is built, started and spoken to.

use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use stanchion_testing::process::{Launch, ServiceProcess, Signal, free_port};
use tempfile::TempDir;
use tokio::runtime::Builder;

use super::stores::Stores;
use crate::bench::{
    go,
    kits::{self, Kit, Kits},
};
use crate::{shell, workspace};

const STARTED_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);
const SCHEMA: &str = "benches/peers/auth.sql";
/// Of throwaway stores: 32 bytes each, in base64.
const KEY: &str = "b25lIHRocm93YXdheSBrZXkgZm9yIGEgbG9hZCB0ZXM=";
/// The build that is shipped.
const PROFILE: &str = "dist";
/// Names in the profile come from the symbols, which a release leaves out otherwise.
const WITH_SYMBOLS: &str = "profile.dist.package.shop.strip=\"none\"";

/// A service that can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Contestant {
    /// The shop's identity by OAuth 2.
    Shop,
    /// The shop's identity by its own login: every issued token costs a password's hash.
    Login,
    Go,
    Node,
    Python,
}

pub(super) const PEERS: [Contestant; 3] = [Contestant::Go, Contestant::Node, Contestant::Python];

/// A started service; told to stop when dropped, so that its own processes go with it.
pub(super) struct Running {
    process: ServiceProcess,
    pub(super) url: String,
    /// Where the shop's clients are made.
    pub(super) admin_url: Option<String>,
    /// Where it works; removed after it has ended.
    folder: Option<TempDir>,
}

/// Compiles the shop and the load for release.
pub(super) fn build() -> Result<()> {
    eprintln!("building the shop and the load for release");
    let mut arguments = vec![
        "build",
        "--quiet",
        "--profile",
        PROFILE,
        "--config",
        WITH_SYMBOLS,
    ];
    arguments.extend(["-p", "shop", "-p", "auth-load"]);
    let built = shell::aloud(&mut workspace::cargo(&arguments))?;
    ensure!(built, "the shop or the load does not compile");
    Ok(())
}

/// A program that [`build`] has made.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let folder = workspace::metadata()?.target_directory.join(PROFILE);
    Ok(folder.join(name).into())
}

impl Contestant {
    /// In words, for the page.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Shop => "stanchion: the shop's identity, OAuth 2 endpoints",
            Self::Login => "stanchion: the shop's identity, its own login",
            Self::Go => "Go: net/http, pgx, redigo, golang-jwt",
            Self::Node => "Node: Fastify, jose, pg, ioredis; 2 processes",
            Self::Python => "Python: FastAPI, PyJWT, asyncpg, redis; 2 processes",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shop | Self::Login => "stanchion",
            Self::Go => "Go",
            Self::Node => "Node",
            Self::Python => "Python",
        }
    }

    /// The word for it in a plan of the load.
    pub(super) fn dialect(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Login => "login",
            Self::Go | Self::Node | Self::Python => "peer",
        }
    }

    /// Where its first search begins: too low costs a step or two, too high likewise.
    pub(super) fn guess(self) -> f64 {
        match self {
            Self::Shop => 4_000.0,
            Self::Login => 60.0,
            Self::Go => 3_000.0,
            Self::Node => 1_500.0,
            Self::Python => 600.0,
        }
    }

    pub(super) fn install(self, kits: &mut Kits) -> Result<()> {
        let kit = match self {
            Self::Shop | Self::Login => return Ok(()),
            Self::Go => Kit::AuthGo,
            Self::Node => Kit::AuthNode,
            Self::Python => Kit::AuthPython,
        };
        kits.ensure(kit).map_err(anyhow::Error::msg)
    }

    /// Starts it on empty stores and waits until it listens.
    pub(super) fn start(self, stores: &Stores, seed: u64) -> Result<Running> {
        let database = stores.fresh()?;
        let folder = tempfile::tempdir()?;
        let (public, admin) = (address()?, address()?);
        let is_shop = matches!(self, Self::Shop | Self::Login);
        let launch = if is_shop {
            shop(&public, &admin)?
        } else {
            Stores::apply(&database, &workspace::root().join(SCHEMA))?;
            self.peer(&public)?
                .env("DATABASE_URL", &database)
                .env("REDIS_URL", stores.redis_url())
                .env("AUTH_ADDRESS", &public)
                .env("AUTH_KEY_SEED", key_seed(seed))
        };
        let launch = launch
            .env("SHOP__DATABASE__URL", &database)
            .env("SHOP__CACHE__URL", stores.redis_url())
            .ready_when(format!("http://{public}/ready"))
            .folder(folder.path());
        let mut running = Running {
            process: launch.spawn()?,
            url: format!("http://{public}"),
            admin_url: is_shop.then(|| format!("http://{admin}")),
            folder: None,
        };
        running.is_up(&public)?;
        running.folder = Some(folder);
        Ok(running)
    }

    fn peer(self, address: &str) -> Result<Launch> {
        let (host, port) = address.split_once(':').unwrap_or((address, "0"));
        Ok(match self {
            Self::Go => Launch::new(go::built("auth-go")).arg(address),
            Self::Node => Launch::new("node")
                .arg(kits::folder().join("auth-node/server.js"))
                .arg(address)
                .env("NODE_ENV", "production"),
            _ => {
                let processors = thread::available_parallelism()?.get().to_string();
                let words = [
                    "-m",
                    "uvicorn",
                    "server:app",
                    "--loop",
                    "uvloop",
                    "--http",
                    "httptools",
                ];
                let launch = Launch::new(kits::folder().join("auth-python/bin/python"));
                let launch = words.into_iter().fold(launch, Launch::arg);
                launch
                    .arg("--app-dir")
                    .arg(kits::peer("auth-python"))
                    .arg(format!("--host={host}"))
                    .arg(format!("--port={port}"))
                    .arg(format!("--workers={processors}"))
            }
        })
    }
}

/// Identity alone, as a service of its own.
fn shop(public: &str, admin: &str) -> Result<Launch> {
    let settings = [
        ("SHOP__SERVER__LISTEN", public),
        ("SHOP__ADMIN__LISTEN", admin),
        ("SHOP__DATABASE__MIGRATE", "auto"),
        (
            "SHOP__SERVER__SECRET",
            "a throwaway secret of 32 bytes and more",
        ),
        ("SHOP__SERVER__LAME_DUCK", "0s"),
        (
            "SHOP__IDENTITY__ADMIN_PASSWORD",
            "a throwaway administrator",
        ),
        ("SHOP__IDENTITY__KEY_ENCRYPTION_KEY", KEY),
        ("SHOP__PERSONAL__MASTER_KEY", KEY),
        ("SHOP__TELEMETRY__FORMAT", "json"),
    ];
    let launch = Launch::new(program("shop")?)
        .arg("--modules")
        .arg("identity");
    let launch = launch.env("SHOP__AUTH__ISSUER", format!("http://{public}"));
    Ok(settings
        .into_iter()
        .fold(launch, |launch, (name, value)| launch.env(name, value)))
}

fn address() -> Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

/// All processes of a peer must sign with one key.
fn key_seed(seed: u64) -> String {
    let mut bytes = [0; 32];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.map(|byte| format!("{byte:02x}")).concat()
}

impl Running {
    pub(super) fn id(&self) -> u32 {
        self.process.pid()
    }

    /// What it said of its end.
    pub(super) fn last_words(&self) -> String {
        let text = self.process.stderr();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The shop says when its stores are there; others listen last.
    fn is_up(&mut self, address: &str) -> Result<()> {
        if self.admin_url.is_some() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            return runtime
                .block_on(self.process.ready(STARTED_WITHIN))
                .map(drop);
        }
        for _ in 0..STARTED_WITHIN.as_millis() / LOOK.as_millis() {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if self.process.exited()?.is_some() {
                bail!("it ended before it listened:\n{}", self.last_words());
            }
            thread::sleep(LOOK);
        }
        bail!("it does not listen on {address}:\n{}", self.last_words())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _kept_until_the_end = self.folder.take();
        // Whoever starts processes of its own ends them in good order; who does not is killed with the drop.
        let _told = self.process.signal(Signal::Terminate);
        for _ in 0..STOPPED_WITHIN.as_millis() / LOOK.as_millis() {
            if !matches!(self.process.exited(), Ok(None)) {
                break;
            }
            thread::sleep(LOOK);
        }
    }
}
