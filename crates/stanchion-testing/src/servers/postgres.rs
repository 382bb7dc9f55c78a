//! A throwaway PostgreSQL: its own data folder, a random port, gone when dropped.

pub(super) mod account;
mod binaries;
mod cluster;

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

pub use cluster::Cluster;

pub(super) use account::Account;

/// How long a server may take to accept connections; a loaded machine needs a few seconds.
const START_SECONDS_MAX: u32 = 60;
const START_POLL: Duration = Duration::from_millis(20);
/// Another process may take the free port between our look and the server's bind.
const PORT_ATTEMPTS: u32 = 5;
/// Names of databases already taken on a shared server that are passed over before giving up.
const NAME_ATTEMPTS: u32 = 100;
/// Tests of a whole workspace share one server; each has a pool of its own.
const CONNECTIONS_MAX: u32 = 400;

/// Runs the server below a shell that waits on a pipe from us: however we end, the pipe closes, the shell ends the
/// server at once and removes its folder. A destructor alone would leave both behind after `kill -9`.
const WATCHDOG: &str = r#"trap '' INT TERM HUP
folder=$1; shift
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
read -r _ || true
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder""#;

/// A running PostgreSQL of one's own, or one shared by a whole test run.
///
/// Durability is as in production (`fsync` on) unless started with [`PostgresOptions::fast`]. Connections from
/// 127.0.0.1 and over the unix socket in [`Postgres::socket_folder`] are trusted. Dropped, killed or panicked: the server ends
/// and its files go.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    owned: Option<Owned>,
}

/// How a throwaway server is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct PostgresOptions {
    fast: bool,
}

#[derive(Debug)]
struct Owned {
    watchdog: Child,
    folder: PathBuf,
}

impl Postgres {
    /// Starts a durable server; see [`PostgresOptions`] for a fast one.
    ///
    /// # Errors
    /// When no binaries are found, or the server refuses to start: the message carries its log.
    pub fn start() -> Result<Self> {
        PostgresOptions::default().start()
    }

    /// Options for a server that differs from the default.
    #[must_use]
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// Whether a server can be had: one is named in `STANCHION_TEST_POSTGRES`, or its binaries are installed.
    #[must_use]
    pub fn available() -> bool {
        shared_url().is_some() || binaries::installed()
    }

    /// The server of this test run: the one in `STANCHION_TEST_POSTGRES`, else one for this process, started at the
    /// first call.
    ///
    /// # Errors
    /// Those of [`Postgres::start`], the same at every call.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match shared_url() {
            Some(url) => Ok(Self { url, owned: None }),
            None => Self::start().map_err(|error| format!("{error:#}")),
        });
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// URL of the server's maintenance database, `postgres://USER@127.0.0.1:PORT/postgres`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of the unix socket and of `log`, the server's log; `None` for a server that somebody else started.
    #[must_use]
    pub fn socket_folder(&self) -> Option<&Path> {
        self.owned.as_ref().map(|owned| owned.folder.as_path())
    }

    /// Creates an empty database and gives its URL. It stays until the server goes.
    ///
    /// # Errors
    /// When `psql` is missing, the server is gone, or the user may not create databases.
    pub fn fresh_database(&self) -> Result<String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        for _ in 0..NAME_ATTEMPTS {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("test_{}_{number}", process::id());
            if self.create_database(&name)? {
                return Ok(replace_database(&self.url, &name));
            }
        }
        bail!(
            "{NAME_ATTEMPTS} database names of this process are taken on {}",
            self.url
        )
    }

    /// False when the name is taken: a shared server outlives processes, whose numbers come again.
    fn create_database(&self, name: &str) -> Result<bool> {
        let output = Command::new(binaries::find("psql")?)
            .args(["--no-psqlrc", "--quiet", "--dbname", &self.url])
            .args(["--command", &format!("create database {name}")])
            .stdin(Stdio::null())
            .output()
            .context("psql did not run")?;
        let error = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || error.contains("already exists") {
            return Ok(output.status.success());
        }
        bail!("create database {name}: {}", error.trim())
    }
}

