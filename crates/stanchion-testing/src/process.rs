//! One service binary as a child process: start, wait until ready, signal, read what it printed.

mod http;
mod kept;
mod launch;
mod ports;
mod signal;

use std::{
    fs,
    process::{Child, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub use self::kept::Kept;
pub use self::launch::Launch;
pub use self::ports::free_port;
pub use self::signal::Signal;

const POLL: Duration = Duration::from_millis(10);

/// What lines have that a test which fails repeats: warnings in either form of logs, answers of 5xx, panics.
const WARNINGS: [&str; 4] = ["WARN", "ERROR", "\"status\":5", "panicked at"];

/// How many of them, the last ones.
const REPEATED_MAX: usize = 30;

/// A running child; killed when dropped, and also when this process is killed. Its output goes to files, so it never blocks
/// on a full pipe. A test that fails repeats what the child warned of: why may be said there and nowhere else.
#[derive(Debug)]
pub struct ServiceProcess {
    child: Child,
    /// Until it was waited for.
    kept: Option<Kept>,
    ready_url: Option<String>,
    output: TempDir,
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
        let status = self.child.try_wait().context("wait")?;
        if status.is_some() {
            drop(self.kept.take());
        }
        Ok(status)
    }

    /// `SIGKILL`, and waits for the end: nothing is flushed, nothing said goodbye.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::Kill)?;
        let status = self.child.wait().context("wait")?;
        drop(self.kept.take());
        Ok(status)
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
