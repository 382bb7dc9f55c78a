//! A PostgreSQL of our own: its own data folder and socket, settings that are part of the result, gone when dropped.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::kits;
use crate::shell;

/// What differs from PostgreSQL's defaults. Nothing that trades durability for speed; a checkpoint is made before each
/// run, so that none falls into it.
pub(super) const SETTINGS: [&str; 6] = [
    "max_connections=300",
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "listen_addresses=",
    "timezone=UTC",
];

/// Added to each fsync of the slow disk: what a cloud volume costs rather than a local one.
const SLOW_MICROS: u32 = 1_000;
/// Only a name: the socket is in a folder of its own.
const PORT: &str = "5432";
const START_MAX: Duration = Duration::from_secs(60);
const START_POLL: Duration = Duration::from_millis(20);

/// Runs the server below a shell that waits on a pipe from us: however we end, the pipe closes, the shell ends the server
/// and removes its folder.
const WATCHDOG: &str = r#"trap '' INT TERM HUP
folder=$1; shift
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
read -r _ || true
kill -QUIT "$server" 2>/dev/null
wait "$server"
rm -rf "$folder""#;

/// Which disk the server believes to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Disk {
    /// The machine's.
    Own,
    /// With a millisecond added to each fsync.
    Slow,
}

/// A running server.
pub(super) struct Cluster {
    watchdog: Child,
    folder: PathBuf,
    binaries: PathBuf,
    process: u32,
    databases: u32,
}

impl Cluster {
    /// Starts one.
    ///
    /// # Errors
    /// PostgreSQL's binaries are missing, or the server does not start: the message carries its log.
    pub(super) fn start(disk: Disk) -> Result<Self> {
        Self::start_with(disk, &[])
    }

    /// Likewise, with more settings than [`SETTINGS`].
    pub(super) fn start_with(disk: Disk, more: &[&str]) -> Result<Self> {
        let binaries = binaries()?;
        let folder = initialised(&binaries)?;
        let mut server = Vec::new();
        if disk == Disk::Slow {
            let library = slow_fsync(&folder)?;
            server.push("env".to_owned());
            server.push(format!("LD_PRELOAD={}", library.display()));
            server.push(format!("SLOW_FSYNC_MICROS={SLOW_MICROS}"));
        }
        server.push(binaries.join("postgres").display().to_string());
        server.extend(["-D".to_owned(), folder.join("data").display().to_string()]);
        let socket = format!("unix_socket_directories={}", folder.display());
        let settings = SETTINGS.iter().chain(more).copied();
        for setting in settings.chain([socket.as_str()]) {
            server.extend(["-c".to_owned(), setting.to_owned()]);
        }
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "bench-watchdog"])
            .arg(&folder)
            .args(unprivileged()?)
            .args(server)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the shell that watches PostgreSQL did not start")?;
        let process = match ready(&folder) {
            Ok(process) => process,
            Err(error) => {
                drop(watchdog.stdin.take());
                watchdog.wait()?;
                return Err(error);
            }
        };
        Ok(Self {
            watchdog,
            folder,
            binaries,
            process,
            databases: 0,
        })
    }

    /// The server's process id.
    pub(super) fn process(&self) -> u32 {
        self.process
    }

    /// What the server says it is.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn version(&self) -> Result<String> {
        let version = self.psql("show server_version")?;
        Ok(version.trim().to_owned())
    }

    /// An empty database, with everything written before it on disk. The last one goes away.
    ///
    /// # Errors
    /// The server is gone.
    pub(super) fn fresh_database(&mut self) -> Result<Database> {
        self.drop_database()?;
        self.databases += 1;
        let database = Database {
            name: format!("bench{}", self.databases),
            socket: self.folder.clone(),
            binaries: self.binaries.clone(),
        };
        self.psql(&format!("create database {}", database.name))?;
        self.psql("checkpoint")?;
        Ok(database)
    }

    fn drop_database(&self) -> Result<()> {
        let name = format!("bench{}", self.databases);
        let sql = format!("drop database if exists {name} with (force)");
        self.psql(&sql).map(drop)
    }

    fn psql(&self, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--username=postgres",
        ]);
        psql.arg(format!("--host={}", self.folder.display()));
        psql.args([
            "--port",
            PORT,
            "--dbname",
            "postgres",
            "--set=ON_ERROR_STOP=1",
        ]);
        psql.env("PGOPTIONS", "-c client_min_messages=warning");
        shell::quiet(psql.args(["--command", sql]))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

/// A database and how to reach it.
pub(super) struct Database {
    name: String,
    socket: PathBuf,
    binaries: PathBuf,
}

impl Database {
    /// In a form that libpq, tokio-postgres, sqlx and node-postgres understand.
    pub(super) fn url(&self) -> String {
        let (name, socket) = (&self.name, self.socket.display());
        format!("postgresql:///{name}?host={socket}&port={PORT}&user=postgres")
    }

    /// For programs that take libpq's variables, and the server's own programs in reach.
    pub(super) fn announce(&self, command: &mut Command) -> Result<()> {
        let given = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.binaries.clone()).chain(std::env::split_paths(&given));
        command
            .env("PATH", std::env::join_paths(path)?)
            .env("PGHOST", &self.socket)
            .env("PGPORT", PORT)
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &self.name);
        Ok(())
    }
}

/// The newest PostgreSQL of the machine.
fn binaries() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            let binaries = path.join("bin");
            binaries
                .join("initdb")
                .exists()
                .then_some((version, binaries))
        })
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, binaries)| binaries);
    newest.context("no PostgreSQL server below /usr/lib/postgresql")
}

fn initialised(binaries: &Path) -> Result<PathBuf> {
    let folder = TempDir::with_prefix("stanchion-bench-")?.keep();
    if is_root()? {
        shell::quiet(Command::new("chown").arg("postgres").arg(&folder))?;
    }
    let mut words = unprivileged()?.into_iter();
    let mut command = Command::new(words.next().context("a command has a name")?);
    command.args(words).arg(binaries.join("initdb"));
    command.current_dir("/").args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    ]);
    let pgdata = format!("--pgdata={}", folder.join("data").display());
    shell::quiet(command.arg(pgdata))?;
    Ok(folder)
}

/// What to put before a command: PostgreSQL refuses root. Nothing to do for anybody else.
fn unprivileged() -> Result<Vec<String>> {
    if !is_root()? {
        return Ok(vec!["env".to_owned()]);
    }
    let words = [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
    ];
    Ok(words.map(str::to_owned).to_vec())
}

fn is_root() -> Result<bool> {
    Ok(tempfile::tempfile()?.metadata()?.uid() == 0)
}

/// The server's process id, once it accepts connections.
fn ready(folder: &Path) -> Result<u32> {
    for _ in 0..START_MAX.as_millis() / START_POLL.as_millis() {
        let state = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = state.lines().map(str::trim).collect();
        if let (Some(process), Some(&"ready")) = (lines.first(), lines.last()) {
            return process.parse().context("postmaster.pid has another form");
        }
        thread::sleep(START_POLL);
    }
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    bail!("PostgreSQL did not start:\n{log}")
}

/// Compiles the library that makes each fsync slower.
fn slow_fsync(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("slow_fsync.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library);
    cc.arg(kits::sources().join("slow_fsync.c")).arg("-ldl");
    shell::quiet(&mut cc)?;
    Ok(library)
}
