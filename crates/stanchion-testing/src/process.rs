//! One service binary as a child process: start, wait until ready, signal, read what it printed.

mod http;

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(10);

/// How often it is looked whether a process stands still: a second in all.
const STOPPED_LOOKS_MAX: usize = 1_000;

/// Where servers of tests listen: below the ports that systems take for connections and for port 0.
const PORTS: Range<u16> = 20_000..32_000;

/// How far apart two processes begin to look for a port.
const PORTS_EACH: u32 = 7;

/// Of our environment only this reaches a child: a developer's `SHOP__…` must not change what a test sees.
const INHERITED: [&str; 7] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "LLVM_PROFILE_FILE",
];

/// What lines have that a test which fails repeats: warnings in either form of logs, answers of 5xx, panics.
const WARNINGS: [&str; 4] = ["WARN", "ERROR", "\"status\":5", "panicked at"];

/// How many of them, the last ones.
const REPEATED_MAX: usize = 30;

/// Set once children are to be in process groups of their own.
static APART: OnceLock<()> = OnceLock::new();

/// What to start; kept by the caller, so that the same thing can be started again on the same folders.
#[derive(Debug, Clone)]
pub struct Launch {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    ready_url: Option<String>,
}

/// A signal a service is expected to understand, or to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: stop in good order.
    Terminate,
    /// `SIGINT`: what Ctrl-C sends.
    Interrupt,
    /// `SIGKILL`: end at once, with nothing flushed.
    Kill,
    /// `SIGSTOP`: stand still, sockets open.
    Stop,
    /// `SIGCONT`: go on after [`Signal::Stop`].
    Continue,
}

/// A running child; killed when dropped. Its output goes to files, so it never blocks on a full pipe. A test that fails
/// repeats what the child warned of: why may be said there and nowhere else.
#[derive(Debug)]
pub struct ServiceProcess {
    child: Child,
    ready_url: Option<String>,
    output: TempDir,
}

impl Launch {
    /// Starts `binary` with no argument, in the current folder, with almost nothing of our environment.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            ready_url: None,
        }
    }

    /// Another program in the place of that one, such as its next version.
    #[must_use]
    pub fn binary(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = binary.into();
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets one variable; the last one of a name wins.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The `http://HOST:PORT/PATH` that answers 200 once the service can be used.
    #[must_use]
    pub fn ready_when(mut self, url: impl Into<String>) -> Self {
        self.ready_url = Some(url.into());
        self
    }

    /// Starts the process without waiting for anything.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn spawn(&self) -> Result<ServiceProcess> {
        let output = tempfile::Builder::new()
            .prefix("stanchion-process-")
            .tempdir()?;
        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(inherited())
            .envs(self.environment.iter().cloned());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if APART.get().is_some() {
            command.process_group(0);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("stdout"))?)
            .stderr(File::create(output.path().join("stderr"))?)
            .spawn()
            .with_context(|| format!("{} did not start", self.binary.display()))?;
        Ok(ServiceProcess {
            child,
            ready_url: self.ready_url.clone(),
            output,
        })
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready within `deadline`; the message carries its output.
    pub async fn start(&self, deadline: Duration) -> Result<ServiceProcess> {
        let mut process = self.spawn()?;
        process.ready(deadline).await?;
        Ok(process)
    }
}

impl ServiceProcess {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the ready URL answers 200, and returns how long that took.
    ///
    /// # Errors
    /// When no ready URL was given, the process ends, or `deadline` passes; the message carries its output.
    pub async fn ready(&mut self, deadline: Duration) -> Result<Duration> {
        let url = self
            .ready_url
            .clone()
            .context("the launch names no ready URL")?;
        let started = Instant::now();
        while started.elapsed() < deadline {
            if http::status(&url, POLL * 100)
                .await
                .is_ok_and(|status| status == 200)
            {
                return Ok(started.elapsed());
            }
            if let Some(status) = self.exited()? {
                bail!("ended with {status} before it was ready\n{}", self.output());
            }
            sleep(POLL).await;
        }
        bail!(
            "{url} did not answer 200 within {deadline:?}\n{}",
            self.output()
        )
    }

