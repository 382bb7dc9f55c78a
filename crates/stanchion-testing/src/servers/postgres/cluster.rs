//! A PostgreSQL that is crashed and started again on the same folder.

use std::{
    fs::{self, File, OpenOptions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use super::{account::Account, binaries};

const START_SECONDS_MAX: u32 = 60;
const STOP_SECONDS_MAX: u32 = 60;
const POLL: Duration = Duration::from_millis(20);

/// As the throwaway server's watchdog, but the folder stays: it is what the next start finds.
const WATCHDOG: &str = r#"trap '' INT TERM HUP
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 &
server=$!
read -r _ || true
kill -QUIT "$server" 2>/dev/null
wait "$server""#;

/// A PostgreSQL of one's own whose folder outlives its crashes. Dropped, the server ends at once; the folder stays.
///
/// Everybody on 127.0.0.1 is trusted, also as a replica. Durability is PostgreSQL's own default unless the settings
/// say otherwise.
pub struct Cluster {
    account: Account,
    data: PathBuf,
    log: PathBuf,
    port: u16,
    settings: Vec<String>,
    watchdog: Option<Child>,
}

impl Cluster {
    /// Makes an empty cluster in `folder/data`, with its log in `folder/log`; the folder must be one that anybody may
    /// enter. `settings` are `name=value`, and hold for every start. Its write-ahead log comes in files of 1 MiB, so
    /// that little of it is enough to begin, recycle or archive one.
    ///
    /// # Errors
    /// When PostgreSQL's programs are missing, or refuse.
    pub fn create(folder: &Path, settings: &[&str]) -> Result<Self> {
        let cluster = Self::at(folder, settings)?;
        let mut initdb = cluster.program("initdb")?;
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8"]);
        initdb.args(["--locale=C", "--no-instructions", "--wal-segsize=1"]);
        initdb.arg("--pgdata");
        cluster.quietly(initdb.arg(&cluster.data))?;
        Ok(cluster)
    }

    /// Takes a copy of a running server as its replica: `pg_basebackup`.
    ///
    /// # Errors
    /// When the copy fails; the message carries what was said.
    pub fn replica_of(primary: &Self, folder: &Path, settings: &[&str]) -> Result<Self> {
        let cluster = Self::at(folder, settings)?;
        let mut copy = cluster.program("pg_basebackup")?;
        copy.args([
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--host=127.0.0.1",
        ]);
        copy.args(["--username=postgres", "--wal-method=stream", "--port"]);
        copy.arg(primary.port.to_string()).arg("--pgdata");
        cluster.quietly(copy.arg(&cluster.data))?;
        Ok(cluster)
    }

    /// A cluster whose `folder/data` is there already: a copy, or one that another process made.
    ///
    /// # Errors
    /// When the folder cannot be taken over or no port is free.
    pub fn at(folder: &Path, settings: &[&str]) -> Result<Self> {
        let account = Account::unprivileged()?;
        account.take_over(folder)?;
        let log = folder.join("log");
        OpenOptions::new().create(true).append(true).open(&log)?;
        account.take_over(&log)?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Ok(Self {
            account,
            data: folder.join("data"),
            log,
            port: free.local_addr()?.port(),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            watchdog: None,
        })
    }

    /// Starts it, after a crash with recovery, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not within a minute; the message carries the end of its log.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.watchdog.is_none(), "it runs already");
        // Of a crash before us, and it says `ready`.
        let _gone = fs::remove_file(self.data.join("postmaster.pid"));
        let mut command = self.account.command("sh");
        command
            .args(["-c", WATCHDOG, "postgres-watchdog"])
            .arg(&self.log)
            .arg(binaries::find("postgres")?)
            .arg("-D")
            .arg(&self.data)
            .args(self.arguments());
        let watchdog = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the shell that watches PostgreSQL did not start")?;
        self.watchdog = Some(watchdog);
        let polls = START_SECONDS_MAX * 1000 / 20;
        for _ in 0..polls {
            if self.state().as_deref() == Some("ready") {
                return Ok(());
            }
            if self.has_ended() {
                break;
            }
            thread::sleep(POLL);
        }
        self.crash()?;
        bail!("PostgreSQL did not start:\n{}", self.log_tail())
    }

    /// Ends it at once, as `pg_ctl stop -m immediate` does: nothing is flushed, the next start recovers.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn crash(&mut self) -> Result<()> {
        self.end()
    }

    /// Whether it runs; it may end by itself, for instance without room for its write-ahead log.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn runs(&mut self) -> Result<bool> {
        if self.watchdog.is_none() {
            return Ok(false);
        }
        let ended = self.has_ended();
        if ended {
            self.end()?;
        }
        Ok(!ended)
    }

    /// Stops it in good order: a checkpoint, then the end.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub fn stop(&mut self) -> Result<()> {
        self.signal("INT", self.pid()?)?;
        for _ in 0..STOP_SECONDS_MAX * 1000 / 20 {
            if self.state().is_none() {
                return self.end();
            }
            thread::sleep(POLL);
        }
        bail!("PostgreSQL does not stop:\n{}", self.log_tail())
    }

    /// Sends a signal (`KILL`, `STOP`, `CONT` …) to one of its processes.
    ///
    /// # Errors
    /// When `kill` cannot be run; a process that is gone already is no error.
    pub fn signal(&self, signal: &str, process: u32) -> Result<()> {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill \"-$1\" \"$2\" 2>/dev/null", "kill", signal]);
        kill.arg(process.to_string()).status()?;
        Ok(())
    }

    /// Its processes, the postmaster first.
    ///
    /// # Errors
    /// When it does not run.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let postmaster = self.pid()?;
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        Ok([postmaster].into_iter().chain(children).collect())
    }

    /// Makes a replica a primary, and waits until it is one.
    ///
    /// # Errors
    /// When it does not become one within a minute.
    pub fn promote(&self) -> Result<()> {
        let mut promote = self.program("pg_ctl")?;
        promote.args(["promote", "--wait", "--pgdata"]);
        self.quietly(promote.arg(&self.data))
    }

    /// Runs a shell script to its end under the server's account, with PostgreSQL's programs in PATH: what an
    /// operator would do. What it says goes into the log.
    ///
    /// # Errors
    /// When it fails; the message carries the end of the log.
    pub fn script(&self, script: &Path, arguments: &[&str]) -> Result<()> {
        let mut sh = self.account.command("sh");
        sh.env("PATH", binaries::path()?);
        self.quietly(sh.arg(script).args(arguments))
    }

    /// Runs SQL in `database`, each statement on its own; the answer as `psql --tuples-only --no-align` prints it.
    ///
    /// # Errors
    /// When psql fails; the message carries what it said.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let output = self.psql(database, sql)?.output().context("psql")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{sql}: {}", said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// As [`Cluster::sql`], to be run or spawned by the caller.
    ///
    /// # Errors
    /// When there is no psql.
    pub fn psql(&self, database: &str, sql: &str) -> Result<Command> {
        let mut psql = Command::new(binaries::find("psql")?);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--dbname"])
            .arg(self.url(database))
            .arg("--command")
            .arg(sql)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(psql)
    }

    /// `postgres://postgres@127.0.0.1:PORT/DATABASE`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn end(&mut self) -> Result<()> {
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            watchdog.wait()?;
        }
        Ok(())
    }

    fn arguments(&self) -> Vec<String> {
        let own = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "timezone=UTC".to_owned(),
        ];
        let settings = own.into_iter().chain(self.settings.iter().cloned());
        settings
            .flat_map(|setting| ["-c".to_owned(), setting])
            .collect()
    }

    fn pid(&self) -> Result<u32> {
        let file = fs::read_to_string(self.data.join("postmaster.pid"));
        let file = file.context("PostgreSQL does not run")?;
        file.lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .context("postmaster.pid")
    }

    /// The watchdog waits for us, not for the server: one that ended is a zombie below it. Before it began there is none.
    fn has_ended(&self) -> bool {
        let Some(watchdog) = &self.watchdog else {
            return true;
        };
        let children = format!("/proc/{}/task/{0}/children", watchdog.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().any(|child| {
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, state)| state.starts_with('Z'))
        })
    }

    /// The last line of `postmaster.pid`; `None` when there is none.
    fn state(&self) -> Option<String> {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        file.lines().last().map(|line| line.trim().to_owned())
    }

    fn program(&self, name: &str) -> Result<Command> {
        Ok(self.account.command(binaries::find(name)?))
    }

    /// Runs it to its end, with its output in the log.
    fn quietly(&self, command: &mut Command) -> Result<()> {
        let log = File::options().append(true).open(&self.log)?;
        let status = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()?;
        ensure!(status.success(), "{status}\n{}", self.log_tail());
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ended = self.end();
    }
}