impl PostgresOptions {
    /// Trades durability for speed (`fsync`, `synchronous_commit`, `full_page_writes` off): never for tests of crashes.
    #[must_use]
    pub fn fast(mut self) -> Self {
        self.fast = true;
        self
    }

    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// Those of [`Postgres::start`].
    pub fn start(self) -> Result<Postgres> {
        let account = Account::unprivileged()?;
        for _ in 0..PORT_ATTEMPTS {
            if let Some(server) = self.launch(&account)? {
                return Ok(server);
            }
        }
        bail!(
            "{PORT_ATTEMPTS} free ports in a row were taken by others before PostgreSQL could bind them"
        )
    }

    /// `None` when somebody else took the port.
    fn launch(self, account: &Account) -> Result<Option<Postgres>> {
        // Removed by the watchdog, whatever comes of this.
        let folder = initialised_folder(account)?.keep();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut watchdog = account
            .command("sh")
            .args(["-c", WATCHDOG, "postgres-watchdog"])
            .arg(&folder)
            .arg(binaries::find("postgres")?)
            .args(self.arguments(&folder, port))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the shell that watches PostgreSQL did not start")?;
        match wait_until_ready(&mut watchdog, &folder) {
            Ok(()) => Ok(Some(Postgres {
                url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
                owned: Some(Owned { watchdog, folder }),
            })),
            Err(error) if format!("{error:#}").contains("Address already in use") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn arguments(self, folder: &Path, port: u16) -> Vec<String> {
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", folder.display()),
            format!("max_connections={CONNECTIONS_MAX}"),
            "timezone=UTC".to_owned(),
        ];
        if self.fast {
            let off = [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ];
            settings.extend(off.map(str::to_owned));
        }
        let data = folder.join("data").display().to_string();
        let settings = settings
            .into_iter()
            .flat_map(|setting| ["-c".to_owned(), setting]);
        ["-D".to_owned(), data]
            .into_iter()
            .chain(settings)
            .collect()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Closing the pipe is the order to end; the watchdog ends once server and folder are gone.
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

fn shared_url() -> Option<String> {
    env::var("STANCHION_TEST_POSTGRES")
        .ok()
        .filter(|url| !url.is_empty())
}

fn initialised_folder(account: &Account) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("stanchion-pg-").tempdir()?;
    account.take_over(folder.path())?;
    let log = File::create(folder.path().join("log"))?;
    account.take_over(&folder.path().join("log"))?;
    // initdb's own fsync only matters if the machine dies before the first checkpoint of an empty database.
    let status = account
        .command(binaries::find("initdb")?)
        .args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ])
        .arg("--pgdata")
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("initdb did not run")?;
    ensure!(
        status.success(),
        "initdb: {status}\n{}",
        log_of(folder.path())
    );
    Ok(folder)
}

/// The last line of `postmaster.pid` says `ready` once connections are accepted.
fn wait_until_ready(watchdog: &mut Child, folder: &Path) -> Result<()> {
    let polls = START_SECONDS_MAX * 1000 / 20;
    for _ in 0..polls {
        let state = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        if state
            .lines()
            .last()
            .is_some_and(|line| line.trim() == "ready")
        {
            return Ok(());
        }
        let log = log_of(folder);
        if log.contains("FATAL:") {
            stop(watchdog);
            bail!("PostgreSQL did not start:\n{log}");
        }
        thread::sleep(START_POLL);
    }
    stop(watchdog);
    bail!(
        "PostgreSQL was not ready within {START_SECONDS_MAX} s:\n{}",
        log_of(folder)
    )
}

fn stop(watchdog: &mut Child) {
    drop(watchdog.stdin.take());
    let _ended = watchdog.wait();
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// `postgres://user@host:port/this?options` with another `this`.
fn replace_database(url: &str, name: &str) -> String {
    let (base, options) = url
        .split_once('?')
        .map_or((url, None), |(base, options)| (base, Some(options)));
    let authority = base.find("://").map_or(0, |scheme| scheme + 3);
    let end = base[authority..]
        .find('/')
        .map_or(base.len(), |slash| authority + slash);
    let options = options
        .map(|options| format!("?{options}"))
        .unwrap_or_default();
    format!("{}/{name}{options}", &base[..end])
}

#[cfg(test)]
mod tests {
    use super::replace_database;

    #[test]
    fn a_url_keeps_everything_but_its_database() {
        assert_eq!(
            replace_database("postgres://u:p@h:5/postgres?sslmode=require", "t"),
            "postgres://u:p@h:5/t?sslmode=require"
        );
        assert_eq!(replace_database("postgres://h", "t"), "postgres://h/t");
    }
}
