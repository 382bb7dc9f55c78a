//! A server at work: started, waited for, looked at in /proc, ended.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use stanchion_testing::process::Kept;

use super::super::{drivers, kits};

/// How long a server may take to listen.
const STARTED_WITHIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(20);
/// How much of a failed server's last words is read.
const WORDS_BYTES_MAX: u64 = 4096;
/// The kernel's unit of a process' times.
const TICKS_A_SECOND: f64 = 100.0;

/// A running program whose output goes to a file; ended when dropped.
pub(super) struct Process {
    child: Child,
    /// Dropped after the child was waited for.
    _kept: Kept,
    /// Standard output and error: the access log. It has no name any more, and goes with the process.
    log: File,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        fs::create_dir_all(kits::folder())?;
        // A file on the disk, as an access log is.
        let log = tempfile::tempfile_in(kits::folder())?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        let (child, kept) = Kept::spawn(command)
            .with_context(|| format!("{} did not start", command.get_program().display()))?;
        Ok(Self {
            child,
            _kept: kept,
            log,
        })
    }

    /// Waits until it listens on `address`.
    ///
    /// # Errors
    /// It has ended, in its own last words, or takes too long.
    pub(super) fn listens_on(&mut self, address: &str) -> Result<()> {
        for _ in 0..STARTED_WITHIN.as_millis() / LOOK.as_millis() {
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() {
                bail!("{}", self.last_words());
            }
            thread::sleep(LOOK);
        }
        bail!("it does not listen on {address}")
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of processor time so far.
    pub(super) fn processor_seconds(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let (_, fields) = text
            .rsplit_once(')')
            .context("/proc/PID/stat has another form")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let ticks = ticks(11)
            .zip(ticks(12))
            .context("/proc/PID/stat is shorter")?;
        Ok((ticks.0 + ticks.1) / TICKS_A_SECOND)
    }

    /// Megabytes in memory now, 10^6 bytes each.
    pub(super) fn resident_megabytes(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        Ok(kibibytes.context("/proc/PID/status names no memory")? * 1024.0 / 1e6)
    }

    fn last_words(&mut self) -> String {
        let mut words = String::new();
        let length = self.log.metadata().map_or(0, |log| log.len());
        let start = SeekFrom::Start(length.saturating_sub(WORDS_BYTES_MAX));
        let read = self.log.seek(start);
        // Who cannot be read has said nothing.
        let _ = read.and_then(|_| {
            (&mut self.log)
                .take(WORDS_BYTES_MAX)
                .read_to_string(&mut words)
        });
        drivers::reason(&words)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_is_quoted_by_its_last_words() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo 'address in use' >&2; exit 1"]);
        let mut process = Process::start(&mut command).unwrap();
        let error = process.listens_on("127.0.0.1:1").unwrap_err();
        assert_eq!(error.to_string(), "address in use");
    }

    #[test]
    fn a_running_process_has_memory_and_time() {
        let process = Process::start(Command::new("sleep").arg("60")).unwrap();
        assert!(process.processor_seconds().unwrap() < 10.0);
        // Until it is another program its memory is that of whoever started it.
        let is_small = || (0.1..100.0).contains(&process.resident_megabytes().unwrap());
        let tries = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            is_small()
        });
        assert!(tries.take(500).any(|is_small| is_small));
    }
}