    /// Sends a signal; a process that has ended already is no error.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        if signal == Signal::Kill {
            return self.child.kill().context("kill");
        }
        // Until we wait for it the id of an ended child is not given to another process.
        let status = Command::new("sh")
            .args(["-c", "kill \"$1\" \"$2\"", "kill", signal.flag()])
            .arg(self.pid().to_string())
            .status()?;
        ensure!(
            status.success(),
            "kill {} {}: {status}",
            signal.flag(),
            self.pid()
        );
        if signal == Signal::Stop {
            self.wait_until_stopped();
        }
        Ok(())
    }

    /// A process on another processor goes on for a moment; who goes on then may be answered.
    fn wait_until_stopped(&self) {
        let stat = format!("/proc/{}/stat", self.pid());
        for _ in 0..STOPPED_LOOKS_MAX {
            let said = fs::read_to_string(&stat).unwrap_or_default();
            // Behind the name, which may have spaces and parentheses of its own.
            let state = said.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
            if matches!(state, Some(b'T' | b'Z') | None) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Errors
    /// When it still runs after `deadline`; the message carries its output.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            ensure!(
                started.elapsed() < deadline,
                "still running after {deadline:?}\n{}",
                self.output()
            );
            sleep(POLL).await;
        }
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("wait")
    }

    /// `SIGKILL`, and waits for the end: nothing is flushed, nothing said goodbye.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::Kill)?;
        self.child.wait().context("wait")
    }

    /// `SIGTERM`, and waits for the end.
    ///
    /// # Errors
    /// When it still runs after `deadline`.
    pub async fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.signal(Signal::Terminate)?;
        self.wait(deadline).await
    }

    /// What it has printed to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has printed to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    pub(crate) fn output(&self) -> String {
        format!(
            "--- stdout ---\n{}--- stderr ---\n{}",
            self.stdout(),
            self.stderr()
        )
    }

    fn repeat_warnings(&self) {
        let said = self.stdout() + &self.stderr();
        let warns = |line: &&str| WARNINGS.iter().any(|word| line.contains(word));
        let warned: Vec<&str> = said.lines().filter(warns).collect();
        let from = warned.len().saturating_sub(REPEATED_MAX);
        for line in &warned[from..] {
            eprintln!("process {}: {line}", self.child.id());
        }
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.output.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.repeat_warnings();
        }
        // Both fail only when it has ended already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Signal {
    fn flag(self) -> &'static str {
        match self {
            Self::Terminate => "-TERM",
            Self::Interrupt => "-INT",
            Self::Kill => "-KILL",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
        }
    }
}

/// From here on a Ctrl-C in the terminal reaches this process and none that it starts, so that it can stop them in their order.
/// A test leaves that: whatever it started is to end with it.
pub fn keep_ctrl_c_to_ourselves() {
    let _already = APART.set(());
}

/// A port of 127.0.0.1 that nobody else gets until this process ends: no other test by way of this function, and no
/// connection of the machine, because it lies below the ports that the system hands out by itself. Two that start a
/// server on one port would not notice: the second one ends, and the first one answers for it.
///
/// # Errors
/// When every port of the range is taken, or the folder of locks below the temporary folder cannot be made.
pub fn free_port() -> Result<u16> {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let user = fs::metadata("/proc/self")?.uid();
    let folder = env::temp_dir().join(format!("stanchion-ports-{user}"));
    fs::create_dir_all(&folder)?;
    // Processes begin at different places, so that each finds one soon.
    let first = process::id().wrapping_mul(PORTS_EACH) % PORTS.len() as u32;
    for offset in 0..PORTS.len() as u32 {
        let port = PORTS.start + u16::try_from((first + offset) % PORTS.len() as u32)?;
        let lock = File::create(folder.join(port.to_string()))?;
        if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(lock);
            return Ok(port);
        }
    }
    bail!("no free port in {PORTS:?}")
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    INHERITED
        .iter()
        .filter_map(|name| Some((OsString::from(name), env::var_os(name)?)))
}
